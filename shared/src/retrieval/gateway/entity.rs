//! `entity-bytes=from:to`: a range of a file for which the blocks are sent, counted from its beginning or from its end.

use core::fmt;
use core::ops::Range;
use core::str::FromStr;

/// A range whose ends are counted from the beginning of the file or, where negative, from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityBytes {
    from: i64,
    /// The last byte; `None` is the end of the file.
    to: Option<i64>,
}

/// Why text is no such range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a range of an entity is two numbers with a colon between")]
pub struct NoEntityBytes;

/// What a range comes to in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// These bytes; never none.
    Bytes(Range<u64>),
    /// No byte, though it begins within the file: the root alone is sent, which says why.
    Nothing,
    /// All of it lies before or behind the file.
    Outside,
}

impl EntityBytes {
    /// All of a file.
    pub const WHOLE: Self = Self { from: 0, to: None };

    /// The bytes of a file of `size` bytes.
    pub fn of(&self, size: u64) -> Touched {
        if *self == Self::WHOLE && size == 0 {
            return Touched::Nothing;
        }
        let place = |at: i64| match at {
            0.. => i128::from(at),
            _ => i128::from(size).saturating_add(i128::from(at)),
        };
        let last = i128::from(size).saturating_sub(1);
        let (from, to) = (place(self.from), self.to.map_or(last, place));
        if from > last || to < 0 {
            return Touched::Outside;
        }
        let (from, to) = (from.max(0), to.min(last));
        let bounds = (u64::try_from(from), u64::try_from(to.saturating_add(1)));
        match bounds {
            (Ok(from), Ok(end)) if from < end => Touched::Bytes(from..end),
            _ => Touched::Nothing,
        }
    }
}

impl FromStr for EntityBytes {
    type Err = NoEntityBytes;
    fn from_str(text: &str) -> Result<Self, NoEntityBytes> {
        let (from, to) = text.split_once(':').ok_or(NoEntityBytes)?;
        let number = |text: &str| {
            let bare = text.strip_prefix('-').unwrap_or(text);
            let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
            is_number
                .then(|| text.parse::<i64>().ok())
                .flatten()
                .ok_or(NoEntityBytes)
        };
        let from = number(from)?;
        let to = if to == "*" { None } else { Some(number(to)?) };
        // Two ends of one side that stand the wrong way round are none.
        match to {
            Some(to) if (from < 0) == (to < 0) && to < from => Err(NoEntityBytes),
            _ => Ok(Self { from, to }),
        }
    }
}

impl fmt::Display for EntityBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) => write!(f, "{}:{to}", self.from),
            None => write!(f, "{}:*", self.from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, size: u64) -> Touched {
        text.parse::<EntityBytes>().expect("a range").of(size)
    }

    #[test]
    fn ends_are_counted_from_either_side_and_the_last_byte_is_in_it() {
        for (text, expected) in [
            ("0:*", 0..1026),
            ("0:0", 0..1),
            ("512:1023", 512..1024),
            ("512:-256", 512..771),
            ("-5:*", 1021..1026),
            ("-1024:-1", 2..1026),
            ("499:-1000", 499..500),
        ] {
            let size = if text == "499:-1000" { 1499 } else { 1026 };
            assert_eq!(of(text, size), Touched::Bytes(expected), "{text}");
        }
    }

    #[test]
    fn what_lies_beyond_the_file_is_left_out() {
        assert_eq!(of("-9999:*", 1026), Touched::Bytes(0..1026));
        assert_eq!(of("-9999:-3", 1026), Touched::Bytes(0..1024));
        assert_eq!(of("1000:99999", 1026), Touched::Bytes(1000..1026));
        for outside in ["1026:*", "1026:2000", "-9999:-1027"] {
            assert_eq!(of(outside, 1026), Touched::Outside, "{outside}");
        }
        assert_eq!(of("600:-600", 1026), Touched::Nothing);
        assert_eq!((of("0:*", 0), of("0:0", 0)), (Touched::Nothing, Touched::Outside));
        let widest = "-9223372036854775808:9223372036854775807";
        assert_eq!(of(widest, u64::MAX), Touched::Bytes((1 << 63) - 1..1 << 63));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "0",
            ":",
            "0:",
            ":5",
            "a:b",
            "+1:2",
            "1:2:3",
            "*:5",
            "5:2",
            "-2:-5",
            "0:99999999999999999999",
            "0: 5",
        ] {
            assert_eq!(text.parse::<EntityBytes>(), Err(NoEntityBytes), "{text}");
        }
        for text in ["0:*", "-1024:*", "499:-1000", "-5:5"] {
            assert_eq!(
                text.parse::<EntityBytes>().map(|bytes| bytes.to_string()).as_deref(),
                Ok(text)
            );
        }
    }

    use alloc::string::ToString;
}
