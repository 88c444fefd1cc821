//! Whether a receipt's artefacts fit one another, and whose fault it is when they do not.
//!
//! The order decides: what is signed is believed to be what was signed, and what is not signed gives way to it. The proposal is signed by the
//! payer and names the piece, the channel and the miner; the miner's worker signed its answers, of which the last names the sector; messages
//! are signed by their senders, and known by their ids. Where nothing but a proof binds something, the proof decides.

mod messages;

pub(super) use messages::sector_of;

use super::artefact::{join, Answer, ArtefactKind, OnChain, Terms};
use super::parts::{Parts, Wrongs};
use super::step::DealStep;
use crate::chain::abi::Abi;
use crate::chain::calls::{channel_id, create_channel};
use crate::chain::{Address, Epoch};
use crate::deal::review::price_of;
use crate::deal::{DealState, SignedProposal};
use crate::file::Manifest;
use crate::payment::schedule::{unsigned_vouchers, Terms as Schedule};
use crate::payment::PaymentVoucher;
use crate::piece::{padded_for, Commitment, InclusionProof, PieceSize, SizedPieceCid};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cid::Cid;

type Finding = Result<(), String>;

/// Holds everything against everything that it should agree with.
pub(super) fn check(parts: &mut Parts, wrongs: &mut Wrongs, network: &Cid) {
    let mut anchoring = Anchoring { parts, wrongs, network };
    anchoring.proposal();
    anchoring.run(DealStep::Payment, Anchoring::vouchers);
    anchoring.run(DealStep::Terms, Anchoring::terms);
    anchoring.run(DealStep::Piece, Anchoring::piece);
    anchoring.run(DealStep::File, Anchoring::manifest);
    anchoring.run(DealStep::Payment, Anchoring::channel);
    anchoring.run(DealStep::Answer, |all| {
        all.answer(ArtefactKind::Accepted, DealState::Accepted)
    });
    anchoring.run(DealStep::Transfer, |all| {
        all.answer(ArtefactKind::Started, DealState::Started)
    });
    anchoring.run(DealStep::Inclusion, |all| {
        all.answer(ArtefactKind::Complete, DealState::Complete)
    });
    anchoring.run(DealStep::Inclusion, Anchoring::inclusion);
    anchoring.run(DealStep::Staging, |all| {
        all.answer(ArtefactKind::Staged, DealState::Staged)
    });
    anchoring.run(DealStep::Seal, Anchoring::pre_commit);
    anchoring.run(DealStep::Commit, Anchoring::commit);
    anchoring.tickets();
    anchoring.run(DealStep::Proving, Anchoring::posts);
    anchoring.run(DealStep::Redemption, Anchoring::redemptions);
    anchoring.run(DealStep::Retrieval, Anchoring::retrieved);
}

struct Anchoring<'a> {
    parts: &'a mut Parts,
    wrongs: &'a mut Wrongs,
    /// The network's genesis id: a wallet signs for one network.
    network: &'a Cid,
}

