//! `vocalizer info`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value, json};
use vocalizer_core::api::Analysis;
use vocalizer_core::causes::chain;
use vocalizer_core::song::{SongHash, SongHasher};
use vocalizer_model::audio::analysis::Analyzer;
use vocalizer_model::audio::{AudioLimits, AudioReader, DecodeError, ReadOptions, TrackInfo};

use super::args::Info;
use crate::exit::Exit;
use crate::output::outln;
use crate::paths::{plain, put, shown};
use crate::voice::Voice;

pub(crate) fn run(args: &Info) -> Exit {
    let Info { files, track, json: as_json } = args;
    let voice = Voice::choose(*as_json);
    let mut options = ReadOptions::default();
    options.track = *track;
    let mut failed = 0;
    for file in files {
        let description = describe(file, &options);
        match (&description.error, *as_json) {
            (Some(_), true) if description.is_empty() => {}
            (_, true) => outln!("{}", description.to_json(file)),
            (_, false) => description.print(file),
        }
        if let Some(why) = description.error {
            failed += 1;
            voice.input_error(Some(file), &format!("cannot read {}: {why}", shown(file)));
        }
    }
    match failed {
        0 => Exit::Done,
        n if n == files.len() => Exit::AllFailed,
        _ => Exit::Failed,
    }
}

/// What is known about a file. A file that is refused may have a format and tracks, too.
#[derive(Default)]
struct Description {
    format: Option<String>,
    rate_hz: u32,
    channels: u16,
    frames: u64,
    analysis: Analysis,
    hash: Option<SongHash>,
    tracks: Vec<TrackInfo>,
    /// Codes and texts.
    warnings: Vec<(&'static str, String)>,
    error: Option<String>,
}

fn describe(file: &Path, options: &ReadOptions) -> Description {
    let mut description = Description::default();
    let mut reader = match AudioReader::open_with(file, &AudioLimits::default(), options) {
        Ok(reader) => reader,
        Err(e) => {
            description.format = e.format().map(str::to_owned);
            description.error = Some(chain(&e));
            return description;
        }
    };
    let decoded = listen(&mut reader);
    let info = reader.info();
    description.format = Some(info.format.to_owned());
    (description.rate_hz, description.channels) = (info.rate_hz, info.channels);
    description.tracks.clone_from(&info.tracks);
    description.warnings = reader.warnings().iter().map(|warning| (warning.code(), warning.to_string())).collect();
    match decoded {
        Ok((frames, analysis)) => (description.frames, description.analysis) = (frames, analysis),
        Err(e) => description.error = Some(chain(&e)),
    }
    match hash(file) {
        Ok(hash) => description.hash = Some(hash),
        Err(e) => description.error = Some(e.to_string()),
    }
    description
}

/// Counts the frames, and finds tempo and key. Without these, the other facts are still worth something.
fn listen(reader: &mut AudioReader) -> Result<(u64, Analysis), DecodeError> {
    let mut analyzer = Analyzer::new(reader.info().rate_hz).ok();
    let (mut frames, mut block) = (0_u64, Vec::new());
    loop {
        block.clear();
        let more = reader.read(&mut block)?;
        frames += block.len() as u64;
        analyzer = analyzer.and_then(|mut analyzer| analyzer.push(&block).ok().map(|()| analyzer));
        if !more {
            let analysis = analyzer.and_then(|analyzer| analyzer.finish().ok());
            return Ok((frames, analysis.unwrap_or_default()));
        }
    }
}

impl Description {
    fn is_empty(&self) -> bool {
        self.format.is_none()
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds for display")]
    fn to_json(&self, file: &Path) -> Value {
        let mut object = Map::new();
        put(&mut object, "file", file);
        object.insert("format".to_owned(), json!(self.format));
        object.insert("supported".to_owned(), json!(self.error.is_none()));
        if self.rate_hz > 0 {
            let seconds = self.frames as f64 / f64::from(self.rate_hz);
            let tracks = self.tracks.iter().map(|track| {
                json!({
                    "number": track.number, "codec": track.codec, "rate_hz": track.rate_hz, "channels": track.channels,
                    "bits": track.bits, "language": track.language, "is_default": track.is_default, "is_supported": track.is_supported,
                })
            });
            let warnings = self.warnings.iter().map(|(code, message)| json!({"code": code, "message": message}));
            object.extend([
                ("rate_hz".to_owned(), json!(self.rate_hz)),
                ("channels".to_owned(), json!(self.channels)),
                ("frames".to_owned(), json!(self.frames)),
                ("seconds".to_owned(), json!(seconds)),
                ("tempo".to_owned(), json!(self.analysis.tempo)),
                ("key".to_owned(), json!(self.analysis.key)),
                ("hash".to_owned(), json!(self.hash.map(|hash| hash.to_string()))),
                ("tracks".to_owned(), tracks.collect()),
                ("warnings".to_owned(), warnings.collect()),
            ]);
        }
        Value::Object(object)
    }

    fn print(&self, file: &Path) {
        let Some(format) = &self.format else { return };
        outln!("{}", shown(file));
        let refused = if self.error.is_some() { " (refused)" } else { "" };
        outln!("  format    {}{refused}", plain(format));
        if self.rate_hz > 0 {
            outln!("  rate      {} Hz", self.rate_hz);
            outln!("  channels  {}", self.channels);
        }
        if self.error.is_none() {
            let ms = self.frames.saturating_mul(1000) / u64::from(self.rate_hz.max(1));
            outln!("  duration  {}:{:02}.{:03} ({} frames)", ms / 60_000, ms / 1000 % 60, ms % 1000, self.frames);
            if let Some(tempo) = self.analysis.tempo {
                outln!("  tempo     {} BPM", tempo.bpm);
            }
            if let Some(key) = self.analysis.key {
                outln!("  key       {key}");
            }
        }
        if let Some(hash) = self.hash {
            outln!("  hash      {hash}");
        }
        if self.tracks.len() > 1 {
            self.tracks.iter().for_each(|track| outln!("  track {:<3} {}", track.number, line(track)));
        }
        for (_, warning) in &self.warnings {
            outln!("  warning   {}", plain(warning));
        }
    }
}

/// Describes a track.
fn line(track: &TrackInfo) -> String {
    let parts = [
        Some(track.codec.to_owned()),
        track.rate_hz.map(|rate_hz| format!("{rate_hz} Hz")),
        track.channels.map(|channels| format!("{channels} channel{}", if channels == 1 { "" } else { "s" })),
        track.language.as_deref().map(plain),
        track.is_default.then(|| "default".to_owned()),
        (!track.is_supported).then(|| "not supported".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn hash(file: &Path) -> std::io::Result<SongHash> {
    let mut hasher = SongHasher::new();
    let mut reader = BufReader::new(File::open(file)?);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..read]);
    }
}
