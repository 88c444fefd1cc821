//! Names of files and where they come back: nothing that a manifest says is written outside of the chosen folder.
//!
//! A path is relative, its parts are divided by `/`, and every part is the name of one thing: not empty, not `.` or `..`. Whatever
//! some system takes for more than a name (`\`, a drive such as `C:`) is refused everywhere, since a manifest comes from one system and
//! is written on another. All other names are allowed, in any script and form; two that differ in a byte are two. Which of them a file
//! system cannot hold, or takes for one, says [`RelativePath::writable_on`] and [`super::Manifest::writable_on`] before anything is
//! written. A host creates every file anew (`create_new`), so that names which its file system takes for one by rules of its own
//! (Unicode's composed and decomposed forms on macOS) are an error and never one file over another.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::cmp::Ordering;
use core::fmt;

/// Bytes of a part: 255 UTF-16 units, NTFS's longest name, in UTF-8.
pub const MAX_NAME_BYTES: usize = 765;
/// Bytes of a path: as long as Linux takes.
pub const MAX_PATH_BYTES: usize = 4096;
/// Parts of a path: deeper than folders of people, so that nothing that walks them gets deep.
pub const MAX_DEPTH: usize = 64;

/// What the names of files under way begin with, in anybody's folder: one is written there until what came back is checked. No path may
/// have such a name, so that no manifest puts its bytes where a later retrieval goes on.
pub const UNDER_WAY_PREFIX: &str = ".sealdrop-";

/// Names of Windows' devices, which open the device in any folder and with any extension.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
/// Those that a digit follows.
const NUMBERED_DEVICES: [&str; 2] = ["COM", "LPT"];
/// What may not stand in a name on Windows, beside control characters.
const NOT_ON_WINDOWS: &[char] = &['<', '>', ':', '"', '|', '?', '*'];

/// Why a text is no path of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("a file without a name")]
    Empty,
    #[error("a path of {bytes} bytes is longer than {MAX_PATH_BYTES}")]
    TooLong { bytes: usize },
    #[error("a name of {bytes} bytes is longer than {MAX_NAME_BYTES}")]
    NameTooLong { bytes: usize },
    #[error("a path with more than {MAX_DEPTH} parts")]
    TooDeep,
    #[error("the path {path:?} does not start in the folder")]
    Absolute { path: String },
    #[error("the path {path:?} has a part without a name")]
    EmptyPart { path: String },
    #[error("the path {path:?} has a part that is `.` or `..`")]
    Dots { path: String },
    #[error("the path {path:?} has {character:?} in a name; rename the file")]
    Character { path: String, character: char },
    #[error("the path {path:?} has a part that starts with a drive's letter; rename the file")]
    Drive { path: String },
    #[error("the path {path:?} has a name that begins with {UNDER_WAY_PREFIX:?}, as only files do that are just being brought back; rename the file")]
    UnderWay { path: String },
    /// Only where the path is written.
    #[error("the path {path:?} has a name that Windows keeps for a device")]
    Device { path: String },
    /// Only where the path is written.
    #[error("the path {path:?} has a name that ends in a dot or a space, which Windows leaves out")]
    LeftOut { path: String },
}

/// The rules of where files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// Every name is another: Linux.
    CaseSensitive,
    /// Names that differ in case are one: macOS.
    CaseInsensitive,
    /// Likewise, and many names are not names of files.
    Windows,
}

/// A path from a folder to a file in it, with `/` between its parts. Not to be shown as it is: a name may hold control characters, which
/// its `Debug` form, and with it every error, writes out.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RelativePath(String);

