//! Accounts of Ethereum wallets, and the session keys that sign for their channels: what each may do, and what none may.

use super::*;
use crate::chain::keys::cid_of_bytes;

/// First height after the end of the test channel's life.
const EOL: u64 = 20_000;
/// What the chain adds to half the order of the group, so that a signature has another form.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

/// A world in which a wallet has money, and maybe a channel of 1000 attoFIL to the owner.
struct Wallets {
    world: World,
    /// The wallet's key.
    wallet: SecretKey,
    /// The client's session key.
    session: SecretKey,
}

impl Wallets {
    fn funded() -> Self {
        let (mut world, wallet) = (World::new(), key(7));
        let stranger = world.stranger.clone();
        let receipt = world.send(&stranger, calls::transfer(&wallet.wallet_address(), fil(5)));
        assert!(receipt.is_ok(), "{receipt:?}");
        let session = key(8);
        Self { world, wallet, session }
    }

    fn opened() -> Self {
        let mut wallets = Self::funded();
        let receipt = wallets.send(wallets.opening()).unwrap();
        assert_eq!(calls::channel_id(&receipt), Ok(ChannelId(0)));
        wallets.world.height = 2000;
        wallets
    }

    fn payer(&self) -> Address {
        self.wallet.wallet_address()
    }

    fn opening(&self) -> Call {
        let (owner, session) = (self.world.owner.address(), self.session.address());
        calls::create_channel_with_session(&owner, Epoch(EOL), AttoFil(1000), &session)
    }

    fn metered(&self, call: Call) -> MeteredMessage {
        call.message(&self.payer(), self.world.state.nonce(&self.payer()))
    }

    /// As the wallet signs it for this network.
    fn sign(&self, call: Call) -> SignedMessage {
        let metered = self.metered(call);
        let signature = self
            .wallet
            .sign_as_wallet(&TypedData::of(&metered, &self.world.network));
        SignedMessage { metered, signature }
    }

    fn send(&mut self, call: Call) -> Result<Receipt, ApplyError> {
        let signed = self.sign(call);
        self.world.apply(&signed)
    }

    /// A message in the payer's name that another key signs as accounts of 2019 do.
    fn send_as(&mut self, key: &SecretKey, call: Call) -> Result<Receipt, ApplyError> {
        let signed = self.metered(call).sign(key);
        self.world.apply(&signed)
    }

    fn voucher(&self, key: &SecretKey, amount: u128) -> PaymentVoucher {
        let mut voucher = PaymentVoucher {
            channel: ChannelId(0),
            payer: self.payer(),
            target: self.world.owner.address(),
            amount: AttoFil(amount),
            valid_at: Epoch(1500),
            condition: None,
            signature: None,
        };
        voucher.signature = Some(Bytes(key.sign(&voucher.payload()).0.to_vec()));
        voucher
    }

    fn redeem(&mut self, voucher: &PaymentVoucher) -> u64 {
        let owner = self.world.owner.clone();
        self.world.send(&owner, calls::redeem(voucher, vec![])).exit_code
    }
}

fn not_signed<T>(outcome: Result<T, ApplyError>) -> bool {
    matches!(outcome, Err(ApplyError::Invalid(Invalid::Signature { .. })))
}

/// The other form of a signature, with S in the upper half, that holds for the same bytes.
fn other_form(signature: &Signature) -> Signature {
    let order = hex::decode(ORDER).unwrap();
    let (mut other, mut borrow) = (*signature, 0i16);
    for at in (0..32).rev() {
        let digit = i16::from(order[at]) - i16::from(signature.0[32 + at]) - borrow;
        borrow = i16::from(digit < 0);
        other.0[32 + at] = digit.rem_euclid(256) as u8;
    }
    other.0[64] ^= match signature.0[64] {
        27 | 28 => 27 ^ 28,
        _ => 1,
    };
    other
}

#[test]
fn a_wallets_account_has_money_and_a_nonce_like_any_other() {
    let mut wallets = Wallets::funded();
    let to = wallets.world.owner.address();
    let signed = wallets.sign(calls::transfer(&to, fil(1)));
    assert!(wallets.world.apply(&signed).unwrap().is_ok());
    assert_eq!(wallets.world.state.nonce(&wallets.payer()), 1);
    assert_eq!(
        wallets.world.apply(&signed),
        Err(ApplyError::Invalid(Invalid::NonceUsed { nonce: 0, next: 1 }))
    );
    let beyond = wallets.sign(calls::transfer(&to, fil(5)));
    assert!(matches!(
        wallets.world.apply(&beyond),
        Err(ApplyError::Invalid(Invalid::Balance { .. }))
    ));
}

#[test]
fn what_a_wallet_signs_for_one_network_is_refused_on_another() {
    let mut wallets = Wallets::funded();
    let signed = wallets.sign(wallets.opening());
    wallets.world.network = cid_of_bytes(b"another genesis");
    assert!(not_signed(wallets.world.apply(&signed)));
    wallets.world.network = cid_of_bytes(b"genesis");
    assert!(wallets.world.apply(&signed).unwrap().is_ok());
}