impl Anchoring<'_> {
    /// Checks a step, unless it is wrong already or rests on a wrong one.
    fn run(&mut self, step: DealStep, check: impl FnOnce(&mut Self) -> Finding) {
        if self.wrongs.spare(step) {
            if let Err(reason) = check(self) {
                self.wrongs.note(step, reason);
            }
        }
    }

    /// The payer signed the proposal with its vouchers. If not, either the vouchers are others, or the rest of it.
    fn proposal(&mut self) {
        let Some(rest) = &self.parts.proposal else { return };
        let whole = join(rest, self.parts.vouchers.as_ref());
        let session = match whole.signature_is_valid() {
            true => None,
            false => self.session_of(&whole),
        };
        if whole.signature_is_valid() || session.is_some() {
            self.parts.unnamed_session = session.filter(|_| self.parts.channel.is_none());
            self.parts.signed = Some(whole);
            return;
        }
        if self.wrongs.reason(DealStep::Payment).is_some() {
            return;
        }
        let vouchers = self.parts.vouchers.as_deref().unwrap_or_default();
        match vouchers_stand(vouchers, self.parts.terms.as_ref(), None) {
            Err(reason) => self.wrongs.note(DealStep::Payment, reason),
            Ok(()) => self
                .wrongs
                .note(DealStep::Proposal, "the payer did not sign this proposal"),
        }
    }

    /// The session key that signed it, where the message names it that opened its channel. Without that message anybody's key would do: who
    /// signed it is then said, and nothing of its payer.
    fn session_of(&self, whole: &SignedProposal) -> Option<Address> {
        let key = whole.session_key()?;
        let Some(placed) = &self.parts.channel else {
            return Some(key);
        };
        let message = &placed.on_chain.message;
        let named = message.message().params.get(2);
        let named = named.and_then(|bytes| Address::from_abi(bytes).ok());
        let opened = Some(message.cid()) == whole.proposal.payment.channel_msg_cid;
        (opened && named.as_ref() == Some(&key)).then_some(key)
    }

    fn signed(&self) -> Result<&SignedProposal, String> {
        let signed = self.parts.signed.as_ref();
        signed.ok_or_else(|| "there is no signed proposal that it could belong to".to_string())
    }

    fn vouchers(&mut self) -> Finding {
        if self.parts.vouchers.is_none() {
            return Ok(());
        }
        let proposal = &self.signed()?.proposal;
        let vouchers = self.parts.signed_vouchers();
        vouchers_stand(vouchers, None, self.signed()?.session_key().as_ref())?;
        if vouchers.iter().any(|v| v.payer != proposal.payment.payer) {
            return Err("a voucher is of another payer than the proposal's".to_string());
        }
        if vouchers.iter().any(|v| Some(v.channel) != proposal.payment.channel) {
            return Err("a voucher is for another channel than the proposal's".to_string());
        }
        match vouchers.last() {
            Some(last) if last.amount != proposal.total_price => {
                let (found, total) = (last.amount, proposal.total_price);
                Err(format!(
                    "the last voucher pays {found} FIL, and the deal costs {total} FIL"
                ))
            }
            _ => Ok(()),
        }
    }

    fn terms(&mut self) -> Finding {
        let Some(terms) = &self.parts.terms else { return Ok(()) };
        let signed = self.signed()?;
        let proposal = &signed.proposal;
        same("payer", &terms.payer, &proposal.payment.payer)?;
        same("miner", &terms.miner, &proposal.miner_address)?;
        same("duration", &terms.duration, &proposal.duration)?;
        let total = price_of(terms.price, signed.size(), terms.duration);
        let total = total.ok_or_else(|| "the price is more than all FIL".to_string())?;
        same("the price in FIL", &total, &proposal.total_price)?;
        if terms.sector().is_none() {
            return Err(format!("no sector has {} bytes", terms.sector_size.0));
        }
        let vouchers = self.parts.signed_vouchers();
        let called_for = match schedule(terms, signed, vouchers) {
            None => terms.paid.is_none() && vouchers.is_empty(),
            Some(drawn) => without_signatures(vouchers).eq(drawn),
        };
        match called_for {
            true => Ok(()),
            false => Err("the vouchers are not those that these terms call for".to_string()),
        }
    }

    fn piece(&mut self) -> Finding {
        let Some(piece) = &self.parts.piece else { return Ok(()) };
        let signed = self.signed()?;
        same("data root", &piece.data_cid, &signed.proposal.piece_ref)?;
        same("size", &piece.size, &signed.size())?;
        let size = PieceSize::new(piece.size).map_err(|e| e.to_string())?;
        let named = SizedPieceCid::new(piece.comm_p, size).to_string();
        same("piece CID", &piece.piece_cid, &named)?;
        match condition_comm_p(self.parts.signed_vouchers()) {
            Some(comm_p) => same("commP", &piece.comm_p, &comm_p),
            None => Ok(()),
        }
    }

    fn manifest(&mut self) -> Finding {
        let (Some(copy), Some(piece)) = (&self.parts.manifest, &self.parts.piece) else {
            return Ok(());
        };
        let found = Manifest::cid_of(&copy.manifest.0);
        same("the manifest's id", &copy.cid, &found)?;
        let manifest = Manifest::read(&copy.manifest.0).map_err(|e| e.to_string())?;
        let mut pieces = manifest.files().iter().flat_map(crate::file::FileEntry::pieces);
        let listed = pieces
            .any(|listed| (listed.data_cid, listed.comm_p, listed.size) == (piece.data_cid, piece.comm_p, piece.size));
        match listed {
            true => Ok(()),
            false => Err("the manifest does not list this piece".to_string()),
        }
    }

    fn channel(&mut self) -> Finding {
        let Some(placed) = &self.parts.channel else {
            return Ok(());
        };
        let is_proven = self.in_block(&placed.on_chain)?;
        let proposal = &self.signed()?.proposal;
        let OnChain { message, receipt, .. } = &placed.on_chain;
        let opened = message.message();
        same_if_any(
            "the channel's message",
            Some(&message.cid()),
            proposal.payment.channel_msg_cid.as_ref(),
        )?;
        same("the channel's payer", &opened.from, &proposal.payment.payer)?;
        let expected = create_channel(&opened.from, Epoch(0), proposal.total_price);
        if (&opened.to, &opened.method) != (&expected.to, &expected.method) {
            return Err("the message opens no payment channel".to_string());
        }
        if opened.value < proposal.total_price {
            return Err(format!(
                "the channel holds {} FIL, less than the deal's {} FIL",
                opened.value, proposal.total_price
            ));
        }
        let target = opened.params.first().and_then(|bytes| Address::from_abi(bytes).ok());
        if let Some(voucher) = self.parts.signed_vouchers().first() {
            same_if_any("who is paid", target.as_ref(), Some(&voucher.target))?;
        }
        let channel = channel_id(receipt).ok();
        same_if_any("the channel's id", channel.as_ref(), proposal.payment.channel.as_ref())?;
        self.proven(|parts| parts.channel.as_mut(), is_proven);
        Ok(())
    }

    fn answer(&mut self, kind: ArtefactKind, state: DealState) -> Finding {
        let answer = match kind {
            ArtefactKind::Accepted => &self.parts.accepted,
            ArtefactKind::Started => &self.parts.started,
            ArtefactKind::Staged => &self.parts.staged,
            _ => &self.parts.complete,
        };
        match answer {
            Some(answer) => check_answer(answer, self.signed()?, state),
            None => Ok(()),
        }
    }

    fn inclusion(&mut self) -> Finding {
        let Some(complete) = &self.parts.complete else {
            return Ok(());
        };
        let info = complete.response.response.proof_info.as_ref();
        let info = info.ok_or_else(|| "the miner says complete, and not where".to_string())?;
        let bytes = info.piece_inclusion_proof.as_ref();
        let bytes = bytes.ok_or_else(|| "the miner sent no inclusion proof".to_string())?;
        let path = InclusionProof::from_bytes(&bytes.0).map_err(|e| e.to_string())?;
        let (Some(piece), Some(terms)) = (&self.parts.piece, &self.parts.terms) else {
            return Ok(());
        };
        let padded = padded_for(piece.size).map_err(|e| e.to_string())?;
        let sector = terms.sector().ok_or_else(|| "no sector has this size".to_string())?;
        let verified = path.verify(piece.comm_p, padded, info.comm_d, sector);
        verified.map_err(|e| e.to_string())?;
        self.parts.is_included = true;
        Ok(())
    }

    fn retrieved(&mut self) -> Finding {
        let Some(retrieved) = &self.parts.retrieved else {
            return Ok(());
        };
        let signed = self.signed()?;
        same(
            "the root of what came back",
            &retrieved.data_cid,
            &signed.proposal.piece_ref,
        )?;
        same("the size of what came back", &retrieved.size, &signed.size())
    }
}

