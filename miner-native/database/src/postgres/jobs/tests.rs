use super::*;

/// Jobs of their own on the server that `SEALDROP_POSTGRES` names; `None` where none is named.
fn jobs(rule: &str) -> Option<Jobs> {
    let Ok(url) = std::env::var("SEALDROP_POSTGRES") else {
        eprintln!("left out: SEALDROP_POSTGRES names no server");
        return None;
    };
    Some(Jobs::at(&url, &format!("j{}_{rule}", std::process::id())).expect("the server answers"))
}

fn job<'a>(key: &'a str, rank: i16, sector: Option<u64>) -> NewJob<'a> {
    NewJob {
        key,
        kind: "proof",
        rank,
        sector,
        sticks: true,
        lease: LEASE,
        input: key.as_bytes(),
    }
}

fn machine(name: &str) -> Machine {
    Machine {
        name: name.to_owned(),
        cores: 2,
        memory: 4 << 30,
        kinds: vec!["proof".to_owned()],
        version: "0".to_owned(),
        keeps: None,
    }
}

/// One that its sectors' jobs wait for, ten minutes.
fn keeper() -> Machine {
    Machine {
        keeps: Some(Duration::from_secs(600)),
        ..machine("keeper")
    }
}

/// Takes the first job that is shown.
fn take(jobs: &Jobs, machine: &str) -> Option<Claim> {
    let ids: Vec<i64> = jobs
        .open(machine, &["proof"])
        .unwrap()
        .iter()
        .map(|job| job.id)
        .collect();
    jobs.claim(machine, &ids).unwrap()
}

/// As if this time had passed for leases, pauses, preferences and signs of life.
fn pass(jobs: &Jobs, seconds: u32) {
    jobs.ask(|session| {
        let [jobs, leases, machines] = ["jobs", "leases", "machines"].map(|name| session.quoted(name));
        let sql = format!(
            "UPDATE {jobs} SET lease_until = lease_until - interval '{seconds} s', not_before = not_before - interval '{seconds} s',
               preferred_until = preferred_until - interval '{seconds} s';
             UPDATE {leases} SET until = until - interval '{seconds} s';
             UPDATE {machines} SET seen_at = seen_at - interval '{seconds} s';"
        );
        session.client()?.batch_execute(&sql).map_err(Fault::of)
    })
    .unwrap();
}

#[test]
fn a_job_has_one_result_whoever_was_thought_dead() {
    let Some(jobs) = jobs("fence") else { return };
    let id = jobs.post(&job("a", 1, None)).unwrap().unwrap();
    let first = take(&jobs, "one").expect("it waits");
    assert_eq!(take(&jobs, "two"), None, "it is taken");
    pass(&jobs, 61);
    let second = take(&jobs, "two").expect("the first fell silent");
    assert!(second.fence > first.fence);
    assert_eq!(jobs.beat(&machine("one"), &[(first.id, first.fence)]).unwrap(), [0; 0]);
    let late = jobs.end("one", &first, &Outcome::Done(b"first".to_vec())).unwrap();
    assert_eq!((late, jobs.result(id).unwrap()), (Verdict::Lost, None));
    let done = Outcome::Done(b"second".to_vec());
    assert_eq!(jobs.end("two", &second, &done).unwrap(), Verdict::Kept);
    // The answer was lost on its way, and it is said again; something else is not taken any more.
    assert_eq!(jobs.end("two", &second, &done).unwrap(), Verdict::Kept);
    let other = Outcome::Done(b"other".to_vec());
    assert_eq!(jobs.end("two", &second, &other).unwrap(), Verdict::Lost);
    assert_eq!(jobs.result(id).unwrap(), Some(Ended::Done(b"second".to_vec())));
}