#[test]
fn a_wallets_signature_holds_for_every_byte_of_its_message_and_no_other_key_makes_it() {
    let wallets = Wallets::funded();
    let good = wallets.sign(wallets.opening());
    let network = &wallets.world.network;
    assert!(good.is_signed_on(network));
    let changes: [fn(&mut MeteredMessage); 8] = [
        |m| m.message.to = Address::id(2),
        |m| m.message.nonce += 1,
        |m| m.message.value.0 += 1,
        |m| m.message.method = "extend".into(),
        |m| m.message.params[0][3] ^= 1,
        |m| m.message.params[2] = key(9).address().to_bytes(),
        |m| m.gas_limit -= 1,
        |m| m.gas_price.0 += 1,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut changed = good.clone();
        change(&mut changed.metered);
        assert!(!changed.is_signed_on(network), "change {at}");
    }
    let data = TypedData::of(&good.metered, network);
    for signature in [
        key(9).sign_as_wallet(&data),
        wallets.metered(wallets.opening()).sign(&key(7)).signature,
    ] {
        let other = SignedMessage {
            signature,
            ..good.clone()
        };
        assert!(!other.is_signed_on(network), "it is another key's, or of another kind");
    }
}

#[test]
fn a_signature_in_its_other_form_is_refused() {
    let mut wallets = Wallets::opened();
    let mut message = wallets.sign(calls::transfer(&wallets.world.owner.address(), fil(1)));
    message.signature = other_form(&message.signature);
    assert!(not_signed(wallets.world.apply(&message)));
    assert_eq!(other_form(&other_form(&message.signature)), message.signature);

    let mut voucher = wallets.voucher(&wallets.session, 10);
    let bytes: [u8; 65] = voucher.signature.as_ref().unwrap().0.as_slice().try_into().unwrap();
    voucher.signature = Some(Bytes(other_form(&Signature(bytes)).0.to_vec()));
    assert_eq!(wallets.redeem(&voucher), exit::broker::INVALID_SIGNATURE);
    voucher.signature = Some(Bytes(bytes.to_vec()));
    assert_eq!(wallets.redeem(&voucher), 0);
}

#[test]
fn v_of_a_wallet_is_27_or_28_and_nothing_else() {
    let wallets = Wallets::funded();
    let good = wallets.sign(wallets.opening());
    for v in (0..=u8::MAX).filter(|v| *v != good.signature.0[64]) {
        let mut other = good.clone();
        other.signature.0[64] = v;
        assert!(!other.is_signed_on(&wallets.world.network), "{v}");
    }
}

#[test]
fn a_session_key_signs_the_vouchers_of_the_channel_that_names_it() {
    let mut wallets = Wallets::opened();
    let channel = wallets.world.state.channel(&wallets.payer(), ChannelId(0)).unwrap();
    assert_eq!(channel.session, Some(wallets.session.address()));
    assert_eq!(wallets.redeem(&wallets.voucher(&wallets.session, 400)), 0);
    let owner = wallets.world.owner.clone();
    let closing = calls::close(&wallets.voucher(&wallets.session, 500), vec![]);
    assert!(wallets.world.send(&owner, closing).is_ok());
    assert!(wallets.world.state.channel(&wallets.payer(), ChannelId(0)).is_none());
}

#[test]
fn vouchers_of_other_keys_and_of_the_wallets_own_key_as_an_account_are_refused() {
    let mut wallets = Wallets::opened();
    for other in [key(9), key(7), wallets.world.owner.clone()] {
        let voucher = wallets.voucher(&other, 10);
        assert_eq!(wallets.redeem(&voucher), exit::broker::INVALID_SIGNATURE);
    }
}

#[test]
fn a_session_key_promises_no_more_than_the_channel_holds_and_nothing_after_its_end() {
    let mut wallets = Wallets::opened();
    let more = wallets.voucher(&wallets.session, 1001);
    assert_eq!(wallets.redeem(&more), exit::broker::INSUFFICIENT_CHANNEL_FUNDS);
    let good = wallets.voucher(&wallets.session, 10);
    let mut changed = good.clone();
    changed.amount = AttoFil(11);
    assert_eq!(wallets.redeem(&changed), exit::broker::INVALID_SIGNATURE);
    let stranger = wallets.world.stranger.clone();
    let other = wallets.world.send(&stranger, calls::redeem(&good, vec![]));
    assert_eq!(other.exit_code, exit::broker::WRONG_TARGET);
    wallets.world.height = EOL;
    assert_eq!(wallets.redeem(&good), exit::broker::EXPIRED);
}

