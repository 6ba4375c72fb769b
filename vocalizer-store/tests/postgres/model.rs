use proptest::collection::vec;
use proptest::prelude::*;

use super::support::{TestDatabase, block_on};
use crate::model::{assert_agreement, step};

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn store_agrees_with_its_model(steps in vec(step(), 1..40)) {
        block_on(async { assert_agreement(steps, &TestDatabase::new().await).await });
    }
}
