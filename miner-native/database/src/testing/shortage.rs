//! A disk that is full for a while, and a process that has no file descriptors for a while: any call that needs either fails, from
//! the n-th on, until there is room again. The process lives on. Its wall clock can be set ahead and back, too.
//!
//! `fail_calls.c` is preloaded into the process; a [`Shortage`] steers it by a file that both have in memory.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Bytes of a path in the state.
const PATH: usize = 1024;
/// Where the parts of the state are: the same in `fail_calls.c`.
const KIND: u64 = 0;
const BEFORE: u64 = 8;
const FAILED: u64 = 16;
const PREFIX: u64 = 24;
const FIRST: u64 = PREFIX + PATH as u64;
const CLOCK_AHEAD: u64 = FIRST + PATH as u64;
const STATE: u64 = CLOCK_AHEAD + 8;

/// The library that is preloaded, made by a C compiler; `None` where there is none.
pub fn interposer() -> Option<TempDir> {
    super::preloaded("fail_calls.c", "fail.so")
}

/// What is short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Short<'a> {
    /// Room on the disk of what lies at this path or below; what begins like it counts, too.
    Disk(&'a Path),
    Descriptors,
}

/// Steers one process.
#[derive(Debug)]
pub struct Shortage {
    state: File,
    dir: TempDir,
}

impl Shortage {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let state = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path);
        let state = state.unwrap();
        state.set_len(STATE).unwrap();
        Self { state, dir }
    }

    /// The process that this command starts is steered; `library` is what [`interposer`] made.
    pub fn steer(&self, command: &mut Command, library: &TempDir) {
        super::preload(command, &library.path().join("fail.so"));
        command.env("SHORTAGE_STATE", self.dir.path().join("state"));
    }

    /// The process's wall clock is so many seconds ahead of the machine's from now on; behind it when negative.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.state.write_all_at(&seconds.to_le_bytes(), CLOCK_AHEAD).unwrap();
    }

    /// From the call after the next `before` ones on, there is none of it.
    pub fn begin(&self, short: &Short, before: u64) {
        let (kind, prefix) = match short {
            Short::Disk(path) => (1, path.to_str().unwrap()),
            Short::Descriptors => (2, ""),
        };
        assert!(prefix.len() < PATH);
        let mut bytes = prefix.as_bytes().to_vec();
        bytes.resize(PATH, 0);
        self.put(KIND, 0);
        self.state.write_all_at(&bytes, PREFIX).unwrap();
        self.state.write_all_at(&[0; PATH], FIRST).unwrap();
        self.put(FAILED, 0);
        self.put(BEFORE, before);
        self.put(KIND, kind);
    }

    /// There is enough of everything again.
    pub fn end(&self) {
        self.put(KIND, 0);
    }

    /// Calls that failed since [`Self::begin`].
    pub fn failed(&self) -> u64 {
        let mut bytes = [0; 8];
        self.state.read_exact_at(&mut bytes, FAILED).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// The call that failed first since then, and its path.
    pub fn first(&self) -> String {
        let mut bytes = [0; PATH];
        self.state.read_exact_at(&mut bytes, FIRST).unwrap();
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    fn put(&self, at: u64, value: u64) {
        self.state.write_all_at(&value.to_le_bytes(), at).unwrap();
    }
}

impl Default for Shortage {
    fn default() -> Self {
        Self::new()
    }
}