#[test]
fn a_session_key_counts_for_its_channel_alone() {
    let mut wallets = Wallets::opened();
    let mut first = wallets.voucher(&wallets.session, 10);
    // The second channel names another key, a third none.
    let owner = wallets.world.owner.address();
    let other = calls::create_channel_with_session(&owner, Epoch(EOL), AttoFil(1000), &key(9).address());
    assert!(wallets.send(other).unwrap().is_ok());
    assert!(wallets
        .send(calls::create_channel(&owner, Epoch(EOL), AttoFil(1000)))
        .unwrap()
        .is_ok());
    for id in [1, 2] {
        first.channel = ChannelId(id);
        assert_eq!(wallets.redeem(&first), exit::broker::INVALID_SIGNATURE, "its payload");
        first.signature = Some(Bytes(wallets.session.sign(&first.payload()).0.to_vec()));
        assert_eq!(wallets.redeem(&first), exit::broker::INVALID_SIGNATURE, "its key");
        let session = wallets.session.clone();
        assert!(not_signed(wallets.send_as(&session, calls::cancel(ChannelId(id)))));
    }
    // And not for another payer's channel with the same number.
    let client = wallets.world.client.clone();
    wallets
        .world
        .send(&client, calls::create_channel(&owner, Epoch(EOL), AttoFil(1000)));
    let mut foreign = wallets.voucher(&wallets.session, 10);
    foreign.payer = client.address();
    assert_eq!(wallets.redeem(&foreign), exit::broker::INVALID_SIGNATURE);
}

#[test]
fn a_session_key_ends_its_channel_and_the_money_goes_to_the_payer_alone() {
    let mut wallets = Wallets::opened();
    let (session, id) = (wallets.session.clone(), ChannelId(0));
    let early = wallets.send_as(&session, calls::reclaim(id)).unwrap();
    assert_eq!(early.exit_code, exit::broker::RECLAIM_BEFORE_EOL);
    assert!(wallets.send_as(&session, calls::cancel(id)).unwrap().is_ok());
    let channel = wallets.world.state.channel(&wallets.payer(), id).unwrap().clone();
    assert!(channel.eol < channel.agreed_eol);
    wallets.world.height = channel.eol.0;
    let before = wallets.world.state.balance(&wallets.payer());
    let receipt = wallets.send_as(&session, calls::reclaim(id)).unwrap();
    assert!(receipt.is_ok());
    let after = wallets.world.state.balance(&wallets.payer());
    assert_eq!(after.0, before.0 + 1000 - receipt.gas_cost.0);
    assert!(wallets.world.state.balance(&session.address()).is_zero());
    // With the channel the key is forgotten.
    assert!(not_signed(wallets.send_as(&session, calls::cancel(id))));
}

#[test]
fn a_session_key_sends_no_other_message_and_offers_no_more_for_gas() {
    let mut wallets = Wallets::opened();
    let (session, id) = (wallets.session.clone(), ChannelId(0));
    let (owner, to) = (wallets.world.owner.address(), session.address());
    for call in [
        calls::transfer(&to, fil(1)),
        calls::extend(id, Epoch(EOL + 1), AttoFil::ZERO),
        calls::create_channel(&owner, Epoch(EOL), AttoFil(1)),
        calls::voucher(id, AttoFil(1), Epoch(1), None),
        calls::cancel(id).with_value(AttoFil(1)),
        Call {
            to: Address::id(Address::STORAGE_MARKET),
            ..calls::cancel(id)
        },
        Call {
            params: vec![],
            ..calls::cancel(id)
        },
        Call {
            params: [calls::cancel(id).params, calls::cancel(id).params].concat(),
            ..calls::cancel(id)
        },
    ] {
        let method = call.method.clone();
        assert!(not_signed(wallets.send_as(&session, call)), "{method}");
    }
    let changes: [fn(&mut MeteredMessage); 2] = [|m| m.gas_price.0 += 1, |m| m.gas_limit += 1];
    for change in changes {
        let mut metered = wallets.metered(calls::cancel(id));
        change(&mut metered);
        assert!(not_signed(wallets.world.apply(&metered.sign(&session))));
    }
    assert!(wallets.send_as(&session, calls::cancel(id)).unwrap().is_ok());
}

#[test]
fn a_session_key_is_another_secp256k1_address_than_its_payer() {
    let mut wallets = Wallets::funded();
    let (owner, payer) = (wallets.world.owner.address(), wallets.payer());
    for bad in [
        payer,
        key(9).wallet_address(),
        Address::id(5),
        Address::actor(&owner, 0),
    ] {
        let call = calls::create_channel_with_session(&owner, Epoch(EOL), AttoFil(10), &bad);
        assert_eq!(wallets.send(call).unwrap().exit_code, exit::broker::SESSION_KEY);
    }
    let client = wallets.world.client.clone();
    let own = calls::create_channel_with_session(&owner, Epoch(EOL), AttoFil(10), &client.address());
    assert_eq!(wallets.world.revert(&client, own).0, exit::broker::SESSION_KEY);
    // An ordinary account may name one too: its key may be elsewhere.
    let named = calls::create_channel_with_session(&owner, Epoch(EOL), AttoFil(10), &key(9).address());
    assert!(wallets.world.send(&client, named).is_ok());
}
