//! The client's answer: its own side of the deal, with what the miner said where it could be asked.

use super::{
    failed, plain, rejected, step, Cause, CauseCode, Explanation, Step, StepName, StepState, Subject, SubjectKind,
};
use crate::deal::client::{ClientDeal, ClientStage};
use crate::deal::response::DealState;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What a client knows of one of its deals.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientFacts<'a> {
    pub deal: &'a ClientDeal,
    /// What the deal is called while it has no id.
    pub name: &'a str,
    /// Milliseconds since 1970.
    pub now_ms: u64,
    pub word: MinerReport,
}

/// What the miner says.
#[derive(Debug, Clone, PartialEq)]
pub enum MinerReport {
    /// It was not asked: it knows nothing of the deal yet, or nothing more is to be known.
    NotAsked,
    Told(Explanation),
    /// It answers queries, and does not speak this protocol or says what cannot be read.
    CannotExplain {
        reason: String,
    },
    Unreachable {
        reason: String,
    },
    /// It could not be looked for: the chain, which knows the way to it, does not answer.
    ChainUnreachable {
        reason: String,
    },
}

impl ClientDeal {
    /// Whether there is a miner to ask for its side of the deal.
    pub fn is_miners_to_explain(&self) -> bool {
        matches!(
            self.stage,
            ClientStage::Signed { .. } | ClientStage::Running { .. } | ClientStage::Complete { .. }
        )
    }
}

/// Explains a deal, as its client.
pub fn explain(facts: ClientFacts) -> Explanation {
    let ClientFacts {
        deal,
        name,
        now_ms,
        word,
    } = facts;
    let id = deal.cid().map_or_else(|| name.into(), |cid| cid.to_string());
    let (word, chain) = match about(&id, word) {
        MinerReport::ChainUnreachable { reason } => (MinerReport::NotAsked, Some(chain_unreachable(&reason))),
        word => (word, None),
    };
    let mut told = Explanation {
        subject: Subject {
            kind: SubjectKind::Deal,
            id,
        },
        state: state(&deal.stage).into(),
        done: false,
        at: now_ms,
        steps: Vec::new(),
        because: Vec::new(),
        eta: None,
        next: String::new(),
    };
    match &deal.stage {
        ClientStage::Drafted => drafted(&mut told, deal),
        ClientStage::ChannelOpen { .. } => channel_open(&mut told),
        ClientStage::Signed { .. } => signed(&mut told, word),
        ClientStage::Running { response, .. } => running(&mut told, response.response.state, word),
        ClientStage::Complete { .. } => complete(&mut told, word),
        ClientStage::Failed { reason, channel } => ended(&mut told, reason, channel.is_some()),
    }
    if let Some(chain) = chain.filter(|_| !told.done) {
        told.because.insert(0, chain);
    }
    told.bounded()
}

/// A peer may say anything: what it says of another deal, or of a deal that is not done without a reason, is no answer.
fn about(id: &str, word: MinerReport) -> MinerReport {
    let strange = |reason: &str| MinerReport::CannotExplain { reason: reason.into() };
    match word {
        MinerReport::Told(told) if told.subject.id != id || told.subject.kind != SubjectKind::Deal => {
            strange("its answer is about another deal")
        }
        MinerReport::Told(told) if !told.done && told.because.is_empty() => strange("it gave no reason"),
        other => other,
    }
}

fn state(stage: &ClientStage) -> &'static str {
    match stage {
        ClientStage::Drafted => "drafted",
        ClientStage::ChannelOpen { .. } => "channelOpen",
        ClientStage::Signed { .. } => "signed",
        ClientStage::Running { response, .. } => response.response.state.name(),
        ClientStage::Complete { .. } => "complete",
        ClientStage::Failed { .. } => "failed",
    }
}

/// The steps with `running` under way, those before it done, those after it to come.
fn steps(running: StepName, state: StepState) -> Vec<Step> {
    let of = |name: StepName| match name.cmp(&running) {
        core::cmp::Ordering::Less => step(name, StepState::Done),
        core::cmp::Ordering::Equal => step(name, state),
        core::cmp::Ordering::Greater => step(name, StepState::Waiting),
    };
    StepName::ALL.into_iter().map(of).collect()
}

fn drafted(told: &mut Explanation, deal: &ClientDeal) {
    told.next = "Then vouchers and proposal are signed, and sent to the miner.".into();
    let is_free = deal.draft.total().is_none_or(crate::chain::amount::AttoFil::is_zero);
    if is_free {
        told.steps = steps(StepName::Proposal, StepState::Running);
        return told.because.push(Cause::new(
            CauseCode::WaitingForAnswer,
            "The proposal is drawn up, and about to be signed and sent.",
            GO_ON,
        ));
    }
    told.steps = steps(StepName::Channel, StepState::Running);
    told.because.push(Cause::new(
        CauseCode::ChannelOpening,
        "The payment channel is being opened: its message must get into a block of the chain.",
        GO_ON,
    ));
}

