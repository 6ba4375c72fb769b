//! Which estimated stems are compared with which true ones.

use std::collections::BTreeSet;

use vocalizer_model::Stem;

/// True and estimated stems whose sums are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) name: Stem,
    pub(super) truth: Vec<Stem>,
    pub(super) estimate: Vec<Stem>,
}

/// The pairs, and what a user should know about them.
#[derive(Debug)]
pub(super) struct Pairing {
    pub(super) pairs: Vec<Pair>,
    pub(super) remarks: Vec<String>,
}

/// Pairs the stems of a data set with those of a model, and leaves those that are wanted; all if `wanted` is empty.
///
/// Stems of one name are a pair. What a model leaves (`other` or `instrumental`), together with stems that only the model has, is compared
/// with the sum of the true stems that have no pair: for a model of vocals, with the accompaniment.
///
/// # Errors
///
/// A text that states the problem, if there is nothing to compare.
pub(super) fn pair(data: &BTreeSet<Stem>, model: &BTreeSet<Stem>, wanted: &[Stem]) -> Result<Pairing, String> {
    let (data, model) = (without_sum(data), without_sum(model));
    let common: Vec<_> = data.intersection(&model).copied().filter(|&stem| !is_rest(stem)).collect();
    if common.is_empty() {
        return Err(format!(
            "nothing to compare: the data set has {}, the estimates are {}",
            list(&data),
            list(&model)
        ));
    }
    let left = |stems: &BTreeSet<Stem>| stems.iter().filter(|stem| !common.contains(stem)).copied().collect::<Vec<_>>();
    let (truth, estimate) = (left(&data), left(&model));
    let mut pairs: Vec<_> = common.iter().map(|&name| Pair { name, truth: vec![name], estimate: vec![name] }).collect();
    let mut remarks = Vec::new();
    let rest = estimate.iter().copied().find(|&stem| is_rest(stem));
    match rest {
        Some(rest) if !truth.is_empty() => {
            // Without the vocals, `other` would be confused with the other of four stems.
            let name = if common == [Stem::VOCALS] && truth != [Stem::OTHER] { Stem::INSTRUMENTAL } else { rest };
            if truth != [name] || estimate != [name] {
                remarks.push(format!("{name} is {}; the true one is {}", sum(&estimate), sum(&truth)));
            }
            pairs.push(Pair { name, truth, estimate });
        }
        _ => {
            for (stems, has) in [(truth, "the data set"), (estimate, "the model")] {
                if !stems.is_empty() {
                    remarks.push(format!("not scored, because only {has} has it: {}", list(&stems)));
                }
            }
        }
    }
    pairs.sort_by_key(|pair| pair.name);
    if let Some(missing) = wanted.iter().find(|&&stem| !pairs.iter().any(|pair| pair.name == stem)) {
        let names: Vec<_> = pairs.iter().map(|pair| pair.name).collect();
        return Err(format!("there is no stem '{missing}' to compare; there are {}", list(&names)));
    }
    pairs.retain(|pair| wanted.is_empty() || wanted.contains(&pair.name));
    Ok(Pairing { pairs, remarks })
}

/// Returns whether this is the name of what a model leaves.
fn is_rest(stem: Stem) -> bool {
    [Stem::OTHER, Stem::INSTRUMENTAL].contains(&stem)
}

/// Returns the stems without `instrumental`, if it is the sum of others.
fn without_sum(stems: &BTreeSet<Stem>) -> BTreeSet<Stem> {
    stems.iter().filter(|&&stem| stem != Stem::INSTRUMENTAL || stems.len() <= 2).copied().collect()
}

fn sum(stems: &[Stem]) -> String {
    match stems {
        [stem] => stem.to_string(),
        _ => format!("the sum of {}", list(stems)),
    }
}

fn list<'a>(stems: impl IntoIterator<Item = &'a Stem>) -> String {
    stems.into_iter().map(Stem::name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use vocalizer_model::Stem;

    use super::{Pairing, pair};

    fn stems(names: &str) -> Vec<Stem> {
        names.split_whitespace().map(|name| name.parse().unwrap()).collect()
    }

    fn paired(data: &str, model: &str, wanted: &str) -> Result<Pairing, String> {
        let set = |names| stems(names).into_iter().collect::<BTreeSet<_>>();
        pair(&set(data), &set(model), &stems(wanted))
    }

    /// The pairs as a text, and the number of remarks.
    fn shown(data: &str, model: &str, wanted: &str) -> (String, usize) {
        let Pairing { pairs, remarks } = paired(data, model, wanted).unwrap();
        let names = |stems: &[Stem]| stems.iter().map(Stem::name).collect::<Vec<_>>().join("+");
        let pair = |pair: &super::Pair| format!("{}={}:{}", pair.name, names(&pair.truth), names(&pair.estimate));
        (pairs.iter().map(pair).collect::<Vec<_>>().join(" "), remarks.len())
    }

    const FOUR: &str = "drums bass other vocals";

    #[test]
    fn stems_of_one_name_are_pairs() {
        let four = "drums=drums:drums bass=bass:bass other=other:other vocals=vocals:vocals";
        assert_eq!(shown(FOUR, FOUR, ""), (four.into(), 0));
        assert_eq!(shown(FOUR, FOUR, "vocals"), ("vocals=vocals:vocals".into(), 0));
        assert_eq!(shown(FOUR, "drums bass other vocals instrumental", ""), (four.into(), 0));
        assert_eq!(
            shown("vocals instrumental", "vocals other", ""),
            ("vocals=vocals:vocals instrumental=instrumental:other".into(), 1)
        );
    }

    #[test]
    fn rest_of_a_model_is_compared_with_the_sum_of_the_rest() {
        let expected = "vocals=vocals:vocals instrumental=drums+bass+other:";
        assert_eq!(shown(FOUR, "vocals other", ""), (format!("{expected}other"), 1));
        assert_eq!(shown(FOUR, "vocals instrumental", ""), (format!("{expected}instrumental"), 1));
        let six = "drums bass other vocals guitar piano";
        let (pairs, remarks) = shown(FOUR, six, "other");
        assert_eq!((&*pairs, remarks), ("other=other:other+guitar+piano", 1));
        assert_eq!(shown(six, FOUR, "other").0, "other=other+guitar+piano:other");
    }

    #[test]
    fn stems_without_a_counterpart_are_said() {
        assert_eq!(shown(FOUR, "vocals", ""), ("vocals=vocals:vocals".into(), 1));
        assert_eq!(shown("vocals", "vocals instrumental", ""), ("vocals=vocals:vocals".into(), 1));
        let remarks = paired("vocals strings", "vocals choir", "").unwrap().remarks;
        assert!(
            remarks[0].contains("only the data set has it: strings") && remarks[1].contains("choir"),
            "{remarks:?}"
        );
    }

    #[test]
    fn nothing_in_common_is_an_error() {
        assert!(paired(FOUR, "kick snare", "").unwrap_err().contains("the estimates are kick, snare"));
        assert!(paired(FOUR, "guitar other", "").unwrap_err().contains("nothing to compare"));
        let error = paired(FOUR, "vocals other", "drums").unwrap_err();
        assert!(error.contains("no stem 'drums'") && error.contains("vocals, instrumental"), "{error}");
    }
}
