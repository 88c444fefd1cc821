//! What the fuzz targets share: an input read as a script of choices, and the machines' inputs drawn from it.
//!
//! A target of a machine does what the script says, and looks after each input at what must hold whatever came before. One
//! step of a script is a few bytes, so that the fuzzer's cuts and splices stay scripts.

pub mod machines;

use serde::de::DeserializeOwned;
use serde::Serialize;

/// Longest script: a few hundred steps, after which nothing new comes.
const LONGEST: usize = 1024;

/// An input, read from the front. Where it ends, every choice is the first.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self(&input[..input.len().min(LONGEST)])
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A choice of so many.
    pub fn below(&mut self, count: u8) -> u8 {
        self.byte() % count
    }

    pub fn chance(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number of any size: small ones, those around a power of two, and arbitrary ones.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            kind @ 0..=127 => kind.into(),
            kind @ 128..=191 => (1u64 << (kind & 63)).wrapping_add_signed(i64::from(self.byte() as i8)),
            192..=223 => u16::from_le_bytes([self.byte(), self.byte()]).into(),
            _ => u64::from_le_bytes(core::array::from_fn(|_| self.byte())),
        }
    }

    /// At most so many bytes as they are.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = usize::from(self.byte()).min(most).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    pub fn text(&mut self, most: usize) -> String {
        String::from_utf8_lossy(self.bytes(most)).into_owned()
    }
}

/// The value as it is after a restart.
pub fn reloaded<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let mut kept = Vec::new();
    ciborium::into_writer(value, &mut kept).expect("writing to a Vec cannot fail");
    ciborium::from_reader(kept.as_slice()).expect("what was kept is read")
}
