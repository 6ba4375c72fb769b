//! Configuration files of the training toolkit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vocalizer_model::weights::parse_toolkit_config;

fuzz_target!(|text: &str| {
    let Ok(config) = parse_toolkit_config(text) else { return };
    let sections = config.as_object().expect("sections");
    assert!(sections.contains_key("model"), "{config}");
    for (name, section) in sections {
        assert!(["audio", "model", "training", "inference"].contains(&name.as_str()), "{name}");
        assert!(section.is_object(), "{name}");
    }
});
