//! The methods, in one table: what each does, its name, parameters and result, and the chain's own errors that it answers with.

use super::code::{self, named, Code};
use super::encoding;
use super::views::*;
use super::{Canonical, HexBytes, Method};
use crate::chain::light::{MessageProof, SignedHeader, StateKey, StateProof};
use crate::chain::view::{ActorView, ChannelView, HeadView, MinerView, NetworkView, ReceiptView};
use crate::chain::{Address, AttoFil, ChannelId, Epoch, SignedMessage};
use alloc::{string::String, vec::Vec};
use cid::Cid;
use serde::{Deserialize, Deserializer, Serialize};

macro_rules! methods {
    ($(
        $(#[doc = $doc:literal])+
        $name:literal = $method:ident {
            $($(#[$attribute:meta])* $param:ident: $type:ty),* $(,)?
        } -> $result:ty $(, errors [$($error:ident),+])?;
    )+) => {
        $(
            $(#[doc = $doc])+
            #[doc = concat!("\n\nOn the wire: `", $name, "`.")]
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
            #[serde(deny_unknown_fields, rename_all = "camelCase")]
            pub struct $method {
                $($(#[$attribute])* pub $param: $type,)*
            }

            impl Method for $method {
                const NAME: &'static str = $name;
                const SUMMARY: &'static str = concat!($($doc),+);
                const ERRORS: &'static [Code] = &[$($(named(code::$error)),+)?];
                type Result = $result;
            }
        )+

        /// A call of any method: what a server answers. Its `match` over this misses none.
        #[derive(Debug, Clone)]
        pub enum AnyMethod {
            $($method($method),)+
        }

        impl AnyMethod {
            /// A call as it came; `None` when there is no such method.
            pub fn parse<'de, D: Deserializer<'de>>(name: &str, params: D) -> Option<Result<Self, D::Error>> {
                match name {
                    $(<$method as Method>::NAME => Some($method::deserialize(params).map(Self::$method)),)+
                    _ => None,
                }
            }
        }

        #[cfg(feature = "schema")]
        pub(super) fn describe_all(document: &mut super::openrpc::Document) {
            $(document.add::<$method>();)+
        }
    };
}

methods! {
    /// The network and its rules.
    "chain.network" = Network {} -> NetworkView;

    /// The newest block.
    "chain.head" = Head {} -> HeadView;

    /// Money and nonce of an actor; null for an address that the chain does not know.
    "chain.actor" = Actor { address: Address } -> Option<ActorView>;

    /// Every miner of the network.
    "chain.miners" = Miners {} -> Vec<MinerView>;

    /// A miner; null when there is none at that address.
    "chain.miner" = Miner { address: Address } -> Option<MinerView>;

    /// A payment channel; null when the payer has no such channel (any more).
    "chain.channel" = Channel { payer: Address, id: ChannelId } -> Option<ChannelView>;

    /// The ticket of the block at a height, from which randomness is drawn. No past height is too old.
    "chain.beacon" = Beacon { height: Epoch } -> HexBytes, errors [FUTURE];

    /// Takes a message in; it is on the chain's disk when this is answered. A message that is known already is as good.
    "chain.push" = Push {
        /// Hexadecimal of the signed message in canonical CBOR.
        #[serde(with = "encoding::message")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        message: SignedMessage,
    } -> Pushed, errors [MESSAGE_INVALID, POOL, NONCE_USED, NONCE_TAKEN];

    /// What became of a message; null while it waits, and for one that the chain does not know.
    "chain.receipt" = Receipt {
        /// The message's id.
        #[serde(with = "encoding::message_id")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        message: Cid,
    } -> Option<ReceiptView>, errors [PRUNED];

    /// A message and what became of it; null for one that the chain does not know.
    "chain.message" = Message {
        /// The message's id.
        #[serde(with = "encoding::message_id")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        message: Cid,
    } -> Option<MessageView>, errors [PRUNED];

    /// Runs a method of an actor and drops what it changes.
    "chain.query" = Query {
        /// The actor.
        to: Address,
        /// Who calls; without it an actor that owns nothing.
        from: Option<Address>,
        method: String,
        /// ABI values, each hexadecimal.
        #[serde(default, with = "encoding::params")]
        #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
        params: Vec<Vec<u8>>,
        /// After which block; without it the head.
        height: Option<Epoch>,
    } -> QueryView, errors [FUTURE, PAST, QUERY];

    /// What a call would do and cost if it were sent now. Nothing is sent.
    "chain.preview" = Preview {
        /// The actor.
        to: Address,
        from: Address,
        /// FIL that come with it.
        #[serde(default)]
        value: AttoFil,
        /// Empty when it only moves value.
        #[serde(default)]
        method: String,
        /// ABI values, each hexadecimal.
        #[serde(default, with = "encoding::params")]
        #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
        params: Vec<Vec<u8>>,
    } -> PreviewView, errors [MESSAGE_INVALID];

    /// The nonce of an account's next message, after those that wait.
    "chain.nonce" = Nonce { address: Address } -> u64;

    /// A block.
    "chain.block" = Block { height: Epoch } -> BlockView, errors [FUTURE, PAST];

    /// The blocks from one height to another, both included, oldest first, at most 100; those no longer kept are left out.
    "chain.blocks" = Blocks { from: Epoch, to: Epoch } -> Vec<BlockView>;

    /// The genesis record (CBOR), whose hash is the network's genesis id: it names the authority that signs headers, and the rules.
    "chain.genesis" = GenesisRecord {} -> HexBytes;

    /// The signed header of a block.
    "chain.header" = Header {
        /// Without it the newest block's.
        height: Option<Epoch>,
    } -> Canonical<SignedHeader>, errors [FUTURE, PAST, UNSIGNED];

    /// The signed headers from one height to another, both included, oldest first, of at most 100 blocks; blocks that are no longer
    /// kept or have no header are left out.
    "chain.headers" = Headers { from: Epoch, to: Epoch } -> Vec<Canonical<SignedHeader>>;

    /// Proves that a message is in a block, and what came of it; null while it waits, and for one that the chain does not know.
    "chain.messageProof" = ProveMessage {
        /// The message's id.
        #[serde(with = "encoding::message_id")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        message: Cid,
    } -> Option<Canonical<MessageProof>>, errors [PRUNED, PAST, UNSIGNED];

    /// Proves what the state after a block has under some keys, at most 64, or that it has nothing under them.
    "chain.stateProof" = ProveState {
        /// Hexadecimal.
        #[serde(with = "encoding::state_keys")]
        #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
        keys: Vec<StateKey>,
        /// After which block; without it the head. A past state takes the chain longer.
        height: Option<Epoch>,
    } -> Canonical<StateProof>, errors [FUTURE, PAST, UNSIGNED];

    /// Messages in blocks from or to an address, newest first, about 100 at most.
    "chain.messages" = Messages {
        address: Address,
        /// Leaves out those at this height and above.
        before: Option<Epoch>,
    } -> Vec<MessageSummary>;

    /// The messages that wait for a block.
    "chain.pool" = Pool {
        /// Those of this sender only.
        address: Option<Address>,
    } -> PoolView;

    /// What an exit code means to the actor at an address.
    "chain.exitText" = ExitText { to: Address, code: u64 } -> ExitTextView;

    /// Where all the money is.
    "chain.supply" = Supply {} -> SupplyView;

    /// Over WebSocket only: tells the head, now and with every block, in notifications with the method `chain.head` and the
    /// params `subscription` and `result`. The result is the subscription's number.
    "chain.subscribe" = Subscribe {} -> u64, errors [BUSY];

    /// Over WebSocket only: ends a subscription. The result tells whether there was one.
    "chain.unsubscribe" = Unsubscribe { subscription: u64 } -> bool;

    /// Asks the development chain for money, which arrives with one of the next blocks.
    "devnet.faucet" = Faucet { address: Address } -> FaucetView, errors [FAUCET];

    /// Announces where a peer can be dialled. The result is true.
    "peers.announce" = AnnouncePeer {
        /// Hexadecimal of a libp2p peer record in its signed envelope (protobuf).
        #[serde(with = "encoding::record")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        record: Vec<u8>,
    } -> bool, errors [PEER];

    /// Where a peer can be dialled, as it signed it itself: the newest libp2p peer record in its signed envelope (protobuf), hexadecimal;
    /// null when the directory does not know the peer. Whoever asks checks signature, peer id and sequence number.
    "peers.find" = FindPeer { peer_id: String } -> Option<HexBytes>, errors [PEER];
}
