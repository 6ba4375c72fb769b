//! Models of a worker that are loaded on demand.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::{OnceCell, mpsc};
use vocalizer_core::models::ModelName;
use vocalizer_core::ports::{AudioError, Blob, BoxError, Progress, Separator, StemSet};

use super::workers::{Load, Loaded};

/// Values that are loaded when they are first needed. At most `most` are kept; the least recently used is dropped before
/// another is loaded. Concurrent callers share one load.
struct OnDemand<K, T> {
    most: usize,
    /// Most recently used last.
    kept: Mutex<Vec<(K, Arc<OnceCell<T>>)>>,
}

impl<K: PartialEq + Copy, T: Clone> OnDemand<K, T> {
    fn new(most: usize) -> Self {
        Self { most: most.max(1), kept: Mutex::default() }
    }

    /// Returns a value, and loads it if needed. A load that fails is repeated by the next caller.
    async fn get<E, F: Future<Output = Result<T, E>>>(&self, key: K, load: impl FnOnce() -> F) -> Result<T, E> {
        let cell = self.cell(key);
        cell.get_or_try_init(load).await.cloned()
    }

    fn cell(&self, key: K) -> Arc<OnceCell<T>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = match kept.iter().position(|(other, _)| *other == key) {
            Some(at) => kept.remove(at).1,
            None => Arc::default(),
        };
        kept.push((key, Arc::clone(&cell)));
        let surplus = kept.len().saturating_sub(self.most);
        kept.drain(..surplus);
        cell
    }
}

type LoadModel = Arc<dyn Fn(ModelName) -> Result<Loaded, BoxError> + Send + Sync>;

/// A separator with several models.
struct Models {
    default: ModelName,
    loaded: OnDemand<ModelName, Arc<dyn Separator>>,
    load: LoadModel,
    /// The errors of failed devices.
    failures: mpsc::UnboundedSender<String>,
}

impl Models {
    /// Loads a model on another thread.
    async fn load(&self, model: ModelName) -> Result<Arc<dyn Separator>, AudioError> {
        tracing::info!(%model, "loading model");
        let load = Arc::clone(&self.load);
        let loaded = tokio::task::spawn_blocking(move || load(model)).await;
        let loaded = loaded.map_err(|error| AudioError::Failed(error.into()))?.map_err(AudioError::Failed)?;
        tracing::info!(%model, device = loaded.device, precision = loaded.precision, "model loaded");
        Ok(self.watched(loaded.separator, loaded.device_failure))
    }

    fn watched(
        &self,
        separator: Arc<dyn Separator>,
        failure: Pin<Box<dyn Future<Output = String> + Send>>,
    ) -> Arc<dyn Separator> {
        let failures = self.failures.clone();
        tokio::spawn(async move {
            tokio::select! {
                // If the worker has ended, there is no receiver.
                why = failure => drop(failures.send(why)),
                () = failures.closed() => {}
            }
        });
        separator
    }
}

#[async_trait]
impl Separator for Models {
    async fn separate(&self, song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        self.separate_with(None, song, progress).await
    }

    async fn separate_with(
        &self,
        model: Option<ModelName>,
        song: Blob,
        progress: Arc<dyn Progress>,
    ) -> Result<Box<dyn StemSet>, AudioError> {
        let model = model.unwrap_or(self.default);
        let separator = self.loaded.get(model, || self.load(model)).await?;
        separator.separate(song, progress).await
    }
}

/// Returns a loader of a separator with these models. It loads the first, which is the default, and later the others when a job
/// needs them. At most `most` stay in memory.
pub fn load_on_demand(
    names: &[ModelName],
    most: usize,
    load: impl Fn(ModelName, std::path::PathBuf) -> Result<Loaded, BoxError> + Send + Sync + 'static,
) -> Load {
    let first = names.first().copied();
    Box::new(move |work| {
        let default = first.ok_or("no model given")?;
        let Loaded { separator, device, precision, device_failure } = load(default, work.clone())?;
        let (failures, mut failed) = mpsc::unbounded_channel();
        let load = Arc::new(move |model| load(model, work.clone()));
        let models = Models { default, loaded: OnDemand::new(most), load, failures };
        // Nothing awaits here.
        let cell = models.loaded.cell(default);
        let _ = cell.set(separator);
        let device_failure = Box::pin(async move {
            tokio::select! {
                why = device_failure => why,
                Some(why) = failed.recv() => why,
            }
        });
        Ok(Loaded { separator: Arc::new(models), device, precision, device_failure })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn least_recently_used_is_dropped_and_loads_are_shared() {
        let (models, loads) = (&OnDemand::<u8, Arc<u8>>::new(2), &AtomicU32::new(0));
        let get = |key: u8| {
            models.get(key, move || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok::<_, ()>(Arc::new(key))
            })
        };
        let (one, other) = tokio::join!(get(1), get(1));
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
        let first = Arc::downgrade(&get(1).await.unwrap());
        get(2).await.unwrap();
        get(1).await.unwrap();
        assert_eq!(loads.load(Ordering::SeqCst), 2);
        let second = Arc::downgrade(&get(2).await.unwrap());
        get(1).await.unwrap();
        get(3).await.unwrap();
        assert!(first.upgrade().is_some() && second.upgrade().is_none(), "2 was used least recently");
        get(2).await.unwrap();
        assert!(first.upgrade().is_none());
        assert_eq!(loads.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn failed_load_is_repeated() {
        let models = OnDemand::<u8, Arc<u8>>::new(1);
        assert_eq!(models.get(1, || async { Err("no memory") }).await, Err("no memory"));
        assert_eq!(models.get(1, || async { Ok::<_, &str>(Arc::new(7)) }).await, Ok(Arc::new(7)));
    }
}
