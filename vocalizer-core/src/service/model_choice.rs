//! Models: what a client may choose, who splits with it, and splitting again.

use std::collections::HashMap;
use std::time::Duration;

use super::songs::SongService;
use super::{Invalid, ServiceError};
use crate::account::Viewer;
use crate::api::{ModelView, SongView};
use crate::causes::chain;
use crate::models::{Capabilities, ModelInfo, ModelName, Models, result_key};
use crate::part::Stem;
use crate::ports::{ProgressReport, RepositoryError};
use crate::song::{Song, SongHash, SongId, StatusKind, StemsInfo, Target};

/// A worker counts as there for this long after it was last seen. Workers ask for jobs every 30 s.
const PRESENCE: Duration = Duration::from_secs(2 * 60);

/// How often [`SongService::advertise`] repeats that its workers are there.
const ADVERTISE_INTERVAL: Duration = Duration::from_secs(30);

/// How many results speeds are measured with.
const MEASURED_RESULTS: u32 = 200;

/// The model and the stems that a client asks for, as text.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::{sync::Arc, time::Duration};
/// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
/// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
/// # let clock = Arc::new(ManualClock::new());
/// # let builder = SongService::builder_with_clock(songs, blobs, queue, clock);
/// let service = builder.with_models("htdemucs,htdemucs_6s".parse()?).build();
/// let piano = ModelChoice { model: Some("htdemucs_6s".to_owned()), stems: Some("piano,guitar".to_owned()) };
/// let mut upload = service.begin_upload(Viewer::Anonymous).await?.with_choice(piano);
/// upload.write("the file".into()).await?;
/// let song = upload.finish("Clair de lune").await?;
/// let song = service.song_in_detail(Viewer::Anonymous, song.id).await?;
/// assert_eq!(song.model.as_deref(), Some("htdemucs_6s"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelChoice {
    /// The name of a model that the server allows. Default (`None`): the server's default.
    pub model: Option<String>,
    /// Names of stems of the model, separated by commas. Default (`None`): all.
    pub stems: Option<String>,
}

impl ModelChoice {
    /// Finds the model and checks the stems.
    pub(super) fn check(&self, models: &Models) -> Result<(ModelInfo, Option<Vec<Stem>>), Vec<Invalid>> {
        let invalid = |field, message| vec![Invalid { field, message }];
        let listed = |names: &[String]| names.join(", ");
        let model = match &self.model {
            None => models.default_model(),
            Some(name) => models.find(name).ok_or_else(|| {
                let allowed: Vec<_> = models.names().iter().map(ToString::to_string).collect();
                invalid("model", format!("unknown model; this server has {}", listed(&allowed)))
            })?,
        };
        let Some(text) = &self.stems else { return Ok((model.clone(), None)) };
        let mut stems = Vec::new();
        for name in text.split(',').map(str::trim) {
            let stem = name.parse().ok().filter(|stem| model.stems.contains(stem)).ok_or_else(|| {
                let has: Vec<_> = model.stems.iter().map(ToString::to_string).collect();
                invalid("stems", format!("{} has no such stem; it has {}", model.name, listed(&has)))
            })?;
            stems.push(stem);
        }
        stems.sort_unstable();
        stems.dedup();
        Ok((model.clone(), Some(stems)))
    }
}

impl SongService {
    /// Checks the model and the stems that an upload asks for, before its first byte.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`], with the models of this server, or the stems of the model.
    pub fn check_choice(&self, choice: &ModelChoice) -> Result<(), ServiceError> {
        choice.check(self.models()).map(drop).map_err(ServiceError::Invalid)
    }

