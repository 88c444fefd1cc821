//! What is signed on one network does not count on another (design §8, finding B3): two networks that are alike in everything,
//! down to the miner, the numbers of messages and the channel, and the accounts of one root on them.

use super::*;
use crate::chain::keys::cid_of_bytes;
use crate::chain::view::ChannelView;
use crate::chain::RootKey;
use crate::deal::{
    review, ClientDeal, ClientStage, Draft, OperatorTerms, RejectionCode, ReviewContext, SignedProposal,
};
use crate::payment::ChannelFacts;
use crate::piece::node::raw_cid;

/// attoFIL per byte and block.
const PRICE: AttoFil = AttoFil(2);

/// A network on which `account` has money and a channel to the owner of a miner.
struct Network {
    world: World,
    account: SecretKey,
    draft: Draft,
}

impl Network {
    fn of(account: SecretKey) -> Self {
        let mut world = World::of(account.clone());
        let owner = world.owner.clone();
        let receipt = world.send(&owner, calls::create_storage_miner(SectorSize::S2KiB, b"peer", fil(1)));
        let draft = Draft {
            data_cid: raw_cid(b"piece"),
            comm_p: comm_p(),
            size: PIECE as u64,
            payer: account.address(),
            miner: calls::miner_address(&receipt).unwrap(),
            owner: owner.address(),
            worker: owner.address(),
            sector_size: SectorSize::S2KiB,
            price: PRICE,
            duration: 2500,
            start: Epoch(world.height),
        };
        let open = calls::create_channel(&owner.address(), draft.channel_eol(), draft.total().unwrap());
        assert!(world.send(&account, open).is_ok());
        Self { world, account, draft }
    }

    /// A message of the account that moves 100 FIL.
    fn transfer(&self) -> SignedMessage {
        let to = self.world.stranger.address();
        self.world.sign(&self.account, calls::transfer(&to, fil(100)))
    }

    /// A voucher of the account's channel that is due.
    fn voucher(&self) -> PaymentVoucher {
        let mut voucher = PaymentVoucher {
            channel: ChannelId(0),
            payer: self.account.address(),
            target: self.draft.owner.clone(),
            amount: AttoFil(1000),
            valid_at: Epoch(0),
            condition: None,
            signature: None,
        };
        voucher.signature = Some(Bytes(self.account.sign(&voucher.payload()).0.to_vec()));
        voucher
    }

    fn proposal(&self) -> SignedProposal {
        let mut deal = ClientDeal::new(self.draft.clone());
        let (channel, message) = (0, cid_of_bytes(&[]));
        deal.stage = ClientStage::ChannelOpen { channel, message };
        deal.sign(&self.account).unwrap()
    }

    /// Whether a message of any network is applied here.
    fn takes(&mut self, message: &SignedMessage) -> Result<Receipt, ApplyError> {
        self.world.apply(message)
    }

    /// The exit code with which the owner redeems a voucher of any network here.
    fn redeems(&mut self, voucher: &PaymentVoucher) -> u64 {
        let owner = self.world.owner.clone();
        self.world.send(&owner, calls::redeem(voucher, vec![])).exit_code
    }

    /// Why the miner here does not take a proposal of any network.
    fn refuses(&self, signed: &SignedProposal) -> Option<RejectionCode> {
        let payment = &signed.proposal.payment;
        let channel = ChannelView::of(&self.world.state, &payment.payer, payment.channel.unwrap());
        let context = ReviewContext {
            miner: self.draft.miner.clone(),
            owner: self.draft.owner.clone(),
            terms: OperatorTerms::at_price(PRICE),
            height: Epoch(self.world.height),
            usable: SectorSize::S2KiB.usable(),
            channel: channel.as_ref().map(ChannelFacts::from),
            channel_is_promised: false,
        };
        review(signed, &context).err().map(|rejection| rejection.code)
    }
}

/// Finding B3.
#[test]
fn messages_vouchers_and_proposals_signed_on_one_network_are_refused_on_another() {
    let root = RootKey::from_bytes([9; 32]);
    let [mut one, mut other] = [b"one", b"two"].map(|genesis| Network::of(root.account(&cid_of_bytes(genesis), 0)));
    assert_eq!(one.draft.miner, other.draft.miner, "the networks are alike");

    let message = one.transfer();
    assert!(one.takes(&message).is_ok());
    let from = one.account.address();
    assert!(matches!(
        other.takes(&message),
        Err(ApplyError::Invalid(Invalid::Balance { balance, .. })) if balance.is_zero()
    ));
    let mut message = other.transfer();
    message.signature = one.account.sign(b"whatever it signed");
    assert!(matches!(
        other.takes(&message),
        Err(ApplyError::Invalid(Invalid::Signature { from })) if from == other.account.address()
    ));

    let voucher = one.voucher();
    assert_eq!(one.redeems(&voucher), 0);
    assert_eq!(other.redeems(&voucher), exit::broker::UNKNOWN_CHANNEL);
    let renamed = PaymentVoucher {
        payer: other.account.address(),
        ..voucher
    };
    assert_eq!(other.redeems(&renamed), exit::broker::INVALID_SIGNATURE);

    let mut proposal = Network::of(one.account.clone()).proposal();
    assert_eq!(Network::of(one.account.clone()).refuses(&proposal), None);
    assert_eq!(proposal.proposal.payment.payer, from);
    assert_eq!(other.refuses(&proposal), Some(RejectionCode::NoChannel));
    proposal.proposal.payment.payer = other.account.address();
    assert_eq!(other.refuses(&proposal), Some(RejectionCode::Signature));
}

/// What the accounts of a root are good for: signed bytes do not name their network.
#[test]
fn a_key_that_is_not_bound_to_a_network_signs_for_all_of_them() {
    let [one, mut other] = [(); 2].map(|()| Network::of(key(9)));
    assert_eq!(other.refuses(&one.proposal()), None);
    assert!(other.takes(&one.transfer()).is_ok());
    assert_eq!(other.redeems(&one.voucher()), 0);
}
