//! How long it takes until a song is split.

use std::collections::HashMap;

use super::ServiceError;
use super::songs::SongService;
use crate::api::Speed;
use crate::causes::chain;
use crate::models::ModelName;
use crate::song::{Song, StatusKind};

/// How long splitting takes, by model.
struct Times {
    measured: HashMap<ModelName, Time>,
    /// Of a model whose relative cost is 1, from those that are measured.
    of_one: Option<Time>,
}

/// What splitting takes on average.
#[derive(Debug, Clone, Copy, Default)]
struct Time {
    /// Seconds of a song.
    of_song: f64,
    /// Seconds of a second of music, if a speed was measured.
    of_second: Option<f64>,
}

impl Time {
    /// Returns the seconds that a song of this length takes.
    fn of(self, duration_ms: Option<u64>) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let by_length = self.of_second.zip(duration_ms).map(|(each, duration_ms)| each * duration_ms as f64 / 1000.0);
        by_length.unwrap_or(self.of_song)
    }

    fn times(self, factor: f64) -> Self {
        Self { of_song: self.of_song * factor, of_second: self.of_second.map(|each| each * factor) }
    }
}

/// What is known of some splits.
#[derive(Default)]
struct Sums {
    count: f64,
    seconds: f64,
    /// Seconds of those whose speed is known, and the length of their music.
    by_length: (f64, f64),
}

impl Sums {
    fn mean(&self) -> Time {
        let (seconds, music) = self.by_length;
        Time { of_song: self.seconds / self.count, of_second: (music > 0.0).then(|| seconds / music) }
    }
}

impl Times {
    fn of(&self, model: &ModelName, relative_cost: Option<f64>) -> Option<Time> {
        self.measured.get(model).copied().or_else(|| Some(self.of_one?.times(relative_cost?)))
    }
}

impl SongService {
    /// Estimates how many seconds pass until a song that waits or is being split is split; `None` if that is not known. The
    /// order is the order of the queue. The song itself counts by its length and the speed of its model; one ahead of it, whose
    /// length is not read, with what splitting took on average with its model.
    pub(super) async fn seconds_left(&self, song: &Song) -> Option<u64> {
        match self.try_seconds_left(song).await {
            Ok(seconds) => seconds,
            Err(error) => {
                // The song must stay visible.
                tracing::warn!(error = chain(&error), "estimating the time left failed");
                None
            }
        }
    }

    async fn try_seconds_left(&self, song: &Song) -> Result<Option<u64>, ServiceError> {
        let (key, model) = (song.target().key, self.model_of_song(song));
        let ahead = match song.status().kind() {
            StatusKind::Splitting => None,
            StatusKind::Uploaded => match self.ports().queue.jobs_ahead(&key).await? {
                Some(ahead) => Some(ahead),
                None => return Ok(None),
            },
            StatusKind::Uploading | StatusKind::Split | StatusKind::Failed => return Ok(None),
        };
        let times = self.times().await?;
        let time = |model: &ModelName| times.of(model, self.relative_cost(model));
        let rest = |percent: u8| f64::from(100 - percent.min(100)) / 100.0;
        let Some(own) = time(&model).map(|time| time.of(song.facts().duration_ms)) else { return Ok(None) };
        let left = match ahead {
            None => own * rest(self.percent(&key).await),
            Some(ahead) => {
                let (mut before, default) = (0.0, self.models().default_model().name);
                for (model, jobs) in &ahead {
                    let Some(each) = time(&model.unwrap_or(default)) else { return Ok(None) };
                    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                    let jobs = *jobs as f64;
                    before += each.of_song * jobs;
                }
                let running = self.ports().songs.hashes_in(StatusKind::Splitting).await?;
                for key in &running {
                    let songs = self.ports().songs.with_key(key).await?;
                    let Some(running) = songs.first() else { continue };
                    let Some(each) = time(&self.model_of_song(running)) else { continue };
                    before += each.of(running.facts().duration_ms) * rest(self.percent(key).await);
                }
                #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                let workers = running.len().max(1) as f64;
                before / workers + own
            }
        };
        // Sums of fractions may end just above a whole number.
        let whole = ((left * 1000.0).round() / 1000.0).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and casts saturate")]
        Ok(Some(whole as u64))
    }

    /// Returns what splitting took on average, by model, in the newest results.
    async fn times(&self) -> Result<Times, ServiceError> {
        let mut sums: HashMap<ModelName, Sums> = HashMap::new();
        for result in self.newest_results().await? {
            let Some(made) = &result.provenance else { continue };
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let Some(took) = made.took_ms.map(|took_ms| took_ms as f64 / 1000.0) else { continue };
            let sums = sums.entry(self.model_of(&result)).or_default();
            (sums.count, sums.seconds) = (sums.count + 1.0, sums.seconds + took);
            if let Some(speed) = made.speed.map(Speed::times).filter(|&speed| speed > 0.0) {
                let (seconds, music) = &mut sums.by_length;
                (*seconds, *music) = (*seconds + took, *music + took * speed);
            }
        }
        let measured: HashMap<_, _> = sums.iter().map(|(model, sums)| (*model, sums.mean())).collect();
        let of_one = measured.iter().filter_map(|(model, time)| Some(time.times(1.0 / self.relative_cost(model)?)));
        let of_one: Vec<_> = of_one.collect();
        Ok(Times { measured, of_one: mean(&of_one) })
    }

    fn relative_cost(&self, model: &ModelName) -> Option<f64> {
        self.models().find(model.as_str())?.relative_cost
    }
}

/// Returns the mean of the times of several models.
fn mean(times: &[Time]) -> Option<Time> {
    let average = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        (count > 0.0).then(|| sum / count)
    };
    let of_song = average(&mut times.iter().map(|time| time.of_song))?;
    Some(Time { of_song, of_second: average(&mut times.iter().filter_map(|time| time.of_second)) })
}
