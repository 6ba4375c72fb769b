//! What is between processes: requests that are late, lost, or come twice; answers that never arrive.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{Either, select};
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{Backend, BackendError, Blob, BlobError, Job, StemSet, Stems, Wanted};
use vocalizer_core::service::SongService;
use vocalizer_core::song::{FailureReason, SongHash};

use super::audio::{over_the_network, whole};
use super::calls::Away;
use super::kernel::{Kernel, OUTSIDE};
use super::plan::SECOND;
use super::world::{World, worker_settings};

/// How long anybody waits for an answer.
const PATIENCE_US: u64 = 60 * SECOND;

/// Which server a request goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whither {
    /// Any of them.
    Any,
    /// This one.
    To(usize),
    /// This one, which does not stop when its caller has gone.
    ToTheEnd(usize),
}

impl World {
    /// Asks one of the servers; `handler` is what that does, in tasks of its own.
    pub(crate) async fn ask<T, F>(
        self: &Arc<Self>,
        handler: impl Fn(SongService) -> F + Clone + Send + Sync + 'static,
    ) -> Result<T, Away>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.ask_at(Whither::Any, handler).await
    }

    pub(crate) async fn ask_at<T, F>(
        self: &Arc<Self>,
        whither: Whither,
        handler: impl Fn(SongService) -> F + Clone + Send + Sync + 'static,
    ) -> Result<T, Away>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let kernel = &self.kernel;
        let rates = &kernel.plan.rates;
        kernel.pause().await;
        if kernel.is_cut(kernel.current().1) || kernel.fault(rates.request_lost) {
            kernel.sleep(kernel.below(5 * SECOND)).await;
            return Err(Away("the request was lost"));
        }
        if kernel.fault(rates.request_twice) {
            kernel.met("request twice");
            let (world, handler) = (Arc::clone(self), handler.clone());
            kernel.spawn(OUTSIDE, "network", async move {
                world.kernel.sleep(world.kernel.below(60 * SECOND)).await;
                world.serve(whither, handler, |_| ());
            });
        }
        let reply = Arc::new(Reply::default());
        let answer = Answer(Arc::clone(&reply));
        let Some(request) = self.serve(whither, handler, move |value| answer.give(value)) else {
            kernel.pause().await;
            return Err(Away("the server is down"));
        };
        let to_the_end = matches!(whither, Whither::ToTheEnd(_)) || !kernel.plan.hangs_up;
        let hang_up = (!to_the_end).then(|| HangUp { kernel, request });
        let answered = match select(Waiting(&reply), pin!(kernel.sleep(PATIENCE_US))).await {
            Either::Left((answered, _)) => answered,
            Either::Right(_) => None,
        };
        drop(hang_up);
        if kernel.fault(rates.answer_lost) {
            kernel.met("answer lost");
            return Err(Away("the answer was lost"));
        }
        answered.ok_or(Away("the server hung up"))
    }

    /// Begins a request at a server, if that is up.
    fn serve<T, F>(
        self: &Arc<Self>,
        whither: Whither,
        handler: impl Fn(SongService) -> F + Send + 'static,
        answer: impl FnOnce(T) + Send + 'static,
    ) -> Option<u64>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let server = match whither {
            Whither::Any => self.kernel.below(self.kernel.plan.servers as u64) as usize,
            Whither::To(server) | Whither::ToTheEnd(server) => server,
        };
        let (process, service) = self.service(server)?;
        let kernel = Arc::clone(&self.kernel);
        Some(self.kernel.spawn(process, "request", async move {
            kernel.pause().await;
            answer(handler(service).await);
        }))
    }
}

/// Ends a request when whoever made it has gone.
struct HangUp<'a> {
    kernel: &'a Kernel,
    request: u64,
}

impl Drop for HangUp<'_> {
    fn drop(&mut self) {
        self.kernel.abandon(self.request);
    }
}

struct Reply<T>(Mutex<(Option<Option<T>>, Option<Waker>)>);

impl<T> Default for Reply<T> {
    fn default() -> Self {
        Self(Mutex::new((None, None)))
    }
}

