//! Spans of time as people write them: `200ms`, `10s`, `5m`, `24h`.

use std::time::Duration;

/// Why text is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a duration; write a whole number and ms, s, m or h, for example 200ms or 10s")]
pub struct SpanError {
    text: String,
}

/// Reads a span of time.
pub fn parse(text: &str) -> Result<Duration, SpanError> {
    let wrong = || SpanError { text: text.to_owned() };
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// A span as [`parse`] reads it, in the largest unit that gives a whole number.
pub fn text(span: Duration) -> String {
    let millis = span.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let unit = units
        .into_iter()
        .find(|(_, size)| millis > 0 && millis.is_multiple_of(*size));
    match unit {
        Some((unit, size)) => format!("{}{unit}", millis / size),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_whole_number_and_its_unit() {
        for (text, millis) in [
            ("200ms", 200),
            ("1s", 1000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
            assert_eq!(parse(&super::text(Duration::from_millis(millis))), parse(text));
        }
        for text in [
            "",
            "10",
            "s",
            "1.5s",
            "-1s",
            "1 s",
            "1d",
            "99999999999999999999s",
            "9999999999999999h",
        ] {
            assert_eq!(parse(text), Err(SpanError { text: text.into() }));
        }
    }
}
