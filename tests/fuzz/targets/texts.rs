//! What people and programs give as text: addresses, money, CIDs of pieces, vouchers, what is asked over HTTP. What is read is told the same.
#![no_main]

use shared::chain::{Address, AttoFil};
use shared::payment::voucher;
use shared::piece::{Commitment, PieceCid, PieceName, SectorSize};
use shared::retrieval::gateway::{EntityBytes, Request};
use shared::retrieval::http::{requested_range, Ranged};
use std::fmt::{Debug, Display};
use std::str::FromStr;

fn told_again<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    told_again::<Address>(text);
    told_again::<AttoFil>(text);
    told_again::<PieceCid>(text);
    told_again::<PieceName>(text);
    told_again::<EntityBytes>(text);
    told_again::<Commitment>(text);
    told_again::<SectorSize>(text);
    if let Ranged::Part(range) = requested_range(Some(text), 1000) {
        assert!(range.start < range.end && range.end <= 1000);
    }
    let mut parts = text.splitn(3, '\n');
    let (path, query) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if let Ok(request) = Request::parse(path, query, parts.next()) {
        assert!(request.disposition().is_ascii() && request.etag().starts_with('"'));
        // The URL that the answer names asks for the same.
        let asked_so = request.location().and_then(|location| {
            let (path, query) = location.strip_prefix("/ipfs/")?.split_once('?')?;
            Request::parse(path, query, None).ok().map(|again| again.etag())
        });
        assert!(asked_so.is_none_or(|etag| etag == request.etag()));
    }
    if let Ok(found) = voucher::from_text(text) {
        assert_eq!(voucher::from_text(&voucher::to_text(&found)), Ok(found));
    }
});
