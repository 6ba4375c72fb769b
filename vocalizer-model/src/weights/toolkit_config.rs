//! The configuration files that the training toolkit writes next to its checkpoints.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

use super::WeightsError;
use super::error::excerpt;

/// The published configurations have up to 5 kB.
const MAX_BYTES: u64 = 1 << 20;

/// The published configurations nest four levels.
const MAX_DEPTH: usize = 32;

/// The sections that describe a network; the others are about its training.
const SECTIONS: [&str; 4] = ["audio", "model", "training", "inference"];

/// The namespace of YAML's own tags, which `!!` stands for.
const YAML: &str = "tag:yaml.org,2002:";

/// Reads a configuration file of the training toolkit (YAML): its sections `audio`, `model`, `training` and `inference`.
///
/// # Errors
///
/// [`WeightsError::Io`] if it cannot be read; else as [`parse_toolkit_config`].
pub fn read_toolkit_config(path: &Path) -> Result<Value, WeightsError> {
    let file = File::open(path).map_err(WeightsError::io("cannot be opened"))?;
    let mut text = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(WeightsError::io("cannot be read"))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(WeightsError::Unsupported(format!("a configuration of more than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(text).map_err(|_| WeightsError::Malformed("a configuration is UTF-8 text".into()))?;
    parse_toolkit_config(&text)
}

/// Reads the text of a configuration of the training toolkit.
///
/// Plain `yes`, `no`, `on` and `off` are booleans, as in the toolkit. Aliases are refused, and so are tags other than
/// YAML's own and `!!python/tuple`, which marks a list.
///
/// # Errors
///
/// [`WeightsError::Malformed`] if it is not YAML or lacks the section `model`, [`WeightsError::Unsupported`] if it is too
/// large or uses what is refused.
pub fn parse_toolkit_config(text: &str) -> Result<Value, WeightsError> {
    if text.len() as u64 > MAX_BYTES {
        return Err(WeightsError::Unsupported(format!("a configuration of more than {MAX_BYTES} bytes")));
    }
    let Value::Object(mut all) = document(text.trim_start_matches('\u{feff}'))? else {
        return Err(WeightsError::Malformed("a configuration has sections, such as audio and model".into()));
    };
    let mut kept = Map::new();
    for section in SECTIONS {
        match all.remove(section) {
            Some(Value::Object(values)) => _ = kept.insert(section.into(), values.into()),
            Some(_) => return Err(WeightsError::Malformed(format!("the section {section} is not a list of settings"))),
            None => {}
        }
    }
    if kept.contains_key("model") {
        Ok(Value::Object(kept))
    } else {
        Err(WeightsError::Malformed("the configuration lacks the section model".into()))
    }
}

/// A list or a mapping that has begun.
enum Open {
    List(Vec<Value>),
    /// The entries, and the key of the next one.
    Map(Map<String, Value>, Option<String>),
}

/// Reads the only document of a text.
fn document(text: &str) -> Result<Value, WeightsError> {
    let mut open: Vec<Open> = Vec::new();
    let mut done = None;
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|e| WeightsError::Malformed(format!("not YAML: {}", excerpt(&e.to_string()))))?;
        let line = span.start.line();
        let value = match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                continue;
            }
            Event::Alias(_) => return Err(WeightsError::Unsupported(format!("an alias (*) in line {line}"))),
            Event::SequenceStart(_, tag) => {
                check_tag(tag.as_deref(), &["seq", "python/tuple"], line)?;
                begin(&mut open, Open::List(Vec::new()), line)?;
                continue;
            }
            Event::MappingStart(_, tag) => {
                check_tag(tag.as_deref(), &["map"], line)?;
                begin(&mut open, Open::Map(Map::new(), None), line)?;
                continue;
            }
            Event::Scalar(text, style, _, tag) => {
                check_tag(tag.as_deref(), &["str", "int", "float", "bool", "null"], line)?;
                let is_text = tag.is_some_and(|tag| tag.suffix == "str") || style != ScalarStyle::Plain;
                match open.last_mut() {
                    Some(Open::Map(map, key @ None)) => {
                        if map.contains_key(&*text) {
                            let text = excerpt(&text);
                            return Err(WeightsError::Malformed(format!("{text} in line {line} occurs twice")));
                        }
                        *key = Some(text.into_owned());
                        continue;
                    }
                    _ if is_text => Value::String(text.into_owned()),
                    _ => plain(&text),
                }
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Value::Array(items),
                Some(Open::Map(map, _)) => Value::Object(map),
                None => continue,
            },
        };
        match open.last_mut() {
            Some(Open::List(items)) => items.push(value),
            Some(Open::Map(map, key)) => match key.take() {
                Some(key) => _ = map.insert(key, value),
                None => return Err(WeightsError::Unsupported(format!("a key that is not text, in line {line}"))),
            },
            None if done.is_some() => return Err(WeightsError::Unsupported("more than one document".into())),
            None => done = Some(value),
        }
    }
    done.ok_or_else(|| WeightsError::Malformed("the configuration is empty".into()))
}

fn begin(open: &mut Vec<Open>, new: Open, line: usize) -> Result<(), WeightsError> {
    if open.len() >= MAX_DEPTH {
        let what = format!("lists and mappings more than {MAX_DEPTH} levels deep, in line {line}");
        return Err(WeightsError::Unsupported(what));
    }
    open.push(new);
    Ok(())
}

fn check_tag(tag: Option<&Tag>, known: &[&str], line: usize) -> Result<(), WeightsError> {
    match tag {
        Some(tag) if tag.handle != YAML || !known.contains(&tag.suffix.as_str()) => {
            let tag = format!("{}{}", tag.handle, tag.suffix).replace(YAML, "!!");
            Err(WeightsError::Unsupported(format!("the tag {} in line {line}", excerpt(&tag))))
        }
        _ => Ok(()),
    }
}

/// Reads a value without quotes.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Value::Bool(false),
        _ => {}
    }
    // Rust's numbers include "inf" and "nan", and leave a leading zero, which means octal in YAML 1.1.
    let digits = text.trim_start_matches(['+', '-']);
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().any(|b| b.is_ascii_digit())
        && !(digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()));
    let number = || text.parse::<i64>().map(Number::from).ok().or_else(|| text.parse().ok().and_then(Number::from_f64));
    match is_number.then(number).flatten() {
        Some(number) => Value::Number(number),
        None => Value::String(text.to_owned()),
    }
}
