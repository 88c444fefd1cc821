//! What a client sends, and when it leaves it to libp2p, against a miner that is a list of what it has.

use super::*;
use crate::piece::unixfs::LEAF_BYTES;
use crate::transfer::upload::CHUNK_LEAVES;
use alloc::vec;

/// Ten chunks, the last a short one.
const SIZE: u64 = 9 * CHUNK_LEAVES * LEAF_BYTES + 5;

fn uploading() -> Uploading {
    Uploading::new(SIZE, vec!["http://127.0.0.1:1".into()]).unwrap()
}

struct Miner {
    nodes: bool,
    chunks: BTreeSet<u64>,
    received: bool,
    sent: Vec<u64>,
}

impl Miner {
    fn new() -> Self {
        Self {
            nodes: false,
            chunks: BTreeSet::new(),
            received: false,
            sent: Vec::new(),
        }
    }

    fn view(&self) -> SessionView {
        let missing = (0..10).filter(|chunk| !self.chunks.contains(chunk));
        SessionView {
            state: SessionState::Open,
            token: Some("token".into()),
            nodes_missing: !self.nodes,
            missing: missing.map(|chunk| (chunk, chunk + 1)).collect(),
            ..SessionView::received(SIZE)
        }
    }

    fn answer(&mut self, ask: Ask) -> Reply {
        match ask {
            Ask::Open if self.received => Reply::Done(Some(SessionView::received(SIZE))),
            Ask::Open => Reply::Done(Some(self.view())),
            Ask::Nodes => {
                self.nodes = true;
                Reply::Done(None)
            }
            Ask::Chunk(_) if !self.nodes => refusal(UploadCode::NodesMissing),
            Ask::Chunk(chunk) => {
                self.chunks.insert(chunk);
                self.sent.push(chunk);
                Reply::Done(None)
            }
            Ask::Finalize if self.chunks.len() == 10 => {
                self.received = true;
                Reply::Done(Some(SessionView::received(SIZE)))
            }
            Ask::Finalize => refusal(UploadCode::Incomplete),
        }
    }
}

fn refusal(code: UploadCode) -> Reply {
    Reply::Refused(UploadProblem::new(code, "no"))
}

/// Runs until it is over; `answer` may answer in the miner's stead. Returns the end, and when it came.
fn run(
    uploading: &mut Uploading,
    miner: &mut Miner,
    mut answer: impl FnMut(&mut Miner, Ask, u64) -> Option<Reply>,
) -> (Step, u64) {
    let (mut line, mut now) = (VecDeque::new(), 0);
    for _ in 0..10_000 {
        match uploading.next(now) {
            Step::Send(ask) => line.push_back(ask),
            Step::Await => {
                let ask = line.pop_front().expect("something is under way");
                now += 10;
                let reply = answer(miner, ask, now).unwrap_or_else(|| miner.answer(ask));
                uploading.on_reply(ask, reply, now);
            }
            Step::Pause(ms) => {
                assert!(line.is_empty() && ms > 0);
                now += ms;
            }
            over => return (over, now),
        }
        assert!(line.len() <= PARALLEL);
    }
    panic!("it never ends")
}

#[test]
fn nodes_go_first_then_four_chunks_at_once_then_the_end() {
    let mut uploading = uploading();
    let mut sent = Vec::new();
    let mut ask = |uploading: &mut Uploading| loop {
        match uploading.next(0) {
            Step::Send(ask) => sent.push(ask),
            Step::Await => return core::mem::take(&mut sent),
            step => panic!("{step:?}"),
        }
    };
    let mut miner = Miner::new();
    assert_eq!(ask(&mut uploading), [Ask::Open]);
    assert_eq!(uploading.sent(), 0);
    uploading.on_reply(Ask::Open, miner.answer(Ask::Open), 0);
    assert_eq!((uploading.token(), uploading.sent()), (Some("token"), 0));
    assert_eq!(ask(&mut uploading), [Ask::Nodes]);
    uploading.on_reply(Ask::Nodes, Reply::Done(None), 0);
    assert_eq!(ask(&mut uploading), [0, 1, 2, 3].map(Ask::Chunk));
    uploading.on_reply(Ask::Chunk(2), Reply::Done(None), 0);
    assert_eq!(ask(&mut uploading), [Ask::Chunk(4)]);
    assert_eq!(uploading.sent(), 8 << 20);
    for chunk in [0, 1, 3, 4, 5, 6, 7, 8] {
        ask(&mut uploading);
        uploading.on_reply(Ask::Chunk(chunk), Reply::Done(None), 0);
    }
    assert_eq!(ask(&mut uploading), [], "the last one is under way");
    assert_eq!(uploading.bytes(9), SIZE - 5..SIZE);
    uploading.on_reply(Ask::Chunk(9), Reply::Done(None), 0);
    assert_eq!(ask(&mut uploading), [Ask::Finalize]);
    assert_eq!(uploading.sent(), SIZE);
    uploading.on_reply(Ask::Finalize, Reply::Done(Some(SessionView::received(SIZE))), 0);
    assert_eq!(uploading.next(0), Step::Done);
}

