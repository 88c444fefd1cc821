//! Who may open a file, and with what: the header is made for [`Recipients`] and opened by [`Keys`].

use crate::error::{DecryptError, EncryptError};
use crate::header::{self, Header, Stanza, MAX_STANZAS};
use crate::passphrase::{self, Passphrase, WorkFactor};
use crate::secret::{FileKey, PayloadKey};
use crate::x25519::{self, Identity, Recipient};

/// Whom a file is encrypted to. A passphrase is alone in the format: whoever knows it is the only one to have written the file.
pub enum Recipients<'a> {
    X25519(&'a [Recipient]),
    Passphrase(&'a Passphrase, WorkFactor),
}

/// What a file is opened with.
pub enum Keys<'a> {
    /// Each is tried, in this order.
    Identities(&'a [Identity]),
    Passphrase(&'a Passphrase),
}

impl Recipients<'_> {
    /// The header for a file key.
    pub(crate) fn header(&self, key: &FileKey) -> Result<Vec<u8>, EncryptError> {
        let stanzas = match self {
            Self::X25519([]) => return Err(EncryptError::NoRecipients),
            Self::X25519(recipients) if recipients.len() > MAX_STANZAS => {
                let given = recipients.len();
                return Err(EncryptError::TooManyRecipients { given });
            }
            Self::X25519(recipients) => recipients.iter().map(|recipient| recipient.wrap(key)).collect(),
            Self::Passphrase(passphrase, work) => passphrase.wrap(*work, key).map(|stanza| vec![stanza]),
        };
        Ok(header::write(&stanzas?, key))
    }
}

/// A head that was opened.
pub(crate) struct Opened {
    pub key: PayloadKey,
    /// Bytes of header and nonce.
    pub head: usize,
}

impl Keys<'_> {
    /// Opens the head at the beginning of `bytes`; [`DecryptError::Incomplete`] where it is not all there.
    pub(crate) fn open(&self, bytes: &[u8]) -> Result<Opened, DecryptError> {
        let header = Header::read(bytes)?;
        // Before a passphrase is stretched for nothing.
        let nonce = header::nonce(bytes, header.length)?;
        let key = self.file_key(&header.stanzas)?;
        header.check(bytes, &key)?;
        Ok(Opened {
            key: key.payload_key(&nonce),
            head: header.length.saturating_add(nonce.len()),
        })
    }

    fn file_key(&self, stanzas: &[Stanza]) -> Result<FileKey, DecryptError> {
        let by_passphrase = stanzas.iter().find(|stanza| stanza.kind() == passphrase::KIND);
        if by_passphrase.is_some() && stanzas.len() > 1 {
            return Err(DecryptError::Header("a passphrase is not its only recipient"));
        }
        match (self, by_passphrase) {
            (Self::Passphrase(passphrase), Some(stanza)) => passphrase.unwrap(stanza),
            (Self::Passphrase(_), None) => Err(DecryptError::IdentityNeeded),
            (Self::Identities(_), Some(_)) => Err(DecryptError::PassphraseNeeded),
            (Self::Identities(identities), None) => by_identities(identities, stanzas),
        }
    }
}

