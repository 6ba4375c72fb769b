//! Clients of rate limits and fair queues.

use std::net::{IpAddr, Ipv6Addr};

use super::{UserId, Viewer};

/// The client of a request.
///
/// ```
/// use vocalizer_core::account::{Client, Viewer};
///
/// # fn main() -> Result<(), std::net::AddrParseError> {
/// // An IPv6 /64 counts as one client.
/// let first = Client::at(Viewer::Anonymous, "2001:db8::1".parse()?);
/// let second = Client::at(Viewer::Anonymous, "2001:db8::2".parse()?);
/// assert_eq!(first.share(), second.share());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// The user, or anonymous.
    pub viewer: Viewer,
    /// The address, if known.
    pub address: Option<IpAddr>,
}

impl Client {
    /// Returns a client at an address.
    #[must_use]
    pub const fn at(viewer: Viewer, address: IpAddr) -> Self {
        Self { viewer, address: Some(address) }
    }

    /// Returns the unit that this client is counted by: the user, or an anonymous client's address.
    #[must_use]
    pub fn share(self) -> Share {
        match self.viewer {
            Viewer::User(user) => Share::User(user),
            Viewer::Anonymous | Viewer::Shared(_) => Share::Address(self.address.map(household)),
        }
    }
}

/// A client with an unknown address. All anonymous clients without an address share one [`Share`].
impl From<Viewer> for Client {
    fn from(viewer: Viewer) -> Self {
        Self { viewer, address: None }
    }
}

/// Clients that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Share {
    /// A user, from any address.
    User(UserId),
    /// All anonymous clients at an address, or at unknown addresses.
    Address(Option<IpAddr>),
}

/// Returns the address, or its /64 for IPv6, since a household usually has a whole /64.
#[must_use]
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_is_per_user_or_per_anonymous_network() {
        let share = |viewer, address: &str| Client::at(viewer, address.parse().expect("an address")).share();
        let anonymous = |address| share(Viewer::Anonymous, address);
        let (ada, bob) = (Viewer::User(UserId::random()), Viewer::User(UserId::random()));
        assert_eq!(share(ada, "10.0.0.1"), share(ada, "10.0.0.2"));
        assert_ne!(share(ada, "10.0.0.1"), share(bob, "10.0.0.1"));
        assert_ne!(share(ada, "10.0.0.1"), anonymous("10.0.0.1"));
        assert_ne!(anonymous("10.0.0.1"), anonymous("10.0.0.2"));
        assert_eq!(anonymous("2001:db8::1"), anonymous("2001:db8::ffff:1"));
        assert_ne!(anonymous("2001:db8::1"), anonymous("2001:db8:0:1::1"));
        assert_eq!(anonymous("::ffff:10.0.0.1"), anonymous("10.0.0.1"));
    }
}
