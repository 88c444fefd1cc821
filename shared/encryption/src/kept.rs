//! An [`EncryptedFile`] in the client's own store, by serde: bytes in CBOR, hex in JSON. What is read back is checked, since a store
//! that was damaged would make another ciphertext, which is refused only when everything was hashed.

use std::fmt;

use cid::Cid;
use serde::de::{Error, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::decryptor::head_len;
use crate::file::{EncryptedFile, EncryptionKey};
use crate::layout::Layout;
use crate::secret::PayloadKey;

impl Serialize for EncryptedFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("EncryptedFile", 4)?;
        fields.serialize_field("head", &Bytes(&self.key.head))?;
        fields.serialize_field("key", &Bytes(self.key.payload.bytes()))?;
        fields.serialize_field("size", &self.layout.plain_len())?;
        fields.serialize_field("root", &self.root.map(|root| root.to_string()))?;
        fields.end()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    head: OwnedBytes,
    key: OwnedBytes,
    size: u64,
    root: Option<String>,
}

impl<'de> Deserialize<'de> for EncryptedFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kept = Kept::deserialize(deserializer)?;
        let head = kept.head.0.to_vec();
        if head_len(&head).ok() != Some(head.len()) {
            return Err(D::Error::custom(
                "a kept file's head is not the beginning of an age file",
            ));
        }
        let key = kept.key.0.as_slice().try_into().map(Zeroizing::new);
        let key = key.map_err(|_| D::Error::custom("a kept file's key is not 32 bytes"))?;
        let layout = Layout::new(head.len(), kept.size).ok_or(D::Error::custom("a kept file is too long"))?;
        let root = kept.root.map(|root| root.parse::<Cid>()).transpose();
        let root = root.map_err(|_| D::Error::custom("a kept file's root is no CID"))?;
        let payload = PayloadKey::from_kept(key);
        Ok(Self::of_parts(EncryptionKey { head, payload }, layout, root))
    }
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.serialize_str(&Zeroizing::new(hex::encode(self.0))),
            false => serializer.serialize_bytes(self.0),
        }
    }
}

struct OwnedBytes(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for OwnedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_str(BytesVisitor),
            false => deserializer.deserialize_byte_buf(BytesVisitor),
        }
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = OwnedBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes, or their hex")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OwnedBytes, E> {
        // What it read is not repeated in an error: it is a key.
        let bytes = hex::decode(text).map_err(|_| E::custom("not hex"))?;
        Ok(OwnedBytes(bytes.into()))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<OwnedBytes, E> {
        Ok(OwnedBytes(bytes.to_vec().into()))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<OwnedBytes, E> {
        Ok(OwnedBytes(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Recipients;
    use crate::x25519::Identity;

    fn file() -> EncryptedFile {
        let recipient = Identity::generate().unwrap().recipient();
        let key = EncryptionKey::generate(&Recipients::X25519(&[recipient])).unwrap();
        EncryptedFile::new(key, 100_000).unwrap()
    }

    fn ciphertext(file: &EncryptedFile) -> Vec<u8> {
        let made = file.encrypt_range(&(0..file.ciphertext_len()), &[5; 100_000]);
        made.unwrap().for_hashing().to_vec()
    }

    fn root() -> Cid {
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
            .parse()
            .unwrap()
    }

    #[test]
    fn what_is_kept_makes_the_same_ciphertext_again() {
        let mut made = file();
        let first = ciphertext(&made);
        made.bind(root()).unwrap();
        let json = serde_json::to_string(&made).unwrap();
        let read: EncryptedFile = serde_json::from_str(&json).unwrap();
        assert!(ciphertext(&read) == first);
        assert_eq!(read.root(), Some(&root()));
        let mut cbor = Vec::new();
        ciborium::into_writer(&made, &mut cbor).unwrap();
        let read: EncryptedFile = ciborium::from_reader(cbor.as_slice()).unwrap();
        assert!(ciphertext(&read) == first);
        assert!(
            cbor.len() < json.len() * 2 / 3,
            "bytes are kept as bytes: {} {}",
            cbor.len(),
            json.len()
        );
    }

    #[test]
    fn what_is_damaged_is_refused_and_not_repeated() {
        let value = serde_json::to_value(file()).unwrap();
        let key = value["key"].as_str().unwrap().to_owned();
        let refusal = |field: &str, with: serde_json::Value| {
            let mut value = value.clone();
            value[field] = with;
            serde_json::from_value::<EncryptedFile>(value)
                .err()
                .unwrap()
                .to_string()
        };
        let head = value["head"].as_str().unwrap();
        for (field, with) in [
            ("head", head[2..].into()),
            ("head", format!("{head}00").into()),
            ("key", key[2..].into()),
            ("key", format!("{}x", &key[1..]).into()),
            ("size", u64::MAX.into()),
            ("root", "Qm".into()),
            ("more", 1.into()),
        ] {
            let error = refusal(field, with);
            assert!(!error.contains(&key[10..40]), "{error}");
        }
    }
}
