//! Templates for the paths of stems, such as `{artist}/{album}/{title}/{stem}.{ext}`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::names::{MAX_BYTES, MIN_BYTES, cut, safe_name, safe_name_within};

/// The template of `DIR/<song>/<stem>.<ext>`.
pub(super) const DEFAULT: &str = "{track}/{stem}.{ext}";

/// Names for the placeholders, with which they are replaced.
const FIELDS: [(&str, Field); 11] = [
    ("artist", Field::Artist),
    ("album", Field::Album),
    ("title", Field::Title),
    ("number", Field::Number),
    ("track", Field::Track),
    ("name", Field::Track),
    ("trackext", Field::TrackExt),
    ("folder", Field::Folder),
    ("model", Field::Model),
    ("stem", Field::Stem),
    ("ext", Field::Ext),
];

/// The longest name of a stem that a component leaves room for, in bytes.
const STEM_BYTES: usize = 40;

/// The longest suffix, in bytes.
pub(super) const SUFFIX_BYTES: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Artist,
    Album,
    Title,
    /// Number of the track on its album.
    Number,
    /// Name of the song's file without its ending, as in Demucs.
    Track,
    /// Ending of the song's file.
    TrackExt,
    /// Name of the song's folder.
    Folder,
    Model,
    Stem,
    Ext,
}

impl Field {
    fn is_of_stem(self) -> bool {
        matches!(self, Self::Stem | Self::Ext)
    }

    /// Returns whether the field tells songs apart.
    fn names_song(self) -> bool {
        matches!(self, Self::Title | Self::Track)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

/// A checked template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    text: String,
    components: Vec<Vec<Piece>>,
}

/// What the placeholders of a song stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    pub(super) artist: String,
    pub(super) album: String,
    pub(super) title: String,
    pub(super) number: String,
    pub(super) track: String,
    pub(super) track_ext: String,
    pub(super) folder: String,
    pub(super) model: String,
}

/// Where the stems of a song go, relative to the output folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The folder that has the manifest: the deepest one that does not depend on the stem.
    pub(super) home: PathBuf,
    /// Path of a stem in `home`, with `{stem}` and `{ext}` left.
    pub(super) pattern: String,
    /// Whether several songs may share `home`.
    pub(super) is_shared: bool,
}

impl Layout {
    /// Returns the path of a stem, relative to `home`.
    pub(super) fn file(&self, stem: &str, ext: &str) -> PathBuf {
        let fill = |component: &str| {
            // A long name must not cost the ending.
            let room = (MAX_BYTES + "{stem}".len()).saturating_sub(component.len());
            safe_name(&component.replace("{stem}", cut(stem, room.max(MIN_BYTES))).replace("{ext}", ext))
        };
        self.pattern.split('/').map(fill).collect()
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with(['/', '\\']) || text.split(['/', '\\']).any(|part| part == ".." || part.ends_with(':')) {
            return Err("the template must stay below the output folder; use -o for another folder".into());
        }
        let parts = text.split('/').filter(|part| !part.is_empty() && *part != ".");
        let components = parts.map(pieces).collect::<Result<Vec<_>, _>>()?;
        let ends_in_ext = text.ends_with(".{ext}") && !text.ends_with("/.{ext}") && text != ".{ext}";
        let has_ext = |component: &Vec<Piece>| component.contains(&Piece::Field(Field::Ext));
        let (Some((_, folders)), true) = (components.split_last(), ends_in_ext) else {
            return Err("the template must end in a file name and .{ext}, as in {title}/{stem}.{ext}".into());
        };
        if folders.iter().any(has_ext) {
            return Err("{ext} belongs to the end of the template, as in {title}/{stem}.{ext}".into());
        }
        Ok(Self { text: text.to_owned(), components })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Splits a component into texts and placeholders.
fn pieces(component: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = component;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("a { without } in the template")?;
        let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = FIELDS.iter().map(|(name, _)| format!("{{{name}}}")).collect();
            return Err(format!("unknown placeholder {{{name}}}; use {}", known.join(", ")));
        };
        // The dot before the ending is a piece of its own, so that a suffix fits before it.
        let (text, dot) = match text.strip_suffix('.') {
            Some(before) if *field == Field::Ext => (before, "."),
            _ => (text, ""),
        };
        pieces.extend([text, dot].into_iter().filter(|text| !text.is_empty()).map(|text| Piece::Text(text.to_owned())));
        pieces.push(Piece::Field(*field));
        rest = after;
    }
    if rest.contains('}') {
        return Err("a } without { in the template".into());
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.len(),
        Piece::Field(field) if field.is_of_stem() => STEM_BYTES,
        Piece::Field(_) => MIN_BYTES,
    });
    if texts.sum::<usize>() + SUFFIX_BYTES > MAX_BYTES {
        return Err(format!("{component:?} in the template is too long; use shorter texts or fewer placeholders"));
    }
    Ok(pieces)
}

