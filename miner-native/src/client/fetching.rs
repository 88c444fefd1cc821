//! Bringing a file back (step 15 of a deal): the free retrieval protocol, and the check that the bytes are the deal's.
//!
//! Nobody is trusted: the root of what arrives is computed on the way, and the file appears under its name only when that
//! is the one asked for. Until then the bytes lie in a file of another name, which goes away with any error.

use super::book::Record;
use super::destination::{Destination, Spool};
use super::error::ClientError;
use super::miner_connection::MinerConnection;
use super::report::{Gauge, Report};
use super::Session;
use cid::Cid;
use futures::AsyncReadExt as _;
use libp2p::Stream;
use sealdrop_miner::clock::now_ms;
use sealdrop_miner::network::frames::{self, StreamError};
use shared::chain::view::MinerView;
use shared::chain::Address;
use shared::client::fetching::{self, Progress, Received, RetrievalHost};
use shared::client::retrieval::{printable, RetrievalError, Search};
use shared::piece::node;
use shared::wire::frame::{next_frame, MAX_MESSAGE};
use shared::wire::{decode, protocol, Cbor};
use std::time::Duration;

/// Bytes read from a stream at a time.
const READ_BYTES: usize = 64 << 10;

/// What came back.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub data_cid: Cid,
    pub miner: Address,
    /// Bytes.
    pub size: u64,
}

/// What is asked for, and from whom.
struct Wanted {
    data: Cid,
    /// Known when the deal is in the book.
    size: Option<u64>,
}

/// Fetches the file of a deal, or of a data CID, and writes it to `to`, whole and checked.
pub async fn retrieve(
    session: &Session,
    name: &str,
    miner: Option<&Address>,
    to: &Destination,
) -> Result<Fetched, ClientError> {
    let (wanted, sources) = find(session, name, miner).await?;
    let (mut reasons, mut search) = (Vec::new(), Search::new(now_ms()));
    for source in sources {
        if !search.goes_on(now_ms()) {
            break;
        }
        match fetch(session, &wanted, &source, to).await {
            Ok(fetched) => {
                note_retrieved(session, name, &fetched.miner)?;
                return Ok(fetched);
            }
            Err(error) if is_the_miners(&error) => reasons.push(error),
            Err(error) => return Err(error),
        }
    }
    match reasons.len() {
        1 => Err(reasons.remove(0)),
        _ => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            Err(ClientError::NowhereFound {
                data: wanted.data,
                reasons: reasons.join("; "),
            })
        }
    }
}

/// Notes in the deal's record that its miner gave the file back: its receipt says so.
fn note_retrieved(session: &Session, name: &str, miner: &Address) -> Result<(), ClientError> {
    let found = session.book.find(name)?;
    let Some(record) = found.filter(|record| !record.retrieved && record.deal.draft.miner == *miner) else {
        return Ok(());
    };
    // A deal that another process carries on is left to that one.
    let Ok(_lock) = session.book.lock(&record) else {
        return Ok(());
    };
    let mut record = session.book.reload(&record)?;
    record.retrieved = true;
    session.book.save(&record)
}

/// A miner that may have the file.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub miner: Address,
    pub peer: String,
    /// Most bytes that it can have.
    pub usable: u64,
}

