//! The configurations of the registry.

use serde_json::Value;

use super::{Chunking, Configured, Level, NetworkConfig, RoformerConfig, ScnetConfig, roformer, scnet};
use crate::weights::{Family, MODELS, MemberSpec, ModelSpec};

fn configured() -> impl Iterator<Item = (&'static ModelSpec, &'static MemberSpec, Value)> {
    let members = MODELS.iter().flat_map(|model| model.members.iter().map(move |member| (model, member)));
    members.filter_map(|(model, member)| {
        Some((model, member, serde_json::from_str(member.config?).expect("the configuration is JSON")))
    })
}

#[test]
fn every_registry_configuration_is_accepted_by_its_family() {
    for (model, _, config) in configured() {
        let network: Box<dyn NetworkConfig> = match model.family {
            Family::Scnet => {
                let config = ScnetConfig::from_json(&config).expect(model.name);
                Box::new(Configured::new(config).expect(model.name))
            }
            family => {
                let config = RoformerConfig::from_json(&config, family.name()).expect(model.name);
                Box::new(Configured::new(config).expect(model.name))
            }
        };
        let sources: Vec<_> = network.sources().iter().map(ToString::to_string).collect();
        assert_eq!(sources, model.sources, "{}", model.name);
        let (segment_frames, overlap, is_normalised) = match model.name {
            "scnet" | "scnet-large" => (485_100, 4, true),
            "scnet-xl-ihf" => (485_100, 4, false),
            "mel-roformer-kim" | "bs-roformer-viperx-1297" => (352_800, 2, false),
            "mel-roformer-karaoke" => (352_800, 4, false),
            "bs-roformer-anvuew" => (960_000, 4, false),
            "mvsep-mega-53" => (882_000, 2, false),
            other => panic!("{other}"),
        };
        assert_eq!(network.segment_frames(), segment_frames, "{}", model.name);
        assert!(matches!(network.chunking(), Chunking::Fades(n) if n == overlap), "{}", model.name);
        assert_eq!(matches!(network.level(), Level::Population), is_normalised, "{}", model.name);
    }
}

/// The published files have this many tensors, and little but their values.
#[test]
fn networks_of_the_registry_have_the_size_of_their_checkpoints() {
    for (model, member, config) in configured() {
        let layout = match model.family {
            Family::Scnet => scnet::layout(&ScnetConfig::from_json(&config).expect(model.name)),
            family => roformer::layout(&RoformerConfig::from_json(&config, family.name()).expect(model.name)),
        };
        let (tensors, width_bytes) = match model.name {
            "scnet" | "scnet-large" => (372, 4),
            "scnet-xl-ihf" => (510, 4),
            "bs-roformer-anvuew" | "bs-roformer-viperx-1297" => (699, 4),
            "mvsep-mega-53" => (13_595, 2),
            _ => (684, 4),
        };
        assert_eq!(layout.len(), tensors, "{}", model.name);
        let values: usize = layout.values().map(|shape| shape.iter().product::<usize>()).sum();
        let bytes = member.bytes - (values * width_bytes) as u64;
        assert!((200..500).contains(&(bytes / tensors as u64)), "{}: {bytes} bytes beside the values", model.name);
    }
}
