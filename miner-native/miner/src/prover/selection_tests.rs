//! The rules of the schedule one by one, then all of them over random work.

use super::*;
use std::collections::VecDeque;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Two cores, 5 GiB beyond the reserve: as much as one proof and a little more.
fn limits() -> Limits {
    Limits {
        memory: 5 * GIB,
        threads: 4,
        commit2: 1,
        pre_commit1: 2,
    }
}

fn job(number: u64, step: Step, memory: u64) -> Waiting {
    let threads = if step == Step::Commit2 { 2 } else { 1 };
    Waiting {
        number,
        step,
        sector: Some(number),
        cost: Cost { memory, threads },
        overtaken: 0,
    }
}

fn started(job: Waiting) -> Running {
    Running {
        number: job.number,
        step: job.step,
        sector: job.sector,
        cost: job.cost,
    }
}

fn post(number: u64) -> Waiting {
    Waiting {
        sector: None,
        ..job(number, Step::WindowPost, GIB)
    }
}

#[test]
fn the_next_sector_is_encoded_while_a_proof_is_made() {
    let proof = started(job(1, Step::Commit2, 4 * GIB));
    let waiting = [job(2, Step::Commit2, 4 * GIB), job(3, Step::PreCommit1, 128 * MIB)];
    assert_eq!(startable(&waiting, &[proof], false, &limits()), [3]);
}

#[test]
fn later_steps_go_first_and_within_a_step_the_first_to_come() {
    let waiting = [
        job(1, Step::PreCommit1, GIB),
        job(2, Step::PreCommit2, GIB),
        job(3, Step::Commit2, 2 * GIB),
        job(4, Step::PreCommit1, GIB),
    ];
    let few = Limits {
        pre_commit1: 1,
        ..limits()
    };
    assert_eq!(startable(&waiting, &[], false, &few), [3, 2, 1]);
}

#[test]
fn a_proof_of_spacetime_starts_at_once_whatever_sealing_holds_and_nothing_else_does() {
    let full = started(job(1, Step::Commit2, 5 * GIB));
    let waiting = [job(2, Step::PreCommit1, MIB), job(3, Step::Scrub, MIB), post(4)];
    assert_eq!(startable(&waiting, &[full], false, &limits()), [4]);
    let running = started(post(4));
    assert_eq!(startable(&waiting[..2], &[running], false, &limits()), [0; 0]);
    // From the moment that one is prepared, before it is asked for.
    assert_eq!(startable(&waiting[..2], &[], true, &limits()), [0; 0]);
    assert_eq!(startable(&[job(5, Step::Check, MIB)], &[], true, &limits()), [5]);
}

#[test]
fn small_steps_overtake_a_large_one_only_where_it_still_fits_beside_them() {
    let proof = started(job(1, Step::Commit2, 4 * GIB));
    let two = Limits { commit2: 2, ..limits() };
    let large = job(2, Step::Commit2, 4 * GIB);
    // Beside the second proof there is room for 1 GiB, and no more.
    let waiting = [large, job(3, Step::PreCommit2, GIB), job(4, Step::PreCommit1, MIB)];
    assert_eq!(startable(&waiting, &[proof], false, &two), [3]);
    // This one fits beside what runs now, and the large one would not fit beside it.
    let small = started(job(1, Step::Commit1, GIB / 2));
    let waiting = [job(2, Step::Commit2, 5 * GIB), job(3, Step::PreCommit2, GIB)];
    assert_eq!(startable(&waiting, &[small], false, &two), [0; 0]);
}

#[test]
fn what_was_overtaken_often_enough_goes_before_everything_but_proofs_of_spacetime() {
    let aged = Waiting {
        overtaken: MAX_OVERTAKEN,
        ..job(1, Step::PreCommit1, 3 * GIB)
    };
    let holder = started(job(2, Step::Commit1, 3 * GIB));
    // It would fit beside the aged one, when the holder has ended; until then it could take the holder's place for ever.
    let waiting = [aged, job(3, Step::Commit2, 3 * GIB / 2)];
    assert_eq!(startable(&waiting, &[holder], false, &limits()), [0; 0]);
    assert_eq!(startable(&waiting, &[], false, &limits()), [1, 3]);
}

#[test]
fn what_takes_nothing_waits_for_nothing_that_others_hold() {
    let full = [
        started(job(1, Step::Commit2, 5 * GIB)),
        started(job(2, Step::PreCommit2, 0)),
        started(job(3, Step::PreCommit1, 0)),
    ];
    let aged = Waiting {
        overtaken: MAX_OVERTAKEN,
        ..job(4, Step::PreCommit1, GIB)
    };
    let check = Waiting {
        cost: Cost::LIGHT,
        ..job(5, Step::Check, 0)
    };
    assert_eq!(startable(&[aged, check], &full, false, &limits()), [5]);
}

#[test]
fn nobody_reads_a_sector_whose_files_are_changed() {
    let of_seven = |number, step| Waiting {
        sector: Some(7),
        ..job(number, step, MIB)
    };
    let unsealing = started(of_seven(1, Step::Unseal));
    assert_eq!(
        startable(&[of_seven(2, Step::Tidy)], &[unsealing], false, &limits()),
        [0; 0]
    );
    assert_eq!(
        startable(&[of_seven(2, Step::Scrub)], &[unsealing], false, &limits()),
        [2]
    );
}

#[test]
fn one_proof_at_a_time_on_a_small_machine_and_more_on_a_large_one() {
    let small = Limits::of_machine(2, 24 * GIB, GIB, 4 * GIB, 0);
    assert_eq!((small.commit2, small.memory, small.sectors()), (1, 23 * GIB, 3));
    assert_eq!(Limits::of_machine(64, 256 * GIB, GIB, 4 * GIB, 0).commit2, 4);
    assert_eq!(Limits::of_machine(64, 10 * GIB, GIB, 4 * GIB, 0).commit2, 2);
    assert_eq!(Limits::of_machine(2, 24 * GIB, GIB, 4 * GIB, 3).commit2, 3);
}

