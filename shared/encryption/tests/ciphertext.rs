//! What every machine makes of the same key and the same file, to the byte. `cargo xtask test` runs these in a WebAssembly engine, too
//! (`tests/vectors`), where the cipher is another one.

use sealdrop_encryption::{DecryptError, EncryptedFile, CHUNK_BYTES, SEALED_CHUNK_BYTES};
use sha2::{Digest, Sha256};

/// A kept file of this many bytes, as the client's store has it: one recipient, and a key of counting bytes.
fn kept(size: u64) -> EncryptedFile {
    let head = format!(
        "age-encryption.org/v1\n-> X25519 {}\n{}\n--- {}\nnonce of 16 byte",
        "A".repeat(43),
        "B".repeat(42) + "A",
        "C".repeat(42) + "A"
    );
    let key: Vec<u8> = (0..32).collect();
    let json = format!(
        r#"{{"head":"{}","key":"{}","size":{size},"root":null}}"#,
        hex::encode(head),
        hex::encode(key)
    );
    serde_json::from_str(&json).expect("it is as it is kept")
}

fn plaintext(size: u64) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + at / 251) as u8).collect()
}

fn ciphertext(size: u64) -> Vec<u8> {
    let file = kept(size);
    let made = file.encrypt_range(&(0..file.ciphertext_len()), &plaintext(size));
    made.expect("it is the whole file").for_hashing().to_vec()
}

/// Lengths at which a cipher in vectors does something else: a byte, a vector, a block, four blocks, a chunk, and one more or less.
const SIZES: [u64; 14] = [
    0,
    1,
    15,
    16,
    17,
    63,
    64,
    65,
    255,
    256,
    257,
    CHUNK_BYTES - 1,
    CHUNK_BYTES,
    2 * CHUNK_BYTES + 1000,
];

#[test]
fn the_ciphertext_is_the_same_on_every_machine() {
    let mut all = Sha256::new();
    for size in SIZES {
        all.update(ciphertext(size));
    }
    assert_eq!(
        hex::encode(all.finalize()),
        "ed464343118109a0f25604061bb95330e37f6e2d9ba2138b250c5f678075617b"
    );
}

#[test]
fn what_was_encrypted_is_read_again() {
    for size in SIZES {
        let (file, cipher) = (kept(size), ciphertext(size));
        let decryptor = file.decryptor();
        let head = cipher.len() as u64 - file.plain_len() - (size.div_ceil(CHUNK_BYTES).max(1)) * 16;
        let read = decryptor.decrypt_range(
            &(0..size),
            &cipher[if size == 0 { cipher.len() } else { head as usize }..],
        );
        assert!(read.expect("it is whole") == plaintext(size), "{size} bytes");
        let end = decryptor.end_range();
        let end = &cipher[end.start as usize..end.end as usize];
        decryptor.check_end(end).expect("it is the end");
    }
}

#[test]
fn a_changed_byte_of_a_chunk_or_of_its_tag_is_refused() {
    let (file, cipher) = (kept(CHUNK_BYTES), ciphertext(CHUNK_BYTES));
    let head = cipher.len() - SEALED_CHUNK_BYTES as usize;
    for at in [0, 1, 255, 256, 65_535, 65_536, 65_551] {
        let mut chunk = cipher[head..].to_vec();
        chunk[at] ^= 0x80;
        let read = file.decryptor().decrypt_range(&(0..CHUNK_BYTES), &chunk);
        assert_eq!(read, Err(DecryptError::Damaged { offset: 0 }), "byte {at}");
    }
}
