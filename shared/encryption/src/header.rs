//! An age file's header: its version, a stanza for each recipient, and the MAC over all of it.
//!
//! ```text
//! age-encryption.org/v1
//! -> KIND ARGUMENT …
//! BODY in base64, lines of 64 characters, the last one shorter
//! --- MAC
//! ```
//!
//! It comes from anybody: reading it is bounded by [`MAX_HEAD_BYTES`] and [`MAX_STANZAS`], and there is one form of each value.
//! Called by [`crate::keys`], which wraps and unwraps the file key; nothing else knows the text.

use data_encoding::BASE64_NOPAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::error::DecryptError;
use crate::secret::{FileKey, NONCE_BYTES};

/// Bytes of a header and of the nonce behind it: 256 recipients of the usual kind take 25 KiB, and a reader holds it all at once.
pub const MAX_HEAD_BYTES: usize = 64 << 10;
/// Recipients of a file: each costs a scalar multiplication for each identity that is tried, 50 µs to 300 µs.
pub const MAX_STANZAS: usize = 256;

/// What an age file begins with.
pub(crate) const VERSION_LINE: &[u8] = b"age-encryption.org/v1\n";
/// What every version of one begins with.
const ANY_VERSION: &[u8] = b"age-encryption.org/";
const ARMORED: &[u8] = b"-----BEGIN AGE";
const STANZA: &[u8] = b"-> ";
const FOOTER: &[u8] = b"---";
/// Characters of a body's line.
const COLUMNS: usize = 64;

/// A file key, wrapped for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stanza {
    /// At least the kind.
    pub arguments: Vec<String>,
    pub body: Vec<u8>,
}

impl Stanza {
    pub(crate) fn kind(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }
}

/// A header that was read.
pub(crate) struct Header {
    pub stanzas: Vec<Stanza>,
    /// Its length in bytes; the nonce follows.
    pub length: usize,
    /// How much of it the MAC covers: up to `---`.
    covered: usize,
    mac: Vec<u8>,
}

impl Header {
    /// Reads the header at the beginning of `bytes`, of which there may be more or, with [`DecryptError::Incomplete`], too few.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DecryptError> {
        let mut reader = Reader::begin(bytes)?;
        let mut stanzas = Vec::new();
        loop {
            let covered = reader.at.saturating_add(FOOTER.len());
            let line = reader.line()?;
            if let Some(arguments) = line.strip_prefix(STANZA) {
                if stanzas.len() == MAX_STANZAS {
                    return Err(DecryptError::TooManyStanzas);
                }
                stanzas.push(reader.stanza(arguments)?);
            } else if let Some(mac) = line.strip_prefix(FOOTER) {
                let mac = mac.strip_prefix(b" ").and_then(base64);
                return Ok(Self {
                    stanzas,
                    length: reader.at,
                    covered,
                    mac: mac.ok_or(DecryptError::Header("its MAC is none"))?,
                });
            } else {
                return Err(DecryptError::Header("a line is neither a recipient nor the end"));
            }
        }
    }

    /// Whether whoever wrote `bytes` knew the file key.
    pub(crate) fn check(&self, bytes: &[u8], key: &FileKey) -> Result<(), DecryptError> {
        let covered = bytes.get(..self.covered).ok_or(DecryptError::HeaderMac)?;
        let checked = mac(key, covered).verify_slice(&self.mac);
        checked.map_err(|_| DecryptError::HeaderMac)
    }
}

/// Who may read a file, as far as everybody sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readers {
    /// Keys, of any kind, of which each opens it; whose they are is not to be seen.
    pub recipients: usize,
    /// Whether a passphrase opens it.
    pub passphrase: bool,
}

/// Who may read the file that begins with these bytes, without any key.
///
/// Fails with [`DecryptError::Incomplete`] where there are too few; [`MAX_HEAD_BYTES`] are always enough. Nothing vouches for what it says
/// but that the file is opened by a key.
pub fn readers(beginning: &[u8]) -> Result<Readers, DecryptError> {
    let stanzas = Header::read(beginning)?.stanzas;
    let passphrase = stanzas.iter().any(|stanza| stanza.kind() == crate::passphrase::KIND);
    Ok(Readers {
        recipients: if passphrase { 0 } else { stanzas.len() },
        passphrase,
    })
}

