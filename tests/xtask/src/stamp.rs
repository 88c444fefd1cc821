//! Whether a step's inputs are the ones of its last success. Used for steps whose tool cannot tell by itself.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};

use crate::project::Project;

/// Folders that hold results or other people's code, never a step's input.
const NOT_INPUTS: [&str; 4] = ["node_modules", "dist", "target", ".git"];

/// The state of a step's inputs, taken before the step runs and saved after it succeeded.
pub struct Stamp {
    file: PathBuf,
    now: String,
}

impl Stamp {
    /// Takes the state of `inputs` (files, or folders with everything below them except results).
    pub fn take(project: &Project, step: &str, inputs: &[PathBuf]) -> Result<Self> {
        let mut files = Vec::new();
        for input in inputs {
            collect(input, &mut files)?;
        }
        files.sort();
        let mut hasher = DefaultHasher::new();
        for file in &files {
            let about = fs::metadata(file).with_context(|| format!("cannot look at {}", file.display()))?;
            let changed = about
                .modified()
                .ok()
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            (file, about.len(), changed).hash(&mut hasher);
        }
        let file = project.stamps().join(format!("{step}.stamp"));
        Ok(Self {
            file,
            now: format!("{:016x}", hasher.finish()),
        })
    }

    /// Whether the step already succeeded with these inputs and its result is still there.
    pub fn is_current(&self, result: &Path) -> bool {
        result.exists() && fs::read_to_string(&self.file).is_ok_and(|last| last == self.now)
    }

    /// Records the step's success.
    pub fn save(self) -> Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        fs::write(&self.file, self.now).with_context(|| format!("cannot write {}", self.file.display()))
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let Ok(entries) = fs::read_dir(path) else {
        return Ok(()); // an input that does not exist yet counts once it does
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", path.display()))?;
        let name = entry.file_name();
        // The TypeScript compiler's notes change with every build.
        let noted = Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "tsbuildinfo");
        if !noted && !NOT_INPUTS.iter().any(|other| name == *other) {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}
