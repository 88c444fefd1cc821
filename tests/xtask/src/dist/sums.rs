//! `SHA256SUMS`, as `sha256sum --check` reads it.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The file's name.
pub const NAME: &str = "SHA256SUMS";

/// Writes the digests of a folder's files.
pub fn write(folder: &Path, names: &[String]) -> Result<()> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    let mut text = String::new();
    for name in names {
        let path = folder.join(name);
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let digest = digest(file).with_context(|| format!("cannot read {}", path.display()))?;
        text.push_str(&line(&digest, name));
    }
    fs::write(folder.join(NAME), text).with_context(|| format!("cannot write {NAME}"))
}

fn digest(mut file: impl Read) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn line(digest: &str, name: &str) -> String {
    format!("{digest}  {name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest is the example of FIPS 180-4.
    #[test]
    fn a_line_is_what_sha256sum_reads() {
        let digest = digest(&b"abc"[..]).expect("it is in memory");
        assert_eq!(
            line(&digest, "a.tar.gz"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.tar.gz\n"
        );
    }
}