#[test]
fn a_machine_that_gives_signs_of_life_keeps_its_jobs() {
    let Some(jobs) = jobs("beat") else { return };
    jobs.post(&job("a", 1, None)).unwrap().unwrap();
    let claim = take(&jobs, "one").unwrap();
    for _ in 0..3 {
        pass(&jobs, 50);
        assert_eq!(
            jobs.beat(&machine("one"), &[(claim.id, claim.fence)]).unwrap(),
            [claim.id]
        );
    }
    assert_eq!(take(&jobs, "two"), None);
    let [seen] = &jobs.machines().unwrap()[..] else {
        panic!("one machine gave signs of life")
    };
    assert_eq!((&seen.machine, seen.jobs), (&machine("one"), 1));
}

#[test]
fn a_job_that_is_posted_twice_is_one_and_goes_when_its_result_was_taken() {
    let Some(jobs) = jobs("twice") else { return };
    let id = jobs.post(&job("a", 1, Some(7))).unwrap().unwrap();
    let claim = take(&jobs, "one").unwrap();
    assert_eq!(jobs.post(&job("a", 1, Some(7))).unwrap().unwrap(), id);
    jobs.end("one", &claim, &Outcome::Failed(b"no".to_vec())).unwrap();
    assert_eq!(
        jobs.post(&job("a", 1, Some(7))).unwrap().unwrap(),
        id,
        "its result is still there"
    );
    assert_eq!(jobs.result(id).unwrap(), Some(Ended::Failed(b"no".to_vec())));
    jobs.remove(id).unwrap();
    assert_ne!(jobs.post(&job("a", 1, Some(7))).unwrap().unwrap(), id);
}

#[test]
fn the_lowest_rank_goes_first_and_then_what_was_posted_first() {
    let Some(jobs) = jobs("order") else { return };
    for (key, rank) in [("a", 3), ("b", 1), ("c", 3), ("d", 1)] {
        jobs.post(&job(key, rank, None)).unwrap().unwrap();
    }
    let order: Vec<Vec<u8>> = std::iter::from_fn(|| take(&jobs, "one"))
        .map(|claim| claim.input)
        .collect();
    assert_eq!(order, [b"b", b"d", b"a", b"c"]);
}

#[test]
fn a_sectors_jobs_wait_for_the_machine_that_keeps_its_files_for_as_long_as_it_said() {
    let Some(jobs) = jobs("keeps") else { return };
    let keeper = keeper();
    let first = jobs.post(&job("a", 1, Some(7))).unwrap().unwrap();
    let claim = take(&jobs, "keeper").unwrap();
    jobs.end("keeper", &claim, &Outcome::Done(Vec::new())).unwrap();
    jobs.remove(first).unwrap();
    jobs.post(&job("b", 1, Some(7))).unwrap().unwrap();
    jobs.beat(&keeper, &[]).unwrap();
    assert_eq!(jobs.machines().unwrap()[0].machine, keeper);
    pass(&jobs, 590);
    assert_eq!(take(&jobs, "two"), None, "the minute of others is long over");
    // One that does not take such jobs any more is not waited for.
    let other = Machine {
        kinds: vec!["layers".to_owned()],
        ..keeper.clone()
    };
    jobs.beat(&other, &[]).unwrap();
    assert_eq!(jobs.open("two", &["proof"]).unwrap().len(), 1);
    jobs.beat(&keeper, &[]).unwrap();
    assert_eq!(take(&jobs, "two"), None);
    pass(&jobs, 601);
    assert_eq!(take(&jobs, "two").map(|claim| claim.input), Some(b"b".to_vec()));
}

#[test]
fn what_a_keeper_puts_off_stays_its_own_and_what_another_lacks_goes_on_at_once() {
    let Some(jobs) = jobs("puts_off") else { return };
    let keeper = keeper();
    jobs.beat(&keeper, &[]).unwrap();
    jobs.beat(&machine("two"), &[]).unwrap();
    jobs.post(&job("a", 1, Some(7))).unwrap().unwrap();
    for _ in 0..2 * 8 {
        let claim = take(&jobs, "keeper").expect("it is its own");
        jobs.end("keeper", &claim, &Outcome::NotNow("no room".to_owned()))
            .unwrap();
        pass(&jobs, 301);
        jobs.beat(&keeper, &[]).unwrap();
        assert_eq!(take(&jobs, "two"), None);
        let waits = jobs.list(1).unwrap().remove(0);
        assert_eq!(
            (waits.waits_for.as_deref(), waits.reason.as_deref()),
            (Some("keeper"), Some("no room"))
        );
    }
    let claim = take(&jobs, "keeper").expect("it is its own");
    jobs.end("keeper", &claim, &Outcome::NotHere("no layers".to_owned()))
        .unwrap();
    pass(&jobs, 301);
    let claim = take(&jobs, "two").expect("it is anybody's");
    assert_eq!(claim.input, b"a");
}

