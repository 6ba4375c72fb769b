//! Unwritable folders, full disks and unreadable files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::support::{Place, RATE_HZ, Run, STEMS, tiny};

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a changed mode");
}

/// `vocalizer separate` without root's right to ignore file permissions.
fn separate_without_privileges(place: &Place) -> Command {
    let is_root = Command::new("id").arg("-u").output().expect("id").stdout == b"0\n";
    let mut command = if is_root {
        let mut command = place.prepared(Command::new("setpriv"));
        command.args(["--bounding-set", "-dac_override,-dac_read_search", env!("CARGO_BIN_EXE_vocalizer")]);
        command
    } else {
        place.command()
    };
    command.args(["separate", "--model"]).arg(tiny());
    command
}

#[test]
fn unreadable_file_is_reported_and_others_are_separated() {
    let place = Place::new();
    set_mode(&place.song("secret.wav", 5_000), 0o000);
    place.song("open.wav", 5_000);
    let run = Run::of(separate_without_privileges(&place).args(["secret.wav", "open.wav"]));
    run.failed(1, &["secret.wav", "Permission denied"]);
    assert_eq!(place.files("separated"), STEMS.map(|stem| format!("open/{stem}.wav")));
}

#[test]
fn unwritable_folder_is_reported() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    std::fs::create_dir(place.path("locked")).expect("a folder");
    set_mode(&place.path("locked"), 0o555);
    let run = Run::of(separate_without_privileges(&place).args(["song.wav", "-o", "locked"]));
    run.failed(4, &["locked", "Permission denied"]);
    assert_eq!(place.files("locked"), [""; 0]);
}

#[test]
fn output_folder_that_is_a_file_is_an_error() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    place.put("out", b"a file");
    place.separate(&["song.wav", "-o", "out"]).failed(4, &["out"]);
    assert_eq!(std::fs::read(place.path("out")).expect("the file"), b"a file");
}

#[test]
fn profile_never_overwrites_input() {
    let place = Place::new();
    let song = place.song("song.wav", 5_000);
    let before = std::fs::read(&song).expect("the song");
    place
        .separate(&["song.wav", "--profile-json", "./song.wav"])
        .failed(2, &["./song.wav", "give the profile a different path"]);
    assert_eq!(std::fs::read(&song).expect("the song"), before);
    place.separate(&["song.wav", "--profile-json", "nowhere/profile.json"]).failed(2, &["nowhere/profile.json"]);
    assert_eq!(place.files("separated"), [""; 0]);
}

#[test]
fn stem_path_that_is_a_folder_is_an_error() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    place.separate(&["song.wav"]).succeeded();
    std::fs::remove_file(place.path("separated/song/vocals.wav")).expect("a removed file");
    place.put("separated/song/vocals.wav/mine", b"existing data");
    place.separate(&["song.wav"]).failed(4, &["vocals.wav"]);
    assert!(place.files("separated").contains(&"song/vocals.wav/mine".into()), "{:?}", place.files("separated"));
}

/// A file size limit simulates a full disk: the same writes fail, and it works wherever tests run.
#[test]
fn file_size_limit_leaves_no_partial_files() {
    let place = Place::new();
    place.song("song.wav", 10 * RATE_HZ as usize);
    place.song("short.wav", 500);
    for arguments in [
        &["--clip", "common"][..],
        &["--clip", "each"],
        &["--clip", "clamp"],
        &["--format", "flac"],
        &["--format", "mp3"],
    ] {
        let mut shell = place.prepared(Command::new("sh"));
        shell.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_vocalizer")]);
        shell.args(["separate", "song.wav", "short.wav", "-o", "out", "--model"]).arg(tiny()).args(arguments);
        let run = Run::of(&mut shell);
        run.failed(1, &["out/song", "File too large"]);
        assert!(place.files("out").iter().all(|file| file.starts_with("short/")), "{:?}", place.files("out"));
        assert_eq!(place.files("out").len(), 4);
        std::fs::remove_dir_all(place.path("out")).expect("a folder to remove");
    }
}

/// A real 300 kB file system, where the machine allows tests to mount one.
#[test]
#[cfg(target_os = "linux")]
fn full_file_system_leaves_no_partial_files() {
    let place = Place::new();
    place.song("song.wav", 10 * RATE_HZ as usize);
    std::fs::create_dir(place.path("small")).expect("a folder");
    let script = "mount -t tmpfs -o size=300k vocalizer small || exit 77; \"$@\"; code=$?; ls -A small; exit $code";
    let mut shell = place.prepared(Command::new("unshare"));
    shell.args(["--mount", "--map-root-user", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_vocalizer")]);
    shell.args(["separate", "song.wav", "-o", "small", "--model"]).arg(tiny());
    let run = Run::of(&mut shell);
    if run.code == Some(77) || run.err.starts_with("unshare:") {
        println!("skipped: cannot mount a file system here: {}", run.err);
        return;
    }
    run.failed(4, &["small", "No space left on device"]);
    assert_eq!(run.out, "", "the folder is empty");
}
