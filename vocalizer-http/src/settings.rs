//! Settings of the HTTP server: access, timeouts and caps.

use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use vocalizer_core::secret::Secret;

/// Settings of the HTTP server. By default, no worker and no proxy is trusted.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// Valid worker tokens. If empty, workers cannot lease jobs or upload results, except with `open_upload_result`.
    pub worker_tokens: Vec<Secret<String>>,
    /// Accept results without a token, as the original did. Other worker routes still require one. Default: false.
    pub open_upload_result: bool,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted. Default: none.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which trusted proxies name the user that they have authenticated. Default: none.
    pub user_header: Option<UserHeader>,
    /// Allowed host names. Default: any.
    pub allowed_hosts: AllowedHosts,
    /// Always mark cookies `Secure`. Default: false; then only if a trusted proxy reports `https`.
    pub secure_cookies: bool,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Caps on concurrent work.
    pub caps: Caps,
}

/// A header in which a proxy names the user that it has authenticated. It counts only on connections from
/// [trusted proxies](HttpSettings::trusted_proxies), which must remove it from what clients send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserHeader {
    pub(crate) name: HeaderName,
    pub(crate) creates_users: bool,
}

impl UserHeader {
    /// Returns a header with this name; `None` if it cannot be the name of a header. Unknown users are refused, unless
    /// `creates_users` is set: they are then registered.
    ///
    /// ```
    /// use vocalizer_http::settings::UserHeader;
    ///
    /// assert!(UserHeader::new("Remote-User", false).is_some());
    /// assert!(UserHeader::new("Remote User", false).is_none());
    /// ```
    #[must_use]
    pub fn new(name: &str, creates_users: bool) -> Option<Self> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some(Self { name, creates_users })
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }
}

/// Allowed host names. They protect against DNS rebinding: other sites whose names resolve to this server are refused.
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

/// Caps on concurrent work. Above them the server responds with 503 and `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Connections. Default: 8192.
    pub connections: usize,
    /// Connections from one IPv4 address or one /64 of IPv6. Connections from trusted proxies only count towards
    /// `connections`. Default: 1024.
    pub connections_per_address: usize,
    /// Concurrent downloads of archives with all stems; each has four files open. Default: 256.
    pub archives: usize,
    /// Archives that one user is downloading, or one address without a user. Default: 32.
    pub archives_per_client: usize,
    /// Event streams. Default: 4096.
    pub event_streams: usize,
    /// Event streams of one user, or of one address if anonymous. Default: 128.
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

/// Timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Timeout for a request head. Default: 15 s.
    pub head: Duration,
    /// Timeout for the next chunk of a request body. Default: 30 s.
    pub body_silence: Duration,
    /// Minimum average rate of a request body, in bytes per second. Default: 1 KiB.
    pub body_bytes_per_s: u64,
    /// Time before the average rate is checked. Default: 30 s.
    pub body_grace: Duration,
    /// Timeout for a client to read the next chunk of a response. Default: 60 s.
    pub write: Duration,
    /// Time for open requests to finish at shutdown. Default: 20 s.
    pub shutdown: Duration,
    /// Time without progress of the runtime and its blocking pool before `/livez` responds with 503. Default: 30 s.
    pub progress: Duration,
}

impl Default for Timeouts {
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
