//! Entries for the fuzz targets of `tests/fuzz`.

pub use crate::rpc::fuzzing::{id_of, Frame, Session};
