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
            prop_assert_eq!(viewer.may_delete(&song), viewer.may_see(&song), "an invisible song cannot be deleted");
        }
    }

    #[test]
    fn viewer_has_its_user(user in user()) {
        prop_assert_eq!(Viewer::User(user).user(), Some(user));
        prop_assert_eq!(Viewer::Anonymous.user(), None);
    }
}