impl Template {
    fn fields(&self) -> impl Iterator<Item = Field> {
        self.components.iter().flatten().filter_map(|piece| match piece {
            Piece::Field(field) => Some(*field),
            Piece::Text(_) => None,
        })
    }

    /// Returns whether each stem has a path of its own.
    pub(super) fn tells_stems_apart(&self) -> bool {
        self.fields().any(|field| field == Field::Stem)
    }

    /// Returns whether the song's tags are needed.
    pub(super) fn uses_tags(&self) -> bool {
        self.fields().any(|field| matches!(field, Field::Artist | Field::Album | Field::Title | Field::Number))
    }

    /// Fills the template in for a song. `suffix` tells songs apart whose values are the same.
    pub(super) fn layout(&self, values: &Values, suffix: &str) -> Layout {
        // The suffix follows the last name of the song, or the file's name if the template has none.
        let named = |(at, component): (usize, &Vec<Piece>)| {
            let index =
                component.iter().rposition(|piece| matches!(piece, Piece::Field(field) if field.names_song()))?;
            Some((at, index))
        };
        let last = self.components.len().saturating_sub(1);
        let before_ext = self.components.last().map_or(0, |component| component.len().saturating_sub(3));
        let marked = self.components.iter().enumerate().rev().find_map(named).unwrap_or((last, before_ext));
        let is_of_stem = |piece: &Piece| matches!(piece, Piece::Field(field) if field.is_of_stem());
        let first_of_stem =
            self.components.iter().position(|component| component.iter().any(is_of_stem)).unwrap_or(last);
        let (mut home, mut pattern) = (PathBuf::new(), Vec::new());
        for (at, component) in self.components.iter().enumerate() {
            let suffix = if at == marked.0 { Some((marked.1, suffix)) } else { None };
            let filled = fill(component, values, suffix, at >= first_of_stem);
            if at < first_of_stem {
                home.push(safe_name(&filled));
            } else {
                pattern.push(filled);
            }
        }
        let home_names_song =
            first_of_stem.checked_sub(1).and_then(|at| self.components.get(at)).is_some_and(|component| {
                component.iter().any(|piece| matches!(piece, Piece::Field(field) if field.names_song()))
            });
        Layout { home, pattern: pattern.join("/"), is_shared: !home_names_song }
    }
}

/// Fills in one component. `keeps_stem`: the placeholders of the stem stay, so nothing else may look like them.
fn fill(component: &[Piece], values: &Values, suffix: Option<(usize, &str)>, keeps_stem: bool) -> String {
    let mut fixed_bytes = suffix.map_or(0, |(_, suffix)| suffix.len());
    let mut count = 0;
    for piece in component {
        match piece {
            Piece::Text(text) => fixed_bytes += text.len(),
            Piece::Field(field) if field.is_of_stem() => fixed_bytes += STEM_BYTES,
            Piece::Field(_) => count += 1,
        }
    }
    let max_bytes = MAX_BYTES.saturating_sub(fixed_bytes) / count.max(1);
    let mut filled = String::new();
    for (index, piece) in component.iter().enumerate() {
        match piece {
            Piece::Text(text) => filled.push_str(&text.replace(['\\', '\0'], "_")),
            Piece::Field(Field::Stem) => filled.push_str("{stem}"),
            Piece::Field(Field::Ext) => filled.push_str("{ext}"),
            Piece::Field(field) => {
                let value = safe_name_within(values.of(*field), max_bytes);
                if keeps_stem {
                    filled.push_str(&value.replace('{', "(").replace('}', ")"));
                } else {
                    filled.push_str(&value);
                }
            }
        }
        if let Some((at, suffix)) = suffix
            && at == index
        {
            filled.push_str(suffix);
        }
    }
    filled
}

