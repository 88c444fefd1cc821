//! What may reach a terminal: text of files' names, peers and the chain with its control characters written out, so that
//! none of them moves the cursor, hides a line or makes one up (finding E3).
//!
//! The notation is JSON's, so that one function serves text and JSON alike.

use std::borrow::Cow;
use std::fmt::Write;

/// Characters that turn the direction of the text around them: a name may look like another one.
const DIRECTIONS: [char; 9] = [
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// One line: every control character, line breaks too, as `\u001b`.
pub fn escaped(text: &str) -> Cow<'_, str> {
    written_out(text, is_harmful)
}

/// A result of several lines in columns: as [`escaped`], with its line breaks and tabs.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    written_out(text, |c| is_harmful(c) && c != '\n' && c != '\t')
}

fn is_harmful(c: char) -> bool {
    c.is_control() || DIRECTIONS.contains(&c)
}

fn written_out(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_harmful(c) {
            // Writing to a String cannot fail; all of them are below 2^16.
            true => drop(write!(safe, "\\u{:04x}", u32::from(c))),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out_and_all_else_stays() {
        assert_eq!(escaped("Grüße, 世界 \\"), "Grüße, 世界 \\");
        assert_eq!(
            escaped("a\u{1b}[2Jb\r\n\u{9b}\u{7f}\u{202e}"),
            "a\\u001b[2Jb\\u000d\\u000a\\u009b\\u007f\\u202e"
        );
        assert_eq!(escaped_lines("a\tb\nc\u{7}"), "a\tb\nc\\u0007");
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let value = serde_json::json!({ "name": "a\u{1b}\u{9b}\u{7f}\u{202e}\n" });
        let text = escaped(&value.to_string()).into_owned();
        assert!(!text.chars().any(is_harmful), "{text}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON"),
            value
        );
    }
}
