//! `vocalizer separate`.

use vocalizer_core::causes::chain;
use vocalizer_model::Error;

use super::batch::{Batch, Outcome, exit_of_setup};
use super::inputs::{self, Found};
use super::profile_file::ProfileFile;
use super::separate_args::{Separate, SplitArgs};
use super::source::Song;
use super::summary::Tally;
use super::{interrupt, options, stdio};
use crate::allocator;
use crate::exit::Exit;
use crate::paths::shown;
use crate::voice::Voice;

pub(crate) fn run(args: &Separate) -> Exit {
    allocator::return_freed_memory();
    let voice = voice(&args.split);
    separate(args, voice).unwrap_or_else(|e| {
        voice.input_error(None, &chain(&e));
        exit_of_setup(&e)
    })
}

/// Returns the output mode. Several bars at once would overwrite each other.
pub(super) fn voice(args: &SplitArgs) -> Voice {
    match Voice::choose(args.json) {
        Voice::Bar | Voice::Lines if args.quiet => Voice::Quiet,
        Voice::Bar if args.jobs > 1 => Voice::Lines,
        voice => voice,
    }
}

fn separate(args: &Separate, voice: Voice) -> Result<Exit, Error> {
    let SplitArgs { output, network, profile_json, .. } = &args.split;
    let cancel = interrupt::watch(voice);
    let mut batch = Batch::new(&args.split, voice, cancel)?
        .skipping(args.skip_existing)
        .failing_fast(args.fail_fast && !args.keep_going);
    let prints = output.as_os_str() == "-";
    if prints {
        check_printing(args)?;
    }
    network.set_threads()?;
    let Found { songs, bad, remarks } =
        inputs::collect(&args.inputs, output, |input| stdio::spool(input, &args.stdin_name));
    remarks.iter().for_each(|remark| voice.remark(remark));
    for bad in &bad {
        voice.input_error(Some(&bad.path), &format!("{}: {}", shown(&bad.path), bad.why));
    }
    if prints {
        return print(&mut batch, &songs, bad.len());
    }
    let profile = profile_json.as_deref().map(|path| ProfileFile::create(path, &songs)).transpose()?;
    batch = batch.with_profile(profile).counting(Tally::new(bad.len()));
    let exit = if args.fail_fast && !bad.is_empty() { batch.exit() } else { batch.run(&songs) };
    batch.summarise();
    Ok(exit)
}

/// Checks the options for output to standard output.
fn check_printing(args: &Separate) -> Result<(), Error> {
    let split = &args.split;
    let wrong = |why: &str| Err(Error::Options(why.into()));
    if split.json {
        return wrong("-o - and --json both write to standard output; choose one");
    }
    if args.skip_existing || split.overwrite {
        return wrong("--skip-existing and --overwrite are for folders; leave them out with -o -");
    }
    if split.profile_json.is_some() {
        return wrong("--profile-json is for folders; leave it out with -o -");
    }
    if stdio::is_terminal() {
        return wrong("standard output is a terminal; add > FILE or a pipe, or name a folder with -o DIR");
    }
    if !options::is_single_file(&options::of(split)?) {
        return wrong("-o - writes one file: choose one stem, as in --stems vocals or --mix-minus vocals");
    }
    Ok(())
}

fn print(batch: &mut Batch<'_>, songs: &[Song], bad: usize) -> Result<Exit, Error> {
    match songs {
        [song] if bad == 0 => Ok(match batch.print(song) {
            Outcome::Done | Outcome::Skipped => Exit::Done,
            Outcome::Failed | Outcome::Busy => Exit::AllFailed,
            Outcome::Stop(exit) => exit,
        }),
        [] => Ok(Exit::AllFailed),
        _ if bad > 0 => Ok(Exit::AllFailed),
        songs => Err(Error::Options(format!("-o - writes one file, but there are {} songs; name one", songs.len()))),
    }
}
