//! The state dict in the values of a pickle.

use std::collections::BTreeMap;

use super::pickle::{Id, Node, Values, View};
use crate::weights::error::excerpt;
use crate::weights::{WeightsError, prefixes};

/// Where training programs put the state dict, at the top level. An optimizer, next to it, has a `state` of its own.
const WRAPPERS: [&str; 4] = ["state_dict", "state", "model_state_dict", "model"];

/// The largest published checkpoint has 13,600 tensors.
const MAX_TENSORS: usize = 100_000;

/// The keys of the published checkpoints have up to 80 bytes.
const MAX_KEY_BYTES: usize = 256;

/// Returns the tensors of the state dict by their keys, without the prefixes that all keys have.
///
/// # Errors
///
/// [`WeightsError::Malformed`] if there is no state dict or something in it is not a tensor, [`WeightsError::Unsupported`]
/// if it has too many tensors.
pub(super) fn find<'v, 'a>(values: &'v Values<'a>) -> Result<Vec<(&'a str, &'v View<'a>)>, WeightsError> {
    let Node::Dict(top) = values.root() else {
        return Err(WeightsError::Malformed("its pickle does not hold a dictionary".into()));
    };
    let items = match wrapped(values, top) {
        Some(items) => items,
        None if has_tensor(values, top) => top,
        None => return Err(missing(values, top)),
    };
    if items.len() > MAX_TENSORS {
        return Err(WeightsError::Unsupported(format!("{} tensors, at most {MAX_TENSORS} are read", items.len())));
    }
    let mut views = BTreeMap::new();
    for (key, value) in items {
        let Node::Text(key) = values.get(*key) else {
            return Err(WeightsError::Malformed("its state dict has a key that is not text".into()));
        };
        let Node::Tensor(view) = values.get(*value) else {
            return Err(WeightsError::Malformed(format!("{} in its state dict is not a tensor", excerpt(key))));
        };
        if key.len() > MAX_KEY_BYTES {
            return Err(WeightsError::Malformed(format!(
                "the key {} has more than {MAX_KEY_BYTES} bytes",
                excerpt(key)
            )));
        }
        if views.insert(*key, &**view).is_some() {
            return Err(WeightsError::Malformed(format!("the tensor {} occurs twice", excerpt(key))));
        }
    }
    let prefix = prefixes::shared(views.keys().copied());
    Ok(views.into_iter().map(|(key, view)| (key.get(prefix..).unwrap_or(key), view)).collect())
}

fn has_tensor(values: &Values<'_>, items: &[(Id, Id)]) -> bool {
    items.iter().any(|(_, value)| matches!(values.get(*value), Node::Tensor(_)))
}

/// Returns the items of the first wrapper that holds tensors.
fn wrapped<'v>(values: &'v Values<'_>, top: &[(Id, Id)]) -> Option<&'v Vec<(Id, Id)>> {
    let under = |name: &str| {
        top.iter().find_map(|(key, value)| match (values.get(*key), values.get(*value)) {
            (Node::Text(key), Node::Dict(items)) if *key == name && has_tensor(values, items) => Some(items),
            _ => None,
        })
    };
    WRAPPERS.into_iter().find_map(under)
}

fn missing(values: &Values<'_>, top: &[(Id, Id)]) -> WeightsError {
    let keys = top.iter().take(8).filter_map(|(key, _)| match values.get(*key) {
        Node::Text(key) => Some(excerpt(key)),
        _ => None,
    });
    let keys = keys.collect::<Vec<_>>().join(", ");
    let wrappers = WRAPPERS.join(", ");
    WeightsError::Malformed(format!("no tensors at its top level or under {wrappers}; at its top level are: {keys}"))
}
