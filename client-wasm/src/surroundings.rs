//! What the browser says of the page that this worker belongs to: where it comes from, what it may reach, which transports
//! there are. Asked before each dial, since a permission may change at any time; [`shared::client::dialing`] judges it.

use crate::error::ClientError;
use crate::host::Host;
use crate::json;
use serde::Deserialize;
use shared::client::dialing::{Dialer, Page, Permission, Transport};

/// As the worker hands it over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Surroundings {
    origin: String,
    is_secure: bool,
    has_web_transport: bool,
    has_web_rtc: bool,
    local_network: Permission,
    loopback: Permission,
}

/// Who dials: this page, with the transports that its browser has.
pub async fn dialer(host: &Host) -> Result<Dialer, ClientError> {
    let said = host
        .surroundings()
        .await
        .map_err(|e| ClientError::Internal(ClientError::text_of(&e)))?;
    let said: Surroundings = json::from_js(&said).map_err(ClientError::Internal)?;
    let web_transport = said.has_web_transport.then_some(Transport::WebTransport);
    let web_rtc = said.has_web_rtc.then_some(Transport::WebRtcDirect);
    let sockets = [Transport::SecureWebSocket, Transport::WebSocket];
    Ok(Dialer {
        transports: web_transport.into_iter().chain(sockets).chain(web_rtc).collect(),
        page: Some(Page::of_origin(
            &said.origin,
            said.is_secure,
            said.local_network,
            said.loopback,
        )),
    })
}