/// The bytes of a header with these stanzas.
pub(crate) fn write(stanzas: &[Stanza], key: &FileKey) -> Vec<u8> {
    let mut bytes = VERSION_LINE.to_vec();
    for stanza in stanzas {
        bytes.extend_from_slice(STANZA);
        bytes.extend_from_slice(stanza.arguments.join(" ").as_bytes());
        bytes.push(b'\n');
        let body = BASE64_NOPAD.encode(&stanza.body);
        let mut lines = body.as_bytes().chunks_exact(COLUMNS);
        for line in lines.by_ref() {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(lines.remainder());
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(FOOTER);
    let mac = BASE64_NOPAD.encode(&mac(key, &bytes).finalize().into_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(mac.as_bytes());
    bytes.push(b'\n');
    bytes
}

/// The nonce behind a header of `length` bytes; [`DecryptError::Incomplete`] where it is not there yet.
pub(crate) fn nonce(bytes: &[u8], length: usize) -> Result<[u8; NONCE_BYTES], DecryptError> {
    let behind = bytes.get(length..).and_then(|rest| rest.first_chunk());
    behind.copied().ok_or(DecryptError::Incomplete { given: bytes.len() })
}

fn mac(key: &FileKey, covered: &[u8]) -> Hmac<Sha256> {
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(key.mac_key().as_slice());
    mac.expect("HMAC takes keys of any length").chain_update(covered)
}

/// The only text of some bytes: no padding, no bits left over, nothing between.
pub(crate) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    BASE64_NOPAD.decode(text).ok()
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Where the next line begins.
    at: usize,
}

impl<'a> Reader<'a> {
    /// Behind the version's line. What cannot become an age file is refused at its first byte.
    fn begin(bytes: &'a [u8]) -> Result<Self, DecryptError> {
        let begins = |with: &[u8]| bytes.iter().zip(with).all(|(is, should)| is == should);
        let complete = |with: &[u8]| bytes.len() >= with.len();
        match () {
            () if begins(VERSION_LINE) && complete(VERSION_LINE) => Ok(Self {
                bytes,
                at: VERSION_LINE.len(),
            }),
            () if begins(VERSION_LINE) => Err(DecryptError::Incomplete { given: bytes.len() }),
            () if begins(ANY_VERSION) => Err(DecryptError::Version),
            () if begins(ARMORED) && complete(ARMORED) => Err(DecryptError::Armored),
            () if begins(ARMORED) => Err(DecryptError::Incomplete { given: bytes.len() }),
            () => Err(DecryptError::NotAge),
        }
    }

    /// The next line, without its end.
    fn line(&mut self) -> Result<&'a [u8], DecryptError> {
        let given = self.bytes.len();
        // The nonce belongs to what a reader holds.
        let rest = self.bytes.get(self.at..given.min(MAX_HEAD_BYTES - NONCE_BYTES));
        let rest = rest.unwrap_or_default();
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(length) => {
                self.at = self.at.saturating_add(length).saturating_add(1);
                Ok(rest.get(..length).unwrap_or_default())
            }
            None if given < MAX_HEAD_BYTES => Err(DecryptError::Incomplete { given }),
            None => Err(DecryptError::LongHeader),
        }
    }

    fn stanza(&mut self, arguments: &[u8]) -> Result<Stanza, DecryptError> {
        let arguments = arguments.split(|byte| *byte == b' ').map(|argument| {
            let visible = !argument.is_empty() && argument.iter().all(u8::is_ascii_graphic);
            let text = String::from_utf8(argument.to_vec()).ok().filter(|_| visible);
            text.ok_or(DecryptError::Header("a recipient has a word that is none"))
        });
        let arguments = arguments.collect::<Result<_, _>>()?;
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let decoded = match line.len() <= COLUMNS {
                true => base64(line),
                false => None,
            };
            body.extend(decoded.ok_or(DecryptError::Header("a recipient's body is not base64"))?);
            if line.len() < COLUMNS {
                return Ok(Stanza { arguments, body });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn key() -> FileKey {
        FileKey::new(Zeroizing::new(*b"YELLOW SUBMARINE"))
    }

    fn stanza(arguments: &[&str], body: &[u8]) -> Stanza {
        Stanza {
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            body: body.to_vec(),
        }
    }

    fn with_stanza(text: &str) -> Vec<u8> {
        let mac = "A".repeat(43);
        format!("age-encryption.org/v1\n{text}--- {mac}\n").into_bytes()
    }

    fn refusal(text: &str) -> DecryptError {
        Header::read(&with_stanza(text)).err().unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_only_with_its_key() {
        let stanzas = [
            stanza(&["X25519", "abc"], &[7; 32]),
            stanza(&["empty"], b""),
            stanza(&["long", "!~"], &[1; 96]),
        ];
        let mut bytes = write(&stanzas, &key());
        let length = bytes.len();
        bytes.extend([9; 40]);
        let header = Header::read(&bytes).unwrap();
        assert_eq!(header.stanzas, stanzas);
        assert_eq!(header.length, length);
        assert_eq!(nonce(&bytes, header.length).unwrap(), [9; 16]);
        header.check(&bytes, &key()).unwrap();
        let other = FileKey::new(Zeroizing::new([0; 16]));
        assert_eq!(header.check(&bytes, &other), Err(DecryptError::HeaderMac));
        bytes[25] ^= 1;
        let header = Header::read(&bytes).unwrap();
        assert_eq!(header.check(&bytes, &key()), Err(DecryptError::HeaderMac));
    }

    #[test]
    fn a_beginning_of_a_header_asks_for_more_and_never_for_more_than_its_limit() {
        let whole = write(&[stanza(&["X25519", "abc"], &[7; 32])], &key());
        for given in 0..whole.len() {
            let error = Header::read(&whole[..given]).err().unwrap();
            assert_eq!(error, DecryptError::Incomplete { given });
        }
        let endless = [VERSION_LINE, b"-> ", &[b'a'; MAX_HEAD_BYTES]].concat();
        assert_eq!(Header::read(&endless).err(), Some(DecryptError::LongHeader));
        let long = write(&[stanza(&["long"], &[0; 3 * MAX_HEAD_BYTES / 4])], &key());
        assert_eq!(Header::read(&long).err(), Some(DecryptError::LongHeader));
    }

    #[test]
    fn recipients_are_counted_before_any_is_tried() {
        let most = "-> a\n\n".repeat(MAX_STANZAS);
        assert!(Header::read(&with_stanza(&most)).is_ok());
        assert_eq!(refusal(&format!("{most}-> a\n\n")), DecryptError::TooManyStanzas);
    }

    #[test]
    fn what_is_no_age_file_says_so() {
        let read = |bytes: &[u8]| Header::read(bytes).err().unwrap();
        assert_eq!(read(b"\x89PNG"), DecryptError::NotAge);
        assert_eq!(read(b"age-encryption.org/v2\n"), DecryptError::Version);
        assert_eq!(read(b"-----BEGIN AGE ENCRYPTED FILE-----\n"), DecryptError::Armored);
        assert_eq!(read(b"age-encryption.org/v1\r\n"), DecryptError::Version);
    }

    #[test]
    fn a_stanza_has_one_form() {
        let is_bad = |text: &str| assert!(matches!(refusal(text), DecryptError::Header(_)), "{text:?}");
        is_bad("-> \n\n");
        is_bad("-> a  b\n\n");
        is_bad("-> a \n\n");
        is_bad("->a\n\n");
        is_bad("-> a\u{e9}\n\n");
        is_bad("-> a\u{7f}\n\n");
        is_bad("-> a\r\n\n");
        is_bad("-> a\n\r\n");
        // Padding, bits left over, a character of the other alphabet, space.
        is_bad("-> a\nAA==\n");
        is_bad("-> a\nAB\n");
        is_bad("-> a\nA_\n");
        is_bad("-> a\nAA AA\n");
        // A line that is too long, a short one before another, and a full one without its last.
        is_bad(&format!("-> a\n{}\n", "A".repeat(68)));
        is_bad("-> a\nAAAA\nAAAA\n");
        is_bad(&format!("-> a\n{}\n", "A".repeat(64)));
        // No body at all.
        is_bad("-> a\n");
    }

    #[test]
    fn a_mac_has_one_form() {
        for end in [
            "---\n",
            "--- \n",
            "---AAAA\n",
            "---  AAAA\n",
            "--- AAAA \n",
            "--- AB\n",
            "--- AAAA\r\n",
        ] {
            let bytes = [VERSION_LINE, b"-> a\n\n", end.as_bytes()].concat();
            let read = Header::read(&bytes);
            // An empty or a short one is read, and is no MAC of anything.
            if let Ok(header) = &read {
                assert_eq!(header.check(&bytes, &key()), Err(DecryptError::HeaderMac), "{end:?}");
            }
        }
    }
}