    /// Splits a song again, with another model or for other stems. The stems that it has can be downloaded until the new
    /// ones are there. If they exist already, the song has them on return, and there is no job.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let builder = SongService::builder_with_clock(songs, blobs, queue, clock);
    /// let service = builder.with_models("htdemucs,best".parse()?).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// # let stems = Stems { drums: "d".into(), bass: "b".into(), other: "o".into(), vocals: "v".into() };
    /// # service.deliver(&song.hash.parse()?, &stems).await?;
    /// let best = ModelChoice { model: Some("best".to_owned()), stems: None };
    /// let song = service.split_again(Viewer::Anonymous, song.id, &best).await?;
    /// assert_eq!(song.status, SongStatus::Uploaded);
    ///
    /// let song = service.split_again(Viewer::Anonymous, song.id, &ModelChoice::default()).await?;
    /// assert_eq!(song.status, SongStatus::Split);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] for the model or a stem, and the errors of [`Self::song`].
    pub async fn split_again(
        &self,
        viewer: Viewer,
        id: SongId,
        choice: &ModelChoice,
    ) -> Result<SongView, ServiceError> {
        let hash = *self.changeable(viewer, id).await?.hash();
        let (model, stems) = choice.check(self.models()).map_err(ServiceError::Invalid)?;
        let (known, song) = {
            let _lock = self.ports().coordination.lock(&hash).await?;
            // Another request may have chosen while this one waited.
            let known = self.changeable(viewer, id).await?;
            let target = self.target(&hash, &model, stems).await?;
            let is_same = known.target().key == target.key && known.status().kind() != StatusKind::Failed;
            if is_same && known.target().stems == target.stems {
                return self.view(&known).await;
            }
            let song = self.ports().songs.split_again(id, &target).await.map_err(|error| match error {
                RepositoryError::Conflict => {
                    ServiceError::Conflict { message: "the song is not stored yet", field: None }
                }
                other => other.into(),
            })?;
            let song = song.ok_or(ServiceError::NO_SONG)?;
            self.withdraw_unless_wanted(&known.target().key).await?;
            (known, song)
        };
        tracing::info!(song = %id, %hash, model = %model.name, status = %song.status().kind(), "song split again");
        self.restart_waiting(&song).await;
        self.relay_soon(&song.target().key).await;
        self.changes().announce(&known.target().key);
        self.changes().announce(&song.target().key);
        self.view(&song).await
    }

    /// Returns what a song with a hash is split with. The default model of a hash's first result has the hash itself as
    /// its key, and keeps it when the operator changes the default.
    pub(super) async fn target(
        &self,
        hash: &SongHash,
        model: &ModelInfo,
        stems: Option<Vec<Stem>>,
    ) -> Result<Target, ServiceError> {
        let (songs, default) = (&self.ports().songs, self.models().default_model().name);
        let results = songs.results(hash).await?;
        let results = results.iter().filter_map(|result| Some((result.key?, self.model_of(result))));
        let asked = songs.with_hash(hash).await?;
        let asked = asked.iter().map(|song| (song.target().key, song.target().model.unwrap_or(default)));
        let known: Vec<_> = results.chain(asked).collect();
        let key = match known.iter().find(|(_, name)| *name == model.name) {
            Some((key, _)) => *key,
            None if model.name == default && known.iter().all(|(key, _)| key != hash) => *hash,
            None => result_key(hash, &model.name),
        };
        Ok(Target { model: Some(model.name), stems, key })
    }

    /// Returns the results that speeds are measured with.
    pub(super) async fn newest_results(&self) -> Result<Vec<StemsInfo>, ServiceError> {
        Ok(self.ports().songs.newest_results(MEASURED_RESULTS).await?)
    }

    /// Returns the model of a result. Those of earlier versions tell it at most in their provenance.
    pub(super) fn model_of(&self, result: &StemsInfo) -> ModelName {
        let made_by = || result.provenance.as_ref().and_then(|provenance| self.models().find(&provenance.model));
        result.model.or_else(|| made_by().map(|model| model.name)).unwrap_or(self.models().default_model().name)
    }

