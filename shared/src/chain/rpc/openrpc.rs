//! The OpenRPC document of the chain's JSON-RPC, made from its types; `docs/chain.openrpc.json` is held against it by the tests.

use super::code::{self, Code};
use super::{methods, Method};
use alloc::vec::Vec;
use alloc::{format, string::String};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{json, Map, Value};

/// The version of OpenRPC that the document follows.
const OPENRPC: &str = "1.3.2";

/// Where schemas lie in the document.
const SCHEMAS: &str = "/components/schemas";

/// The document under way.
pub(super) struct Document {
    /// What is read may leave out what has a default.
    read: SchemaGenerator,
    /// What is written has every field.
    written: SchemaGenerator,
    methods: Vec<Value>,
}

impl Document {
    /// Describes a method.
    pub fn add<M: Method<Result: JsonSchema> + JsonSchema>(&mut self) {
        let params = M::json_schema(&mut self.read);
        let result = self.written.subschema_for::<M::Result>();
        let errors = M::ERRORS.iter().map(|error| reference("errors", error.name));
        self.methods.push(json!({
            "name": M::NAME,
            "summary": M::SUMMARY.trim(),
            "paramStructure": "by-name",
            "params": content(params.as_value()),
            "result": { "name": "result", "schema": result },
            "errors": errors.collect::<Vec<_>>(),
        }));
    }
}

/// The whole document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.definitions_path = SCHEMAS.into();
    let mut document = Document {
        read: settings.clone().into_generator(),
        written: settings.for_serialize().into_generator(),
        methods: Vec::new(),
    };
    methods::describe_all(&mut document);
    document.written.subschema_for::<super::ErrorData>();
    let mut schemas = document.read.take_definitions(true);
    schemas.append(&mut document.written.take_definitions(true));
    let errors: Map<String, Value> = code::ALL.iter().map(|code| (code.name.into(), error(code))).collect();
    json!({
        "openrpc": OPENRPC,
        "info": {
            "title": "Sealdrop's chain",
            "version": env!("CARGO_PKG_VERSION"),
            "description": description(),
            "license": { "name": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [
            { "name": "HTTP", "url": "http://127.0.0.1:4403/rpc" },
            { "name": "WebSocket", "url": "ws://127.0.0.1:4403/ws" },
        ],
        "methods": document.methods,
        "components": { "schemas": schemas, "errors": errors },
    })
}

fn description() -> String {
    let common = code::COMMON.map(|number| format!("{number}")).join(", ");
    format!(
        "Parameters are named; unknown ones are refused. Batches are not supported. \
         Every method may also fail with {common}; `data` of an error has the schema `ErrorData`."
    )
}

/// The parameters of a method, those that must be given first.
fn content(params: &Value) -> Vec<Value> {
    let is_required = |name: &str| {
        let required = params.get("required").and_then(Value::as_array);
        required.is_some_and(|required| required.iter().any(|other| other == name))
    };
    let properties = params.get("properties").and_then(Value::as_object);
    let mut content: Vec<(bool, &str, Value)> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let required = is_required(name);
            let content = json!({ "name": name, "required": required, "schema": schema });
            (!required, name.as_str(), content)
        })
        .collect();
    content.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    content.into_iter().map(|(_, _, content)| content).collect()
}

fn error(code: &Code) -> Value {
    json!({ "code": code.number, "message": code.meaning.trim() })
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}
