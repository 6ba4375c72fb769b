//! What is known about a model.

use serde_json::{Map, Value, json};
use vocalizer_core::causes::chain;
use vocalizer_model::weights::{Cache, Imported, MemberSpec, ModelSpec, Recipe, Source, Terms, WeightsError, find};

use crate::paths::{plain, put, shown};

/// The evaluation that most models have in common.
const MULTISONG: &str = "Multisong (MVSEP)";

/// A model in the list: what the table shows, and all else in JSON.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) stems: Vec<String>,
    /// Size of the download, or of the imported file.
    pub(super) bytes: Option<u64>,
    /// Work relative to `htdemucs`.
    pub(super) cost: Option<f64>,
    /// Published SDR of the vocals on Multisong.
    pub(super) vocals_db: Option<f64>,
    /// Name of the licence, as short as the table needs it.
    pub(super) licence: String,
    /// `None` for a licence that is not known to the program.
    pub(super) terms: Option<Terms>,
    pub(super) state: &'static str,
    /// The lines of `models show`: a label and what it says.
    pub(super) lines: Vec<(&'static str, String)>,
    pub(super) json: Value,
}

impl Entry {
    pub(super) fn published(spec: &ModelSpec, cache: &Cache) -> Self {
        let state = if cache.has(spec) {
            "fetched"
        } else if cache.is_damaged(spec) {
            "damaged"
        } else {
            "not fetched"
        };
        let multisong = spec.scores.iter().find(|score| score.data_set == MULTISONG);
        Self {
            name: spec.name.to_owned(),
            stems: spec.sources.iter().map(ToString::to_string).collect(),
            bytes: Some(spec.total_bytes()),
            cost: spec.relative_cost(),
            vocals_db: multisong.and_then(|score| score.stem_db("vocals")),
            licence: if spec.licence.terms == Terms::ResearchOnly { "research" } else { spec.licence.name() }
                .to_owned(),
            terms: Some(spec.licence.terms),
            state,
            lines: published_lines(spec, cache, state),
            json: published_json(spec, cache, state),
        }
    }

    pub(super) fn recipe(recipe: &Recipe, cache: &Cache) -> Self {
        let specs: Vec<_> = recipe.models().into_iter().filter_map(|name| find(name).ok()).collect();
        let parts: Vec<_> = specs.iter().map(|spec| Self::published(spec, cache)).collect();
        let worst = ["damaged", "not fetched"].into_iter().find(|state| parts.iter().any(|part| part.state == *state));
        let state = worst.unwrap_or("fetched");
        let mut licences: Vec<_> = parts.iter().map(|part| part.licence.as_str()).collect();
        licences.dedup();
        let licence = licences.join(", ");
        let terms = parts.first().and_then(|part| part.terms);
        let terms = terms.filter(|terms| parts.iter().all(|part| part.terms == Some(*terms)));
        let bytes: u64 = specs.iter().map(|spec| spec.total_bytes()).sum();
        let (gflop, cost) = (recipe.gflop_per_s(), recipe.relative_cost());
        let mut lines = vec![
            ("", recipe.summary.to_owned()),
            ("stems", recipe.stems().join(", ")),
            ("state", state.to_owned()),
            ("cost", format!("{cost:.1} times htdemucs: {gflop:.0} GFLOP per second of audio")),
        ];
        lines.extend(specs.iter().map(|spec| ("made of", format!("{}, licence: {}", spec.name, spec.licence))));
        Self {
            name: recipe.name.to_owned(),
            stems: recipe.stems().iter().map(ToString::to_string).collect(),
            bytes: Some(bytes),
            cost: Some(cost),
            vocals_db: None,
            terms,
            state,
            lines,
            json: json!({
                "name": recipe.name,
                "kind": "recipe",
                "summary": recipe.summary,
                "stems": recipe.stems(),
                "models": recipe.models(),
                "bytes": bytes,
                "state": state,
                "licence": {"name": licence, "terms": terms.map(Terms::name)},
                "gflop_per_s": gflop,
                "relative_cost": cost,
            }),
            licence,
        }
    }

