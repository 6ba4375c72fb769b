use std::sync::Arc;

use vocalizer_conformance::results::ResultsPlace;
use vocalizer_core::limits::Limits;
use vocalizer_core::memory::MemoryBlobs;
use vocalizer_core::ports::{BlobStore, ResultReader, ResultWriter};
use vocalizer_store::archive::TarResults;

#[derive(Default)]
struct Archives(MemoryBlobs);

fn results() -> Arc<TarResults> {
    Arc::new(TarResults::new(Limits { max_stem_bytes: 64 * 1024, ..Limits::for_testing() }))
}

impl ResultsPlace for Archives {
    fn writer(&self) -> Arc<dyn ResultWriter> {
        results()
    }

    fn reader(&self) -> Arc<dyn ResultReader> {
        results()
    }

    fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::new(self.0.clone())
    }
}

vocalizer_conformance::results_conformance!(
    #[tokio::test]
    Archives::default()
);
