//! Manifests from anybody, and paths: what is read is written the same, and whatever it says, nothing of it lies outside of the chosen
//! folder, outside of its file, or in two places.
#![no_main]

use shared::file::{FileEntry, FileSystem, Manifest, RelativePath, TrueNames};
use std::path::{Component, Path};

/// The file lies below the folder that was chosen, and its pieces are the file.
fn check_file(file: &FileEntry) {
    let chosen = Path::new("chosen");
    let written = file
        .path()
        .parts()
        .fold(chosen.to_owned(), |path, part| path.join(part));
    assert!(written.starts_with(chosen) && written != chosen);
    assert!(written.components().all(|part| matches!(part, Component::Normal(_))));
    let size = file.size();
    let mut end = 0;
    for piece in file.pieces() {
        assert!(piece.offset == end && piece.size > 0 && piece.commitment().is_ok());
        end = piece.end();
    }
    assert_eq!(end, size);
    for range in [0..size, size / 3..size, 0..size / 2, size..size] {
        let (mut at, end) = (range.start, range.end);
        for span in file.spans(range).expect("it lies in the file") {
            assert_eq!(file.pieces()[span.piece].offset + span.bytes.start, at);
            at += span.bytes.end - span.bytes.start;
        }
        assert_eq!(at, end);
    }
    assert!(file.spans(0..size + 1).is_err());
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(manifest) = Manifest::read(input) {
        assert_eq!(manifest.to_bytes().as_deref(), Ok(input));
        assert!(manifest.name().is_name());
        manifest.files().iter().for_each(check_file);
        let neighbours = manifest.files().iter().zip(manifest.files().iter().skip(1));
        for (before, file) in neighbours {
            assert!(before.path() < file.path());
        }
        let _ = (manifest.size(), manifest.writable_on(FileSystem::Windows));
    }
    // What was encrypted comes from whoever wrote the manifest.
    if let Ok(names) = TrueNames::read(input) {
        assert_eq!(names.to_bytes().as_deref(), Ok(input));
    }
    if let Some(path) = std::str::from_utf8(input)
        .ok()
        .and_then(|text| RelativePath::parse(text).ok())
    {
        assert_eq!(path.as_str().as_bytes(), input);
        assert!(path.parts().all(|part| !matches!(part, "" | "." | "..")));
        if path.writable_on(FileSystem::Windows).is_ok() {
            assert!(!path.as_str().contains([':', '\\', '\0', '"', '*']));
        }
    }
});
