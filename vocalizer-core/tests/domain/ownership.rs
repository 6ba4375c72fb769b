//! Who sees what: an anonymous song is everybody's, any other its owner's alone.

use proptest::prelude::*;
use vocalizer_core::account::Viewer;

use super::songs::{song, user};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_owner_and_nobody_else(song in song(), user in user()) {
        let viewer = Viewer::User(user);
        prop_assert_eq!(viewer.may_see(&song), song.uploader().is_none_or(|owner| owner == user));
        prop_assert_eq!(Viewer::Anonymous.may_see(&song), song.uploader().is_none());
        for viewer in [viewer, Viewer::Anonymous] {
            prop_assert_eq!(viewer.may_delete(&song), viewer.may_see(&song), "nobody deletes what is not there for them");
        }
    }

    #[test]
    fn what_one_uploads_is_ones_own(user in user()) {
        prop_assert_eq!(Viewer::User(user).user(), Some(user));
        prop_assert_eq!(Viewer::Anonymous.user(), None);
    }
}
