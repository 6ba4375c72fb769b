use proptest::collection::vec;
use proptest::prelude::*;

use super::support::TestFile;
use crate::model::{assert_agreement, step};

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn store_agrees_with_its_model(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(assert_agreement(steps, &TestFile::new()));
    }
}
