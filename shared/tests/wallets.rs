//! What Ethereum wallets sign, held against `wallets.json`: addresses of `iso-filecoin`, hashes and signatures of `viem`
//! (`tests/oracles/wallets.test.mjs` makes them again with these packages).

use serde_json::Value;
use shared::chain::keys::cid_of_bytes;
use shared::chain::{
    calls, Address, AttoFil, Call, ChannelId, Epoch, MeteredMessage, SecretKey, SignedMessage, TypedData,
};

fn vectors() -> Value {
    serde_json::from_str(include_str!("wallets.json")).expect("it is JSON")
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a small number is a key")
}

/// The messages of the vectors, in their order.
fn messages() -> Vec<MeteredMessage> {
    let (payer, owner) = (key(7).wallet_address(), key(2).address());
    let amount: AttoFil = "0.00025".parse().expect("an amount");
    let calls: [Call; 4] = [
        calls::create_channel_with_session(&owner, Epoch(5273), amount, &key(8).address()),
        calls::transfer(&key(9).wallet_address(), AttoFil::from_fil(3)),
        calls::create_channel(&owner, Epoch(5273), amount),
        calls::extend(ChannelId(4), Epoch(6000), AttoFil(1)),
    ];
    (0..)
        .zip(calls)
        .map(|(nonce, call)| call.message(&payer, nonce))
        .collect()
}

#[test]
fn addresses_of_wallets_are_those_of_other_libraries() {
    let vectors = vectors();
    let all = vectors["addresses"].as_array().expect("a list");
    assert!(all.len() >= 3);
    for vector in all {
        let text = |name: &str| vector[name].as_str().expect("a text");
        let ethereum: [u8; 20] = hex::decode(&text("ethereum")[2..])
            .expect("hex")
            .try_into()
            .expect("20 bytes");
        let address = Address::ethereum(&ethereum).expect("it has a key");
        assert_eq!(address.to_string(), text("filecoin"));
        assert_eq!(text("filecoin").parse(), Ok(address.clone()));
        assert_eq!(hex::encode(address.to_bytes()), text("bytes"));
        let secret: [u8; 32] = hex::decode(&text("secret")[2..])
            .expect("hex")
            .try_into()
            .expect("32 bytes");
        assert_eq!(SecretKey::from_bytes(&secret).expect("a key").wallet_address(), address);
    }
}

#[test]
fn a_wallet_shows_and_signs_of_a_message_what_viem_makes_of_it() {
    let network = cid_of_bytes(b"genesis");
    let vectors = vectors();
    let all = vectors["messages"].as_array().expect("a list");
    assert_eq!(all.len(), messages().len());
    for (vector, metered) in all.iter().zip(messages()) {
        let data = TypedData::of(&metered, &network);
        let shown = serde_json::to_value(&data).expect("it becomes JSON");
        assert_eq!(shown, vector["typedData"], "{shown}");
        assert_eq!(format!("0x{}", hex::encode(data.signing_hash())), vector["hash"]);
        let signature = key(7).sign_as_wallet(&data);
        assert_eq!(format!("0x{signature:?}"), vector["signature"]);
        assert!(SignedMessage { metered, signature }.is_signed_on(&network));
    }
}
