//! A URL's query, as far as gateways are asked with it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The parameters by name, in the order in which they stand; of two of one name the first counts.
pub(super) struct Query<'a>(Vec<(&'a str, &'a str)>);

/// Parameters that are looked at: more are of no use to anybody.
const MAX_PARAMETERS: usize = 32;

impl<'a> Query<'a> {
    pub fn of(text: &'a str) -> Self {
        let parts = text.split('&').filter(|part| !part.is_empty());
        let parts = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
        Self(parts.take(MAX_PARAMETERS).collect())
    }

    /// A parameter's value, decoded.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let (_, value) = self.0.iter().find(|(known, _)| *known == name)?;
        Some(decode(value, b' '))
    }
}

/// Percent-decodes a part of a path, in which a plus is one.
pub(super) fn decode_path(text: &str) -> Cow<'_, str> {
    decode(text, b'+')
}

/// Percent-decodes a value, in which a plus stands for `plus`; what is no UTF-8 then is shown with replacement characters.
fn decode(text: &str, plus: u8) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| after.split_first_chunk::<2>()).flatten();
        let escaped = escaped.and_then(|(digits, after)| {
            let mut byte = [0];
            hex::decode_to_slice(digits, &mut byte).ok()?;
            Some((byte, after))
        });
        match escaped {
            Some(([byte], after)) => {
                bytes.push(byte);
                rest = after;
            }
            None => {
                bytes.push(if first == b'+' { plus } else { first });
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// Percent-encodes all but letters, digits and `-._~`.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_the_first_of_a_name_counts() {
        let query = Query::of("a=1%3A%2a&b&a=2&c=x+y%20z&d=%zz%4&&e=%C3%A4%ff");
        let of = |name| query.get(name).map(Cow::into_owned);
        for (name, value) in [
            ("a", "1:*"),
            ("b", ""),
            ("c", "x y z"),
            ("d", "%zz%4"),
            ("e", "ä\u{fffd}"),
        ] {
            assert_eq!(of(name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(of("f"), None);
        assert_eq!(decode_path("%62a+%2fx"), "ba+/x");
        assert_eq!(encode("a b\"ä~"), "a%20b%22%C3%A4~");
    }
}
