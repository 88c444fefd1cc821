//! How slow a peer may be before it loses its place: bytes in an exchange are cheap to hold back, and places are few.
//!
//! Used by the miner for the pieces that it fetches and for those that it gives back. Times are milliseconds of any clock that
//! does not go back.

/// Least bytes a second, on average over a window: a tenth of a slow home line's upload.
pub const LEAST_RATE: u64 = 16 * 1024;
/// Length of a window, in milliseconds: a line may fail for a moment.
pub const WINDOW_MS: u64 = 30_000;
/// How long a peer keeps its place while others wait for one, in milliseconds.
pub const TURN_MS: u64 = 120_000;

/// Bytes that are handed to a connection at once. It asks for the next ones when these and those before them are gone.
pub const HANDED_AT_ONCE: usize = 256 * 1024;
/// How long a peer may take nothing of what lies ready for it while others wait, in milliseconds: at [`LEAST_RATE`] it has taken twice what is
/// handed over at once, after 32 seconds.
pub const STALL_MS: u64 = 35_000;
const _: () = assert!(STALL_MS > 2 * HANDED_AT_ONCE as u64 * 1000 / LEAST_RATE);

/// Why a peer loses its place. What has arrived is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceLost {
    #[error("fewer than {} KiB a second were moved for {} seconds", LEAST_RATE / 1024, WINDOW_MS / 1000)]
    TooSlow,
    #[error("others wait: it is their turn")]
    TurnOver,
}

/// The speed of one exchange.
#[derive(Debug, Clone)]
pub struct Pace {
    begun: u64,
    window: u64,
    moved: u64,
}

impl Pace {
    /// An exchange that begins now.
    pub const fn begin(now_ms: u64) -> Self {
        Self {
            begun: now_ms,
            window: now_ms,
            moved: 0,
        }
    }

    /// Counts `bytes` that were moved, and tells whether the exchange may go on; `others_wait` for its place.
    pub fn moved(&mut self, bytes: u64, now_ms: u64, others_wait: bool) -> Result<(), PlaceLost> {
        self.moved = self.moved.saturating_add(bytes);
        let window = now_ms.saturating_sub(self.window);
        if window >= WINDOW_MS {
            if self.moved < LEAST_RATE.saturating_mul(window) / 1000 {
                return Err(PlaceLost::TooSlow);
            }
            (self.window, self.moved) = (now_ms, 0);
        }
        match others_wait && now_ms.saturating_sub(self.begun) >= TURN_MS {
            true => Err(PlaceLost::TurnOver),
            false => Ok(()),
        }
    }
}

/// An exchange that cannot go on where it was, as it stands while somebody waits for its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// For how long it has its place.
    pub lasted_ms: u64,
    /// Bytes that it moved in that time.
    pub bytes: u64,
    /// For how long the peer has taken nothing of what lies ready; none while something is being made for it.
    pub silent_ms: u64,
}

/// Which of these makes room for somebody who waits: whoever stalls, the longest first; else of those that had their turn the slowest, so
/// that whoever would hold many places has to take as much of the line as honest peers do. `None` while all go on.
pub fn makes_room(all: &[Standing]) -> Option<usize> {
    let each = || all.iter().enumerate();
    let stalled = each().filter(|(_, one)| one.silent_ms >= STALL_MS);
    let longest = stalled.max_by_key(|(_, one)| one.silent_ms);
    let had_their_turn = each().filter(|(_, one)| one.lasted_ms >= TURN_MS);
    let rate = |one: &Standing| one.bytes.saturating_mul(1000).checked_div(one.lasted_ms);
    let slowest = had_their_turn.min_by_key(|(place, one)| (rate(one), *place));
    longest.or(slowest).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_now_and_then_loses_the_place_after_a_window() {
        let mut pace = Pace::begin(5);
        assert_eq!(pace.moved(1, 5 + WINDOW_MS - 1, false), Ok(()));
        assert_eq!(pace.moved(1, 5 + WINDOW_MS, false), Err(PlaceLost::TooSlow));
    }

    #[test]
    fn the_least_rate_is_enough_for_ever_while_nobody_waits() {
        let mut pace = Pace::begin(0);
        for second in 1..10_000 {
            assert_eq!(pace.moved(LEAST_RATE, second * 1000, false), Ok(()), "second {second}");
        }
    }

    #[test]
    fn speed_of_an_earlier_window_does_not_count() {
        let mut pace = Pace::begin(0);
        assert_eq!(pace.moved(1 << 40, WINDOW_MS, false), Ok(()));
        assert_eq!(pace.moved(1, 2 * WINDOW_MS, false), Err(PlaceLost::TooSlow));
    }

    fn standing(lasted_ms: u64, bytes: u64, silent_ms: u64) -> Standing {
        Standing {
            lasted_ms,
            bytes,
            silent_ms,
        }
    }

    #[test]
    fn the_slowest_of_those_that_had_their_turn_makes_room() {
        assert_eq!(makes_room(&[]), None);
        let young = [standing(TURN_MS - 1, 0, 0), standing(0, 0, 0)];
        assert_eq!(makes_room(&young), None, "a turn is theirs, however slow they are");
        let slow = standing(2 * TURN_MS, 5000, 0);
        assert_eq!(makes_room(&[standing(TURN_MS, 5000, 0), slow, young[0]]), Some(1));
        assert_eq!(makes_room(&[standing(u64::MAX, u64::MAX, 0)]), Some(0));
    }

    #[test]
    fn whoever_stalls_makes_room_before_its_turn_is_over_and_before_all_others() {
        let slow = standing(TURN_MS, 0, STALL_MS - 1);
        let stalled = standing(STALL_MS, 1 << 30, STALL_MS);
        assert_eq!(makes_room(&[slow, stalled, standing(5, 5, 5)]), Some(1));
        assert_eq!(makes_room(&[stalled, standing(TURN_MS, 9, STALL_MS + 1)]), Some(1));
        assert_eq!(makes_room(&[standing(STALL_MS, 1, STALL_MS - 1)]), None);
    }

    #[test]
    fn a_turn_ends_only_when_others_wait() {
        let mut pace = Pace::begin(0);
        for second in 1..=TURN_MS / 1000 {
            assert_eq!(pace.moved(1 << 20, second * 1000, false), Ok(()));
        }
        assert_eq!(pace.moved(1 << 20, TURN_MS, true), Err(PlaceLost::TurnOver));
        let mut young = Pace::begin(0);
        assert_eq!(young.moved(1 << 30, TURN_MS - 1, true), Ok(()));
    }
}
