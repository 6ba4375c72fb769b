//! Whose share a request counts towards.

use std::net::{IpAddr, Ipv6Addr};

use super::{UserId, Viewer};

/// Who makes a request, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// Who it is.
    pub viewer: Viewer,
    /// The address, where it is known.
    pub address: Option<IpAddr>,
}

impl Client {
    /// A client at an address.
    #[must_use]
    pub const fn at(viewer: Viewer, address: IpAddr) -> Self {
        Self { viewer, address: Some(address) }
    }

    /// What this client's share is counted by: the user, or the address of somebody anonymous.
    #[must_use]
    pub fn share(self) -> Share {
        match self.viewer {
            Viewer::User(user) => Share::User(user),
            Viewer::Anonymous => Share::Address(self.address.map(household)),
        }
    }
}

/// A client whose address is not known. All anonymous ones of them have one share.
impl From<Viewer> for Client {
    fn from(viewer: Viewer) -> Self {
        Self { viewer, address: None }
    }
}

/// Those who are counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Share {
    /// A user, from whatever address.
    User(UserId),
    /// All anonymous clients of an address, or of addresses that are not known.
    Address(Option<IpAddr>),
}

/// Every household has a whole /64 of IPv6 addresses, so those are one.
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
    fn users_are_counted_by_themselves_and_others_by_their_network() {
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
