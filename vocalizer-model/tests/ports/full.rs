//! A full disk has its own error. A child process with a file size limit simulates a full disk.

use std::process::Command;

use bytes::Bytes;
use vocalizer_core::part::Format;
use vocalizer_core::ports::{AudioError, Blob, Renderer as _};
use vocalizer_model::audio::{AudioFormat, AudioLimits};
use vocalizer_model::ports::AudioRenderer;

use super::support::{blob, entries};
use crate::audio::support::{RATE_HZ, dir};

/// Set for the child process.
const CHILD: &str = "VOCALIZER_TEST_LITTLE_ROOM";

#[test]
fn full_disk_is_not_a_permanent_error() {
    // 1 or 2 MiB, depending on the shell's unit. With SIGXFSZ ignored, writing beyond the limit is an error.
    let limited = r#"trap "" XFSZ; ulimit -f 2048; exec "$0" --exact ports::full::child_with_full_disk --nocapture"#;
    let mut command = Command::new("sh");
    command.arg("-c").arg(limited).arg(std::env::current_exe().expect("this program"));
    let done = command.env(CHILD, "1").output().expect("a process");
    let output = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success() && output.contains("child finished"),
        "{output}{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

#[tokio::test]
async fn child_with_full_disk() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let dir = dir();
    let work = dir.path().join("work");
    let renderer = AudioRenderer::new(&work, AudioLimits::default());
    let minute = || blob(AudioFormat::Flac, RATE_HZ, &vec![[0.25; 2]; 60 * RATE_HZ as usize]);
    let large = || Blob::from(Bytes::from(vec![0; 4 << 20]));
    let mut tries = vec![(large(), Format::Flac), (minute(), Format::Wav)];
    if cfg!(feature = "mp3") {
        tries.push((minute(), Format::Mp3));
    }
    for (source, format) in tries {
        let error = renderer.render(vec![source], format).await.expect_err("a full disk");
        assert!(matches!(error, AudioError::Full) && !error.is_permanent(), "{format}: {error:?}");
        assert_eq!(entries(&work), 0, "{format}");
    }
    #[cfg(all(feature = "separate", feature = "mp3"))]
    {
        use std::sync::Arc;
        use vocalizer_core::ports::Separator as _;
        use vocalizer_model::SplitOptions;
        use vocalizer_model::ports::ModelSeparator;

        let model = Arc::new(crate::separation::support::tiny("tiny-4s"));
        let separator = ModelSeparator::new(model, SplitOptions::default(), &work).expect("a separator");
        // A stem takes 40 kB per second, whatever its content.
        let error = separator.separate(minute(), Arc::new(())).await.err().expect("a full disk");
        assert!(matches!(error, AudioError::Full), "{error:?}");
        assert_eq!(entries(&work), 0);
    }
    println!("child finished");
}
