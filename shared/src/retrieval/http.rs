//! What the headers of an HTTP request mean for bytes that never change: which range of them is asked for, and whether the client has
//! them already (RFC 9110, sections 13 and 14).
//!
//! Called by the miner's HTTP listener for pieces and blocks, whose names say what they are: each has one strong `ETag` for ever.

use core::ops::Range;

/// `Cache-Control` of bytes that a name stands for: they cannot change.
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// `Cache-Control` of what a name stands for that fits several: it may be another of them in an hour.
pub const OF_SEVERAL: &str = "public, max-age=3600";

/// What of a representation is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ranged {
    /// All of it, with status 200.
    Whole,
    /// These bytes, with status 206; never none.
    Part(Range<u64>),
    /// The range lies behind its end: status 416.
    Unsatisfiable,
}

/// What `Range` asks of `size` bytes. What is no single range of bytes is ignored, as the RFC lets a server do: several ranges would be an
/// answer of another kind, which no client of ours reads.
pub fn requested_range(header: Option<&str>, size: u64) -> Ranged {
    match header.and_then(single_range) {
        None => Ranged::Whole,
        Some(asked) => asked.of(size).map_or(Ranged::Unsatisfiable, Ranged::Part),
    }
}

/// One range as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    From {
        first: u64,
        last: Option<u64>,
    },
    /// So many of the last bytes.
    Last(u64),
}

impl Asked {
    fn of(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From { first, last } => {
                let end = last.map_or(size, |last| last.saturating_add(1).min(size));
                first..end
            }
            Self::Last(count) => size.saturating_sub(count)..size,
        };
        (!range.is_empty()).then_some(range)
    }
}

fn single_range(header: &str) -> Option<Asked> {
    let (unit, ranges) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || ranges.contains(',') {
        return None;
    }
    let (first, last) = ranges.trim().split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", last) => digits(last).map(Asked::Last),
        (first, "") => digits(first).map(|first| Asked::From { first, last: None }),
        (first, last) => {
            let (first, last) = (digits(first)?, digits(last)?);
            let last = Some(last);
            (Some(first) <= last).then_some(Asked::From { first, last })
        }
    }
}

/// A number of digits alone. One that is too large is as good as the largest.
fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Whether `If-None-Match` names this `ETag`, quotes included: the client has the bytes, and status 304 says so. Here a weak tag is as good
/// as a strong one.
pub fn none_match_names(header: &str, etag: &str) -> bool {
    let names = |tag: &str| tag.trim().trim_start_matches("W/") == etag;
    header.trim() == "*" || header.split(',').any(names)
}

/// Whether a range may be sent: without `If-Range`, or where it names this strong `ETag`. A date is no name of the bytes.
pub fn range_applies(if_range: Option<&str>, etag: &str) -> bool {
    if_range.is_none_or(|tag| tag.trim() == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_range_is_taken_by_its_first_and_last_byte() {
        for (header, expected) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("bytes=2-", 2..10),
            ("bytes=-3", 7..10),
            ("Bytes = 2 - 5", 2..6),
            ("bytes=2-99999999999999999999999", 2..10),
            ("bytes=-99", 0..10),
            ("bytes=9-9", 9..10),
        ] {
            assert_eq!(requested_range(Some(header), 10), Ranged::Part(expected), "{header}");
        }
    }

    #[test]
    fn a_range_behind_the_end_or_of_nothing_is_unsatisfiable() {
        for header in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(requested_range(Some(header), 10), Ranged::Unsatisfiable, "{header}");
        }
        assert_eq!(requested_range(Some("bytes=0-"), 0), Ranged::Unsatisfiable);
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_ignored() {
        for header in [
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=+1-2",
            "bytes=a-b",
            "bytes=1-2-3",
        ] {
            assert_eq!(requested_range(Some(header), 10), Ranged::Whole, "{header}");
        }
        assert_eq!(requested_range(None, 10), Ranged::Whole);
    }

    #[test]
    fn whoever_names_the_tag_has_the_bytes() {
        for header in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*", " \"a\" "] {
            assert!(none_match_names(header, "\"a\""), "{header}");
        }
        for header in ["\"b\"", "a", "\"a", ""] {
            assert!(!none_match_names(header, "\"a\""), "{header}");
        }
    }

    #[test]
    fn a_range_of_something_else_is_not_sent() {
        assert!(range_applies(None, "\"a\"") && range_applies(Some("\"a\""), "\"a\""));
        for other in ["\"b\"", "W/\"a\"", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert!(!range_applies(Some(other), "\"a\""), "{other}");
        }
    }
}
