use proptest::collection::vec;
use proptest::prelude::*;

use super::support::Place;
use crate::model::{agree, step};

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_store_and_its_model_agree(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(agree(steps, &Place::new()));
    }
}
