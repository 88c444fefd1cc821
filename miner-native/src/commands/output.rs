//! How results are printed: as text for people, or as one JSON value for programs. Results go to the standard output,
//! everything else to the standard error.
//!
//! A result that cannot be written is an error (finding E2); a reader that has heard enough, such as `head`, is none: the
//! command goes on to its end without a word.

use super::error::CommandError;
use crate::terminal::{escaped, escaped_lines};
use clap::Args;
use serde::Serialize;
use serde_json::{json, Value};
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

/// The option of every command that reads.
#[derive(Debug, Clone, Copy, Args)]
pub struct Output {
    /// Print the result as one JSON value
    #[arg(long, global = true)]
    json: bool,
}

impl Output {
    /// Whether a program reads the result.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Prints `value`: in JSON, or as the lines of `text`.
    pub fn show<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) -> Result<(), CommandError> {
        if !self.json {
            let text = text();
            // A result of no lines has none, not an empty one.
            return match text.is_empty() {
                true => Ok(()),
                false => say(text.trim_end_matches('\n')),
            };
        }
        // Everything shown has text keys and no own serializer that fails; paths go through [`put_path`].
        let json = serde_json::to_string(value).expect("a view of plain data is JSON");
        print(format!("{}\n", escaped(&json)).as_bytes())
    }
}

/// Prints lines of a result.
pub fn say(lines: impl Display) -> Result<(), CommandError> {
    print(format!("{}\n", escaped_lines(&lines.to_string())).as_bytes())
}

/// Writes bytes of a result.
pub fn print(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::Result(source)),
        _ => Ok(()),
    }
}

/// Puts a path into JSON, whose texts are Unicode: as `key`, and where that cannot be it, with its bytes in hexadecimal
/// digits as `keyBytes`.
pub fn put_path(object: &mut Value, key: &str, path: &Path) {
    object[key] = json!(path.to_string_lossy());
    if path.to_str().is_none() {
        object[format!("{key}Bytes")] = json!(hex::encode(path.as_os_str().as_encoded_bytes()));
    }
}

/// An object with more fields.
pub fn with_fields<const N: usize>(mut object: Value, fields: [(&str, Value); N]) -> Value {
    if let Value::Object(all) = &mut object {
        all.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    }
    object
}

/// Lines of columns, each as wide as its widest cell; the last column is not filled up.
pub fn columns<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "bb", "c"], ["aaa", "b", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(rows), "a    bb  c\naaa  b");
        assert_eq!(columns::<2>([]), "");
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_is_shown_with_its_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let mut value = json!({});
        put_path(&mut value, "path", Path::new("/tmp/a"));
        put_path(&mut value, "other", Path::new(std::ffi::OsStr::from_bytes(b"/b\xff")));
        assert_eq!(
            value,
            json!({ "path": "/tmp/a", "other": "/b\u{fffd}", "otherBytes": "2f62ff" })
        );
    }
}
