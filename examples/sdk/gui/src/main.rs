//! Splits samples in memory while a loop like that of a window stays responsive: `gui WEIGHTS`.

use std::error::Error;
use std::f32::consts::TAU;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use vocalizer_model::{Cancel, ComputeOptions, Model, SeparationOptions, Stem, split_frames};

const RATE_HZ: u32 = 44_100;
const FRAME: Duration = Duration::from_millis(16);

type Stems = Vec<(Stem, Vec<[f32; 2]>)>;

/// What the splitting thread tells the window.
enum Message {
    Progress(f64),
    Done(Result<Stems, vocalizer_model::Error>),
}

fn start(model: Arc<Model>, song: Vec<[f32; 2]>, cancel: Cancel) -> Receiver<Message> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        // The window may be closed.
        let mut report = |done| drop(sender.send(Message::Progress(done)));
        let stems = split_frames(&model, &song, RATE_HZ, &SeparationOptions::default(), &mut report, &cancel);
        drop(sender.send(Message::Done(stems)));
    });
    receiver
}

/// Runs the window until the song is done. `press_cancel` tells in each frame whether the user presses the button.
fn window(
    messages: &Receiver<Message>,
    cancel: &Cancel,
    press_cancel: impl Fn(f64) -> bool,
) -> Result<Stems, Box<dyn Error>> {
    let (mut done, mut frames) = (0.0, 0);
    loop {
        match messages.try_recv() {
            Ok(Message::Progress(now)) => done = now,
            Ok(Message::Done(stems)) => {
                println!("{frames} frames drawn");
                return Ok(stems?);
            }
            Err(TryRecvError::Disconnected) => return Err("the splitting thread died".into()),
            Err(TryRecvError::Empty) => {
                if press_cancel(done) {
                    cancel.cancel();
                }
                frames += 1;
                thread::sleep(FRAME);
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let weights = std::env::args().nth(1).ok_or("usage: gui WEIGHTS")?;
    let model = Arc::new(Model::from_file(weights.as_ref(), &ComputeOptions::default())?);
    let song: Vec<_> = (0..30 * RATE_HZ).map(|n| [(n as f32 * 440.0 * TAU / RATE_HZ as f32).sin() * 0.5; 2]).collect();

    let cancel = Cancel::default();
    let messages = start(Arc::clone(&model), song.clone(), cancel.clone());
    let cancelled = window(&messages, &cancel, |done| done > 0.0);
    println!("first song: {}", cancelled.err().ok_or("the first song was not cancelled")?);

    let cancel = Cancel::default();
    let stems = window(&start(model, song, cancel.clone()), &cancel, |_| false)?;
    for (stem, frames) in stems {
        println!("{stem}: {} frames", frames.len());
    }
    Ok(())
}
