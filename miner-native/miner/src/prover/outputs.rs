//! What the phases of sealing leave on the disk, so that a crash costs no phase that was finished.
//!
//! ```text
//! SECTOR/outputs/pre-commit-1.json   what phase 1 gave, what it was computed from, and the files that belong to it
//! SECTOR/outputs/pre-commit-2.json   and so on: commit-1, commit-2
//! ```
//! Each is written whole and durable before the sector's stage goes on, and carries its own digest; the files that it
//! names were brought to the disk before. An output counts only for exactly the same inputs, and only while its files are
//! byte for byte what they were. Anything else is as if it were not there. Used by [`super::resuming`].

use super::ProverError;
use crate::failpoint;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Largest output that is read: openings of the largest sectors take tens of megabytes.
const MAX_OUTPUT: u64 = 256 << 20;
/// Bytes that are hashed at a time.
const CHUNK: usize = 1 << 20;

/// A phase whose output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    PreCommit1,
    PreCommit2,
    Commit1,
    Commit2,
}

impl Step {
    /// Its name in texts and on the disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreCommit1 => "pre-commit-1",
            Self::PreCommit2 => "pre-commit-2",
            Self::Commit1 => "commit-1",
            Self::Commit2 => "commit-2",
        }
    }

    /// This phase and those that build on it.
    fn and_later(self) -> &'static [Step] {
        const ALL: &[Step] = &[Step::PreCommit1, Step::PreCommit2, Step::Commit1, Step::Commit2];
        ALL.get(self as usize..).unwrap_or_default()
    }

    /// Its failpoints: before the work, after it, when the output is written, when it has its name.
    pub(super) fn points(self) -> [&'static str; 4] {
        match self {
            Self::PreCommit1 => ["pc1.begun", "pc1.computed", "pc1.written", "pc1.kept"],
            Self::PreCommit2 => ["pc2.begun", "pc2.computed", "pc2.written", "pc2.kept"],
            Self::Commit1 => ["c1.begun", "c1.computed", "c1.written", "c1.kept"],
            Self::Commit2 => ["c2.begun", "c2.computed", "c2.written", "c2.kept"],
        }
    }
}

/// Digest of all that an output depends on.
pub type Inputs = [u8; 32];

/// Gathers what an output depends on.
#[derive(Clone)]
pub struct InputsOf(Sha256);

impl InputsOf {
    /// Inputs of a step.
    pub fn step(step: Step) -> Self {
        Self(Sha256::new()).with(step.name().as_bytes())
    }

    /// Adds a value; its length goes in too, so that two values are never taken for two others.
    pub fn with(mut self, value: &[u8]) -> Self {
        self.0.update((value.len() as u64).to_be_bytes());
        self.0.update(value);
        self
    }

    /// Their digest.
    pub fn digest(self) -> Inputs {
        self.0.finalize().into()
    }
}

/// One file that belongs to an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Below the sector's directory.
    path: PathBuf,
    bytes: u64,
    sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    inputs: String,
    files: Vec<Mark>,
    output: String,
}

/// The outputs of one sector.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// The sector's directory.
    dir: PathBuf,
}

impl Outputs {
    pub fn of(sector: impl Into<PathBuf>) -> Self {
        Self { dir: sector.into() }
    }

    fn folder(&self) -> PathBuf {
        self.dir.join("outputs")
    }

    fn path(&self, step: Step) -> PathBuf {
        self.folder().join(format!("{}.json", step.name()))
    }

    /// Whether a phase was finished here.
    pub fn has_any(&self) -> bool {
        self.path(Step::PreCommit1).exists()
    }

    /// The output for these inputs, without a look at its files.
    pub fn kept(&self, step: Step, inputs: Inputs) -> Option<Vec<u8>> {
        let kept = self.read(step).ok().flatten()?;
        (kept.inputs == hex::encode(inputs)).then(|| hex::decode(&kept.output).ok())?
    }

    /// The output for exactly these inputs, if it and its files are whole.
    pub fn find(&self, step: Step, inputs: Inputs) -> Result<Option<Vec<u8>>, ProverError> {
        let Some(kept) = self.read(step)?.filter(|kept| kept.inputs == hex::encode(inputs)) else {
            return Ok(None);
        };
        for mark in &kept.files {
            let path = self.dir.join(&mark.path);
            match digest_of(&path) {
                Ok((bytes, sha256)) if bytes == mark.bytes && sha256 == mark.sha256 => {}
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(source) => return Err(failed("read", &path)(source)),
            }
        }
        Ok(hex::decode(&kept.output).ok())
    }

