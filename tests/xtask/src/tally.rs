//! How many tests passed and failed, read from the runners' own summaries. Used by `test`.

use std::fmt;

/// Totals over all test runners.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests, or whole stages, that did not.
    pub failed: u64,
}

impl Tally {
    /// Adds what one line of output says, if it is a summary of cargo's test harness
    /// (`test result: ok. 3 passed; 0 failed; ...`), of our own `beside`, of nextest's (`Summary [ 1.2s] 3 tests run: 2 passed, 1 timed out, ...`) or of
    /// Node's (`# pass 3`, or `ℹ pass 3` in its newer form).
    pub fn read(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
        } else if let Some(result) = line.strip_prefix(crate::beside::NAME) {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
        } else if let Some((_, result)) = nextest_summary(line) {
            self.passed += number_before(result, " passed");
            let ends = [" failed", " timed out", " exec failed"];
            self.failed += ends.iter().map(|end| number_before(result, end)).sum::<u64>();
        } else if let Some(summary) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) {
            match summary
                .split_once(' ')
                .and_then(|(word, number)| Some((word, number.trim().parse::<u64>().ok()?)))
            {
                Some(("pass", number)) => self.passed += number,
                Some(("fail" | "cancelled", number)) => self.failed += number,
                _ => {}
            }
        }
    }

    /// Adds one check that has no runner of its own.
    pub fn add(&mut self, passed: bool) {
        *(if passed { &mut self.passed } else { &mut self.failed }) += 1;
    }

    /// Counts a runner that ended with an error but reported no failed test: it crashed, or did not compile.
    pub fn settle(&mut self, failed_before: u64, success: bool) {
        if !success && self.failed == failed_before {
            self.failed += 1;
        }
    }

    /// Whether tests ran and none failed.
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// What nextest says of its run: how many tests there were, and what became of them.
fn nextest_summary(line: &str) -> Option<(&str, &str)> {
    line.trim_start().strip_prefix("Summary [")?.split_once(" run: ")
}

/// The number in front of the first `word`; 0 where the text does not have it.
fn number_before(text: &str, word: &str) -> u64 {
    let head = text.split_once(word).map_or("", |(head, _)| head);
    head.rsplit(|c: char| !c.is_ascii_digit())
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn summaries_of_both_runners_add_up() {
        let tally = read(&[
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "ℹ tests 5",
            "ℹ pass 4",
            "ℹ fail 1",
            "# cancelled 1",
            "# duration_ms 1234.5",
        ]);
        assert_eq!(tally, Tally { passed: 19, failed: 4 });
    }

    #[test]
    fn a_test_that_nextest_ended_because_it_hung_counts_as_failed() {
        let tally = read(&[
            "     Summary [  63.013s] 391 tests run: 388 passed (1 slow, 2 leaky), 2 failed, 1 timed out, 0 skipped",
            "        FAIL [   0.005s] (  2/391) sealdrop-shared deal::a_rule",
            "     Summary [   0.120s] 4 tests run: 4 passed, 7 skipped",
            "     Summary [   0.120s] 5/9 tests run: 3 passed, 1 failed, 1 exec failed, 0 skipped",
        ]);
        assert_eq!(tally, Tally { passed: 395, failed: 5 });
    }

    #[test]
    fn what_ran_beside_is_counted_by_its_last_line() {
        assert_eq!(read(&["beside: 9 passed, 2 failed"]), Tally { passed: 9, failed: 2 });
    }

    #[test]
    fn a_runner_that_fails_without_a_failed_test_counts_as_one_failure() {
        let mut tally = read(&["test result: ok. 12 passed; 0 failed; 0 ignored"]);
        tally.settle(0, false);
        assert_eq!(tally, Tally { passed: 12, failed: 1 });
        tally.settle(1, true);
        assert_eq!(tally.failed, 1);
    }

    #[test]
    fn no_tests_at_all_is_no_success() {
        assert!(!Tally::default().is_good());
        assert_eq!(Tally::default().to_string(), "0 passed, 0 failed");
    }
}