async fn find(session: &Session, name: &str, miner: Option<&Address>) -> Result<(Wanted, Vec<Holder>), ClientError> {
    let known = session.book.find(name)?;
    let own = session.account.address();
    if let (Some(record), None) = (&known, miner) {
        session.check_chain(record)?;
        let miner = session.chain.miner(&record.deal.draft.miner).await;
        // It may have another host since the deal was made.
        let peer = miner.map_err(ClientError::chain)?.map(|miner| miner.peer_id);
        return Ok((Wanted::of(record), vec![Holder::of(record, peer)]));
    }
    let wanted = match &known {
        Some(record) => Wanted::of(record),
        None => Wanted::from_text(name)?,
    };
    let miners = session.chain.miners().await.map_err(ClientError::chain)?;
    let chosen: Vec<MinerView> = miners
        .into_iter()
        .filter(|view| miner.is_none_or(|miner| view.address == *miner))
        .collect();
    if miner.is_some() && chosen.iter().any(|view| view.owner == own || view.worker == own) {
        return Err(ClientError::SelfRetrieval);
    }
    let holders: Vec<Holder> = chosen
        .into_iter()
        .map(|view| Holder {
            miner: view.address,
            peer: view.peer_id,
            usable: view.usable_bytes,
        })
        .collect();
    match (holders.is_empty(), miner) {
        (false, _) => Ok((wanted, holders)),
        (true, Some(asked)) => Err(ClientError::UnknownMiner { asked: asked.clone() }),
        (true, None) => Err(ClientError::NoMiners {
            url: session.chain.url().to_owned(),
        }),
    }
}

impl Wanted {
    fn of(record: &Record) -> Self {
        Self {
            data: *record.data_cid(),
            size: Some(record.deal.draft.size),
        }
    }

    /// A name that the book does not know must be the CID of a file.
    fn from_text(name: &str) -> Result<Self, ClientError> {
        let unknown = || ClientError::UnknownDeal(name.chars().take(80).collect());
        let data = Cid::try_from(name).map_err(|_| unknown())?;
        let is_file = [node::RAW, node::DAG_PB].contains(&data.codec());
        is_file.then_some(Self { data, size: None }).ok_or_else(unknown)
    }
}

impl Holder {
    fn of(record: &Record, peer: Option<String>) -> Self {
        Self {
            miner: record.deal.draft.miner.clone(),
            peer: peer.unwrap_or_else(|| record.peer.clone()),
            usable: record.deal.draft.sector_size.usable(),
        }
    }
}

async fn fetch(session: &Session, wanted: &Wanted, holder: &Holder, to: &Destination) -> Result<Fetched, ClientError> {
    let mut sink = Spooling { to, spool: None };
    let size = fetch_into(session, (wanted.data, wanted.size), holder, &mut sink).await?;
    // An empty file is none.
    sink.spool.map_or_else(|| Spool::create(to), Ok)?.keep()?;
    Ok(Fetched {
        data_cid: wanted.data,
        miner: holder.miner.clone(),
        size,
    })
}

/// Where bytes are kept that are not checked yet.
pub(super) trait Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError>;
}

struct Spooling<'a> {
    to: &'a Destination,
    /// Made with the first byte.
    spool: Option<Spool>,
}

impl Sink for Spooling<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let spool = match self.spool.take() {
            Some(spool) => spool,
            None => Spool::create(self.to)?,
        };
        self.spool.insert(spool).write(bytes)
    }
}

/// Fetches data from one miner, of this size if it is known; what is in the sink is checked when this returns `Ok`, and worth nothing else.
pub(super) async fn fetch_into(
    session: &Session,
    (data, size): (Cid, Option<u64>),
    holder: &Holder,
    sink: &mut impl Sink,
) -> Result<u64, ClientError> {
    let miner = &holder.miner;
    let (network, chain) = (session.network.clone(), session.chain.clone());
    let mut connection = MinerConnection::new(network, chain, miner.clone(), &holder.peer)?;
    connection.reach().await?;
    let opened = session.network.open(connection.peer(), protocol::RETRIEVAL).await;
    let opened = opened.map_err(|source| ClientError::NoRetrieval {
        miner: miner.clone(),
        source,
    });
    let mut receiving = Receiving {
        incoming: Incoming::new(opened?),
        miner,
        wanted: data,
        sink,
        gauge: session.report.wait("asking the miner for the file"),
        most: size.unwrap_or(holder.usable),
        report: &session.report,
    };
    fetching::fetch(data, size, holder.usable, &mut receiving).await
}

