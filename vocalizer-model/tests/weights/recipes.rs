//! The recipes.

use std::collections::BTreeSet;

use vocalizer_model::weights::{Cache, MODELS, RECIPES, Recipe, WeightsError, find, recipe};

#[test]
fn recipes_refer_to_published_models_with_their_stems() {
    for recipe in RECIPES {
        for step in recipe.steps {
            for name in step.models {
                let model = find(name).unwrap_or_else(|e| panic!("{}: {e}", recipe.name));
                for stem in step.stems {
                    assert!(model.sources.contains(stem), "{}: {name} has no {stem}", recipe.name);
                }
            }
        }
    }
}

#[test]
fn recipes_are_complete() {
    let mut names: BTreeSet<_> = MODELS.iter().map(|model| model.name).collect();
    for recipe in RECIPES {
        assert!(names.insert(recipe.name), "{} is the name of two models", recipe.name);
        let stems = recipe.stems();
        assert_eq!(stems.iter().collect::<BTreeSet<_>>().len(), stems.len(), "{}: {stems:?}", recipe.name);
        assert!(stems.iter().all(|stem| stem.parse::<vocalizer_core::part::Stem>().is_ok()), "{}", recipe.name);
        assert!(!recipe.summary.is_empty() && recipe.gflop_per_s() > 0.0, "{}", recipe.name);
        assert!(recipe.steps.iter().all(|step| step.gflop_per_s > 0.0 && !step.models.is_empty()), "{}", recipe.name);
        assert!(recipe.steps.iter().filter_map(|step| step.overlap).all(|overlap| (0.0..0.99).contains(&overlap)));
    }
}

#[test]
fn recipes_are_found_by_name_and_list_their_models() {
    let best = recipe("best").expect("a recipe");
    assert_eq!(best.models(), ["mel-roformer-kim", "scnet-large"]);
    assert_eq!(best.stems(), ["vocals", "drums", "bass", "other"]);
    assert_eq!(recipe("fast").map(Recipe::models).expect("a recipe"), ["scnet"]);
    assert!(recipe("htdemucs").is_none());
    let error = find("bset").expect_err("no model").to_string();
    assert!(error.contains("best") && error.contains("fast"), "{error}");
}

#[test]
fn import_cannot_have_the_name_of_a_recipe() {
    for recipe in RECIPES {
        let refused = Cache::at("cache").import_path(recipe.name);
        assert!(matches!(refused, Err(WeightsError::InvalidName { .. })), "{refused:?}");
    }
}
