use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use vocalizer_conformance::blobs::BlobsPlace;
use vocalizer_core::ports::BlobStore;
use vocalizer_store::files::FileBlobs;

struct TestFolder(TempDir);

impl TestFolder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }
}

#[async_trait]
impl BlobsPlace for TestFolder {
    async fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::new(FileBlobs::open(&self.0.path().join("blobs")).await.unwrap())
    }
}

vocalizer_conformance::blobs_conformance!(
    #[tokio::test(flavor = "multi_thread")]
    TestFolder::new()
);