/// Whether another miner may have what this one did not give: only what is wrong here is the last word.
pub(super) fn is_the_miners(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Unreachable { .. }
            | ClientError::NoRetrieval { .. }
            | ClientError::Withheld { .. }
            | ClientError::Retrieval { .. }
            | ClientError::WrongSize { .. }
            | ClientError::Corrupt { .. }
            | ClientError::Peer { .. }
            | ClientError::Http { .. }
    )
}

/// A file on its way here.
struct Receiving<'a, S> {
    incoming: Incoming,
    miner: &'a Address,
    wanted: Cid,
    sink: &'a mut S,
    gauge: Gauge,
    most: u64,
    report: &'a Report,
}

impl<S> Receiving<'_, S> {
    fn broken(&self, source: StreamError) -> ClientError {
        ClientError::Peer {
            miner: self.miner.clone(),
            source: source.into(),
        }
    }
}

impl<S: Sink> RetrievalHost for Receiving<'_, S> {
    type Error = ClientError;

    fn now_ms(&self) -> u64 {
        now_ms()
    }

    async fn send<Q: Cbor>(&mut self, request: &Q) -> Result<(), ClientError> {
        let sent = frames::write(&mut self.incoming.stream, request).await;
        sent.map_err(|e| self.broken(e))
    }

    async fn receive<T: Cbor>(&mut self, most_ms: u64) -> Result<Received<T>, ClientError> {
        let received = self.incoming.next(Duration::from_millis(most_ms)).await;
        received.map_err(|e| self.broken(e))
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.sink.write(bytes)
    }

    fn show(&mut self, progress: Progress) {
        match progress {
            Progress::Granted => self.gauge = self.report.bytes("receiving", self.most),
            Progress::Arrived(bytes) => self.gauge.at(bytes),
            Progress::Unsealing => {
                let text = "the miner keeps no unsealed copy: it is unsealing the file, which takes minutes";
                self.report.note(text);
            }
        }
    }

    fn failed(&self, error: RetrievalError) -> ClientError {
        let miner = self.miner.clone();
        match error {
            RetrievalError::Withheld(reason) => ClientError::Withheld {
                miner,
                reason: printable(&reason),
            },
            RetrievalError::WrongSize { expected, found } => ClientError::WrongSize { miner, expected, found },
            RetrievalError::Corrupt { expected, found } => ClientError::Corrupt {
                miner,
                expected,
                found: found.to_string(),
            },
            RetrievalError::Chunk(_) | RetrievalError::Dag(_) => ClientError::Corrupt {
                miner,
                expected: self.wanted,
                found: format!("not known: {error}"),
            },
            source => ClientError::Retrieval { miner, source },
        }
    }
}

/// A stream of messages, with what was read of it and not yet used: at most one message and [`READ_BYTES`].
struct Incoming {
    stream: Stream,
    unread: Vec<u8>,
}

impl Incoming {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// What comes within `limit`; what came of a message stays for the next time.
    async fn next<T: Cbor>(&mut self, limit: Duration) -> Result<Received<T>, StreamError> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            if let Some(body) = next_frame(&self.unread, MAX_MESSAGE)? {
                let message = decode(self.unread.get(body.clone()).unwrap_or_default())?;
                self.unread.drain(..body.end);
                return Ok(Received::Message(message));
            }
            let mut buffer = vec![0; READ_BYTES];
            let Ok(read) = tokio::time::timeout_at(end, self.stream.read(&mut buffer)).await else {
                return Ok(Received::Nothing);
            };
            match read? {
                0 if self.unread.is_empty() => return Ok(Received::End),
                0 => return Err(StreamError::Closed),
                count => {
                    buffer.truncate(count);
                    self.unread.append(&mut buffer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cid_of_a_file_is_asked_for_without_a_deal() {
        let file = "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu";
        assert_eq!(Wanted::from_text(file).unwrap().data.to_string(), file);
        let message = "bafy2bzacedjwujqzuzzesrqe4en3ir6lz5jdd2psxis4efuro7w4sqn5kcwwy";
        for other in [message, "", "something"] {
            assert!(matches!(Wanted::from_text(other), Err(ClientError::UnknownDeal(_))));
        }
    }
}
