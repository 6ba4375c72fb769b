//! How long it takes until a song is split.

use std::collections::HashMap;

use super::ServiceError;
use super::songs::SongService;
use crate::causes::chain;
use crate::models::ModelName;
use crate::song::{Song, SongHash, StatusKind};

/// The seconds that a song takes, by model.
struct Times {
    measured: HashMap<ModelName, f64>,
    /// Of a model whose relative cost is 1, from those that are measured.
    of_one: Option<f64>,
}

impl Times {
    fn of(&self, model: &ModelName, relative_cost: Option<f64>) -> Option<f64> {
        self.measured.get(model).copied().or_else(|| Some(self.of_one? * relative_cost?))
    }
}

impl SongService {
    /// Estimates how many seconds pass until a song that waits or is being split is split; `None` if that is not known. The
    /// order is the order of the queue, and each song counts with what splitting took with its model.
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
        let seconds = |model: &ModelName| times.of(model, self.relative_cost(model));
        let rest = |percent: u8| f64::from(100 - percent.min(100)) / 100.0;
        let Some(own) = seconds(&model) else { return Ok(None) };
        let left = match ahead {
            None => own * rest(self.percent(&key).await),
            Some(ahead) => {
                let (mut before, default) = (0.0, self.models().default_model().name);
                for (model, jobs) in &ahead {
                    let Some(each) = seconds(&model.unwrap_or(default)) else { return Ok(None) };
                    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                    let jobs = *jobs as f64;
                    before += each * jobs;
                }
                let running = self.ports().songs.hashes_in(StatusKind::Splitting).await?;
                for key in &running {
                    let Some(each) = self.model_of_key(key).await?.and_then(|model| seconds(&model)) else { continue };
                    before += each * rest(self.percent(key).await);
                }
                #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                let workers = running.len().max(1) as f64;
                before / workers + own
            }
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and casts saturate")]
        Ok(Some(left.ceil() as u64))
    }

    /// Returns what splitting took on average, by model, in the newest results.
    async fn times(&self) -> Result<Times, ServiceError> {
        let mut sums: HashMap<ModelName, (f64, f64)> = HashMap::new();
        for result in self.newest_results().await? {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let took = result.provenance.as_ref().and_then(|made| made.took_ms).map(|took_ms| took_ms as f64 / 1000.0);
            if let Some(took) = took {
                let (seconds, count) = sums.entry(self.model_of(&result)).or_default();
                (*seconds, *count) = (*seconds + took, *count + 1.0);
            }
        }
        let measured: HashMap<_, _> =
            sums.into_iter().map(|(model, (seconds, count))| (model, seconds / count)).collect();
        let of_one = measured.iter().filter_map(|(model, seconds)| Some(seconds / self.relative_cost(model)?));
        let (sum, count) = of_one.fold((0.0, 0.0), |(sum, count), one| (sum + one, count + 1.0));
        Ok(Times { measured, of_one: (count > 0.0).then(|| sum / count) })
    }

    fn relative_cost(&self, model: &ModelName) -> Option<f64> {
        self.models().find(model.as_str())?.relative_cost
    }

    async fn model_of_key(&self, key: &SongHash) -> Result<Option<ModelName>, ServiceError> {
        let songs = self.ports().songs.with_key(key).await?;
        Ok(songs.first().map(|song| self.model_of_song(song)))
    }
}
