//! Visibility: an anonymous song is visible to all, any other song only to its owner.

use proptest::prelude::*;
use vocalizer_core::account::Viewer;

use super::songs::{song, user};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_owner_sees_song(song in song(), user in user()) {
        let viewer = Viewer::User(user);
        prop_assert_eq!(viewer.may_see(&song), song.uploader().is_none_or(|owner| owner == user));
        prop_assert_eq!(Viewer::Anonymous.may_see(&song), song.uploader().is_none());
        for viewer in [viewer, Viewer::Anonymous] {
            prop_assert_eq!(viewer.may_change(&song), viewer.may_see(&song), "an invisible song cannot be changed");
        }
    }

    #[test]
    fn share_link_permits_reading_its_song_only(song in song(), other in song()) {
        let viewer = Viewer::Shared(song.id());
        prop_assert!(viewer.may_see(&song));
        prop_assert_eq!(viewer.may_change(&song), song.uploader().is_none());
        prop_assert_eq!(viewer.may_see(&other), other.uploader().is_none() || other.id() == song.id());
        prop_assert_eq!(viewer.user(), None);
    }

    #[test]
    fn viewer_has_its_user(user in user()) {
        prop_assert_eq!(Viewer::User(user).user(), Some(user));
        prop_assert_eq!(Viewer::Anonymous.user(), None);
    }
}
