//! Where an archive is.

use super::{Archive, ArchiveError};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The scheme of a bucket's URL.
const S3: &str = "s3://";
/// How long a connection is waited for, and a part's way: two of 16 MiB at 120 kB/s.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const REQUEST_LIMIT: Duration = Duration::from_secs(300);
/// How often a request is tried again, and for how long: beyond that, health says so.
const RETRIES: usize = 3;
const RETRY_LIMIT: Duration = Duration::from_secs(20);
/// What says who asks: one of them has to be there.
const KEYS: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_METADATA_ENDPOINT",
];

/// Where an archive is. Keys for S3 come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`), as for every program that speaks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// A folder, or `s3://bucket/prefix`.
    pub place: String,
    /// The store's URL, where it is not Amazon's.
    pub endpoint: Option<String>,
    pub region: Option<String>,
}

impl ArchiveConfig {
    /// Fails when it can be no archive; asks nobody.
    pub fn check(&self) -> Result<(), ArchiveError> {
        match self.bucket()? {
            Some(_) => self.s3().map(drop),
            None => Ok(()),
        }
    }

    /// Its bucket and prefix; `None` for a folder. What is refused is not shown: there may be a key in it.
    fn bucket(&self) -> Result<Option<(&str, &str)>, ArchiveError> {
        let Some(rest) = self.place.strip_prefix(S3) else {
            return match (
                self.place.contains("://"),
                self.endpoint.is_some() || self.region.is_some(),
            ) {
                (true, _) => Err(wrong("nothing of this kind is known")),
                (false, true) => Err(wrong("a folder has no endpoint and no region")),
                (false, false) => Ok(None),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        match bucket.is_empty() || rest.contains('@') || rest.contains(':') {
            true => Err(wrong("a bucket has a name, and no key in it")),
            false => Ok(Some((bucket, prefix))),
        }
    }

    /// Fails unless the endpoint is the URL of a server, with nothing secret in it.
    fn check_endpoint(&self) -> Result<(), ArchiveError> {
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        let url = reqwest::Url::parse(endpoint).map_err(|_| wrong("its endpoint is no URL"))?;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let is_server = ["http", "https"].contains(&url.scheme()) && url.has_host();
        match is_plain && is_server {
            true => Ok(()),
            false => Err(wrong(
                "its endpoint is not https://host or http://host, without user and query",
            )),
        }
    }

    fn s3(&self) -> Result<Arc<dyn ObjectStore>, ArchiveError> {
        let (bucket, prefix) = self.bucket()?.unwrap_or_default();
        self.check_endpoint()?;
        let endpoint = self.endpoint.clone().unwrap_or_default();
        // An endpoint in the clear is one that the operator has named.
        let options = ClientOptions::new()
            .with_allow_http(endpoint.starts_with("http://"))
            .with_connect_timeout(CONNECT_LIMIT)
            .with_timeout(REQUEST_LIMIT);
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES,
            retry_timeout: RETRY_LIMIT,
        };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        let store = builder.build().map_err(|error| wrong(&error.to_string()))?;
        let prefix = Location::parse(prefix).map_err(|error| wrong(&error.to_string()))?;
        Ok(Arc::new(PrefixStore::new(store, prefix)))
    }

    /// Opens it. A folder must be there: one that is not may be a disk that is not mounted.
    pub fn open(&self) -> Result<Archive, ArchiveError> {
        if self.bucket()?.is_some() {
            if !KEYS.iter().any(|key| std::env::var_os(key).is_some()) {
                return Err(wrong("no key is in the environment"));
            }
            let store = self.s3()?;
            return Ok(Archive { store, folder: None });
        }
        let folder = PathBuf::from(&self.place);
        let store = LocalFileSystem::new_with_prefix(&folder).map_err(|error| wrong(&error.to_string()))?;
        // What a crash leaves of files on their way is called otherwise, and folders go with what was in them.
        let store = Arc::new(store.with_automatic_cleanup(true));
        let folder = Some(folder);
        Ok(Archive { store, folder })
    }
}

fn wrong(reason: &str) -> ArchiveError {
    ArchiveError::Place { reason: reason.into() }
}

impl fmt::Display for ArchiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        match &self.endpoint {
            Some(endpoint) => write!(f, " at {endpoint}"),
            None => Ok(()),
        }
    }
}
