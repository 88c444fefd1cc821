//! A file on its way back from a miner that says anything at any time: it is whole only when it is the file, no more comes than
//! may, and it comes to an end.
#![no_main]

use sealdrop_fuzz::Script;
use shared::client::retrieval::{Retrieval, RetrievalInput, Search, Taken};
use shared::piece::DagBuilder;
use shared::retrieval::{RetrievalStatus, RetrievePieceResponse, MAX_CHUNK};
use shared::wire::cbor::Bytes;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut script = Script::new(input);
    let file = script.bytes(255).to_vec();
    let mut dag = DagBuilder::new();
    let root = match dag.push(&file).and_then(|()| dag.finish()) {
        Ok(dag) => dag.root,
        Err(_) => return,
    };
    let (mut now, size) = (script.number(), script.chance().then_some(file.len() as u64));
    let most = size.unwrap_or(script.number());
    let mut retrieval = Retrieval::new(root, size, most, now);
    let (mut search, mut came) = (Search::new(now), Vec::new());
    while !script.is_over() {
        now = now.saturating_add(script.number());
        let _ = search.goes_on(now);
        let status = match script.chance() {
            true => RetrievalStatus::Success,
            false => RetrievalStatus::Failure,
        };
        let (kind, answer) = (
            script.below(8),
            RetrievePieceResponse {
                status,
                error_message: String::new(),
            },
        );
        let chunk = Bytes(match kind {
            0 => vec![0; MAX_CHUNK + usize::from(script.byte())],
            1 => Vec::new(),
            2 => script.bytes(255).to_vec(),
            _ => {
                let left = file.get(came.len()..).unwrap_or_default();
                left[..left.len().min(script.byte().into())].to_vec()
            }
        });
        let input = match kind {
            5 => RetrievalInput::Answer(&answer),
            6 => RetrievalInput::End,
            7 => RetrievalInput::Silence,
            _ => RetrievalInput::Chunk(&chunk),
        };
        let (is_end, is_chunk) = (input == RetrievalInput::End, kind < 5);
        let deadline = retrieval.deadline();
        let Ok(taken) = retrieval.handle(input, now) else {
            return;
        };
        assert!(now < deadline, "nothing is taken that comes too late");
        if is_chunk {
            came.extend_from_slice(&chunk.0);
        }
        assert_eq!(retrieval.arrived(), came.len() as u64);
        assert!(retrieval.arrived() <= most);
        match taken {
            Taken::Whole { size } => {
                assert!(
                    is_end && came == file && size == file.len() as u64,
                    "what is handed out is the file"
                );
                return;
            }
            Taken::More => assert!(!is_end),
            Taken::Unsealing { .. } => assert!(is_chunk && chunk.0.is_empty()),
        }
    }
});
