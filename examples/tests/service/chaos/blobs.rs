//! Reads the stored files directly: from a folder, or from a bucket of an S3-compatible server.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::support::files_below;

/// A versioned bucket as `s3://BUCKET`; if unset, blobs are files. The usual AWS variables name its server, which must
/// also accept unsigned requests.
const BUCKET: &str = "VOCALIZER_CHAOS_BUCKET";

/// Where the server stores songs and stems.
pub(super) enum Blobs {
    Files(PathBuf),
    Bucket { url: String, prefix: String },
}

impl Blobs {
    /// A separate location for each test.
    pub(super) fn new(folder: PathBuf) -> Self {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let Ok(url) = std::env::var(BUCKET) else { return Self::Files(folder) };
        let number = PLACES.fetch_add(1, Ordering::SeqCst);
        Self::Bucket { url, prefix: format!("{}-{number}", std::process::id()) }
    }

    /// The value for `BLOBS_URL`.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Files(folder) => format!("file:{}", folder.display()),
            Self::Bucket { url, prefix } => format!("{url}/{prefix}"),
        }
    }

    /// The name of a stored file of this hash.
    pub(super) fn name(&self, hash: &str, file: &str) -> String {
        match self {
            Self::Files(_) => format!("{}/{hash}/{file}", &hash[..2]),
            Self::Bucket { .. } => format!("{hash}/{file}"),
        }
    }

    /// The path of a song's source, if blobs are files.
    pub(super) fn source(&self, song: &Value) -> Option<PathBuf> {
        match self {
            Self::Files(folder) => Some(folder.join(self.name(song["hash"].as_str().unwrap(), "source"))),
            Self::Bucket { .. } => None,
        }
    }

    /// Replaces a song's source with other bytes of the same size and metadata.
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
                // moto requires credentials, but does not check them.
                let signed = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
                let got = http.get(&url).header("authorization", signed).send().await.unwrap();
                let size = got.error_for_status().unwrap().bytes().await.unwrap().len();
                let put = http.put(&url).header("authorization", signed).header("x-amz-meta-sha256", hash);
                let put = put.body(vec![7; size]).send().await.unwrap();
                assert!(put.status().is_success(), "{put:?}");
            }
        }
    }

    /// Names of all files with this prefix, each with a value that changes when the file is written again.
    pub(super) async fn written(&self, http: &reqwest::Client, name_prefix: &str) -> BTreeMap<String, String> {
        match self {
            Self::Files(folder) => files(folder, name_prefix),
            Self::Bucket { url, prefix } => {
                let bucket = url.strip_prefix("s3://").unwrap();
                let server = std::env::var("AWS_ENDPOINT_URL").unwrap();
                // More than there will ever be; a second page fails the test.
                let url = format!("{server}/{bucket}?versions&max-keys=1000000&prefix={prefix}/{name_prefix}");
                let listed = http.get(url).send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
                assert!(listed.contains("<IsTruncated>false<"), "the listing has more than one page: {}", listed.len());
                latest(&listed, &format!("{prefix}/"))
            }
        }
    }
}

fn files(folder: &Path, name_prefix: &str) -> BTreeMap<String, String> {
    // List the prefix's folder, or everything.
    let found = files_below(&folder.join(name_prefix.rsplit_once('/').map_or("", |(folder, _)| folder)));
    let named = found.into_iter().filter_map(|path| {
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        // A temporary file may be gone already.
        let found = std::fs::metadata(&path).ok()?;
        Some((name, format!("{} {}", found.ino(), found.mtime_nsec())))
    });
    named.filter(|(name, _)| name.starts_with(name_prefix)).collect()
}

/// The latest versions in a listing, without deleted objects.
fn latest(listed: &str, prefix: &str) -> BTreeMap<String, String> {
    let versions = listed.split("<Version>").skip(1).filter_map(|version| {
        let version = version.split("</Version>").next()?;
        let field = |name: &str| {
            let after = version.split(&format!("<{name}>")).nth(1).unwrap_or_else(|| panic!("no {name}: {version}"));
            after.split('<').next().unwrap().to_owned()
        };
        let (is_latest, id) = (field("IsLatest") == "true", field("VersionId"));
        assert_ne!(id, "null", "the bucket is not versioned");
        is_latest.then(|| (field("Key").strip_prefix(prefix).unwrap().to_owned(), id))
    });
    versions.collect()
}