#[test]
fn a_forecast_puts_proofs_one_after_the_other() {
    let proof = started(job(1, Step::Commit2, 4 * GIB));
    let waiting = [job(2, Step::Commit2, 4 * GIB), job(3, Step::Commit2, 4 * GIB)];
    let starts = forecast(&waiting, &[proof], &limits(), |_| 30, |_| 100);
    assert_eq!(starts, BTreeMap::from([(2, 30), (3, 130)]));
}

/// splitmix64: a sequence that a seed repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// What a prover does with the decisions, without threads.
struct Machine {
    limits: Limits,
    waiting: Vec<Waiting>,
    running: Vec<Running>,
    order: VecDeque<u64>,
}

impl Machine {
    fn decide(&mut self) {
        let post_waits = self.waiting.iter().any(|job| job.step == Step::WindowPost);
        let post_runs = self.running.iter().any(|job| job.step == Step::WindowPost);
        let chosen = startable(&self.waiting, &self.running, false, &self.limits);
        for number in &chosen {
            let at = self
                .waiting
                .iter()
                .position(|job| job.number == *number)
                .expect("it waits");
            let job = self.waiting.remove(at);
            assert!(
                !((post_waits || post_runs) && job.step.yields_to_post()),
                "{job:?} beside a proof-of-spacetime"
            );
            for other in &mut self.waiting {
                other.overtaken += u32::from(other.is_overtaken_by(&job));
            }
            self.running.push(started(job));
            self.order.push_back(job.number);
        }
        assert!(
            !self.waiting.iter().any(|job| job.step == Step::WindowPost)
                || self.running.iter().any(|job| job.step == Step::WindowPost)
        );
        self.check();
    }

    fn check(&self) {
        let shared = self.running.iter().filter(|job| job.step != Step::WindowPost);
        let (memory, threads) = shared.fold((0, 0), |(memory, threads), job| {
            (memory + job.cost.memory, threads + job.cost.threads)
        });
        assert!(
            memory <= self.limits.memory && threads <= self.limits.threads,
            "over the budget: {:?}",
            self.running
        );
        for step in Step::ALL {
            let count = self.running.iter().filter(|job| job.step == step).count() as u64;
            assert!(count <= self.limits.slots(step), "{count} of {step}");
        }
        for (index, job) in self.running.iter().enumerate() {
            let mut others = self.running[index + 1..].iter();
            let clash = others.any(|other| {
                job.sector.is_some() && job.sector == other.sector && (job.step.writes() || other.step.writes())
            });
            assert!(!clash, "{:?}", self.running);
        }
    }

    fn end_one(&mut self, random: &mut Random) {
        if !self.running.is_empty() {
            let at = random.below(self.running.len() as u64) as usize;
            self.running.remove(at);
        }
    }
}

fn random_job(number: u64, random: &mut Random, limits: &Limits) -> Waiting {
    let step = Step::ALL[random.below(9) as usize];
    let memory = 1 + random.below(limits.memory);
    Waiting {
        number,
        step,
        sector: (step != Step::WindowPost).then(|| random.below(6)),
        cost: Cost {
            memory,
            threads: 1 + random.below(limits.threads),
        },
        overtaken: 0,
    }
}

/// Never over the budget, proofs-of-spacetime first, and everything runs in the end.
#[test]
fn random_work_stays_in_the_budget_and_all_of_it_runs() {
    for seed in 0..300 {
        let random = &mut Random(seed);
        let limits = Limits::of_machine(
            1 + random.below(4),
            (4 + random.below(20)) * GIB,
            GIB,
            4 * GIB,
            random.below(3),
        );
        let mut machine = Machine {
            limits,
            waiting: Vec::new(),
            running: Vec::new(),
            order: VecDeque::new(),
        };
        let arrivals = 1 + random.below(120);
        for number in 0..arrivals {
            machine.waiting.push(random_job(number, random, &limits));
            machine.decide();
            for _ in 0..random.below(3) {
                machine.end_one(random);
                machine.decide();
            }
        }
        for _ in 0..2 * arrivals {
            machine.end_one(random);
            machine.decide();
        }
        assert!(
            machine.waiting.is_empty() && machine.running.is_empty(),
            "seed {seed}: {:?} never ran",
            machine.waiting
        );
        assert_eq!(machine.order.len() as u64, arrivals);
    }
}

/// However many more urgent steps keep coming, and however little room they leave.
#[test]
fn no_step_waits_for_ever_behind_more_urgent_ones() {
    for seed in 0..100 {
        let random = &mut Random(seed);
        let limits = limits();
        let least = Waiting {
            sector: Some(99),
            ..job(0, Step::PreCommit1, limits.memory)
        };
        let mut machine = Machine {
            limits,
            waiting: vec![least],
            running: vec![started(job(1, Step::Commit1, MIB))],
            order: VecDeque::new(),
        };
        for number in 2..400 {
            let step = [Step::Commit2, Step::Commit1, Step::PreCommit2][random.below(3) as usize];
            machine.waiting.push(job(number, step, 1 + random.below(limits.memory)));
            machine.end_one(random);
            machine.decide();
            if machine.order.contains(&0) {
                break;
            }
        }
        assert!(
            machine.order.contains(&0),
            "seed {seed}: starved by {} others",
            machine.order.len()
        );
        assert!(
            machine.order.len() as u32 <= MAX_OVERTAKEN + 3,
            "seed {seed}: {}",
            machine.order.len()
        );
    }
}