impl<T> Reply<T> {
    fn set(&self, answer: Option<T>) {
        let mut reply = self.0.lock().expect("a run has one thread");
        reply.0.get_or_insert(answer);
        if let Some(waker) = reply.1.take() {
            waker.wake();
        }
    }
}

/// The server's end of a reply. Dropped, it says that there is none.
struct Answer<T>(Arc<Reply<T>>);

impl<T> Answer<T> {
    fn give(self, value: T) {
        self.0.set(Some(value));
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

struct Waiting<'a, T>(&'a Reply<T>);

impl<T> Future for Waiting<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut reply = self.0.0.lock().expect("a run has one thread");
        match reply.0.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                reply.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The backend as a worker on another machine knows it.
pub(crate) struct Remote {
    pub(crate) world: Arc<World>,
}

type Told<T> = Result<T, BackendError>;

impl Remote {
    async fn ask<T, F>(&self, handler: impl Fn(SongService) -> F + Clone + Send + Sync + 'static) -> Told<T>
    where
        T: Send + 'static,
        F: Future<Output = Told<T>> + Send + 'static,
    {
        self.world.ask(handler).await.map_err(|away| BackendError::Unavailable(Box::new(away)))?
    }
}

#[async_trait]
impl Backend for Remote {
    async fn begin(&self, hash: &SongHash) -> Told<Wanted> {
        let hash = *hash;
        self.ask(move |service| async move { service.begin(&hash).await }).await
    }

    async fn source(&self, job: &Job) -> Told<Option<Blob>> {
        let (job, hash) = (job.clone(), job.hash);
        let read = move |service: SongService| {
            let job = job.clone();
            async move {
                let Some(mut song) = service.source(&job).await? else { return Ok(None) };
                let mut bytes = Vec::new();
                loop {
                    match song.next_chunk().await {
                        Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                        // Over the network it is the client that notices.
                        Ok(None) | Err(BlobError::Damaged) => return Ok(Some(Bytes::from(bytes))),
                        Err(_) => return Err(BackendError::Unavailable(Box::new(Away("the bytes stopped coming")))),
                    }
                }
            }
        };
        let (bytes, kernel) = (self.ask(read).await?, Arc::clone(&self.world.kernel));
        Ok(bytes.map(|bytes| Blob::new(bytes.len() as u64, "", over_the_network(kernel, bytes)).of_song(hash)))
    }

    async fn progress(&self, hash: &SongHash, percent: u8) -> Told<Wanted> {
        let hash = *hash;
        self.ask(move |service| async move { service.progress(&hash, percent).await }).await
    }

    async fn deliver(&self, hash: &SongHash, stems: &dyn StemSet) -> Told<Wanted> {
        let (hash, mut bytes) = (*hash, Vec::new());
        for stem in Stem::FOUR {
            let blob = stems.open(stem).await.expect("stems in memory can be opened");
            bytes.push(whole(blob).await.expect("stems in memory can be read"));
        }
        let [drums, bass, other, vocals] = <[_; 4]>::try_from(bytes).expect("there are four");
        let stems = Stems { drums, bass, other, vocals };
        let deliver = move |service: SongService| {
            let stems = stems.clone();
            async move { service.deliver(&hash, &stems).await }
        };
        let told = self.ask(deliver).await;
        self.world.kernel.note(format_args!("delivered: {:?}", told.as_ref().ok()));
        told
    }

    async fn hand_back(&self, hash: &SongHash) -> Told<()> {
        let hash = *hash;
        self.ask(move |service| async move { service.hand_back(&hash).await }).await
    }

    async fn fail(&self, hash: &SongHash, reason: &FailureReason) -> Told<()> {
        let (_, process, _) = self.world.kernel.current();
        self.world.ghost.failed(process, hash, reason, worker_settings().max_attempts);
        let (hash, reason) = (*hash, reason.clone());
        let fail = move |service: SongService| {
            let reason = reason.clone();
            async move { service.fail(&hash, &reason).await }
        };
        self.ask(fail).await
    }
}
