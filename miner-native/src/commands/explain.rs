//! How explanations are printed for people; programs get them as JSON.

use super::output::columns;
use shared::explain::deal::{span, Explanation, Step, StepName, StepState, SubjectKind};

/// What it is about, why it is not done and what to do, when it will be, and its steps.
pub(super) fn described(told: &Explanation) -> String {
    let kind = match told.subject.kind {
        SubjectKind::Deal => "deal",
        SubjectKind::Sector => "sector",
    };
    let mut lines = vec![format!("{kind} {}: {}", told.subject.id, told.state)];
    for cause in &told.because {
        lines.push(format!("  because  {}", cause.text));
        if !cause.what_to_do.is_empty() {
            lines.push(format!("           {}", cause.what_to_do));
        }
    }
    lines.push(format!("  when     {}", when(told)));
    lines.push(format!("  next     {}", told.next));
    let steps = columns(told.steps.iter().map(|step| step_cells(step, told.at)));
    lines.extend(steps.lines().map(|line| format!("    {line}")));
    lines.join("\n")
}

fn when(told: &Explanation) -> String {
    match &told.eta {
        _ if told.done => "nothing more is to come".to_owned(),
        None => "nobody can tell yet".to_owned(),
        Some(eta) if eta.earliest_ms == eta.expected_ms => {
            format!("in about {}, going by {}", span(eta.expected_ms), eta.basis)
        }
        Some(eta) => format!(
            "in about {}, {} when nothing else comes first, going by {}",
            span(eta.expected_ms),
            span(eta.earliest_ms),
            eta.basis
        ),
    }
}

fn step_cells(step: &Step, now: u64) -> [String; 3] {
    let mark = match step.state {
        StepState::Done => "✓",
        StepState::Running => "▶",
        StepState::Waiting => "·",
        StepState::Failed => "✗",
    };
    let since = step.since.filter(|_| step.state == StepState::Running);
    let since = since.map(|at| format!("for {}", span(now.saturating_sub(at))));
    let expected = step.expected_ms.map(|ms| match &step.basis {
        Some(basis) => format!("about {}, going by {basis}", span(ms)),
        None => format!("about {}", span(ms)),
    });
    let told: Vec<String> = since.into_iter().chain(expected).collect();
    [mark.to_owned(), name(step.phase).to_owned(), told.join("; ")]
}

fn name(step: StepName) -> &'static str {
    match step {
        StepName::Channel => "payment channel",
        StepName::Proposal => "proposal",
        StepName::Transfer => "transfer",
        StepName::Placing => "a place in a sector",
        StepName::Packing => "more pieces for the sector",
        StepName::Closed => "ticket",
        StepName::PreCommit1 => "pre-commit 1",
        StepName::PreCommit2 => "pre-commit 2",
        StepName::PreCommitting => "pre-commit on the chain",
        StepName::WaitSeed => "seed",
        StepName::Commit1 => "commit 1",
        StepName::Commit2 => "commit 2 (the proof)",
        StepName::Committing => "commit on the chain",
        StepName::Other => "another step",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::explain::deal::{Cause, CauseCode, Eta, Subject};

    #[test]
    fn what_why_when_and_what_to_do_are_each_on_a_line() {
        let step = |phase, state, since, expected_ms: Option<u64>| Step {
            phase,
            state,
            since,
            expected_ms,
            basis: expected_ms.map(|_| "the last one at 8 MiB".into()),
        };
        let told = Explanation {
            subject: Subject {
                kind: SubjectKind::Sector,
                id: "3".into(),
            },
            state: "preCommit1".into(),
            done: false,
            at: 10_000,
            steps: vec![
                step(StepName::Closed, StepState::Done, None, None),
                step(StepName::PreCommit1, StepState::Running, Some(3_000), Some(20_000)),
            ],
            because: vec![Cause {
                code: CauseCode::StepRunning,
                text: "It runs.".into(),
                what_to_do: "Wait.".into(),
            }],
            eta: Some(Eta {
                earliest_ms: 60_000,
                expected_ms: 90_000,
                basis: "the last sector of 8 MiB".into(),
            }),
            next: "Next: the trees.".into(),
        };
        let expected = [
            "sector 3: preCommit1",
            "  because  It runs.",
            "           Wait.",
            "  when     in about 1 min 30 s, 1 min when nothing else comes first, going by the last sector of 8 MiB",
            "  next     Next: the trees.",
            "    ✓  ticket",
            "    ▶  pre-commit 1  for 7 s; about 20 s, going by the last one at 8 MiB",
        ];
        assert_eq!(described(&told), expected.join("\n"));
    }
}
