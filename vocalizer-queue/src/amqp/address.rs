//! The broker's address.

use std::fmt;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use url::{Host, Url};
use vocalizer_core::secret::Secret;

use super::error::AmqpError;

/// AMQP heartbeat interval, in seconds. A connection without heartbeats ends after two intervals.
const HEARTBEAT_SECONDS: u16 = 10;

/// A parsed AMQP URL.
#[derive(Clone)]
pub(super) struct Address {
    encrypted: bool,
    host: String,
    port: u16,
    user: String,
    password: Secret<String>,
    pub(super) vhost: String,
}

impl Address {
    /// Uses the `url` crate because lapin's own parser reads an IPv6 address as `localhost`.
    pub(super) fn parse(text: &str) -> Result<Self, AmqpError> {
        let text = text.trim();
        let whole = if text.contains("://") { text.to_owned() } else { format!("amqp://{text}") };
        let url = Url::parse(&whole).map_err(|_| AmqpError::Address("not a valid URL"))?;
        let encrypted = match url.scheme() {
            "amqp" => false,
            "amqps" => true,
            _ => return Err(AmqpError::Address("unsupported scheme")),
        };
        let host = match url.host() {
            Some(Host::Domain(domain)) if !domain.is_empty() => percent_decode(domain)?,
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(AmqpError::Address("missing host")),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AmqpError::Address("query and fragment are not allowed"));
        }
        // Strictly, the path "/" is a virtual host with an empty name; in practice it means the one named "/".
        let vhost = match url.path().strip_prefix('/').unwrap_or_default() {
            "" => "/".to_owned(),
            path if path.contains('/') => {
                return Err(AmqpError::Address("write a slash in the virtual host as %2F"));
            }
            path => percent_decode(path)?,
        };
        let or_guest = |text: &str| if text.is_empty() { Ok("guest".to_owned()) } else { percent_decode(text) };
        Ok(Self {
            encrypted,
            host,
            port: url.port().unwrap_or(if encrypted { 5671 } else { 5672 }),
            user: or_guest(url.username())?,
            password: Secret::new(or_guest(url.password().unwrap_or(""))?),
            vhost,
        })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Host and port, for messages.
    pub(super) fn at(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    pub(super) fn uri(&self) -> AMQPUri {
        AMQPUri {
            scheme: if self.encrypted { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo { username: self.user.clone(), password: self.password.expose().clone() },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString { heartbeat: Some(HEARTBEAT_SECONDS), ..AMQPQueryString::default() },
        }
    }
}

/// Omits the user name as well as the password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://..@{}/{}", if self.encrypted { "amqps" } else { "amqp" }, self.at(), self.vhost)
    }
}

fn percent_decode(text: &str) -> Result<String, AmqpError> {
    let bytes = percent_encoding::percent_decode_str(text).decode_utf8();
    bytes.map(Into::into).map_err(|_| AmqpError::Address("percent-encoded bytes are not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> AMQPUri {
        Address::parse(text).unwrap().uri()
    }

    #[test]
    fn host_without_scheme_gets_defaults() {
        let uri = parsed("broker:5673");
        assert_eq!((uri.authority.host.as_str(), uri.authority.port), ("broker", 5673));
        assert_eq!((uri.authority.userinfo.username.as_str(), uri.vhost.as_str()), ("guest", "/"));
        assert_eq!(parsed("127.0.0.1").authority.port, 5672);
        assert_eq!(parsed("amqps://broker").authority.port, 5671);
    }

    #[test]
    fn url_parts_are_parsed_and_decoded() {
        let uri = parsed("amqps://us%40er:p%2Fw@broker:1/songs%2Fhere");
        assert_eq!(uri.authority.userinfo.username, "us@er");
        assert_eq!(uri.authority.userinfo.password, "p/w");
        assert_eq!(uri.vhost, "songs/here");
        assert_eq!(uri.scheme, AMQPScheme::AMQPS);
    }

    #[test]
    fn lone_slash_means_default_virtual_host() {
        for text in ["amqp://broker", "amqp://broker/", "amqp://broker/%2f"] {
            assert_eq!(parsed(text).vhost, "/", "{text}");
        }
    }

    #[test]
    fn ipv6_address_is_kept() {
        let address = Address::parse("amqp://[::1]:5672/").unwrap();
        assert_eq!(address.uri().authority.host, "::1");
        assert_eq!(address.at(), "[::1]:5672");
    }

    #[test]
    fn invalid_address_is_rejected_without_echoing_it() {
        for text in [
            "",
            "http://secret@broker",
            "amqp://",
            "amqp://:secret@",
            "a b",
            "broker:99999",
            "amqp://b/secret?a=b",
            "amqp://b/a/b",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn debug_shows_neither_user_nor_password() {
        let shown = format!("{:?}", Address::parse("amqp://user:word@broker/v").unwrap());
        assert_eq!(shown, "amqp://..@broker:5672/v");
    }
}
