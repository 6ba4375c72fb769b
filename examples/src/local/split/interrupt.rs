//! What an interrupt does.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use vocalizer_model::Cancel;

use crate::exit::Exit;
use crate::voice::Voice;

/// The copy of a pipe that is being made. Reading a pipe cannot be stopped, so an interrupt removes the copy and ends the program.
static SPOOLED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Marks the time in which a pipe is copied.
pub(super) struct Spooling;

impl Spooling {
    pub(super) fn of(copy: &Path) -> Self {
        *SPOOLED.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy.to_owned());
        Self
    }
}

impl Drop for Spooling {
    fn drop(&mut self) {
        *SPOOLED.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Handles interrupts: the first stops after the current segment, a second exits at once. Unfinished files have temporary
/// names.
pub(crate) fn watch(voice: Voice) -> Cancel {
    let cancel = Cancel::default();
    let interrupted = cancel.clone();
    let handler = ctrlc::set_handler(move || {
        let copy = SPOOLED.lock().unwrap_or_else(PoisonError::into_inner).take();
        if interrupted.is_cancelled() || copy.is_some() {
            if let Some(copy) = copy {
                let _ = std::fs::remove_file(copy);
            }
            std::process::exit(Exit::Interrupted as i32);
        }
        interrupted.cancel();
    });
    if let Err(e) = handler {
        voice.remark(&format!("interrupts are not handled: {e}"));
    }
    cancel
}
