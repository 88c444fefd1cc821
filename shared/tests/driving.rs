//! Driving a deal through a host: what the host reports surfaces, and nothing moves on a failure.

use cid::Cid;
use shared::chain::keys::cid_of_bytes;
use shared::chain::{Address, AttoFil, ChannelId, Epoch, SecretKey};
use shared::deal::client::ClientRefusal;
use shared::deal::drive::ChannelOutcome;
use shared::deal::{
    drive, ClientDeal, ClientHost, ClientStage, DealState, Draft, Response, SignedProposal, SignedResponse,
};
use shared::payment::schedule::ScheduleError;
use shared::piece::{Commitment, SectorSize};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a valid key")
}

/// Which edge fails, and what the miner answers with.
struct ScriptedHost {
    channel: Result<ChannelOutcome, &'static str>,
    propose: Result<DealState, &'static str>,
    signer: u8,
    worker: u8,
    saved: Vec<ClientStage>,
}

impl ScriptedHost {
    fn answer(&self, deal: Cid, state: DealState) -> SignedResponse {
        let response = Response {
            state,
            message: "why".into(),
            proposal_cid: deal,
            proof_info: None,
        };
        response.sign(&key(self.signer))
    }
}

#[derive(Debug, PartialEq)]
enum Stop {
    Edge(&'static str),
    Refused(ClientRefusal),
}

impl ClientHost for ScriptedHost {
    type Error = Stop;

    fn key(&self) -> SecretKey {
        key(1)
    }
    async fn save(&mut self, deal: &ClientDeal) -> Result<(), Stop> {
        self.saved.push(deal.stage.clone());
        Ok(())
    }
    async fn open_channel(
        &mut self,
        _: &ClientDeal,
        _: &Address,
        _: AttoFil,
        _: Epoch,
    ) -> Result<ChannelOutcome, Stop> {
        self.channel.clone().map_err(Stop::Edge)
    }
    async fn propose(&mut self, proposal: &SignedProposal) -> Result<SignedResponse, Stop> {
        let state = self.propose.map_err(Stop::Edge)?;
        Ok(self.answer(proposal.cid(), state))
    }
    async fn query(&mut self, _: &Cid) -> Result<SignedResponse, Stop> {
        Err(Stop::Edge("query"))
    }
    async fn worker(&mut self, _: &ClientDeal) -> Result<Option<Address>, Stop> {
        Ok(Some(key(self.worker).address()))
    }
    async fn refused(&mut self, refusal: ClientRefusal) -> Result<(), Stop> {
        Err(Stop::Refused(refusal))
    }
    fn unschedulable(&self, _: ScheduleError) -> Stop {
        Stop::Edge("schedule")
    }
}

fn host() -> ScriptedHost {
    let (channel, message) = (ChannelId(9), cid_of_bytes(b"message"));
    ScriptedHost {
        channel: Ok(ChannelOutcome::Opened { channel, message }),
        propose: Ok(DealState::Accepted),
        signer: 3,
        worker: 3,
        saved: Vec::new(),
    }
}

fn run(mut host: ScriptedHost, duration: u64) -> (Result<(), Stop>, ClientStage) {
    let owner = key(2).address();
    let mut deal = ClientDeal::new(Draft {
        data_cid: cid_of_bytes(b"piece"),
        comm_p: Commitment([7; 32]),
        size: 1000,
        payer: key(1).address(),
        miner: Address::actor(&owner, 0),
        owner,
        worker: key(3).address(),
        sector_size: SectorSize::S2KiB,
        price: AttoFil(2),
        duration,
        start: Epoch(773),
    });
    let outcome = {
        let driven = pin!(drive(&mut deal, &mut host));
        match driven.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("a scripted host never waits"),
        }
    };
    assert_eq!(host.saved.last(), Some(&deal.stage), "what the deal came to is kept");
    (outcome, deal.stage)
}

/// spec §9.20: what fails while the payment is made surfaces, and the deal can be driven again from where it was. (The
/// broker is not asked for vouchers here: the client draws them up itself, from the same rules.)
#[test]
fn failures_to_send_to_be_mined_and_to_schedule_surface() {
    let away = ScriptedHost {
        channel: Err("the chain is away"),
        ..host()
    };
    assert_eq!(
        run(away, 2500),
        (Err(Stop::Edge("the chain is away")), ClientStage::Drafted)
    );
    let reverted = ScriptedHost {
        channel: Ok(ChannelOutcome::Failed {
            reason: "createChannel failed 33".into(),
        }),
        ..host()
    };
    let failed = ClientStage::Failed {
        reason: "createChannel failed 33".into(),
        channel: None,
    };
    assert_eq!(run(reverted, 2500), (Ok(()), failed));
    let (outcome, stage) = run(host(), 0);
    assert_eq!(outcome, Err(Stop::Edge("query")), "0 blocks cost nothing: a free deal");
    assert!(matches!(stage, ClientStage::Running { .. }));
}

#[test]
fn an_unreachable_miner_leaves_the_signed_deal_to_be_proposed_again() {
    let silent = ScriptedHost {
        propose: Err("failed to read response"),
        ..host()
    };
    let (outcome, stage) = run(silent, 2500);
    assert_eq!(outcome, Err(Stop::Edge("failed to read response")));
    assert!(matches!(stage, ClientStage::Signed { .. }));
}

#[test]
fn an_answer_by_the_miners_new_worker_is_believed_and_a_strangers_is_not() {
    let changed = ScriptedHost {
        signer: 5,
        worker: 5,
        ..host()
    };
    let (outcome, stage) = run(changed, 2500);
    assert_eq!(outcome, Err(Stop::Edge("query")));
    assert!(matches!(stage, ClientStage::Running { .. }));
    let forged = ScriptedHost { signer: 5, ..host() };
    let (outcome, stage) = run(forged, 2500);
    assert_eq!(outcome, Err(Stop::Refused(ClientRefusal::ResponseSignature)));
    assert!(matches!(stage, ClientStage::Signed { .. }));
}