#[test]
fn whoever_makes_a_proof_is_not_taken_for_who_has_the_files() {
    let Some(jobs) = jobs("apart") else { return };
    for (name, sticks) in [("one", true), ("prover", false)] {
        jobs.beat(&machine(name), &[]).unwrap();
        let job = NewJob {
            sticks,
            ..job(name, 1, Some(7))
        };
        let id = jobs.post(&job).unwrap().unwrap();
        let claim = take(&jobs, name).expect("it waits");
        jobs.end(name, &claim, &Outcome::Done(Vec::new())).unwrap();
        jobs.remove(id).unwrap();
    }
    jobs.post(&job("next", 1, Some(7))).unwrap().unwrap();
    assert_eq!(take(&jobs, "prover"), None);
    assert!(take(&jobs, "one").is_some());
}

#[test]
fn a_sector_is_released_until_a_job_of_it_is_posted_again() {
    let Some(jobs) = jobs("released") else { return };
    let id = jobs.post(&job("a", 1, Some(7))).unwrap().unwrap();
    jobs.release(7).unwrap();
    assert_eq!(jobs.released(&[7]).unwrap(), [0; 0], "it is being sealed");
    jobs.remove(id).unwrap();
    jobs.release(7).unwrap();
    jobs.release(7).unwrap();
    jobs.release(9).unwrap();
    assert_eq!(jobs.released(&[9, 8, 7]).unwrap(), [7, 9]);
    jobs.post(&job("b", 1, Some(7))).unwrap().unwrap();
    assert_eq!(jobs.released(&[9, 8, 7]).unwrap(), [9]);
}

#[test]
fn a_sectors_next_job_is_for_the_machine_that_has_it_and_after_a_while_for_all() {
    let Some(jobs) = jobs("sticky") else { return };
    jobs.beat(&machine("one"), &[]).unwrap();
    let first = jobs.post(&job("a", 1, Some(7))).unwrap().unwrap();
    let claim = take(&jobs, "one").unwrap();
    jobs.end("one", &claim, &Outcome::Done(Vec::new())).unwrap();
    jobs.remove(first).unwrap();
    jobs.post(&job("b", 1, Some(7))).unwrap().unwrap();
    jobs.post(&job("c", 1, Some(8))).unwrap().unwrap();
    assert_eq!(take(&jobs, "two").map(|claim| claim.input), Some(b"c".to_vec()));
    assert_eq!(take(&jobs, "two"), None);
    pass(&jobs, 61);
    assert_eq!(take(&jobs, "two").map(|claim| claim.input), Some(b"b".to_vec()));
}

#[test]
fn what_could_not_be_begun_is_tried_again_after_a_pause_that_grows() {
    let Some(jobs) = jobs("pause") else { return };
    let id = jobs.post(&job("a", 1, None)).unwrap().unwrap();
    for pause in [2, 4, 8] {
        let claim = take(&jobs, "one").expect("its pause is over");
        let verdict = jobs.end("one", &claim, &Outcome::NotNow("no room".to_owned()));
        assert_eq!(verdict.unwrap(), Verdict::Kept);
        assert_eq!(jobs.list(9).unwrap()[0].reason.as_deref(), Some("no room"));
        pass(&jobs, pause - 1);
        assert_eq!(take(&jobs, "one"), None);
        pass(&jobs, 1);
    }
    assert_eq!(jobs.result(id).unwrap(), None, "it was never lost");
}

