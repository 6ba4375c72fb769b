//! The simulated network: requests can be delayed, lost or duplicated, and responses lost.

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

use super::audio::{network_stream, read_all};
use super::calls::CallError;
use super::kernel::{Kernel, OUTSIDE};
use super::plan::SECOND;
use super::world::{World, worker_settings};

/// The timeout of a request.
const TIMEOUT_US: u64 = 60 * SECOND;

/// Which server a request goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// Any server.
    Any,
    /// This server.
    Server(usize),
    /// This server, which completes the request even if the caller is gone.
    ToCompletion(usize),
}

impl World {
    /// Sends a request to any server, which runs `handler` in its own task.
    pub(crate) async fn request<T, F>(
        self: &Arc<Self>,
        handler: impl Fn(SongService) -> F + Clone + Send + Sync + 'static,
    ) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.request_to(Target::Any, handler).await
    }

    pub(crate) async fn request_to<T, F>(
        self: &Arc<Self>,
        target: Target,
        handler: impl Fn(SongService) -> F + Clone + Send + Sync + 'static,
    ) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let kernel = &self.kernel;
        let rates = &kernel.plan.rates;
        kernel.pause().await;
        if kernel.is_cut(kernel.current().1) || kernel.fault(rates.request_lost) {
            kernel.sleep(kernel.below(5 * SECOND)).await;
            return Err(CallError("request lost"));
        }
        if kernel.fault(rates.request_duplicated) {
            kernel.cover("request duplicated");
            let (world, handler) = (Arc::clone(self), handler.clone());
            kernel.spawn(OUTSIDE, "network", async move {
                world.kernel.sleep(world.kernel.below(60 * SECOND)).await;
                world.serve(target, handler, |_| ());
            });
        }
        let reply = Arc::new(Reply::default());
        let sender = ReplySender(Arc::clone(&reply));
        let Some(request) = self.serve(target, handler, move |value| sender.send(value)) else {
            kernel.pause().await;
            return Err(CallError("server down"));
        };
        let to_completion = matches!(target, Target::ToCompletion(_)) || !kernel.plan.hangs_up;
        let cancel = (!to_completion).then(|| CancelOnDrop { kernel, request });
        let response = match select(ReplyFuture(&reply), pin!(kernel.sleep(TIMEOUT_US))).await {
            Either::Left((response, _)) => response,
            Either::Right(_) => None,
        };
        drop(cancel);
        if kernel.fault(rates.response_lost) {
            kernel.cover("response lost");
            return Err(CallError("response lost"));
        }
        response.ok_or(CallError("connection closed by the server"))
    }

    /// Starts a request at a server, if it is up.
    fn serve<T, F>(
        self: &Arc<Self>,
        target: Target,
        handler: impl Fn(SongService) -> F + Send + 'static,
        respond: impl FnOnce(T) + Send + 'static,
    ) -> Option<u64>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let server = match target {
            Target::Any => self.kernel.below(self.kernel.plan.servers as u64) as usize,
            Target::Server(server) | Target::ToCompletion(server) => server,
        };
        let (process, service) = self.service(server)?;
        let kernel = Arc::clone(&self.kernel);
        Some(self.kernel.spawn(process, "request", async move {
            kernel.pause().await;
            respond(handler(service).await);
        }))
    }
}

/// Cancels a request when its caller is gone.
struct CancelOnDrop<'a> {
    kernel: &'a Kernel,
    request: u64,
}

impl Drop for CancelOnDrop<'_> {
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
    fn set(&self, response: Option<T>) {
        let mut reply = self.0.lock().expect("single-threaded");
        reply.0.get_or_insert(response);
        if let Some(waker) = reply.1.take() {
            waker.wake();
        }
    }
}

/// The server's end of a reply. Dropping it means that there is no response.
struct ReplySender<T>(Arc<Reply<T>>);

impl<T> ReplySender<T> {
    fn send(self, value: T) {
        self.0.set(Some(value));
    }
}

impl<T> Drop for ReplySender<T> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

struct ReplyFuture<'a, T>(&'a Reply<T>);

impl<T> Future for ReplyFuture<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut reply = self.0.0.lock().expect("single-threaded");
        match reply.0.take() {
            Some(response) => Poll::Ready(response),
            None => {
                reply.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The backend as seen by a remote worker.
pub(crate) struct Remote {
    pub(crate) world: Arc<World>,
}

type BackendResult<T> = Result<T, BackendError>;

impl Remote {
    async fn request<T, F>(
        &self,
        handler: impl Fn(SongService) -> F + Clone + Send + Sync + 'static,
    ) -> BackendResult<T>
    where
        T: Send + 'static,
        F: Future<Output = BackendResult<T>> + Send + 'static,
    {
        self.world.request(handler).await.map_err(|error| BackendError::Unavailable(Box::new(error)))?
    }
}

#[async_trait]
impl Backend for Remote {
    async fn begin(&self, hash: &SongHash) -> BackendResult<Wanted> {
        let hash = *hash;
        self.request(move |service| async move { service.begin(&hash).await }).await
    }

    async fn source(&self, job: &Job) -> BackendResult<Option<Blob>> {
        let (job, hash) = (job.clone(), job.hash);
        let read = move |service: SongService| {
            let job = job.clone();
            async move {
                let Some(mut song) = service.source(&job).await? else { return Ok(None) };
                let mut bytes = Vec::new();
                loop {
                    match song.next_chunk().await {
                        Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                        // Over the network the client detects the damage.
                        Ok(None) | Err(BlobError::Damaged) => return Ok(Some(Bytes::from(bytes))),
                        Err(_) => {
                            return Err(BackendError::Unavailable(Box::new(CallError("download interrupted"))));
                        }
                    }
                }
            }
        };
        let (bytes, kernel) = (self.request(read).await?, Arc::clone(&self.world.kernel));
        Ok(bytes.map(|bytes| Blob::new(bytes.len() as u64, "", network_stream(kernel, bytes)).of_song(hash)))
    }

    async fn progress(&self, hash: &SongHash, percent: u8) -> BackendResult<Wanted> {
        let hash = *hash;
        self.request(move |service| async move { service.progress(&hash, percent).await }).await
    }

    async fn deliver(&self, hash: &SongHash, stems: &dyn StemSet) -> BackendResult<Wanted> {
        let (hash, mut bytes) = (*hash, Vec::new());
        for stem in Stem::FOUR {
            let blob = stems.open(stem).await.expect("memory does not fail");
            bytes.push(read_all(blob).await.expect("memory does not fail"));
        }
        let [drums, bass, other, vocals] = <[_; 4]>::try_from(bytes).expect("four stems");
        let stems = Stems { drums, bass, other, vocals };
        let deliver = move |service: SongService| {
            let stems = stems.clone();
            async move { service.deliver(&hash, &stems).await }
        };
        let result = self.request(deliver).await;
        self.world.kernel.note(format_args!("delivered: {:?}", result.as_ref().ok()));
        result
    }

    async fn hand_back(&self, hash: &SongHash) -> BackendResult<()> {
        let hash = *hash;
        self.request(move |service| async move { service.hand_back(&hash).await }).await
    }

    async fn fail(&self, hash: &SongHash, reason: &FailureReason) -> BackendResult<()> {
        let (_, process, _) = self.world.kernel.current();
        self.world.ghost.failed(process, hash, reason, worker_settings().max_attempts);
        let (hash, reason) = (*hash, reason.clone());
        let fail = move |service: SongService| {
            let reason = reason.clone();
            async move { service.fail(&hash, &reason).await }
        };
        self.request(fail).await
    }
}