fn by_identities(identities: &[Identity], stanzas: &[Stanza]) -> Result<FileKey, DecryptError> {
    for identity in identities {
        for stanza in stanzas.iter().filter(|stanza| stanza.kind() == x25519::KIND) {
            if let Some(key) = identity.unwrap(stanza)? {
                return Ok(key);
            }
        }
    }
    Err(DecryptError::NoIdentityFits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::VERSION_LINE;

    fn head(recipients: &Recipients<'_>) -> Vec<u8> {
        let mut head = recipients.header(&FileKey::generate().unwrap()).unwrap();
        head.extend([7; 16]);
        head
    }

    fn refusal(keys: &Keys<'_>, head: &[u8]) -> DecryptError {
        keys.open(head).err().unwrap()
    }

    #[test]
    fn any_of_the_recipients_opens_a_file_and_nobody_else() {
        let all = [(); 4].map(|()| Identity::generate().unwrap());
        let [first, second, third, stranger] = &all;
        let recipients = [first, second, third].map(Identity::recipient);
        let head = head(&Recipients::X25519(&recipients));
        for identity in [first, second, third] {
            let opened = Keys::Identities(&[identity.clone()]).open(&head).ok().unwrap();
            assert_eq!(opened.head, head.len());
        }
        assert!(Keys::Identities(&all).open(&head).is_ok());
        assert_eq!(
            refusal(&Keys::Identities(&[stranger.clone()]), &head),
            DecryptError::NoIdentityFits
        );
        assert_eq!(refusal(&Keys::Identities(&[]), &head), DecryptError::NoIdentityFits);
    }

    #[test]
    fn how_many_may_read_a_file_is_seen_without_a_key() {
        let recipients = [(); 3].map(|()| Identity::generate().unwrap().recipient());
        let passphrase = Passphrase::new("x".to_owned()).unwrap();
        let work = WorkFactor::new(10).unwrap();
        for (to, expected) in [
            (Recipients::X25519(&recipients), (3, false)),
            (Recipients::Passphrase(&passphrase, work), (0, true)),
        ] {
            let found = header::readers(&head(&to)).unwrap();
            assert_eq!((found.recipients, found.passphrase), expected);
        }
        let cut = header::readers(&head(&Recipients::X25519(&recipients))[..50]);
        assert!(matches!(cut, Err(DecryptError::Incomplete { given: 50 })), "{cut:?}");
    }

    #[test]
    fn the_wrong_kind_of_key_is_told_which_is_needed() {
        let identity = Identity::generate().unwrap();
        let passphrase = Passphrase::new("x".to_owned()).unwrap();
        let work = WorkFactor::new(10).unwrap();
        let by_passphrase = head(&Recipients::Passphrase(&passphrase, work));
        let to_recipient = head(&Recipients::X25519(&[identity.recipient()]));
        let identities = [identity];
        assert_eq!(
            refusal(&Keys::Identities(&identities), &by_passphrase),
            DecryptError::PassphraseNeeded
        );
        assert_eq!(
            refusal(&Keys::Passphrase(&passphrase), &to_recipient),
            DecryptError::IdentityNeeded
        );
        assert!(Keys::Passphrase(&passphrase).open(&by_passphrase).is_ok());
    }

    #[test]
    fn a_file_has_one_recipient_at_least_and_not_too_many() {
        let recipients = [Identity::generate().unwrap().recipient(); MAX_STANZAS + 1];
        let key = FileKey::generate().unwrap();
        let error = |recipients| Recipients::X25519(recipients).header(&key).err();
        assert_eq!(error(&[]), Some(EncryptError::NoRecipients));
        assert_eq!(error(&recipients), Some(EncryptError::TooManyRecipients { given: 257 }));
        // As many as are written are read.
        let head = head(&Recipients::X25519(&recipients[1..]));
        assert_eq!(refusal(&Keys::Identities(&[]), &head), DecryptError::NoIdentityFits);
    }

    #[test]
    fn a_passphrase_beside_others_is_refused_without_stretching_it() {
        let passphrase = Passphrase::new("x".to_owned()).unwrap();
        let (identity, key) = (Identity::generate().unwrap(), FileKey::generate().unwrap());
        let stretched = passphrase.wrap(WorkFactor::new(10).unwrap(), &key).unwrap();
        let stanzas = [stretched, identity.recipient().wrap(&key).unwrap()];
        let bytes = [header::write(&stanzas, &key), vec![0; 16]].concat();
        for keys in [Keys::Passphrase(&passphrase), Keys::Identities(&[identity])] {
            assert!(matches!(refusal(&keys, &bytes), DecryptError::Header(_)));
        }
    }

    #[test]
    fn stanzas_of_unknown_kinds_are_passed_over() {
        let (identity, key) = (Identity::generate().unwrap(), FileKey::generate().unwrap());
        let grease = Stanza {
            arguments: vec!["grease-of-tomorrow".to_owned(), "x".to_owned()],
            body: vec![1; 100],
        };
        let stanzas = [grease, identity.recipient().wrap(&key).unwrap()];
        let bytes = [header::write(&stanzas, &key), vec![0; 16]].concat();
        assert!(bytes.starts_with(VERSION_LINE));
        assert!(Keys::Identities(&[identity]).open(&bytes).is_ok());
    }

    #[test]
    fn a_changed_header_is_refused_although_its_file_key_comes_out() {
        let identity = Identity::generate().unwrap();
        let head = head(&Recipients::X25519(&[identity.recipient()]));
        let mac = head.windows(4).position(|bytes| bytes == b"--- ").unwrap();
        let added = [&head[..mac], b"-> one more\n\n", &head[mac..]].concat();
        assert_eq!(refusal(&Keys::Identities(&[identity]), &added), DecryptError::HeaderMac);
    }
}
