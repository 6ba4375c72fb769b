//! The trace that the current work belongs to.
//!
//! It follows the work, not the log: it is there whatever is logged, and without a subscriber. [`within`] carries it
//! into a future, so a task that is spawned needs it again. A subscriber that exports spans reads [`new_span`] when a
//! span of [`Traced`] is created.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::SystemTime;

use tracing::field::DisplayValue;
use tracing::{Instrument as _, Span};
pub use vocalizer_api::trace::{InvalidTraceparent, Sampling, TraceContext, TraceId};

thread_local! {
    static CURRENT: Cell<Option<TraceContext>> = const { Cell::new(None) };
    static NEW: RefCell<Option<NewSpan>> = const { RefCell::new(None) };
}

/// Which side of a call a span is on, as OpenTelemetry defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work within the program.
    Internal,
    /// A request that the program answers.
    Server,
    /// A request that the program makes.
    Client,
    /// A message that the program publishes.
    Producer,
    /// A message that the program processes.
    Consumer,
}

/// What a span means in its trace, for exporters. Unlike the fields of a span, it is not logged.
#[derive(Debug, Clone)]
pub struct NewSpan {
    /// The trace and the ID of the span.
    pub context: TraceContext,
    /// The parent, which may be in another program; `None` for the first span of a trace.
    pub parent: Option<TraceContext>,
    /// Its kind.
    pub kind: Kind,
    /// The name, if the span's own one is too general.
    pub name: Option<String>,
    /// When it began, if not now.
    pub began: Option<SystemTime>,
    /// Names and values of its attributes.
    pub attributes: Vec<(&'static str, String)>,
}

/// Returns what a span means that is being created on this thread, to a subscriber in its `on_new_span`.
#[must_use]
pub fn new_span() -> Option<NewSpan> {
    NEW.with_borrow(Clone::clone)
}

/// Returns the trace that the current work belongs to.
///
/// ```
/// use vocalizer_core::trace::{current, within};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), vocalizer_core::trace::InvalidTraceparent> {
/// let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse()?;
/// assert_eq!(within(Some(caller), async { current() }).await, Some(caller));
/// assert_eq!(current(), None);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn current() -> Option<TraceContext> {
    CURRENT.get()
}

/// Runs a future as part of a trace.
pub async fn within<T>(context: Option<TraceContext>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        let _entered = Entered(CURRENT.replace(context));
        work.as_mut().poll(cx)
    })
    .await
}

/// Restores the previous trace when dropped, also by a panic.
struct Entered(Option<TraceContext>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// A span of a trace, and of the log.
#[derive(Debug, Clone)]
pub struct Traced {
    span: Span,
    context: Option<TraceContext>,
}

/// The ID of a trace as a field of a span; nothing is logged for `None`.
pub type LoggedId = Option<DisplayValue<TraceId>>;

impl Traced {
    /// Creates a span in the current trace. Without one, it is only logged.
    #[must_use]
    pub fn new(kind: Kind, make: impl FnOnce() -> Span) -> Self {
        Self::child_of(current(), kind, Vec::new(), |_| make())
    }

    /// Creates a span whose parent may be in another program. `make` gets the ID of the trace for the log.
    #[must_use]
    pub fn child_of(
        parent: Option<TraceContext>,
        kind: Kind,
        attributes: Vec<(&'static str, String)>,
        make: impl FnOnce(LoggedId) -> Span,
    ) -> Self {
        let Some(context) = parent.map(TraceContext::child) else { return Self { span: make(None), context: None } };
        Self::of(NewSpan { context, parent, kind, name: None, began: None, attributes }, make)
    }

    /// Creates a span from a description.
    #[must_use]
    pub fn of(new: NewSpan, make: impl FnOnce(LoggedId) -> Span) -> Self {
        let context = new.context;
        NEW.set(Some(new));
        let span = make(Some(tracing::field::display(context.trace_id())));
        NEW.set(None);
        Self { span, context: Some(context) }
    }

    /// Runs a future in the span.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> T {
        within(self.context, work).instrument(self.span).await
    }

    /// Returns the span.
    #[must_use]
    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// Returns its place in the trace.
    #[must_use]
    pub const fn context(&self) -> Option<TraceContext> {
        self.context
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::{join, ready};

    use super::*;

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[tokio::test]
    async fn futures_on_one_thread_keep_their_own_traces() {
        let caller: TraceContext = CALLER.parse().unwrap();
        let one = within(Some(caller), async {
            tokio::task::yield_now().await;
            current()
        });
        let other = within(Some(caller.child()), async {
            tokio::task::yield_now().await;
            within(None, ready(())).await;
            current()
        });
        let (one, other) = join(one, other).await;
        assert!(one == Some(caller) && other.is_some() && other != one);
        assert_eq!(current(), None);
    }

    #[tokio::test]
    async fn span_is_a_child_of_the_current_trace() {
        let caller: TraceContext = CALLER.parse().unwrap();
        assert_eq!(Traced::new(Kind::Internal, Span::none).context(), None);
        let inner = within(Some(caller), async {
            let traced = Traced::new(Kind::Internal, || {
                let new = new_span().unwrap();
                assert_eq!(new.parent, Some(caller));
                Span::none()
            });
            assert!(new_span().is_none());
            let context = traced.context();
            assert_eq!(traced.run(async { current() }).await, context);
            context.unwrap()
        });
        let inner = inner.await;
        assert_eq!(inner.trace_id(), caller.trace_id());
        assert_ne!(inner.span_id(), caller.span_id());
    }
}
