//! The suites that every renderer and separator passes.

use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use vocalizer_conformance::renderer::RendererPlace;
use vocalizer_core::ports::Renderer;
use vocalizer_model::audio::{AudioFormat, AudioLimits};
use vocalizer_model::ports::AudioRenderer;

use super::support::file;
use crate::audio::support::{RATE_HZ, dir, song};

struct Files(TempDir);

impl RendererPlace for Files {
    fn renderer(&self) -> Arc<dyn Renderer> {
        Arc::new(AudioRenderer::new(self.0.path().join("work"), AudioLimits::default()))
    }

    fn file(&self, number: u8) -> Bytes {
        file(AudioFormat::Wav16, RATE_HZ, &song(1_000 * (usize::from(number) + 1), RATE_HZ))
    }
}

mod renderer {
    use super::{Files, dir};

    vocalizer_conformance::renderer_conformance!(
        #[tokio::test]
        Files(dir())
    );
}

#[cfg(all(feature = "separate", feature = "mp3"))]
mod separator {
    use std::sync::Arc;

    use bytes::Bytes;
    use tempfile::TempDir;
    use vocalizer_conformance::separator::SeparatorPlace;
    use vocalizer_core::ports::Separator;
    use vocalizer_model::SplitOptions;
    use vocalizer_model::audio::AudioFormat;
    use vocalizer_model::ports::ModelSeparator;

    use crate::audio::support::{RATE_HZ, dir, song};
    use crate::ports::support::file;
    use crate::separation::support::tiny;

    struct Songs {
        separator: Arc<ModelSeparator>,
        _dir: TempDir,
    }

    fn songs() -> Songs {
        let dir = dir();
        let (model, work) = (Arc::new(tiny("tiny-4s")), dir.path().join("work"));
        let separator = ModelSeparator::new(model, SplitOptions::default(), work).expect("a separator");
        Songs { separator: Arc::new(separator), _dir: dir }
    }

    impl SeparatorPlace for Songs {
        fn separator(&self) -> Arc<dyn Separator> {
            Arc::clone(&self.separator) as _
        }

        fn song(&self) -> Bytes {
            file(AudioFormat::Wav16, RATE_HZ, &song(30_000, RATE_HZ))
        }
    }

    vocalizer_conformance::separator_conformance!(
        #[tokio::test]
        songs()
    );
}