#[test]
fn a_job_that_ends_every_machine_is_given_to_no_more_of_them() {
    let Some(jobs) = jobs("poison") else { return };
    let id = jobs.post(&job("a", 1, None)).unwrap().unwrap();
    for machine in ["one", "two", "three", "four", "five"] {
        assert_eq!(jobs.result(id).unwrap(), None);
        take(&jobs, machine).expect("it is free again");
        pass(&jobs, 61);
    }
    assert_eq!(take(&jobs, "six"), None);
    assert_eq!(jobs.result(id).unwrap(), Some(Ended::Lost(5)));
}

#[test]
fn each_job_is_taken_once_by_whichever_of_many_machines() {
    let Some(jobs) = jobs("many") else { return };
    let url = std::env::var("SEALDROP_POSTGRES").expect("there is one");
    for number in 0..60 {
        jobs.post(&job(&format!("job {number}"), 1, None)).unwrap().unwrap();
    }
    let taken: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let machines: Vec<_> = (0..6)
            .map(|number| {
                let jobs = Jobs::at(&url, &format!("j{}_many", std::process::id())).unwrap();
                scope.spawn(move || {
                    let name = format!("machine {number}");
                    std::iter::from_fn(|| take(&jobs, &name))
                        .map(|claim| claim.input)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        machines
            .into_iter()
            .flat_map(|machine| machine.join().unwrap())
            .collect()
    });
    let distinct: std::collections::BTreeSet<&Vec<u8>> = taken.iter().collect();
    assert_eq!((taken.len(), distinct.len()), (60, 60));
}

#[test]
fn whoever_waits_hears_of_the_end_and_of_new_work_at_once() {
    let Some(jobs) = jobs("bell") else { return };
    let id = jobs.post(&job("a", 1, None)).unwrap().unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| jobs.wait(id, || false).unwrap());
        let claim = take(&jobs, "one").unwrap();
        jobs.end("one", &claim, &Outcome::Done(b"it".to_vec())).unwrap();
        assert_eq!(waiting.join().unwrap(), Some(Ended::Done(b"it".to_vec())));
        let waiting = scope.spawn(|| jobs.wait_for_work(jobs.ticket(), Duration::from_secs(60)));
        while !waiting.is_finished() {
            jobs.post(&job("b", 1, None)).unwrap().unwrap();
        }
    });
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn one_leads_at_a_time_and_another_when_it_falls_silent_or_stops() {
    let Some(jobs) = jobs("leader") else { return };
    let time = Duration::from_secs(10);
    let one = jobs.lead("miner", "one", time).unwrap().expect("nobody leads");
    assert_eq!(jobs.lead("miner", "two", time).unwrap(), Err("one".to_owned()));
    assert!(jobs.keep_leading(&one, time).unwrap());
    pass(&jobs, 11);
    let two = jobs.lead("miner", "two", time).unwrap().expect("one fell silent");
    assert!(two.fence > one.fence && !jobs.keep_leading(&one, time).unwrap());
    jobs.stop_leading(&one).unwrap();
    assert!(jobs.keep_leading(&two, time).unwrap(), "it is not one's to give up");
    jobs.stop_leading(&two).unwrap();
    assert!(jobs.lead("miner", "one", time).unwrap().is_ok());
}

#[test]
fn a_sectors_former_jobs_are_over_with_its_next_one_which_waits_for_whoever_was_at_them() {
    let Some(jobs) = jobs("former") else { return };
    let former = jobs.post(&job("a", 1, Some(7))).unwrap().unwrap();
    let claim = take(&jobs, "one").unwrap();
    jobs.post(&job("b", 1, Some(7))).unwrap().unwrap();
    assert_eq!(jobs.result(former).unwrap(), Some(Ended::Gone));
    assert_eq!(jobs.beat(&machine("one"), &[(claim.id, claim.fence)]).unwrap(), [0; 0]);
    assert_eq!(take(&jobs, "two"), None, "the first may be at the sector's files still");
    pass(&jobs, 61);
    assert_eq!(take(&jobs, "two").map(|claim| claim.input), Some(b"b".to_vec()));
    for _ in 0..2 {
        assert!(
            jobs.cancel(7).unwrap() > Duration::from_secs(50),
            "the second is at them now"
        );
    }
    jobs.clear().unwrap();
    jobs.post(&job("c", 1, Some(7))).unwrap();
    assert_eq!(take(&jobs, "three"), None, "and still is");
    pass(&jobs, 61);
    assert!(take(&jobs, "three").is_some());
    assert!(jobs.cancel(7).unwrap() > Duration::ZERO);
    pass(&jobs, 61);
    assert_eq!(jobs.cancel(7).unwrap(), Duration::ZERO);
}