#[test]
fn only_what_is_missing_is_sent() {
    let mut miner = Miner::new();
    (miner.nodes, miner.chunks) = (true, [0, 1, 2, 5, 9].into());
    assert_eq!(run(&mut uploading(), &mut miner, |_, _, _| None).0, Step::Done);
    assert_eq!(miner.sent, [3, 4, 6, 7, 8]);
    // And nothing where the miner has it.
    let mut miner = Miner::new();
    miner.received = true;
    assert_eq!(run(&mut uploading(), &mut miner, |_, _, _| None).0, Step::Done);
    assert!(miner.sent.is_empty());
}

#[test]
fn a_cut_at_any_request_costs_at_most_what_was_under_way() {
    let whole = {
        let mut count = 0;
        run(&mut uploading(), &mut Miner::new(), |_, _, _| {
            count += 1;
            None
        });
        count
    };
    for at in 0..whole {
        for arrives in [false, true] {
            let (mut miner, mut count) = (Miner::new(), 0);
            let (over, _) = run(&mut uploading(), &mut miner, |miner, ask, _| {
                count += 1;
                let is_cut = ask != Ask::Open && (at..at + PARALLEL).contains(&count);
                is_cut.then(|| {
                    if arrives {
                        miner.answer(ask);
                    }
                    Reply::Lost("cut".into())
                })
            });
            assert_eq!(over, Step::Done, "at {at}");
            assert_eq!(miner.chunks.len(), 10);
            assert!(miner.sent.len() == 10, "{:?}", miner.sent);
        }
    }
}

#[test]
fn a_miner_that_was_started_again_is_asked_for_a_new_session() {
    let (mut miner, mut opened) = (Miner::new(), 0);
    let (over, _) = run(&mut uploading(), &mut miner, |miner, ask, _| {
        opened += u32::from(ask == Ask::Open);
        let is_lost = opened == 1 && miner.chunks.len() >= 5;
        (is_lost && ask != Ask::Open).then(|| refusal(UploadCode::NoSession))
    });
    assert_eq!((over, opened, miner.sent.len()), (Step::Done, 2, 10));
}

#[test]
fn a_busy_miner_is_waited_for_as_long_as_it_says_and_not_for_ever() {
    let busy = |retry_ms| {
        let mut problem = UploadProblem::new(UploadCode::Busy, "too many");
        problem.retry_ms = retry_ms;
        Reply::Refused(problem)
    };
    let mut times = 0;
    let (over, now) = run(&mut uploading(), &mut Miner::new(), |_, _, _| {
        times += 1;
        (times <= 2).then(|| busy(Some(3000)))
    });
    assert_eq!(over, Step::Done);
    assert!((6000..7000).contains(&now), "{now}");
    let (over, now) = run(&mut uploading(), &mut Miner::new(), |_, _, _| {
        Some(busy(Some(u64::MAX)))
    });
    assert_eq!(over, Step::FallBack("too many".into()));
    assert!((40_000..50_000).contains(&now), "{now}");
}

#[test]
fn failures_count_in_a_row_and_a_chunk_that_arrives_begins_anew() {
    let mut count = 0;
    let (over, _) = run(&mut uploading(), &mut Miner::new(), |_, ask, _| {
        count += 1;
        let fails = matches!(ask, Ask::Chunk(_)) && count % 3 != 0;
        fails.then(|| Reply::Lost("cut".into()))
    });
    assert_eq!(over, Step::Done);
    let mut opened = 0;
    let (over, _) = run(&mut uploading(), &mut Miner::new(), |_, ask, _| {
        opened += u32::from(ask == Ask::Open);
        matches!(ask, Ask::Chunk(_)).then(|| Reply::Lost("cut".into()))
    });
    assert_eq!((over, opened), (Step::FallBack("cut".into()), MAX_FAILURES + 1));
}

#[test]
fn on_a_line_that_is_cut_before_four_chunks_are_through_they_go_one_by_one() {
    // The line bears a chunk and a half, so that of several at once none arrives.
    let (mut uploading, mut miner, mut now) = (uploading(), Miner::new(), 0);
    let mut line = VecDeque::new();
    let over = loop {
        match uploading.next(now) {
            Step::Send(ask) => line.push_back(ask),
            Step::Await => {
                let is_cut = line.iter().filter(|ask| matches!(ask, Ask::Chunk(_))).count() > 1;
                for ask in line.drain(..) {
                    let reply = if is_cut {
                        Reply::Lost("cut".into())
                    } else {
                        miner.answer(ask)
                    };
                    uploading.on_reply(ask, reply, now);
                }
            }
            Step::Pause(ms) => now += ms,
            over => break over,
        }
    };
    assert_eq!((over, miner.sent.len()), (Step::Done, 10));
}

