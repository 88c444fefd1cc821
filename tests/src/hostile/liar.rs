//! A peer that makes a deal at no price and, when the miner comes for the piece, sends what it likes.

use crate::bytes;
use crate::peer::miner_at;
use cid::Cid;
use futures::{AsyncWriteExt, StreamExt};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{noise, tcp, yamux, Multiaddr, PeerId, Stream, StreamProtocol};
use libp2p_stream::Control;
use sealdrop_miner::network::frames;
use shared::chain::address::MaybeAddress;
use shared::chain::view::MinerView;
use shared::chain::{AttoFil, BytesAmount, SecretKey};
use shared::deal::{DealState, PaymentInfo, Proposal, SignedProposal, SignedResponse};
use shared::piece::PieceDigest;
use shared::transfer::{RefusalCode, Request, Response, Target};
use shared::wire::protocol;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Bytes of a piece.
const SIZE: usize = 1500;
/// How long an answer to a proposal is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection is kept that nothing happens on.
const KEPT: Duration = Duration::from_secs(600);

/// What the miner gets instead of the piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// The piece.
    Honest,
    OtherBytes,
    /// A frame that says that it is as long as numbers go.
    Endless,
    Nonsense,
    Refused,
    /// The piece, a byte a second.
    Dripping,
}

/// See the module.
pub(super) struct Liar {
    runtime: Runtime,
    control: Control,
    miner: MinerView,
    seed: u64,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Liar {
    /// Connects to the miner behind these ports; the piece is drawn from `seed`.
    pub fn at(ports: [u16; 4], lie: Lie, seed: u64) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(text)?;
        let (control, miner) = runtime.block_on(connect(ports, lie, seed))?;
        Ok(Self {
            runtime,
            control,
            miner,
            seed,
        })
    }

    /// Proposes a deal of the piece; gives its id once the miner has taken it.
    pub fn propose(&self) -> Result<Cid, String> {
        let proposal = self.proposal()?;
        let mut control = self.control.clone();
        let peer = peer_id(&self.miner)?;
        let asked = async {
            let opened = control
                .open_stream(peer, StreamProtocol::new(protocol::MAKE_DEAL))
                .await;
            let mut stream = opened.map_err(text)?;
            frames::write(&mut stream, &proposal).await.map_err(text)?;
            frames::read::<SignedResponse, _>(&mut stream).await.map_err(text)
        };
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, asked).await });
        let answer = answer.map_err(|_| "the miner does not answer a proposal".to_owned())??;
        match answer.response.state {
            DealState::Rejected => Err(format!("a deal at no price is refused: {}", answer.response.message)),
            _ => Ok(proposal.cid()),
        }
    }

    fn proposal(&self) -> Result<SignedProposal, String> {
        let key = SecretKey::from_bytes(&[8; 32]).ok_or("a small number is a key")?;
        let mut digest = PieceDigest::new();
        digest.push(&bytes(self.seed, SIZE)).map_err(text)?;
        let proposal = Proposal {
            piece_ref: digest.finish().map_err(text)?.data_cid,
            size: Some(BytesAmount(SIZE as u64)),
            total_price: AttoFil::ZERO,
            duration: 5000,
            miner_address: self.miner.address.clone(),
            payment: PaymentInfo {
                payer: key.address(),
                pay_ch_actor: MaybeAddress(None),
                channel: None,
                channel_msg_cid: None,
                vouchers: None,
            },
        };
        Ok(proposal.sign(&key))
    }
}

fn peer_id(miner: &MinerView) -> Result<PeerId, String> {
    miner.peer_id.parse().map_err(text)
}

async fn connect(ports: [u16; 4], lie: Lie, seed: u64) -> Result<(Control, MinerView), String> {
    let miner = miner_at(ports[2]).await?;
    let peer = peer_id(&miner)?;
    let mut swarm = libp2p::SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .map_err(text)?
        .with_behaviour(|_| libp2p_stream::Behaviour::new())
        .map_err(text)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(KEPT))
        .build();
    let mut control = swarm.behaviour().new_control();
    let mut incoming = control.accept(StreamProtocol::new(protocol::TRANSFER)).map_err(text)?;
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{}", ports[0]).parse().map_err(text)?;
    swarm
        .dial(DialOpts::peer_id(peer).addresses(vec![address]).build())
        .map_err(text)?;
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    tokio::spawn(async move {
        while let Some((_, stream)) = incoming.next().await {
            tokio::spawn(serve(stream, lie, seed));
        }
    });
    Ok((control, miner))
}

/// Answers every request on a stream, each in its way; ends with it.
async fn serve(mut stream: Stream, lie: Lie, seed: u64) -> Option<()> {
    let piece = match lie {
        Lie::OtherBytes => bytes(seed ^ 1, SIZE),
        _ => bytes(seed, SIZE),
    };
    let mut unread = Vec::new();
    loop {
        while let Some(request) = Request::take(&mut unread).ok()? {
            let data = match request.target {
                Target::Node(_) => None,
                Target::Bytes { offset, len } => piece.get(offset as usize..)?.get(..len as usize).map(<[u8]>::to_vec),
            };
            let answer = match (lie, data) {
                (Lie::Refused, _) | (_, None) => Response::refusal(RefusalCode::UnknownNode),
                (_, Some(data)) => Response::Data(data),
            };
            let framed = match lie {
                Lie::Endless => vec![0xff; 9],
                Lie::Nonsense => vec![0x03, 0x07, 0x07, 0x07],
                _ => answer.to_frame().ok()?,
            };
            if lie == Lie::Dripping {
                for byte in framed {
                    stream.write_all(&[byte]).await.ok()?;
                    stream.flush().await.ok()?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                continue;
            }
            stream.write_all(&framed).await.ok()?;
            stream.flush().await.ok()?;
        }
        frames::read_more(&mut stream, &mut unread).await.ok()?;
    }
}