fn same<T: PartialEq + core::fmt::Display>(what: &str, found: &T, expected: &T) -> Finding {
    same_if_any(what, Some(found), Some(expected))
}

/// The same for what may be left out.
fn same_if_any<T: PartialEq + core::fmt::Display>(what: &str, found: Option<&T>, expected: Option<&T>) -> Finding {
    let words = |value: Option<&T>| value.map_or_else(|| "nothing".to_string(), ToString::to_string);
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what} is {}, and elsewhere {}", words(found), words(expected))),
    }
}

/// The vouchers as far as they stand for themselves: each signed by one payer, or by the session key of their proposal; one
/// channel, and who is paid.
fn vouchers_stand(vouchers: &[PaymentVoucher], terms: Option<&Terms>, session: Option<&Address>) -> Finding {
    let Some(first) = vouchers.first() else { return Ok(()) };
    let owner = terms.and_then(|terms| terms.paid.as_ref()).map(|(owner, _)| owner);
    let target = owner.unwrap_or(&first.target);
    let payer = terms.map_or(&first.payer, |terms| &terms.payer);
    for (number, voucher) in (1..).zip(vouchers) {
        if !voucher.is_signed_for(session) || voucher.payer != *payer {
            return Err(format!("voucher {number} is not signed by the payer"));
        }
        if voucher.target != *target || voucher.channel != first.channel {
            return Err(format!("voucher {number} is for somebody else, or for another channel"));
        }
    }
    Ok(())
}

/// CommP as the vouchers' condition has it.
pub(super) fn condition_comm_p(vouchers: &[PaymentVoucher]) -> Option<Commitment> {
    let condition = vouchers.iter().find_map(|voucher| voucher.condition.as_ref())?;
    condition.commitment(&condition.to).ok()
}

fn schedule(terms: &Terms, signed: &SignedProposal, vouchers: &[PaymentVoucher]) -> Option<Vec<PaymentVoucher>> {
    let (owner, start) = terms.paid.as_ref()?;
    let schedule = Schedule {
        payer: terms.payer.clone(),
        target: owner.clone(),
        miner: terms.miner.clone(),
        channel: signed.proposal.payment.channel?,
        total: signed.proposal.total_price,
        duration: terms.duration,
        start: *start,
        comm_p: condition_comm_p(vouchers)?,
        size: signed.proposal.size?,
    };
    unsigned_vouchers(&schedule).ok()
}

fn without_signatures(vouchers: &[PaymentVoucher]) -> impl Iterator<Item = PaymentVoucher> + '_ {
    vouchers.iter().map(|voucher| PaymentVoucher {
        signature: None,
        ..voucher.clone()
    })
}

fn check_answer(answer: &Answer, signed: &SignedProposal, state: DealState) -> Finding {
    let Answer { worker, response } = answer;
    if !response.is_signed_by(worker) {
        return Err(format!(
            "the answer {state} is not signed by the miner's worker {worker}"
        ));
    }
    same("the answer's deal", &response.response.proposal_cid, &signed.cid())?;
    same("the answer", &response.response.state, &state)
}