impl RelativePath {
    /// Reads a path; nothing in it is changed or left out.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let bytes = text.len();
        if bytes == 0 {
            return Err(PathError::Empty);
        }
        if bytes > MAX_PATH_BYTES {
            return Err(PathError::TooLong { bytes });
        }
        let path = || text.to_owned();
        if text.starts_with('/') {
            return Err(PathError::Absolute { path: path() });
        }
        if let Some(character) = text.chars().find(|c| matches!(c, '\0' | '\\')) {
            return Err(PathError::Character {
                path: path(),
                character,
            });
        }
        for (depth, part) in text.split('/').enumerate() {
            match part.as_bytes() {
                _ if depth >= MAX_DEPTH => return Err(PathError::TooDeep),
                [] => return Err(PathError::EmptyPart { path: path() }),
                b"." | b".." => return Err(PathError::Dots { path: path() }),
                [letter, b':', ..] if letter.is_ascii_alphabetic() => return Err(PathError::Drive { path: path() }),
                _ if is_under_way(part) => return Err(PathError::UnderWay { path: path() }),
                name if name.len() > MAX_NAME_BYTES => return Err(PathError::NameTooLong { bytes: name.len() }),
                _ => {}
            }
        }
        Ok(Self(path()))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names of the folders on the way and of the file, in order.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether it is the name of a file or a folder and no path.
    pub fn is_name(&self) -> bool {
        !self.0.contains('/')
    }

    /// Whether `other` lies below this, which would have to be a folder.
    pub(super) fn is_above(&self, other: &Self) -> bool {
        let below = other.0.strip_prefix(self.as_str());
        below.is_some_and(|below| below.starts_with('/'))
    }

    /// The path as a file system that does not tell case apart sees it.
    pub(super) fn without_case(&self) -> Self {
        Self(self.0.chars().flat_map(char::to_lowercase).collect())
    }

    /// Refuses a path that cannot be a file's there. Whether two are one says [`super::Manifest::writable_on`].
    pub fn writable_on(&self, place: FileSystem) -> Result<(), PathError> {
        if place != FileSystem::Windows {
            return Ok(());
        }
        let path = || self.0.clone();
        let forbidden = |c: &char| NOT_ON_WINDOWS.contains(c) || c.is_ascii_control();
        if let Some(character) = self.0.chars().find(forbidden) {
            return Err(PathError::Character {
                path: path(),
                character,
            });
        }
        for name in self.parts() {
            if is_device(name) {
                return Err(PathError::Device { path: path() });
            }
            if name.ends_with(['.', ' ']) {
                return Err(PathError::LeftOut { path: path() });
            }
        }
        Ok(())
    }
}

/// Whether a name is that of a file under way, in any case: some file systems do not tell it apart.
pub fn is_under_way(name: &str) -> bool {
    let start = name.get(..UNDER_WAY_PREFIX.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(UNDER_WAY_PREFIX))
}

/// Whether Windows opens a device by this name: by what stands before the first dot, without the spaces at its end.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let is = |device: &str| stem.eq_ignore_ascii_case(device);
    let numbered = |device: &&str| {
        let digit = stem.char_indices().next_back();
        digit.is_some_and(|(at, digit)| {
            let named = stem.get(..at).is_some_and(|name| name.eq_ignore_ascii_case(device));
            named && matches!(digit, '0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}')
        })
    };
    DEVICES.iter().any(|device| is(device)) || NUMBERED_DEVICES.iter().any(numbered)
}

/// By parts: what lies in a folder follows the folder's name at once.
impl Ord for RelativePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(other.parts())
    }
}

