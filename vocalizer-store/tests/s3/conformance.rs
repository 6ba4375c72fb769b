use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vocalizer_conformance::blobs::BlobsPlace;
use vocalizer_core::ports::BlobStore;

use super::server::Server;

struct TestBucket(Server);

impl TestBucket {
    fn new() -> Self {
        Self(Server::start())
    }
}

#[async_trait]
impl BlobsPlace for TestBucket {
    async fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::new(self.0.blobs(Duration::from_secs(10)).await)
    }
}

vocalizer_conformance::blobs_conformance!(
    #[tokio::test(flavor = "multi_thread")]
    TestBucket::new()
);
