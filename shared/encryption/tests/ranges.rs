//! Ranges, pushes and whatever was done to the bytes, in random cases: a range is always a part of the whole, and what was changed is
//! never taken for the file.

#![allow(clippy::unwrap_used)]

use std::ops::Range;
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;
use sealdrop_encryption::{
    DecryptError, Decryptor, EncryptedFile, EncryptionKey, Encryptor, Identity, Keys, Recipients, StreamDecryptor,
    CHUNK_BYTES, SEALED_CHUNK_BYTES,
};

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| Identity::generate().unwrap())
}

fn keys() -> Keys<'static> {
    Keys::Identities(std::slice::from_ref(identity()))
}

/// A file of bytes that differ from chunk to chunk.
fn plaintext(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

struct Sample {
    plain: Vec<u8>,
    cipher: Vec<u8>,
    file: EncryptedFile,
}

/// A file as the streaming encryptor makes it of pushes of these lengths.
fn sample(length: u64, pushes: &[usize]) -> Sample {
    let plain = plaintext(length);
    let recipients = [identity().recipient()];
    let key = EncryptionKey::generate(&Recipients::X25519(&recipients)).unwrap();
    let (mut encryptor, mut cipher) = (Encryptor::new(key), Vec::new());
    for part in cut(&plain, pushes) {
        encryptor.push(part, &mut cipher);
    }
    let file = encryptor.finish(&mut cipher).unwrap();
    Sample { plain, cipher, file }
}

/// `bytes` in parts of these lengths, and the rest.
fn cut<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let (mut parts, mut rest) = (Vec::new(), bytes);
    for length in lengths {
        let (part, behind) = rest.split_at((*length).min(rest.len()));
        parts.push(part);
        rest = behind;
    }
    parts.push(rest);
    parts
}

fn part(bytes: &[u8], range: Range<u64>) -> &[u8] {
    &bytes[range.start as usize..range.end as usize]
}

/// The range of the ciphertext, made again.
fn again(sample: &Sample, range: &Range<u64>) -> Vec<u8> {
    let needed = sample.file.plain_range(range).unwrap();
    let made = sample.file.encrypt_range(range, part(&sample.plain, needed));
    let expected = part(&sample.cipher, range.clone());
    made.unwrap().release_if(|bytes| bytes == expected).unwrap()
}

fn decrypted(cipher: &[u8], pushes: &[usize]) -> Result<Vec<u8>, DecryptError> {
    let (mut decryptor, mut out) = (StreamDecryptor::new(keys()), Vec::new());
    for part in cut(cipher, pushes) {
        decryptor.push(part, &mut out)?;
    }
    decryptor.finish(&mut out)?;
    Ok(out)
}

/// Lengths around the ends of chunks, and any others.
fn lengths() -> impl Strategy<Value = u64> {
    let at_a_boundary = (0u64..5, 0u64..=2).prop_map(|(chunks, more)| (chunks * CHUNK_BYTES + more).saturating_sub(1));
    prop_oneof![at_a_boundary, 0..300_000u64]
}

fn pushes() -> impl Strategy<Value = Vec<usize>> {
    let length = prop_oneof![0usize..3, 65_530usize..65_560, 1usize..200_000];
    prop::collection::vec(length, 0..6)
}

