//! The other end of plain connections, for `cargo xtask bench transports`: takes and gives as many bytes as it is asked to, with nothing
//! on top, so that what libp2p and a deal cost can be told from what the browser and the machine do.
//!
//! ```text
//! transport-peer listen ADDRESS     plain WebSocket and WebTransport there, until standard input ends; says where, in a line of JSON
//! transport-peer native KIND BYTES  libp2p between two processes, KIND tcp or quic; says what it took, in a line of JSON
//! ```

mod native;
mod websocket;
mod webtransport;

use std::io::Read;
use std::net::IpAddr;
use std::process::ExitCode;

const USAGE: &str = "transport-peer listen ADDRESS | native tcp|quic BYTES";

/// Why there is no measurement.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    match arguments {
        ["listen", address] => {
            let address: IpAddr = address.parse()?;
            let websocket = runtime.block_on(websocket::listen((address, 0).into()))?;
            let (webtransport, hash) = runtime.block_on(async { webtransport::listen((address, 0).into()) })?;
            let urls = serde_json::json!({
                "websocket": format!("ws://{websocket}/"),
                "webtransport": format!("https://{webtransport}/"),
                "hash": hash,
            });
            println!("{urls}");
            // Whoever started it holds the other end.
            std::io::stdin().read_to_end(&mut Vec::new())?;
        }
        ["native", kind, bytes] => println!("{}", runtime.block_on(native::measure(kind, bytes.parse()?))?),
        ["native-listener", kind] => runtime.block_on(native::listen(kind))?,
        _ => return Err(USAGE.into()),
    }
    runtime.shutdown_background();
    Ok(())
}
