//! The C interface of Vocalizer: load a model, split a song in memory into stems.
//!
//! The header is `include/vocalizer.h`; `examples/` has a program in C and one in Python. Functions may be called from any
//! thread. One model may split several songs at once.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr;

use vocalizer_api::causes::chain;
use vocalizer_model::audio::Frame;
use vocalizer_model::{Cancel, ComputeOptions, Model, SeparationOptions, split_frames};

/// A loaded model.
pub struct VocalizerModel {
    model: Model,
    /// The names of the stems, terminated for C.
    stems: Vec<CString>,
}

/// Called with the finished fraction, from 0 to 1, and the caller's context. A result other than 0 cancels.
pub type VocalizerProgress = Option<unsafe extern "C" fn(done: f64, context: *mut c_void) -> i32>;

thread_local! {
    static ERROR: RefCell<CString> = RefCell::default();
}

/// Keeps an error for `vocalizer_error`.
fn fail(error: &str) {
    // A text cannot contain the terminator.
    let text = CString::new(error.replace('\0', " ")).unwrap_or_default();
    ERROR.with_borrow_mut(|last| *last = text);
}

/// Runs `work`. Panics become errors, because they must not unwind into C.
fn guard<T>(work: impl FnOnce() -> Result<T, String>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            fail(&error);
            None
        }
        Err(_) => {
            fail("internal error");
            None
        }
    }
}

/// Reads a text of the caller.
///
/// # Safety
///
/// `text` is null or a text that ends with 0.
unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<&'a str, String> {
    if text.is_null() {
        return Err(format!("{name} is null"));
    }
    // SAFETY: the caller passes a text that ends with 0.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| format!("{name} is not valid UTF-8"))
}

/// Returns the last error of this thread: a text that is valid until the next call on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn vocalizer_error() -> *const c_char {
    ERROR.with_borrow(|last| last.as_ptr())
}

/// Loads a model: a name such as `htdemucs`, whose weights are downloaded once, or the path of a weights file. `device` is
/// `auto`, `cpu`, or what `vocalizer devices` prints; null is `cpu`. Returns null after an error.
///
/// # Safety
///
/// `name` is a text that ends with 0, and so is `device` unless it is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vocalizer_load(name: *const c_char, device: *const c_char) -> *mut VocalizerModel {
    let loaded = guard(|| {
        // SAFETY: the caller promises texts that end with 0.
        let name = unsafe { text(name, "name") }?;
        let mut compute = ComputeOptions::default();
        let device = if device.is_null() { "cpu" } else { unsafe { text(device, "device") }? };
        compute.device = device.parse().map_err(|error: vocalizer_model::Error| chain(&error))?;
        let path = Path::new(name);
        let model = if path.exists() { Model::from_file(path, &compute) } else { Model::named_with(name, &compute) };
        let model = model.map_err(|error| chain(&error))?;
        let stems = model.sources().iter().map(|stem| CString::new(stem.name()).unwrap_or_default()).collect();
        Ok(Box::new(VocalizerModel { model, stems }))
    });
    loaded.map_or(ptr::null_mut(), Box::into_raw)
}

/// Frees a model. Null is allowed.
///
/// # Safety
///
/// `model` comes from `vocalizer_load`, is freed once, and is not in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vocalizer_free(model: *mut VocalizerModel) {
    if !model.is_null() {
        // SAFETY: the pointer comes from `Box::into_raw` and is freed once.
        drop(unsafe { Box::from_raw(model) });
    }
}

/// Returns the number of stems of a model.
///
/// # Safety
///
/// `model` comes from `vocalizer_load` and is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vocalizer_stem_count(model: *const VocalizerModel) -> usize {
    // SAFETY: the caller promises a model or null.
    unsafe { model.as_ref() }.map_or(0, |model| model.stems.len())
}

/// Returns the name of a stem, such as `vocals`: a text that lives as long as the model; null if there is no such stem.
///
/// # Safety
///
/// `model` comes from `vocalizer_load` and is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vocalizer_stem_name(model: *const VocalizerModel, index: usize) -> *const c_char {
    // SAFETY: the caller promises a model or null.
    let name = unsafe { model.as_ref() }.and_then(|model| model.stems.get(index));
    name.map_or(ptr::null(), |name| name.as_ptr())
}

/// Splits a song. `samples` has `frames` pairs of a left and a right sample, with full scale at -1 and 1, at `rate_hz`.
/// `stems` has an array for each stem, in the order of `vocalizer_stem_name`, each as long as `samples`; they are filled.
/// `progress` may be null.
///
/// Returns 0, or -1 after an error; `vocalizer_error` then says why. The arrays may then be partly filled.
///
/// # Safety
///
/// `model` comes from `vocalizer_load` and is not freed. `samples` has `2 * frames` values, and so has each of the arrays in
/// `stems`, which do not overlap. `progress` may be called with `context` until this function returns, on the same thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vocalizer_split(
    model: *const VocalizerModel,
    samples: *const f32,
    frames: usize,
    rate_hz: u32,
    stems: *const *mut f32,
    progress: VocalizerProgress,
    context: *mut c_void,
) -> i32 {
    let split = guard(|| {
        // SAFETY: the caller promises a model or null.
        let VocalizerModel { model, stems: names } = unsafe { model.as_ref() }.ok_or("model is null")?;
        if stems.is_null() || samples.is_null() && frames > 0 {
            return Err("samples or stems is null".to_owned());
        }
        let song: &[Frame] = match frames {
            0 => &[],
            // SAFETY: the caller promises this many pairs of samples, and a pair has the layout of an array.
            _ => unsafe { std::slice::from_raw_parts(samples.cast(), frames) },
        };
        let cancel = Cancel::default();
        let mut report = |done: f64| {
            // SAFETY: the caller promises a function that may be called with its context.
            if progress.is_some_and(|progress| unsafe { progress(done, context) } != 0) {
                cancel.cancel();
            }
        };
        let options = SeparationOptions::default();
        let separated = split_frames(model, song, rate_hz, &options, &mut report, &cancel);
        let separated = separated.map_err(|error| chain(&error))?;
        for (index, (_, stem)) in separated.iter().enumerate().take(names.len()) {
            // SAFETY: the caller promises an array for each stem.
            let target = unsafe { *stems.add(index) };
            if target.is_null() {
                return Err(format!("the array of stem {index} is null"));
            }
            // SAFETY: each array has `2 * frames` values and does not overlap with others.
            unsafe { ptr::copy_nonoverlapping(stem.as_ptr().cast(), target, 2 * stem.len()) };
        }
        Ok(())
    });
    if split.is_some() { 0 } else { -1 }
}