fn range(ends: &(Index, Index), length: usize) -> Range<u64> {
    let (a, b) = (ends.0.index(length + 1) as u64, ends.1.index(length + 1) as u64);
    a.min(b)..a.max(b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_range_of_the_ciphertext_is_made_again(length in lengths(), pushes in pushes(), ends in prop::collection::vec(any::<(Index, Index)>(), 4)) {
        let sample = sample(length, &pushes);
        prop_assert_eq!(sample.file.ciphertext_len(), sample.cipher.len() as u64);
        prop_assert_eq!(sample.file.plain_len(), length);
        for ends in &ends {
            let range = range(ends, sample.cipher.len());
            prop_assert!(again(&sample, &range) == part(&sample.cipher, range));
        }
    }

    #[test]
    fn ranges_side_by_side_are_the_whole(length in lengths(), cuts in pushes()) {
        let sample = sample(length, &[]);
        let (mut whole, mut at) = (Vec::new(), 0);
        for part in cut(&sample.cipher, &cuts) {
            let end = at + part.len() as u64;
            whole.extend(again(&sample, &(at..end)));
            at = end;
        }
        prop_assert!(decrypted(&whole, &cuts).unwrap() == sample.plain);
    }

    #[test]
    fn any_range_of_the_file_is_read_from_its_chunks_alone(length in lengths(), ends in prop::collection::vec(any::<(Index, Index)>(), 4)) {
        let sample = sample(length, &[]);
        let head = &sample.cipher[..sample.cipher.len().min(300)];
        let opened = Decryptor::open(head, sample.cipher.len() as u64, &keys()).unwrap();
        prop_assert_eq!(opened.plain_len(), length);
        for decryptor in [opened, sample.file.decryptor()] {
            decryptor.check_end(part(&sample.cipher, decryptor.end_range())).unwrap();
            for ends in &ends {
                let range = range(ends, sample.plain.len());
                let needed = decryptor.cipher_range(&range).unwrap();
                prop_assert!(needed.end - needed.start <= range.end - range.start + 2 * SEALED_CHUNK_BYTES + (range.end - range.start) / 4096);
                let read = decryptor.decrypt_range(&range, part(&sample.cipher, needed)).unwrap();
                prop_assert!(read == part(&sample.plain, range));
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_noticed(length in lengths(), at in any::<Index>(), pushes in pushes()) {
        let sample = sample(length, &[]);
        let short = &sample.cipher[..at.index(sample.cipher.len())];
        prop_assert!(decrypted(short, &pushes).is_err());
        let opened = Decryptor::open(short, short.len() as u64, &keys());
        if let Ok(decryptor) = opened {
            let end = part(short, decryptor.end_range());
            prop_assert!(decryptor.check_end(end).is_err());
        }
    }

    #[test]
    fn a_file_with_bytes_behind_it_is_noticed(length in lengths(), more in 1usize..70_000, pushes in pushes()) {
        let mut long = sample(length, &[]).cipher;
        long.resize(long.len() + more, 7);
        prop_assert!(decrypted(&long, &pushes).is_err());
        if let Ok(decryptor) = Decryptor::open(&long, long.len() as u64, &keys()) {
            let end = part(&long, decryptor.end_range());
            prop_assert!(decryptor.check_end(end).is_err());
        }
    }

    #[test]
    fn a_changed_bit_is_noticed_and_what_came_before_it_is_right(length in lengths(), at in any::<Index>(), bit in 0u8..8, pushes in pushes()) {
        let mut sample = sample(length, &[]);
        let at = at.index(sample.cipher.len());
        sample.cipher[at] ^= 1 << bit;
        let (mut decryptor, mut out) = (StreamDecryptor::new(keys()), Vec::new());
        let parts = cut(&sample.cipher, &pushes);
        let pushed = parts.iter().try_for_each(|part| decryptor.push(part, &mut out));
        prop_assert!(pushed.is_err() || decryptor.finish(&mut out).is_err());
        prop_assert!(sample.plain.starts_with(&out));
    }

    #[test]
    fn arbitrary_bytes_are_refused_and_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), behind_a_version in any::<bool>()) {
        let mut bytes = bytes;
        if behind_a_version {
            bytes.splice(0..0, b"age-encryption.org/v1\n-> X25519 ".iter().copied());
        }
        prop_assert!(decrypted(&bytes, &[3, 40]).is_err());
        prop_assert!(Decryptor::open(&bytes, u64::MAX, &keys()).is_err());
    }
}

#[test]
fn chunks_that_change_places_are_noticed() {
    let sample = sample(3 * CHUNK_BYTES, &[]);
    let head = sample.cipher.len() - 3 * SEALED_CHUNK_BYTES as usize;
    let mut moved = sample.cipher.clone();
    let (first, second) = moved[head..].split_at_mut(SEALED_CHUNK_BYTES as usize);
    first.swap_with_slice(&mut second[..SEALED_CHUNK_BYTES as usize]);
    assert_eq!(decrypted(&moved, &[]), Err(DecryptError::Damaged { offset: 0 }));
    // A range behind them is whole, and is read.
    let decryptor = Decryptor::open(&moved, moved.len() as u64, &keys()).unwrap();
    let last = 2 * CHUNK_BYTES..3 * CHUNK_BYTES;
    let needed = decryptor.cipher_range(&last).unwrap();
    assert!(decryptor.decrypt_range(&last, part(&moved, needed)).unwrap() == part(&sample.plain, last));
}

#[test]
fn what_is_missing_and_what_is_too_much_have_their_own_words() {
    let sample = sample(2 * CHUNK_BYTES, &[]);
    let chunk = SEALED_CHUNK_BYTES as usize;
    let missing = DecryptError::Truncated("its last bytes are missing");
    let short = &sample.cipher[..sample.cipher.len() - chunk];
    assert_eq!(decrypted(short, &[]), Err(missing.clone()));
    let decryptor = Decryptor::open(short, short.len() as u64, &keys()).unwrap();
    assert_eq!(
        decryptor.check_end(part(short, decryptor.end_range())),
        Err(missing.clone())
    );
    let head = &sample.cipher[..sample.cipher.len() - 2 * chunk];
    assert_eq!(decrypted(head, &[]), Err(missing));
    let long = [sample.cipher.as_slice(), &[0; 100]].concat();
    assert_eq!(decrypted(&long, &[]), Err(DecryptError::Trailing));
    // An empty chunk behind the last one: only the empty file has one.
    let long = [sample.cipher.as_slice(), &[0; 16]].concat();
    assert!(matches!(
        Decryptor::open(&long, long.len() as u64, &keys()).err(),
        Some(DecryptError::Truncated(_))
    ));
}

#[test]
fn a_range_needs_exactly_its_bytes() {
    let sample = sample(CHUNK_BYTES + 10, &[]);
    let decryptor = sample.file.decryptor();
    let range = 5..CHUNK_BYTES + 1;
    let needed = decryptor.cipher_range(&range).unwrap();
    let bytes = part(&sample.cipher, needed);
    for wrong in [&bytes[1..], &bytes[..bytes.len() - 1], b""] {
        let refused = decryptor.decrypt_range(&range, wrong);
        assert!(matches!(refused, Err(DecryptError::Ciphertext { .. })));
    }
    assert!(matches!(
        decryptor.decrypt_range(&(0..u64::MAX), bytes),
        Err(DecryptError::Range(_))
    ));
}

#[test]
fn after_an_error_the_same_error_is_told() {
    let mut decryptor = StreamDecryptor::new(keys());
    let mut out = Vec::new();
    assert_eq!(decryptor.push(b"\x89PNG", &mut out), Err(DecryptError::NotAge));
    assert_eq!(decryptor.push(b"age", &mut out), Err(DecryptError::NotAge));
    assert_eq!(decryptor.finish(&mut out), Err(DecryptError::NotAge));
}

#[test]
fn memory_is_constant_however_long_the_file_is() {
    let recipients = [identity().recipient()];
    let key = EncryptionKey::generate(&Recipients::X25519(&recipients)).unwrap();
    let (mut encryptor, mut decryptor) = (Encryptor::new(key), StreamDecryptor::new(keys()));
    let (mut cipher, mut plain, mut length) = (Vec::new(), Vec::new(), 0u64);
    let push = [7; 100_000];
    for _ in 0..200 {
        cipher.clear();
        plain.clear();
        encryptor.push(&push, &mut cipher);
        decryptor.push(&cipher, &mut plain).unwrap();
        length += plain.len() as u64;
        // What a push and a held chunk come to, twice over for how a vector grows.
        assert!(cipher.capacity() < 400_000 && plain.capacity() < 400_000);
    }
    cipher.clear();
    let file = encryptor.finish(&mut cipher).unwrap();
    decryptor.push(&cipher, &mut plain).unwrap();
    plain.clear();
    decryptor.finish(&mut plain).unwrap();
    assert!(length + 2 * CHUNK_BYTES > file.plain_len());
    assert_eq!(file.plain_len(), 200 * 100_000);
}
