use proptest::collection::vec;
use proptest::prelude::*;

use super::support::{Place, block_on};
use crate::model::{agree, step};

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_store_and_its_model_agree(steps in vec(step(), 1..40)) {
        block_on(async { agree(steps, &Place::new().await).await });
    }
}
