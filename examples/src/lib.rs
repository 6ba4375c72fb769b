//! The program `vocalizer`: splits songs on this machine, runs the service and its workers, and talks to a service elsewhere.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "separate")]
mod allocator;
mod args;
mod exit;
mod local;
mod model;
mod npm;
mod output;
mod paths;
mod remote;
mod run;
pub mod service;
mod voice;

pub use run::run;

/// Compiles the code in the SDK's documentation.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../docs/sdk.md")]
    struct Sdk;

    #[cfg(feature = "separate")]
    #[doc = include_str!("../../docs/guides/embed-separation.md")]
    struct EmbedSeparation;

    #[doc = include_str!("../../docs/guides/use-a-server.md")]
    struct UseAServer;

    #[doc = include_str!("../../docs/guides/write-an-adapter.md")]
    struct WriteAnAdapter;

    #[cfg(feature = "cluster")]
    #[doc = include_str!("../../docs/guides/compose-a-server.md")]
    struct ComposeAServer;

    #[doc = include_str!("../../docs/guides/write-a-worker.md")]
    struct WriteAWorker;

    #[doc = include_str!("../../docs/guides/test-your-app.md")]
    struct TestYourApp;
}