    /// Returns the allowed models, the default first.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let service = SongService::builder_with_clock(songs, blobs, queue, clock).build();
    /// for model in service.list_models().await? {
    ///     println!("{}: {}", model.name, model.stems.join(", "));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn list_models(&self) -> Result<Vec<ModelView>, ServiceError> {
        let mut measured: HashMap<ModelName, (f64, f64)> = HashMap::new();
        for result in self.newest_results().await? {
            let speed = result.provenance.as_ref().and_then(|provenance| provenance.speed);
            if let Some(times) = speed.map(crate::api::Speed::times).filter(|&times| times > 0.0) {
                let (seconds, count) = measured.entry(self.model_of(&result)).or_default();
                (*seconds, *count) = (*seconds + 60.0 / times, *count + 1.0);
            }
        }
        let (default, mut views) = (self.models().default_model().name, Vec::new());
        for model in self.models().all() {
            let stems = model.stems.iter().map(ToString::to_string).collect();
            let mut view = ModelView::new(model.name.to_string(), stems, model.name == default);
            (view.relative_cost, view.licence) = (model.relative_cost, model.licence.map(str::to_owned));
            view.has_worker = self.has_worker(&model.name).await;
            view.seconds_per_minute =
                measured.get(&model.name).map(|(seconds, count)| (seconds / count * 100.0).round() / 100.0);
            views.push(view);
        }
        Ok(views)
    }

    /// Records that a worker with these capabilities is there. One that names no models has the default.
    pub async fn worker_seen(&self, capabilities: &Capabilities) {
        let default = [self.models().default_model().name];
        for model in capabilities.models().unwrap_or(&default) {
            // Others could fill the store with names.
            if self.models().find(model.as_str()).is_some() || capabilities.models().is_none() {
                self.model_seen(model).await;
            }
        }
    }

    /// Records repeatedly that the workers of this process are there. Never returns; drop the future to stop it.
    pub async fn advertise(&self, capabilities: &Capabilities) {
        loop {
            self.worker_seen(capabilities).await;
            self.clock().sleep(ADVERTISE_INTERVAL).await;
        }
    }

    /// Records that a worker has a model. A failure only makes the model look as if it had no worker.
    pub(super) async fn model_seen(&self, model: &ModelName) {
        let report = ProgressReport { percent: 0, at: self.ports().clock.now() };
        if let Err(error) = self.ports().coordination.record_progress(&presence_key(model), report).await {
            tracing::debug!(%model, error = chain(&error), "recording a worker failed");
        }
    }

    /// Returns whether a worker for a model was there within the last minutes.
    pub(super) async fn has_worker(&self, model: &ModelName) -> bool {
        if let Ok(Some(true)) = self.ports().queue.has_worker(model).await {
            return true;
        }
        self.model_last_seen(model).await.is_some_and(|ago| ago <= PRESENCE)
    }

    /// Returns for each allowed model, the default first, whether a worker for it was there within the last minutes.
    pub async fn models_with_workers(&self) -> Vec<(ModelName, bool)> {
        let mut models = Vec::new();
        for name in self.models().names() {
            models.push((name, self.has_worker(&name).await));
        }
        models
    }

    /// Returns how long ago a worker for a model was last seen.
    pub(super) async fn model_last_seen(&self, model: &ModelName) -> Option<Duration> {
        let seen = self.ports().coordination.progress(&presence_key(model)).await.ok().flatten()?;
        // A clock that was set back makes it look as if it was just seen.
        Some(Duration::try_from(self.ports().clock.now() - seen.at).unwrap_or_default())
    }

    /// Returns the model that a song is split with.
    pub(super) fn model_of_song(&self, song: &Song) -> ModelName {
        song.target().model.unwrap_or(self.models().default_model().name)
    }
}

/// The key under which servers share when a worker with a model was last seen, like progress.
fn presence_key(model: &ModelName) -> SongHash {
    SongHash::of(format!("vocalizer worker for {model}").as_bytes())
}
