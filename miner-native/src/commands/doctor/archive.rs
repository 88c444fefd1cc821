//! Whether the archive is reached, where one is named, and whose it is. It is only read.

use super::finding::Finding;
use super::ANSWER;
use crate::configuration::ArchiveOptions;
use sealdrop_miner::archive::{ArchiveConfig, ArchiveError, Owner};

/// Looks at the archive; nothing where none is named.
pub async fn examine(options: ArchiveOptions) -> Option<Finding> {
    let config = ArchiveConfig {
        place: options.archive?,
        endpoint: options.archive_endpoint,
        region: options.archive_region,
    };
    let place = config.to_string();
    let owner = tokio::time::timeout(ANSWER, owner(config)).await;
    Some(match owner {
        Ok(Ok(Some(owner))) => Finding::ok("archive", format!("{place} answers, and is that of {owner}")),
        Ok(Ok(None)) => Finding::ok(
            "archive",
            format!("{place} answers, and nothing is there yet: the daemon makes it its own"),
        ),
        Ok(Err(error)) => away(error.to_string()),
        Err(_) => away(format!("{place} does not answer within {} s", ANSWER.as_secs())),
    })
}

async fn owner(config: ArchiveConfig) -> Result<Option<Owner>, ArchiveError> {
    let archive = tokio::task::block_in_place(|| config.open())?;
    archive.owner().await
}

fn away(text: String) -> Finding {
    let advice = "mount the folder, or see that endpoint, bucket and keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) are right: nothing is archived or brought back until then";
    Finding::wrong("archive", text, advice)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn folder(place: &std::path::Path) -> ArchiveOptions {
        ArchiveOptions {
            archive: place.to_str().map(str::to_owned),
            ..ArchiveOptions::default()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_archive_that_is_not_there_is_told() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        assert!(examine(ArchiveOptions::default()).await.is_none());
        let found = examine(folder(dir.path())).await.expect("one is named");
        assert_eq!(found.level, Level::Ok, "{}", found.described());
        let found = examine(folder(&dir.path().join("none"))).await.expect("one is named");
        assert_eq!(found.level, Level::Wrong, "{}", found.described());
        let nobody = ArchiveOptions {
            archive: Some("s3://bucket/miner".into()),
            archive_endpoint: Some("http://127.0.0.1:1".into()),
            archive_region: None,
        };
        let found = examine(nobody).await.expect("one is named");
        assert_eq!(found.level, Level::Wrong, "{}", found.described());
    }
}