    /// Reads an output; one that is not there, cut or changed is none.
    fn read(&self, step: Step) -> Result<Option<Kept>, ProverError> {
        let path = self.path(step);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &path)(source)),
        };
        let mut text = String::new();
        let mut limited = file.take(MAX_OUTPUT);
        match limited.read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::InvalidData => return Ok(None),
            Err(source) => return Err(failed("read", &path)(source)),
        }
        let whole = text.trim_end().rsplit_once('\n');
        let whole = whole.filter(|(body, digest)| hex::encode(Sha256::digest(body)) == *digest);
        Ok(whole.and_then(|(body, _)| serde_json::from_str(body).ok()))
    }

    /// Keeps an output with the files that belong to it, given below the sector's directory; durable when this returns.
    pub fn keep(&self, step: Step, inputs: Inputs, files: &[PathBuf], output: &[u8]) -> Result<(), ProverError> {
        let mark = |path: &PathBuf| {
            let whole = self.dir.join(path);
            let (bytes, sha256) = digest_of(&whole).map_err(failed("read", &whole))?;
            Ok(Mark {
                path: path.clone(),
                bytes,
                sha256,
            })
        };
        let kept = Kept {
            inputs: hex::encode(inputs),
            files: files.iter().map(mark).collect::<Result<_, ProverError>>()?,
            output: hex::encode(output),
        };
        let path = self.path(step);
        let body = serde_json::to_string(&kept).map_err(|e| failed("write", &path)(io::Error::other(e)))?;
        let text = format!("{body}\n{}\n", hex::encode(Sha256::digest(&body)));
        let folder = self.folder();
        fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        // A name that no other machine has, should one be at the same step by mistake.
        let draft = path.with_extension(format!("{:016x}.tmp", rand::random::<u64>()));
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(failed("write", &draft))?;
        failpoint::hit_failpoint(step.points()[2]);
        fs::rename(&draft, &path).map_err(failed("rename", &draft))?;
        sync(&folder)?;
        sync(&self.dir)
    }

    /// Removes the output of a phase and of those that build on it: before their files change, or when they are wrong.
    pub fn discard(&self, from: Step) -> Result<(), ProverError> {
        for step in from.and_later().iter().rev() {
            let path = self.path(*step);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => return Err(failed("remove", &path)(source)),
                _ => {}
            }
        }
        if !self.folder().is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(self.folder())
            .map_err(failed("list", &self.folder()))?
            .flatten()
        {
            // Left by a crash: nobody is at this sector but whoever discards.
            if entry.path().extension().is_some_and(|extension| extension == "tmp") {
                let _ = fs::remove_file(entry.path());
            }
        }
        sync(&self.folder())
    }
}

/// The files of the directory `name` of a sector, below the sector's own, in the order of their names.
pub fn files_in(sector: &Path, name: &str) -> Result<Vec<PathBuf>, ProverError> {
    let dir = sector.join(name);
    let mut found = Vec::new();
    for entry in fs::read_dir(&dir).map_err(failed("list", &dir))? {
        let entry = entry.map_err(failed("list", &dir))?;
        if entry.path().is_file() {
            found.push(Path::new(name).join(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}

/// A file's length and hexadecimal SHA-256.
pub(super) fn digest_of(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut digest, mut bytes, mut chunk) = (Sha256::new(), 0u64, vec![0; CHUNK]);
    loop {
        let read = file.read(&mut chunk)?;
        match chunk.get(..read) {
            None | Some([]) => return Ok((bytes, hex::encode(digest.finalize()))),
            Some(read) => digest.update(read),
        }
        bytes += read as u64;
    }
}

fn sync(dir: &Path) -> Result<(), ProverError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(failed("sync", dir))
}

pub(super) fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ProverError + 'a {
    move |source| ProverError::Output {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector() -> (tempfile::TempDir, Outputs, Inputs) {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("cache")).expect("a folder");
        fs::write(dir.path().join("cache/layer"), [7; 100]).expect("a file");
        let outputs = Outputs::of(dir.path());
        let inputs = InputsOf::step(Step::PreCommit1).with(b"ticket").digest();
        let files = files_in(dir.path(), "cache").expect("it is there");
        outputs
            .keep(Step::PreCommit1, inputs, &files, b"output")
            .expect("it is kept");
        (dir, outputs, inputs)
    }

    #[test]
    fn an_output_is_found_again_for_the_same_inputs_only() {
        let (_dir, outputs, inputs) = sector();
        let found = outputs.find(Step::PreCommit1, inputs).expect("it can be read");
        assert_eq!(found.as_deref(), Some(&b"output"[..]));
        let other = InputsOf::step(Step::PreCommit1).with(b"tick").with(b"et").digest();
        assert_eq!(outputs.find(Step::PreCommit1, other).expect("it can be read"), None);
        assert_eq!(outputs.find(Step::PreCommit2, inputs).expect("it can be read"), None);
    }

    #[test]
    fn an_output_whose_files_are_gone_cut_or_changed_is_none() {
        let changes: [fn(&Path); 3] = [
            |layer| fs::remove_file(layer).expect("it is there"),
            |layer| fs::write(layer, [7; 99]).expect("written"),
            |layer| {
                let mut bytes = [7; 100];
                bytes[50] ^= 1;
                fs::write(layer, bytes).expect("written");
            },
        ];
        for change in changes {
            let (dir, outputs, inputs) = sector();
            change(&dir.path().join("cache/layer"));
            assert_eq!(outputs.find(Step::PreCommit1, inputs).expect("it can be read"), None);
        }
    }

    #[test]
    fn an_output_that_is_half_written_or_damaged_is_none() {
        let (_dir, outputs, inputs) = sector();
        let path = outputs.path(Step::PreCommit1);
        let whole = fs::read(&path).expect("it is there");
        for length in 0..whole.len() - 1 {
            fs::write(&path, &whole[..length]).expect("written");
            assert_eq!(
                outputs.find(Step::PreCommit1, inputs).expect("it can be read"),
                None,
                "{length}"
            );
        }
        for at in (0..whole.len() - 1).step_by(7) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x80;
            fs::write(&path, damaged).expect("written");
            assert_eq!(
                outputs.find(Step::PreCommit1, inputs).expect("it can be read"),
                None,
                "{at}"
            );
        }
    }

    #[test]
    fn discarding_a_phase_discards_those_that_build_on_it() {
        let (_dir, outputs, inputs) = sector();
        let later = InputsOf::step(Step::Commit1).digest();
        outputs
            .keep(Step::Commit1, later, &[], b"openings")
            .expect("it is kept");
        outputs.discard(Step::PreCommit2).expect("removed");
        assert!(outputs.kept(Step::PreCommit1, inputs).is_some());
        assert!(outputs.kept(Step::Commit1, later).is_none());
    }
}