impl Values {
    fn of(&self, field: Field) -> &str {
        match field {
            Field::Artist => &self.artist,
            Field::Album => &self.album,
            Field::Title => &self.title,
            Field::Number => &self.number,
            Field::Track => &self.track,
            Field::TrackExt => &self.track_ext,
            Field::Folder => &self.folder,
            Field::Model => &self.model,
            Field::Stem | Field::Ext => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path, PathBuf};

    use proptest::prelude::*;

    use super::{DEFAULT, Template, Values};

    fn values(text: &str) -> Values {
        let [artist, album, title, number, track, track_ext, folder, model] = std::array::from_fn(|_| text.to_owned());
        Values { artist, album, title, number, track, track_ext, folder, model }
    }

    /// The folder and the path of vocals in it.
    fn paths(template: &str, values: &Values, suffix: &str) -> (PathBuf, PathBuf) {
        let layout = template.parse::<Template>().unwrap().layout(values, suffix);
        let file = layout.file("vocals", "flac");
        (layout.home, file)
    }

    #[test]
    fn placeholders_are_filled_in() {
        let values = Values {
            artist: "AC/DC".into(),
            album: "..".into(),
            title: "T.N.T.".into(),
            track: "01 tnt".into(),
            ..values("x")
        };
        for (template, home, file) in [
            (DEFAULT, "01 tnt (cd2)", "vocals.flac"),
            ("{artist}/{album}/{title}/{stem}.{ext}", "AC_DC/untitled/T.N.T (cd2)", "vocals.flac"),
            ("{track}_{stem}.{ext}", "", "01 tnt (cd2)_vocals.flac"),
            ("{stem}/{artist} - {title}.{ext}", "", "vocals/AC_DC - T.N.T (cd2).flac"),
            ("{artist}/./{stem}.{ext}", "AC_DC", "vocals (cd2).flac"),
            ("stems/{stem}.{ext}", "stems", "vocals (cd2).flac"),
            ("{track}.{ext}", "", "01 tnt (cd2).flac"),
            ("{model}/{track}/{stem}.{ext}", "x/01 tnt (cd2)", "vocals.flac"),
        ] {
            assert_eq!(paths(template, &values, " (cd2)"), (home.into(), file.into()), "{template}");
        }
    }

    #[test]
    fn braces_in_values_are_not_placeholders() {
        let values = values("{stem} {ext}");
        assert_eq!(paths("{track}/{title}-{stem}.{ext}", &values, "").1, Path::new("(stem) (ext)-vocals.flac"));
        assert_eq!(paths(DEFAULT, &values, "").0, Path::new("{stem} {ext}"));
    }

    #[test]
    fn folders_of_several_songs_are_shared() {
        for (template, shared) in [
            (DEFAULT, false),
            ("{artist}/{title}/{stem}.{ext}", false),
            ("{title}/{stem}/audio.{ext}", false),
            ("{artist}/{stem}.{ext}", true),
            ("{title}-{stem}.{ext}", true),
            ("{title}/{artist}/{stem}.{ext}", true),
        ] {
            assert_eq!(template.parse::<Template>().unwrap().layout(&values("x"), "").is_shared, shared, "{template}");
        }
    }

    #[test]
    fn wrong_templates_are_refused() {
        for (template, says) in [
            ("", "must end"),
            ("{stem}", "must end"),
            ("{title}/.{ext}", "must end"),
            ("{title}/{stem}.wav", "must end"),
            ("/tmp/{stem}.{ext}", "below"),
            ("../{stem}.{ext}", "below"),
            ("a/../../{stem}.{ext}", "below"),
            ("..\\{stem}.{ext}", "below"),
            ("C:/{stem}.{ext}", "below"),
            ("{genre}/{stem}.{ext}", "{artist}, {album}"),
            ("{title/{stem}.{ext}", "without }"),
            ("title}/{stem}.{ext}", "without {"),
            ("{ext}/{stem}.{ext}", "end"),
            (&format!("{}{{stem}}.{{ext}}", "a".repeat(100)), "too long"),
        ] {
            let error = template.parse::<Template>().unwrap_err();
            assert!(error.contains(says), "{template}: {error}");
        }
    }

    #[test]
    fn long_names_of_files_keep_their_ending() {
        let stem = format!("minus_{}", "lead-vocals_".repeat(15));
        for template in [DEFAULT, "{title}{artist}_{stem}.{ext}", "{stem}/{track}.{ext}"] {
            let (_, file) = paths(template, &values(&"a".repeat(300)), " (2)");
            let layout = template.parse::<Template>().unwrap().layout(&values(&"a".repeat(300)), " (2)");
            let long = layout.file(&stem, "flac");
            assert_ne!(long, file);
            assert!(long.extension().is_some_and(|ending| ending == "flac"), "{long:?}");
            assert!(long.iter().all(|part| part.len() <= 200), "{long:?}");
        }
    }

    proptest! {
        /// Whatever the tags are, stems stay below the output folder and do not share a path.
        #[test]
        fn stems_stay_below_the_folder(text in ".{0,300}", long in "[a-é./{}]{0,400}", suffix in "( \\([0-9]{1,3}\\))?") {
            for template in [DEFAULT, "{artist}/{album}/{title}/{stem}.{ext}", "{title}{artist}_{stem}.{ext}", "{stem}/{folder}{number}-{track}.{ext}"] {
                for text in [&text, &long] {
                    let layout = template.parse::<Template>().unwrap().layout(&values(text), &suffix);
                    let [vocals, drums] = ["vocals", "no_drums"].map(|stem| layout.home.join(layout.file(stem, "mp3")));
                    prop_assert_ne!(&vocals, &drums);
                    for path in [vocals, drums] {
                        prop_assert!(path.extension().is_some_and(|ending| ending == "mp3"), "{path:?}");
                        for part in path.components() {
                            let Component::Normal(part) = part else { panic!("{path:?}") };
                            prop_assert!(part.len() <= 200 && !part.to_string_lossy().starts_with('.'), "{path:?}");
                        }
                    }
                }
            }
        }
    }
}
