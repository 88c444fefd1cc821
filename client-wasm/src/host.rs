//! What the network worker does for this module: durable storage, the file's bytes, what the
//! browser says of the page, and events to the page.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const HOST: &'static str = r#"
/** What the module asks of the worker that loaded it. A promise resolves when the change is durable. */
export interface Host {
  /** Keeps a deal: `state` is for the module, `view` for the page. */
  saveDeal(id: string, state: string, view: import('../../js/types.js').Deal): Promise<void>;
  /** Shows a deal as it is now. */
  showDeal(view: import('../../js/types.js').Deal): void;
  /** A deal of a file that is carried on is another than before. */
  fileChanged(id: string): void;
  /** Bytes of a deal's file. */
  readPiece(id: string, offset: number, length: number): Promise<Uint8Array>;
  /** The file of a deal is no longer needed. */
  dropPiece(id: string): Promise<void>;
  /** The signed message that was made for a purpose, hexadecimal. */
  message(purpose: string): Promise<string | undefined>;
  /** Keeps a signed message. */
  saveMessage(purpose: string, message: string): Promise<void>;
  /** Forgets a message. */
  dropMessage(purpose: string): Promise<void>;
  /** All messages that are kept. */
  messages(): Promise<string[]>;
  /**
   * Has the account's signer sign a message, and resolves to the signature, 65 bytes. A wallet of Ethereum shows and signs `typedData`,
   * JSON for `eth_signTypedData_v4`; others sign `message`. Rejects with a problem of the code `signer-refused` when whoever is asked says no.
   */
  sign(message: Uint8Array, typedData: string | undefined): Promise<Uint8Array>;
  /** Where the page comes from, and what its browser lets it reach at present. */
  surroundings(): Promise<import('../../js/surroundings.js').Surroundings>;
  /**
   * Has the window make a peer connection (WebRTC) to a listener with the certificate of this fingerprint. Its news
   * (`FromPeer`) come out of the port, `open` and `close` go in.
   */
  dialPeer(ip: string, port: number, fingerprint: string): MessagePort;
  /** Sends a request to a miner's HTTP listener, and waits `limit` milliseconds for an answer of at most `most` bytes. */
  askMiner(
    method: string,
    url: string,
    token: string | undefined,
    body: Uint8Array<ArrayBuffer> | undefined,
    limit: number,
    most: number,
  ): Promise<import('../../js/uploads.js').UploadAnswer>;
  /** The same with the bytes from `from` to `to` of a deal's file. */
  sendPart(
    id: string,
    from: number,
    to: number,
    url: string,
    token: string | undefined,
    limit: number,
    most: number,
  ): Promise<import('../../js/uploads.js').UploadAnswer>;
  /** Fetches a piece over HTTP; see `downloads.ts`. */
  fetchLeaves(
    url: string,
    size: number,
    limit: number,
    sink: (range: Blob) => boolean,
  ): Promise<Uint8Array>;
}
"#;

#[wasm_bindgen]
extern "C" {
    /// See the interface of the same name.
    #[wasm_bindgen(typescript_type = "Host")]
    pub type Host;

    #[wasm_bindgen(method, catch, js_name = saveDeal)]
    pub async fn save_deal(this: &Host, id: &str, state: &str, view: JsValue) -> Result<(), JsValue>;
    #[wasm_bindgen(method, js_name = showDeal)]
    pub fn show_deal(this: &Host, view: JsValue);
    #[wasm_bindgen(method, js_name = fileChanged)]
    pub fn file_changed(this: &Host, id: &str);
    #[wasm_bindgen(method, catch, js_name = readPiece)]
    pub async fn read_piece(this: &Host, id: &str, offset: f64, length: u32) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = dropPiece)]
    pub async fn drop_piece(this: &Host, id: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    pub async fn message(this: &Host, purpose: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = saveMessage)]
    pub async fn save_message(this: &Host, purpose: &str, message: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = dropMessage)]
    pub async fn drop_message(this: &Host, purpose: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    pub async fn messages(this: &Host) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub async fn sign(this: &Host, message: js_sys::Uint8Array, typed_data: Option<&str>) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub async fn surroundings(this: &Host) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, js_name = dialPeer)]
    pub fn dial_peer(this: &Host, ip: &str, port: u16, fingerprint: &str) -> web_sys::MessagePort;
    #[wasm_bindgen(method, catch, js_name = fetchLeaves)]
    pub async fn fetch_leaves(
        this: &Host,
        url: &str,
        size: f64,
        limit: f64,
        sink: &js_sys::Function,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = askMiner)]
    pub async fn ask_miner(
        this: &Host,
        method: &str,
        url: &str,
        token: Option<&str>,
        body: Option<js_sys::Uint8Array>,
        limit: f64,
        most: f64,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = sendPart)]
    #[allow(
        clippy::too_many_arguments,
        reason = "JavaScript takes no struct of Rust without a copy"
    )]
    pub async fn send_part(
        this: &Host,
        id: &str,
        from: f64,
        to: f64,
        url: &str,
        token: Option<&str>,
        limit: f64,
        most: f64,
    ) -> Result<JsValue, JsValue>;
}
