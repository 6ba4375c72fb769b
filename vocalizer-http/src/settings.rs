//! Who may do what, and how long anybody may take.

use std::time::Duration;

use ipnet::IpNet;
use vocalizer_core::secret::Secret;

/// How the HTTP side is set. Everything is closed by default.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// What a worker must show, one of these; with none of them no job is leased and no result is taken, unless
    /// everybody's is.
    pub worker_tokens: Vec<Secret<String>>,
    /// Take results from anybody, as the original did. What workers do besides keeps its token. Default: no.
    pub open_upload_result: bool,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Default: nobody's.
    pub trusted_proxies: Vec<IpNet>,
    /// Which host names the server answers to. Default: any.
    pub allowed_hosts: AllowedHosts,
    /// Mark cookies `Secure` whatever a proxy says. Default: no, and then they are where a trusted proxy says `https`.
    pub secure_cookies: bool,
    /// How long anybody may take.
    pub patience: Patience,
    /// How much may be open at once.
    pub caps: Caps,
}

/// Which host names the server answers to. A page of another site whose name was made to resolve to this server is
/// refused by its name (DNS rebinding).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Every name.
    #[default]
    Any,
    /// `localhost`, names below it, and loopback addresses.
    Loopback,
    /// These and the loopback names. `.example.org` stands for every name below `example.org`.
    Named(Vec<String>),
}

/// How much may be open at once. What comes above is answered with 503 and `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Connections. Default: 8192.
    pub connections: usize,
    /// Connections from one IPv4 address or one /64 of IPv6. Those from a trusted proxy are counted in all only. Default:
    /// 1024.
    pub connections_per_address: usize,
    /// Archives with all stems that are being downloaded; each has four files open. Default: 256.
    pub archives: usize,
    /// Archives that one user is downloading, or one address without a user. Default: 32.
    pub archives_per_client: usize,
    /// Event streams. Default: 4096.
    pub event_streams: usize,
    /// Event streams of one user, or of one address without a user. Default: 128.
    pub event_streams_per_client: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            connections: 8192,
            connections_per_address: 1024,
            archives: 256,
            archives_per_client: 32,
            event_streams: 4096,
            event_streams_per_client: 128,
        }
    }
}

/// How long anybody may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a request's head. Default: 15 s.
    pub head: Duration,
    /// For the next piece of a request's body. Default: 30 s.
    pub body_silence: Duration,
    /// Below so many bytes a second, on the average since the body began, it is given up. Default: 1 KiB.
    pub body_bytes_per_s: u64,
    /// When that average is first looked at. Default: 30 s.
    pub body_grace: Duration,
    /// For a client to take the next piece of an answer. Default: 60 s.
    pub write: Duration,
    /// For open requests when the server is to stop. Default: 20 s.
    pub shutdown: Duration,
    /// For the runtime and its blocking pool to make progress, before `/livez` answers 503. Default: 30 s.
    pub progress: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            body_silence: Duration::from_secs(30),
            body_bytes_per_s: 1024,
            body_grace: Duration::from_secs(30),
            write: Duration::from_secs(60),
            shutdown: Duration::from_secs(20),
            progress: Duration::from_secs(30),
        }
    }
}
