//! A purpose is sent once, whatever ends or comes between (design §4).

use super::*;
use std::collections::BTreeSet;

/// What a process leaves behind that ends after it kept a message and before it sent it.
async fn keep_unsent(access: &ChainAccess, purpose: &str, call: Call) -> Cid {
    let next = access.actor(&access.address()).await.expect("the chain is there");
    let nonce = access
        .inner
        .outbox
        .free_nonce(&access.address(), next.map_or(0, |actor| actor.nonce));
    let message = call.message(&access.address(), nonce).sign(&key(1));
    access
        .inner
        .outbox
        .add(purpose, message.clone())
        .expect("there is room");
    message.cid()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ended_between_keeping_and_sending_sends_the_same_message_at_its_next_start() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let cid = keep_unsent(&access, "pay", pay(1)).await;
    assert_eq!(access.message(&cid).await.expect("the chain is there"), None);
    drop(access);
    let access = setup.access().await;
    assert_eq!(access.submit("pay", pay(2)).await.expect("the account can pay"), cid);
    produce(&setup.chain.devnet);
    access.confirmed(&cid, 0).await.expect("it was applied");
    assert_eq!(paid(&access).await, AttoFil::from_fil(1));
}

/// The sender would take a copy on the chain for another process's, and make a second message for the same purpose.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_just_being_sent_is_left_to_its_sender() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let sender = access.inner.turn.lock().await;
    let cid = keep_unsent(&access, "pay", pay(1)).await;
    let mut resubmitting = Box::pin(resubmission::resubmit(&access));
    let meanwhile = async {
        for _ in 0..20 {
            access.head().await.unwrap();
        }
    };
    tokio::select! {
        biased;
        _ = &mut resubmitting => panic!("it did not wait for the sender"),
        () = meanwhile => {}
    }
    assert!(access.message(&cid).await.unwrap().is_none());
    drop(sender);
    resubmitting.await.unwrap();
    assert!(access.message(&cid).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_message_goes_out_even_when_nobody_asks_for_it_again() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let cid = keep_unsent(&access, "pay", pay(1)).await;
    drop(access);
    let access = setup.access().await;
    resubmission::resubmit(&access).await.expect("the chain is there");
    produce(&setup.chain.devnet);
    access.confirmed(&cid, 0).await.expect("it was applied");
}