#[test]
fn what_a_machine_is_stopped_at_counts_for_nothing_and_is_free_soon() {
    let Some(jobs) = jobs("stopped") else { return };
    let id = jobs.post(&job("a", 1, None)).unwrap().unwrap();
    for _ in 0..6 {
        let claim = take(&jobs, "one").expect("it is free");
        assert_eq!(claim.attempts, 1);
        assert_eq!(
            jobs.end("one", &claim, &Outcome::Stopped(Duration::from_secs(10)))
                .unwrap(),
            Verdict::Kept
        );
        assert_eq!(take(&jobs, "two"), None, "its thread may run a moment longer");
        pass(&jobs, 10);
    }
    assert_eq!(jobs.result(id).unwrap(), None);
    jobs.clear().unwrap();
    assert_eq!(jobs.result(id).unwrap(), Some(Ended::Gone));
    assert_eq!(jobs.say_first("a", b"1").unwrap(), b"1");
    assert_eq!(jobs.say_first("a", b"2").unwrap(), b"1");
}

#[test]
fn whoever_does_not_lead_any_more_posts_and_takes_away_nothing() {
    let Some(jobs) = jobs("deposed") else { return };
    let time = Duration::from_secs(10);
    let lead = |name: &str| jobs.lead("miner", name, time).unwrap().map(Arc::new);
    let one = jobs.led_by(lead("one").unwrap());
    let id = one.post(&job("a", 1, Some(7))).unwrap().expect("it leads");
    pass(&jobs, 11);
    let two = jobs.led_by(lead("two").expect("the first fell silent"));
    assert_eq!(one.post(&job("b", 1, Some(7))).unwrap(), None);
    assert!(one.cancel(7).unwrap() > Duration::ZERO);
    one.clear().unwrap();
    assert_eq!(two.post(&job("a", 1, Some(7))).unwrap(), Some(id), "it is as it was");
}

#[test]
fn what_is_of_no_sector_goes_with_whoever_wanted_it() {
    let Some(jobs) = jobs("moment") else { return };
    let ids = ["held", "put off", "open"].map(|key| jobs.post(&job(key, 1, None)).unwrap().unwrap());
    let of_a_sector = jobs.post(&job("seal", 2, Some(7))).unwrap().unwrap();
    let held = take(&jobs, "one").expect("it is free");
    let put_off = take(&jobs, "one").expect("it is free");
    let later = Outcome::NotNow("there is no room".to_owned());
    assert_eq!(jobs.end("one", &put_off, &later).unwrap(), Verdict::Kept);
    jobs.clear().unwrap();
    for id in ids {
        assert_eq!(jobs.result(id).unwrap(), Some(Ended::Gone));
    }
    assert_eq!(
        jobs.end("one", &held, &Outcome::Done(vec![1])).unwrap(),
        Verdict::Lost,
        "it is nobody's any more"
    );
    jobs.post(&job("again", 1, None)).unwrap();
    let sealing = jobs.post(&job("seal", 2, Some(8))).unwrap().unwrap();
    jobs.remove_of_no_sector().unwrap();
    assert_eq!(jobs.result(sealing).unwrap(), None, "that of a sector stays");
    assert_eq!(jobs.result(of_a_sector).unwrap(), Some(Ended::Gone));
    assert_eq!(take(&jobs, "one").map(|claim| claim.id), Some(sealing));
}