    pub(super) fn imported(name: &str, found: Result<&Imported, &WeightsError>) -> Self {
        let mut entry = Self {
            name: name.to_owned(),
            stems: Vec::new(),
            bytes: None,
            cost: None,
            vocals_db: None,
            licence: String::new(),
            terms: None,
            state: "unusable",
            lines: Vec::new(),
            json: Value::Null,
        };
        match found {
            Ok(model) => {
                let licence = model.licence.as_deref().map(plain);
                entry.terms = licence.as_deref().map_or(Some(Terms::NotStated), Terms::of);
                entry.licence = licence.unwrap_or_else(|| "not stated".into());
                entry.stems.clone_from(&model.stems);
                entry.bytes = Some(model.bytes);
                entry.state = "imported";
                entry.lines = vec![
                    ("stems", model.stems.join(", ")),
                    ("family", model.family.to_string()),
                    ("state", "imported".into()),
                    ("licence", entry.licence.clone()),
                    ("file", format!("{}, {} bytes", shown(&model.path), model.bytes)),
                    ("source", format!("{}, SHA-256 {}", plain(&model.source), plain(&model.source_sha256))),
                ];
                let mut json = Map::from_iter([
                    ("name".to_owned(), Value::from(name)),
                    ("kind".to_owned(), "imported".into()),
                    ("family".to_owned(), model.family.name().into()),
                    ("stems".to_owned(), json!(model.stems)),
                    ("bytes".to_owned(), model.bytes.into()),
                    ("state".to_owned(), "imported".into()),
                    ("licence".to_owned(), json!({"name": model.licence, "terms": entry.terms.map(Terms::name)})),
                    ("source".to_owned(), model.source.as_str().into()),
                    ("source_sha256".to_owned(), model.source_sha256.as_str().into()),
                ]);
                put(&mut json, "path", &model.path);
                entry.json = json.into();
            }
            Err(error) => {
                let why = format!("the file {}; import it again", chain(error));
                entry.json = json!({"name": name, "kind": "imported", "state": "unusable", "error": why});
                entry.lines = vec![("state", format!("unusable: {why}"))];
            }
        }
        entry
    }
}

fn published_lines(spec: &ModelSpec, cache: &Cache, state: &str) -> Vec<(&'static str, String)> {
    let cost = match (spec.gflop_per_s, spec.relative_cost()) {
        (Some(gflop), Some(cost)) => {
            format!("{cost:.1} times htdemucs: {gflop:.0} GFLOP per second of audio, with the default overlap")
        }
        _ => "not counted".to_owned(),
    };
    let mut lines = vec![
        ("", spec.summary.to_owned()),
        ("stems", spec.sources.join(", ")),
        ("family", spec.family.to_string()),
        ("state", state.to_owned()),
        ("cost", cost),
        ("licence", spec.licence.to_string()),
    ];
    for score in spec.scores {
        let stems = score.stems_db.iter().map(|(stem, db)| format!("{stem} {db}"));
        let values: Vec<_> = score.mean_db.map(|db| format!("mean {db}")).into_iter().chain(stems).collect();
        lines.push(("SDR in dB", format!("{}: {} ({})", score.data_set, values.join(", "), score.source)));
    }
    for member in spec.members {
        let MemberSpec { bytes, sha256, config, .. } = member;
        lines.push(("file", shown(&cache.member_path(member))));
        let converted = if config.is_some() { ", converted once to half precision" } else { "" };
        lines.push(("from", format!("{}, {bytes} bytes{converted}", member.source.url(Source::HUB))));
        lines.push(("SHA-256", (*sha256).to_owned()));
    }
    lines
}

fn published_json(spec: &ModelSpec, cache: &Cache, state: &str) -> Value {
    let files = spec.members.iter().map(|member| {
        let mut file = Map::from_iter([
            ("file".to_owned(), Value::from(member.file)),
            ("url".to_owned(), member.source.url(Source::HUB).into()),
            ("bytes".to_owned(), member.bytes.into()),
            ("sha256".to_owned(), member.sha256.into()),
            ("tensor_digest".to_owned(), json!(member.tensor_digest)),
            ("is_checkpoint".to_owned(), member.config.is_some().into()),
        ]);
        put(&mut file, "path", &cache.member_path(member));
        Value::Object(file)
    });
    let scores = spec.scores.iter().map(|score| {
        let stems_db: Map<_, _> = score.stems_db.iter().map(|(stem, db)| ((*stem).to_owned(), json!(db))).collect();
        json!({"data_set": score.data_set, "stems_db": stems_db, "mean_db": score.mean_db, "source": score.source})
    });
    let licence = &spec.licence;
    json!({
        "name": spec.name,
        "kind": "published",
        "family": spec.family.name(),
        "summary": spec.summary,
        "stems": spec.sources,
        "bytes": spec.total_bytes(),
        "state": state,
        "licence": {
            "name": licence.name(),
            "terms": licence.terms.name(),
            "identifier": licence.identifier,
            "stated_by": licence.stated_by,
            "stated_on": licence.stated_on,
            "note": licence.note,
            "must_be_accepted": !cache.has_accepted_licence(spec),
        },
        "gflop_per_s": spec.gflop_per_s,
        "relative_cost": spec.relative_cost(),
        "scores": scores.collect::<Value>(),
        "files": files.collect::<Value>(),
    })
}
