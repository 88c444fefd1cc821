//! `sealdrop mining link`: the link that opens the page at the home's miner, and its QR code.

use super::error::CommandError;
use super::output::Output;
use super::target::Target;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use sealdrop_miner::chain_access::rpc_url;
use sealdrop_miner::console;
use serde_json::json;
use shared::chain::Address;
use shared::client::link::{HttpUrl, Link};

/// Prints the link; for people with its QR code.
pub fn show(
    target: &Target,
    output: Output,
    miner: Address,
    page: Option<HttpUrl>,
    with_code: bool,
) -> Result<(), CommandError> {
    let chain: HttpUrl = rpc_url(&target.endpoint_told()?).parse()?;
    let page = match page {
        Some(page) => page,
        None => own_page(target)?,
    };
    let link = Link {
        miner: Some(miner.clone()),
        chain: Some(chain.clone()),
    };
    let link = link.at(&page)?;
    for (what, url, option) in [("page", &page, "--page URL"), ("chain", &chain, "--chain URL")] {
        if is_of_this_machine(url) {
            console::stderr(&format!(
                "The {what} at {url} is reached from this machine only: name one that others reach with {option}"
            ));
        }
    }
    let value = json!({ "link": link, "page": page, "chain": chain, "miner": miner });
    output.show(&value, || match with_code.then(|| drawn(&link)).flatten() {
        Some(code) => format!("{code}\n{link}"),
        None => link.clone(),
    })
}

/// The page that the home's daemon serves.
fn own_page(target: &Target) -> Result<HttpUrl, CommandError> {
    let home = target.home()?;
    let endpoints = home.endpoints()?;
    let page = endpoints.as_ref().and_then(|endpoints| endpoints.web_told());
    let page = page.ok_or_else(|| CommandError::NoPage {
        home: home.root().to_owned(),
    })?;
    Ok(page.parse()?)
}

fn is_of_this_machine(url: &HttpUrl) -> bool {
    shared::access::host_is_local(url.authority())
}

/// The code in half blocks, light modules drawn: most terminals are dark. `None` for a link that is longer than a code may be.
fn drawn(link: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(link, EcLevel::L).ok()?;
    let mut image = code.render::<Dense1x2>();
    Some(image.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_link_fits_a_terminal_of_eighty_columns() {
        let link = Link {
            miner: Some(Address::actor(&Address::id(100), 7)),
            chain: "https://chain.storage.example:4403/rpc".parse().ok(),
        };
        let link = link.at(&"https://page.storage.example/".parse().expect("a URL"));
        let code = drawn(&link.expect("it is short")).expect("it is a code");
        let widest = code.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|width| width <= 80), "{widest:?}");
    }

    #[test]
    fn a_link_that_is_too_long_for_a_code_is_printed_without_one() {
        assert_eq!(drawn(&"a".repeat(4000)), None);
    }
}
