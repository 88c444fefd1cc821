use super::*;

const METADATA: &str = r#"{
    "packages": [
        { "id": "a", "name": "sealdrop", "version": "0.1.0", "license": "MIT OR Apache-2.0", "source": null, "manifest_path": "/s/miner-native/Cargo.toml" },
        { "id": "b", "name": "linked", "version": "1.0.0", "license": "MIT/Apache-2.0", "source": "registry", "repository": "https://example.org/b", "manifest_path": "/r/b/Cargo.toml" },
        { "id": "c", "name": "deeper", "version": "2.0.0", "license": null, "source": "registry", "manifest_path": "/r/c/Cargo.toml" },
        { "id": "d", "name": "for-tests", "version": "3.0.0", "source": "registry", "manifest_path": "/r/d/Cargo.toml" },
        { "id": "e", "name": "for-the-build", "version": "4.0.0", "source": "registry", "manifest_path": "/r/e/Cargo.toml" }
    ],
    "resolve": { "nodes": [
        { "id": "a", "deps": [
            { "pkg": "b", "dep_kinds": [{ "kind": null }, { "kind": "dev" }] },
            { "pkg": "d", "dep_kinds": [{ "kind": "dev" }] },
            { "pkg": "e", "dep_kinds": [{ "kind": "build" }] }
        ] },
        { "id": "b", "deps": [{ "pkg": "c", "dep_kinds": [{ "kind": null }] }] },
        { "id": "c", "deps": [{ "pkg": "b", "dep_kinds": [{ "kind": null }] }] }
    ] }
}"#;

fn made() -> Value {
    let metadata = serde_json::from_str(METADATA).expect("it is cargo's form");
    let digests =
        lock_digests("[[package]]\nname = \"linked\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n").expect("it is a lock");
    let mut all = Components::new();
    let mut roots = linked(&metadata, |package| package.name == "sealdrop", &digests, &mut all);
    let npm = r#"{ "packages": { "": {}, "node_modules/lit-html": { "version": "3.0.0", "license": "BSD-3-Clause" },
        "node_modules/@types/node": { "version": "1.0.0", "dev": true }, "node_modules/@lit/task": { "version": "1.1.0" } } }"#;
    roots.extend(bundled(npm, &mut all).expect("it is npm's form"));
    let release = Release {
        version: "0.1.0",
        target: "t".into(),
        time: 951_826_154,
    };
    bill(&release, &roots, &all).expect("it is JSON")
}

#[test]
fn a_bill_names_what_is_linked_and_bundled_and_no_tools() {
    let bill = made();
    let components = bill["components"].as_array().expect("a list");
    let names: Vec<&str> = components.iter().filter_map(|one| one["bom-ref"].as_str()).collect();
    assert_eq!(
        names,
        [
            "pkg:cargo/deeper@2.0.0",
            "pkg:cargo/linked@1.0.0",
            "pkg:cargo/sealdrop@0.1.0",
            "pkg:npm/%40lit/task@1.1.0",
            "pkg:npm/lit-html@3.0.0",
        ]
    );
    let linked = &components[1];
    assert_eq!(linked["licenses"][0]["expression"], "MIT OR Apache-2.0");
    assert_eq!(linked["hashes"][0], json!({ "alg": "SHA-256", "content": "ab" }));
    assert_eq!(linked["externalReferences"][0]["url"], "https://example.org/b");
    assert!(components[0].get("licenses").is_none());
}

#[test]
fn a_bill_has_the_form_of_cyclonedx_and_is_the_same_each_time() {
    let bill = made();
    assert_eq!(bill, made());
    assert_eq!(
        (&bill["bomFormat"], &bill["specVersion"]),
        (&json!("CycloneDX"), &json!("1.5"))
    );
    assert_eq!(bill["metadata"]["timestamp"], "2000-02-29T12:09:14Z");
    let serial = bill["serialNumber"].as_str().expect("a text");
    let uuid = serial.strip_prefix("urn:uuid:").expect("a UUID");
    let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{uuid}");
    // Whatever is needed is described.
    let known: BTreeSet<&str> = bill["components"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["bom-ref"].as_str())
        .collect();
    let dependencies = bill["dependencies"].as_array().expect("a list");
    assert_eq!(dependencies.len(), known.len() + 1);
    for needed in dependencies
        .iter()
        .flat_map(|one| one["dependsOn"].as_array().expect("a list"))
    {
        assert!(known.contains(needed.as_str().expect("a text")), "{needed}");
    }
}

#[test]
fn times_are_those_of_the_calendar() {
    assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
    assert_eq!(timestamp(1_709_251_199), "2024-02-29T23:59:59Z");
    assert_eq!(timestamp(4_107_542_400), "2100-03-01T00:00:00Z");
}
