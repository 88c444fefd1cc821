//! What can go wrong; with every one of these the caller still has bellperson's prover.

use bellperson::SynthesisError;
use std::io;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The parameter file cannot be used.
    #[error("parameter file")]
    Parameters(#[from] ParametersError),
    /// The circuit's own code failed.
    #[error("synthesis")]
    Synthesis(#[source] SynthesisError),
    /// The parameters were made for another circuit.
    #[error("the circuit has {circuit} {what}, the parameters have room for {parameters}")]
    DoNotFit {
        /// What was counted.
        what: &'static str,
        /// In the circuit.
        circuit: usize,
        /// In the parameters.
        parameters: usize,
    },
    /// The witness does not satisfy the circuit: A·B - C is no multiple of the vanishing polynomial.
    #[error("the witness does not satisfy the circuit")]
    Unsatisfied,
    /// The caller's flag was raised.
    #[error("stopped")]
    Stopped,
    /// The system gave no memory.
    #[error("no memory for {bytes} bytes")]
    OutOfMemory {
        /// What was asked for.
        bytes: usize,
        /// The system's word.
        source: io::Error,
    },
    /// The proof that was made does not verify: a wrong witness that slipped through, wrong parameters or a broken kernel.
    #[error("the proof does not verify")]
    Refused,
}

/// What is wrong with a parameter file.
#[derive(Debug, thiserror::Error)]
pub enum ParametersError {
    /// It cannot be opened or mapped.
    #[error("cannot be mapped")]
    Map(#[source] io::Error),
    /// The verifying key at its front cannot be read.
    #[error("verifying key")]
    VerifyingKey(#[source] io::Error),
    /// The key's delta is the point at infinity: whoever made it could forge proofs.
    #[error("the verifying key's delta is the point at infinity")]
    Subverted,
    /// It ends inside an array.
    #[error("ends inside {array}: {needed} bytes needed, {left} left")]
    Truncated {
        /// Which.
        array: &'static str,
        /// The array's length, with its count.
        needed: u64,
        /// What the file has there.
        left: u64,
    },
    /// There is something behind the last array.
    #[error("{0} bytes behind the last array")]
    Trailing(u64),
    /// The array's lengths do not belong together.
    #[error("{array} has {len} points, which fits no circuit")]
    Length {
        /// Which.
        array: &'static str,
        /// Its length.
        len: usize,
    },
}