/// What a client that carries no deals on by itself needs.
const GO_ON: &str = "It goes on by itself while the page is open, or with `sealdrop client resume`.";

fn channel_open(told: &mut Explanation) {
    told.steps = steps(StepName::Proposal, StepState::Running);
    told.because.push(Cause::new(
        CauseCode::WaitingForAnswer,
        "The payment channel is open; vouchers and proposal are about to be signed and sent.",
        GO_ON,
    ));
    told.next = "Then the miner reviews the proposal, and answers.".into();
}

fn signed(told: &mut Explanation, word: MinerReport) {
    told.steps = steps(StepName::Proposal, StepState::Running);
    told.next = "Then the miner fetches the file.".into();
    match word {
        MinerReport::Unreachable { reason } => told.because.push(unreachable(&reason)),
        // The miner has answered already, and the client is about to hear it.
        MinerReport::Told(miners) if miners.state != "unknown" => return take_over(told, miners),
        MinerReport::Told(miners) => {
            let paused = |cause: &Cause| cause.code == CauseCode::IntakePaused;
            told.because.extend(miners.because.into_iter().filter(paused));
        }
        _ => {}
    }
    told.because.push(Cause::new(
        CauseCode::WaitingForAnswer,
        "The proposal is signed, and the miner has not answered it yet: it reviews every term, and looks the channel up.",
        GO_ON,
    ));
}

fn running(told: &mut Explanation, last: DealState, word: MinerReport) {
    let at = match last {
        DealState::Staged => StepName::Packing,
        DealState::Started => StepName::Placing,
        _ => StepName::Transfer,
    };
    told.steps = steps(at, StepState::Running);
    told.next = "The miner's answer tells more as soon as there is one.".into();
    let known = format!("The last that it said of the deal is: {last}.");
    match word {
        MinerReport::Told(miners) => take_over(told, miners),
        MinerReport::Unreachable { reason } => {
            let mut cause = unreachable(&reason);
            cause.text = format!("{} {known}", cause.text);
            told.because.push(cause);
        }
        MinerReport::CannotExplain { reason } => {
            let text = format!("The miner is there, and does not explain: {}. {known}", plain(&reason));
            told.because
                .push(Cause::new(CauseCode::MinerCannotExplain, text, GO_ON));
        }
        MinerReport::NotAsked | MinerReport::ChainUnreachable { .. } => {
            let text = format!("The miner could not be asked. {known}");
            told.because.push(Cause::new(CauseCode::MinerUnreachable, text, GO_ON));
        }
    }
}

fn unreachable(reason: &str) -> Cause {
    let reason = plain(reason);
    Cause::new(
        CauseCode::MinerUnreachable,
        format!("The miner cannot be reached: {}.", reason.trim_end_matches('.')),
        "Nothing is lost: the deal goes on when the miner is back. Check that it runs, and the way to it.",
    )
}

fn chain_unreachable(reason: &str) -> Cause {
    let reason = plain(reason);
    Cause::new(
        CauseCode::ChainUnreachable,
        format!("The chain does not answer here: {}.", reason.trim_end_matches('.')),
        "Start the chain, or correct its URL; the deal goes on by itself when it is back.",
    )
}

/// The miner knows more; the channel is the client's.
fn take_over(told: &mut Explanation, miners: Explanation) {
    told.steps = match miners.steps.is_empty() {
        true => Vec::new(),
        false => [step(StepName::Channel, StepState::Done)]
            .into_iter()
            .chain(miners.steps)
            .collect(),
    };
    // The client's own state follows the miner's; until then the miner's word stands for what is to be shown.
    (told.state, told.because, told.eta, told.next) = (miners.state, miners.because, miners.eta, miners.next);
    if miners.done && told.because.is_empty() {
        told.because.push(Cause::new(
            CauseCode::StepRunning,
            "The miner says that it is done; its proof is about to be fetched and checked here.",
            GO_ON,
        ));
    }
}

fn complete(told: &mut Explanation, word: MinerReport) {
    told.steps = steps(StepName::Other, StepState::Done);
    told.next = "The sector is proven again in every window, until the deal's end.".into();
    if let MinerReport::Told(miners) = word {
        if miners.done {
            (told.because, told.next) = (miners.because, miners.next);
        }
    }
    told.done = true;
}

fn ended(told: &mut Explanation, reason: &str, has_channel: bool) {
    told.done = true;
    told.because.push(match reason.strip_prefix("deal rejected: ") {
        Some(reason) => rejected(reason),
        None => failed(reason),
    });
    told.next = match has_channel {
        true => "The money in its payment channel comes back by itself: the channel is cancelled, and reclaimed when it ends.",
        false => "Nothing: it failed before anything was paid.",
    }
    .into();
}