#[test]
fn what_trying_again_cannot_mend_is_left_to_libp2p_at_once() {
    for code in [
        UploadCode::NotAuthorised,
        UploadCode::WrongBytes,
        UploadCode::NoRoom,
        UploadCode::DealOver,
        UploadCode::UnknownDeal,
        UploadCode::Internal,
    ] {
        let (over, now) = run(&mut uploading(), &mut Miner::new(), |_, ask, _| {
            (ask == Ask::Chunk(1) || code == UploadCode::UnknownDeal).then(|| refusal(code))
        });
        assert_eq!(over, Step::FallBack("no".into()), "{code:?}");
        assert!(now < 100);
    }
    let (over, _) = run(&mut uploading(), &mut Miner::new(), |_, ask, _| {
        (ask == Ask::Chunk(3)).then_some(Reply::Unreadable)
    });
    assert!(matches!(over, Step::FallBack(reason) if reason.contains("cannot be read")));
}

#[test]
fn another_address_is_asked_where_one_is_no_miners_or_does_not_answer() {
    for reply in [Reply::Foreign { status: 404 }, Reply::Lost("refused".into())] {
        let bases = vec!["http://a:1".to_string(), "http://b:2".to_string()];
        let mut uploading = Uploading::new(SIZE, bases).unwrap();
        let mut asked = 0;
        let (over, _) = run(&mut uploading, &mut Miner::new(), |_, _, _| {
            asked += 1;
            (asked == 1).then(|| reply.clone())
        });
        assert_eq!((over, uploading.base()), (Step::Done, "http://b:2"));
        let (over, _) = run(&mut self::uploading(), &mut Miner::new(), |_, _, _| Some(reply.clone()));
        assert!(matches!(over, Step::FallBack(_)));
    }
    assert!(Uploading::new(SIZE, vec![]).is_none());
}

#[test]
fn a_miner_that_cuts_otherwise_or_talks_nonsense_gets_nothing() {
    let changes: [fn(&mut SessionView); 2] = [|view| view.chunk_bytes /= 2, |view| view.chunks += 1];
    for change in changes {
        let (over, _) = run(&mut uploading(), &mut Miner::new(), |miner, _, _| {
            let mut view = miner.view();
            change(&mut view);
            Some(Reply::Done(Some(view)))
        });
        assert!(matches!(over, Step::FallBack(_)));
    }
    // The same chunk again and again would be sent side by side as often.
    for missing in [vec![(0, 1); 9000], vec![(3, 5), (0, 2)], vec![(0, 3), (2, 4)]] {
        let (over, _) = run(&mut uploading(), &mut Miner::new(), |miner, _, _| {
            let view = SessionView {
                nodes_missing: false,
                missing: missing.clone(),
                ..miner.view()
            };
            Some(Reply::Done(Some(view)))
        });
        assert!(matches!(over, Step::FallBack(_)), "{missing:?}");
    }
    let mut view = Miner::new().view();
    (view.nodes_missing, view.missing) = (false, vec![(7, 3), (9, u64::MAX), (12, 13)]);
    let mut uploading = uploading();
    uploading.next(0);
    uploading.on_reply(Ask::Open, Reply::Done(Some(view)), 0);
    assert_eq!(uploading.next(0), Step::Send(Ask::Chunk(9)));
    assert_eq!(uploading.next(0), Step::Await);
    // An answer that nobody asked for changes nothing.
    uploading.on_reply(Ask::Finalize, Reply::Done(Some(SessionView::received(SIZE))), 0);
    assert_eq!(uploading.next(0), Step::Await);
}

#[test]
fn addresses_over_http_are_urls_nearest_first_and_others_are_none() {
    let all = [
        "/ip4/192.0.2.7/tcp/4404/http",
        "/ip4/127.0.0.1/tcp/4404/http/p2p/12D3KooW",
        "/dns4/miner.example/tcp/443/tls/http",
        "/ip6/2001:db8::1/tcp/80/https",
        "/ip4/127.0.0.1/tcp/4401",
        "/ip4/127.0.0.1/udp/4401/quic-v1",
        "/ip4/0.0.0.0/tcp/1/http",
        "/ip4/127.0.0.1/tcp/0/http",
        "/dns4/a b/tcp/1/http",
        "/dns4/127.0.0.1/tcp/1/http",
        "/dns4/user@evil/tcp/1/http",
        "/ip4/127.0.0.1/tcp/1/http/http-path/x",
    ];
    let expected = [
        "http://127.0.0.1:4404",
        "https://miner.example:443",
        "https://[2001:db8::1]:80",
        "http://192.0.2.7:4404",
    ];
    assert_eq!(bases(all), expected);
    assert_eq!(bases(["/ip4/127.0.0.1/tcp/4401"]), [""; 0]);
}
