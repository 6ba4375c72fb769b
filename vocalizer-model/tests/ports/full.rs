//! No room left is told from a failure, wherever it is met. A process of its own is kept from writing large files,
//! which is as near to a full disk as a test comes.

use std::process::Command;

use bytes::Bytes;
use vocalizer_core::part::Format;
use vocalizer_core::ports::{AudioError, Blob, Renderer as _};
use vocalizer_model::audio::{AudioFormat, AudioLimits};
use vocalizer_model::ports::AudioRenderer;

use super::support::{blob, entries};
use crate::audio::support::{RATE_HZ, dir};

/// Set for the process without room.
const LITTLE_ROOM: &str = "VOCALIZER_TEST_LITTLE_ROOM";

#[test]
fn no_room_is_no_fault_of_the_song() {
    // One or two mebibytes, as the shell counts; without the signal, a write beyond is an error.
    let limited = r#"trap "" XFSZ; ulimit -f 2048; exec "$0" --exact ports::full::work_without_room --nocapture"#;
    let mut command = Command::new("sh");
    command.arg("-c").arg(limited).arg(std::env::current_exe().expect("this program"));
    let done = command.env(LITTLE_ROOM, "1").output().expect("a process");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("without room"), "{said}{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn work_without_room() {
    if std::env::var_os(LITTLE_ROOM).is_none() {
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
        let error = renderer.render(vec![source], format).await.expect_err("no room");
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
        // A stem has 40 kB for each second, whatever is in it.
        let error = separator.separate(minute(), Arc::new(())).await.err().expect("no room");
        assert!(matches!(error, AudioError::Full), "{error:?}");
        assert_eq!(entries(&work), 0);
    }
    println!("without room");
}