impl PartialOrd for RelativePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn path(text: &str) -> RelativePath {
        RelativePath::parse(text).unwrap()
    }

    #[test]
    fn names_of_any_kind_are_names() {
        for text in [
            "a",
            "...",
            "..a",
            "a..",
            ".hidden",
            " ",
            "a b",
            "12:30",
            "\u{1b}[2J",
            "\n",
            "na\u{ef}ve",
            "nai\u{308}ve",
            "\u{202e}gpj.exe",
            "\u{1f4a9}",
            "NUL",
            "a/b/c.txt",
        ] {
            let path = path(text);
            assert_eq!(path.as_str(), text);
            assert_eq!(path.writable_on(FileSystem::CaseSensitive), Ok(()));
            assert_eq!(path.is_name(), !text.contains('/'));
        }
    }

    #[test]
    fn a_path_that_leaves_its_folder_is_refused() {
        for text in ["..", "../a", "a/..", "a/../b", ".", "./a", "a/./b"] {
            let path = text.to_string();
            assert_eq!(RelativePath::parse(text), Err(PathError::Dots { path }));
        }
        for text in ["/", "/etc/passwd", "//server/share"] {
            let path = text.to_string();
            assert_eq!(RelativePath::parse(text), Err(PathError::Absolute { path }));
        }
        for text in ["C:", "c:\u{e4}", "C:a", "a/z:/b", "C:/Windows"] {
            let path = text.to_string();
            assert_eq!(RelativePath::parse(text), Err(PathError::Drive { path }));
        }
        for (text, character) in [
            ("a\\..\\b", '\\'),
            ("\\\\server\\share", '\\'),
            ("a\0b", '\0'),
            ("\0", '\0'),
        ] {
            let path = text.to_string();
            assert_eq!(RelativePath::parse(text), Err(PathError::Character { path, character }));
        }
    }

    #[test]
    fn the_name_of_a_file_under_way_is_refused_in_any_case_and_place() {
        for text in [
            ".sealdrop-x.pieces",
            ".SealDrop-1.partial",
            "a/.sealdrop-",
            ".sealdrop-d/b",
        ] {
            let path = text.to_string();
            assert_eq!(RelativePath::parse(text), Err(PathError::UnderWay { path }));
        }
        for text in [".sealdrop", "sealdrop-x", "a.sealdrop-x", ".\u{17f}ealdrop-x"] {
            assert!(RelativePath::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_part_without_a_name_is_refused() {
        assert_eq!(RelativePath::parse(""), Err(PathError::Empty));
        for text in ["a//b", "a/", "a/b/"] {
            let path = text.to_string();
            assert_eq!(RelativePath::parse(text), Err(PathError::EmptyPart { path }));
        }
    }

    #[test]
    fn a_path_over_a_bound_is_refused() {
        let name = "n".repeat(MAX_NAME_BYTES);
        assert!(RelativePath::parse(&name).is_ok());
        let bytes = MAX_NAME_BYTES + 1;
        assert_eq!(
            RelativePath::parse(&"n".repeat(bytes)),
            Err(PathError::NameTooLong { bytes })
        );
        let deep = |depth: usize| ["d"].repeat(depth).join("/");
        assert!(RelativePath::parse(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(RelativePath::parse(&deep(MAX_DEPTH + 1)), Err(PathError::TooDeep));
        let bytes = MAX_PATH_BYTES + 1;
        assert_eq!(
            RelativePath::parse(&"/".repeat(bytes)),
            Err(PathError::TooLong { bytes })
        );
    }

    #[test]
    fn what_is_no_file_on_windows_is_refused_there() {
        for text in [
            "NUL",
            "nul.txt",
            "a/Con",
            "con .tar.gz",
            "COM1",
            "lpt9.x",
            "com\u{b9}",
            "CONIN$",
            "Aux/b",
        ] {
            let device = path(text).writable_on(FileSystem::Windows);
            assert_eq!(device, Err(PathError::Device { path: text.into() }));
        }
        for text in ["a.", "a ", "...", "a. /b", "\u{e4} "] {
            let left_out = path(text).writable_on(FileSystem::Windows);
            assert_eq!(left_out, Err(PathError::LeftOut { path: text.into() }));
        }
        for (text, character) in [
            ("file:stream", ':'),
            ("a/b?", '?'),
            ("a\nb", '\n'),
            ("\"", '"'),
            ("1:2", ':'),
        ] {
            let refused = path(text).writable_on(FileSystem::Windows);
            let path = text.to_string();
            assert_eq!(refused, Err(PathError::Character { path, character }));
        }
        for text in [
            "NULL",
            "COM",
            "COM10",
            "com\u{b4}",
            "a.nul",
            "console",
            "\u{e4}\u{b9}",
            ".a",
            "nul_",
        ] {
            assert_eq!(path(text).writable_on(FileSystem::Windows), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_lies_in_a_folder_follows_the_folders_name() {
        let mut paths: Vec<_> = ["a!", "a/c", "b", "a", "a/b/c", "a0", "a/b"].map(path).into();
        paths.sort();
        let sorted: Vec<_> = paths.iter().map(RelativePath::as_str).collect();
        assert_eq!(sorted, ["a", "a/b", "a/b/c", "a/c", "a!", "a0", "b"]);
        assert!(path("a").is_above(&path("a/b/c")) && path("a/b").is_above(&path("a/b/c")));
        assert!(!path("a").is_above(&path("a")) && !path("a").is_above(&path("ab/c")));
        assert!(!path("a/b").is_above(&path("a")));
    }
}
