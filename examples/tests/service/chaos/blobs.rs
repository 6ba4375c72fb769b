//! What is stored, looked at from beside the server: in a folder, or in a bucket of a server that speaks like S3.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::support::files_below;

/// A bucket that keeps versions, as `s3://BUCKET`; where it is not set, blobs are files. The server of it is in the usual
/// variables of AWS, and answers requests without a signature, too.
const BUCKET: &str = "VOCALIZER_CHAOS_BUCKET";

/// Where the server keeps songs and stems.
pub(super) enum Blobs {
    Files(PathBuf),
    Bucket { url: String, prefix: String },
}

impl Blobs {
    /// A place of its own for each test.
    pub(super) fn new(folder: PathBuf) -> Self {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let Ok(url) = std::env::var(BUCKET) else { return Self::Files(folder) };
        let number = PLACES.fetch_add(1, Ordering::SeqCst);
        Self::Bucket { url, prefix: format!("{}-{number}", std::process::id()) }
    }

    /// As `BLOBS_URL` says it.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Files(folder) => format!("file:{}", folder.display()),
            Self::Bucket { url, prefix } => format!("{url}/{prefix}"),
        }
    }

    /// The name of a song's file.
    pub(super) fn name(&self, hash: &str, file: &str) -> String {
        match self {
            Self::Files(_) => format!("{}/{hash}/{file}", &hash[..2]),
            Self::Bucket { .. } => format!("{hash}/{file}"),
        }
    }

    /// The file of a song's source, where sources are files.
    pub(super) fn source(&self, song: &Value) -> Option<PathBuf> {
        match self {
            Self::Files(folder) => Some(folder.join(self.name(song["hash"].as_str().unwrap(), "source"))),
            Self::Bucket { .. } => None,
        }
    }

    /// Makes other bytes of a song's source, which look right from outside.
    pub(super) async fn damage(&self, http: &reqwest::Client, song: &Value) {
        let hash = song["hash"].as_str().unwrap();
        let name = self.name(hash, "source");
        match self {
            Self::Files(folder) => {
                let path = folder.join(name);
                let size = std::fs::metadata(&path).unwrap().len();
                std::fs::write(path, vec![7; usize::try_from(size).unwrap()]).unwrap();
            }
            Self::Bucket { url, prefix } => {
                let bucket = url.strip_prefix("s3://").unwrap();
                let url = format!("{}/{bucket}/{prefix}/{name}", std::env::var("AWS_ENDPOINT_URL").unwrap());
                let size = http.get(&url).send().await.unwrap().bytes().await.unwrap().len();
                let put = http.put(&url).header("x-amz-meta-sha256", hash).body(vec![7; size]).send().await.unwrap();
                assert!(put.status().is_success(), "{put:?}");
            }
        }
    }

    /// Everything that is there and whose name begins so, with what tells it from the same written again.
    pub(super) async fn written(&self, http: &reqwest::Client, begin: &str) -> BTreeMap<String, String> {
        match self {
            Self::Files(folder) => files(folder, begin),
            Self::Bucket { url, prefix } => {
                let bucket = url.strip_prefix("s3://").unwrap();
                let server = std::env::var("AWS_ENDPOINT_URL").unwrap();
                // More than there will ever be; a second page is told, and ends the test.
                let url = format!("{server}/{bucket}?versions&max-keys=1000000&prefix={prefix}/{begin}");
                let listed = http.get(url).send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
                assert!(listed.contains("<IsTruncated>false<"), "there is more than one page: {}", listed.len());
                latest(&listed, &format!("{prefix}/"))
            }
        }
    }
}

fn files(folder: &Path, begin: &str) -> BTreeMap<String, String> {
    // What begins so is a folder, or the whole of it.
    let found = files_below(&folder.join(begin.rsplit_once('/').map_or("", |(folder, _)| folder)));
    let told = found.into_iter().filter_map(|path| {
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        // A temporary file may be gone by now.
        let found = std::fs::metadata(&path).ok()?;
        Some((name, format!("{} {}", found.ino(), found.mtime_nsec())))
    });
    told.filter(|(name, _)| name.starts_with(begin)).collect()
}

/// The versions in a list of them that are not followed by another one or by a deletion.
fn latest(listed: &str, prefix: &str) -> BTreeMap<String, String> {
    let versions = listed.split("<Version>").skip(1).filter_map(|version| {
        let version = version.split("</Version>").next()?;
        let field = |name: &str| {
            let behind = version.split(&format!("<{name}>")).nth(1).unwrap_or_else(|| panic!("no {name}: {version}"));
            behind.split('<').next().unwrap().to_owned()
        };
        let (is_latest, id) = (field("IsLatest") == "true", field("VersionId"));
        assert_ne!(id, "null", "the bucket keeps no versions");
        is_latest.then(|| (field("Key").strip_prefix(prefix).unwrap().to_owned(), id))
    });
    versions.collect()
}