impl Setup {
    /// Another process with the same key and an outbox of its own.
    async fn other_process(&self) -> ChainAccess {
        let outbox = self.other.clone();
        let access = ChainAccess::connect(&self.chain.devnet.url(), outbox, key(1)).await;
        access.expect("the chain is there")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_of_one_account_do_not_take_each_other_s_numbers() {
    let setup = Setup::new();
    let (one, two) = (setup.funded().await, setup.other_process().await);
    let submit = |number: usize| {
        let access = if number.is_multiple_of(2) {
            one.clone()
        } else {
            two.clone()
        };
        async move { access.submit(&format!("pay/{number}"), pay(1)).await }
    };
    let sent = futures::future::join_all((0..20).map(submit)).await;
    produce(&setup.chain.devnet);
    for (number, cid) in sent.into_iter().enumerate() {
        let access = if number % 2 == 0 { &one } else { &two };
        let cid = cid.expect("there is a number for everybody");
        access.confirmed(&cid, 0).await.expect("it was applied");
    }
    assert_eq!(paid(&one).await, AttoFil::from_fil(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_message_whose_number_another_process_used_is_told_and_can_be_made_anew() {
    let setup = Setup::new();
    let (one, two) = (setup.funded().await, setup.other_process().await);
    let cid = keep_unsent(&one, "pay", pay(1)).await;
    drop(one);
    let other = two.submit("pay", pay(10)).await.expect("the account can pay");
    let one = setup.access().await;
    // While the other one waits, this one does too: it may still be dropped.
    let waiting = one.look(&cid).await.expect("it is no fault");
    assert_eq!(waiting, None);
    produce(&setup.chain.devnet);
    two.confirmed(&other, 0).await.expect("it was applied");
    let lost = one.confirmed(&cid, 0).await.expect_err("its number is gone");
    assert!(
        matches!(&lost, ChainError::Dropped { reason } if reason.contains("was used already")),
        "{lost}"
    );
    one.forget("pay").expect("the disk can be written");
    setup.mine(&one, "pay", pay(1)).await.expect("the account can pay");
    assert_eq!(paid(&one).await, AttoFil::from_fil(11));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_s_messages_in_the_outbox_take_no_numbers_and_still_go_out() {
    let setup = Setup::new();
    let access = setup.funded().await;
    let cid = keep_unsent(&access, "pay", pay(1)).await;
    drop(access);
    let outbox = setup.outbox.clone();
    let access = ChainAccess::connect(&setup.chain.devnet.url(), outbox, key(2)).await;
    let access = access.expect("the chain is there");
    access
        .faucet(&access.address())
        .await
        .expect("it gives to new accounts");
    produce(&setup.chain.devnet);
    let own = setup.mine(&access, "own", pay(3)).await.expect("the account can pay");
    assert_eq!(own.exit_code, 0);
    resubmission::resubmit(&access).await.expect("the chain is there");
    produce(&setup.chain.devnet);
    access.confirmed(&cid, 0).await.expect("it was applied");
    assert_eq!(paid(&access).await, AttoFil::from_fil(4));
}

/// Numbers that look random and are the same in every run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Purposes of a case; the payment for purpose `n` is 4ⁿ attoFIL, so that the sum tells how often each was sent.
const PURPOSES: u64 = 12;
/// Cases of the property, each with a chain of its own.
const CASES: u64 = 24;
/// Steps of a case.
const STEPS: u64 = 40;

/// Two processes of one account, each with purposes of its own.
struct Processes {
    setup: Setup,
    running: [ChainAccess; 2],
    asked: BTreeSet<u64>,
}

impl Processes {
    async fn start() -> Self {
        let setup = Setup::new();
        let running = [setup.funded().await, setup.other_process().await];
        let asked = BTreeSet::new();
        Self { setup, running, asked }
    }

    fn of(&self, purpose: u64) -> &ChainAccess {
        &self.running[purpose as usize % 2]
    }

    fn call(purpose: u64) -> (String, Call) {
        let amount = AttoFil(4u128.pow(purpose as u32));
        (format!("pay/{purpose}"), calls::transfer(&key(99).address(), amount))
    }

    async fn submit(&mut self, purpose: u64) {
        let (name, call) = Self::call(purpose);
        self.asked.insert(purpose);
        match self.of(purpose).submit(&name, call).await {
            // Its number went to the other process while this one was down.
            Ok(_) | Err(ChainError::Dropped { .. }) => {}
            // The other's message with its number waits: so does this one.
            Err(ChainError::Rpc {
                code: code::NONCE_TAKEN,
                ..
            }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn restart(&mut self, process: usize) {
        self.running[process] = match process {
            0 => self.setup.access().await,
            _ => self.setup.other_process().await,
        };
    }

    async fn step(&mut self, draws: &mut Draws) {
        let purpose = draws.below(PURPOSES);
        match draws.below(8) {
            0..=2 => self.submit(purpose).await,
            // Ends after keeping a message.
            3 => {
                let (name, call) = Self::call(purpose);
                if self.of(purpose).inner.outbox.entry(&name).is_none() {
                    self.asked.insert(purpose);
                    keep_unsent(self.of(purpose), &name, call).await;
                }
                self.restart(purpose as usize % 2).await;
            }
            4 => self.restart(purpose as usize % 2).await,
            5 => resubmission::resubmit(self.of(purpose))
                .await
                .expect("the chain is there"),
            _ => drop(produce(&self.setup.chain.devnet)),
        }
    }

    /// Brings every purpose to its end, as its owner would.
    async fn finish(&mut self) {
        for purpose in self.asked.clone() {
            loop {
                let (name, call) = Self::call(purpose);
                let access = self.of(purpose).clone();
                let submitted = access.submit(&name, call).await;
                for process in &self.running {
                    resubmission::resubmit(process).await.expect("the chain is there");
                }
                produce(&self.setup.chain.devnet);
                let outcome = match submitted {
                    Ok(cid) => access.look(&cid).await.and_then(|receipt| match receipt {
                        Some(receipt) => access.judge(&cid, receipt).map(Some),
                        None => Ok(None),
                    }),
                    Err(error) => Err(error),
                };
                match outcome {
                    Ok(Some(_)) => break,
                    Ok(None)
                    | Err(ChainError::Rpc {
                        code: code::NONCE_TAKEN,
                        ..
                    }) => {}
                    Err(ChainError::Dropped { .. }) => access.forget(&name).expect("the disk can be written"),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_any_order_of_asking_ending_and_sending_again_each_purpose_takes_effect_once() {
    for case in 0..CASES {
        let mut draws = Draws(case);
        let mut processes = Processes::start().await;
        for _ in 0..STEPS {
            processes.step(&mut draws).await;
        }
        processes.finish().await;
        let wanted: u128 = processes.asked.iter().map(|purpose| 4u128.pow(*purpose as u32)).sum();
        assert_eq!(paid(&processes.running[0]).await, AttoFil(wanted), "case {case}");
    }
}
