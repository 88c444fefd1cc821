//! How results are printed: as text for people, or as one JSON value for programs. Results go to the standard output,
//! everything else to the standard error.

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use std::io::{self, Write};

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
    pub fn show<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) {
        if !self.json {
            let text = text();
            // A result of no lines has none, not an empty one.
            if !text.is_empty() {
                say(text.trim_end_matches('\n'));
            }
            return;
        }
        // Everything shown has text keys and no own serializer that fails.
        let json = serde_json::to_string(value).expect("a view of plain data is JSON");
        say(json);
    }
}

/// Prints a line of a result. A reader that has heard enough, such as `head`, is no error.
pub fn say(line: impl Display) {
    drop(writeln!(io::stdout(), "{line}"));
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
}
