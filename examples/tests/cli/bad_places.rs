//! Folders and disks that do not take what is to be written, files that may not be read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::support::{Place, RATE_HZ, Ran, STEMS, tiny};

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a changed mode");
}

/// `vocalizer separate`, held to what a file's mode says even where root runs the tests.
fn as_anyone(place: &Place) -> Command {
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
fn an_unreadable_file_is_named_and_the_others_done() {
    let place = Place::new();
    set_mode(&place.song("secret.wav", 5_000), 0o000);
    place.song("open.wav", 5_000);
    let ran = Ran::of(as_anyone(&place).args(["secret.wav", "open.wav"]));
    ran.failed(1, &["secret.wav", "Permission denied"]);
    assert_eq!(place.files("separated"), STEMS.map(|stem| format!("open/{stem}.wav")));
}

#[test]
fn an_unwritable_folder_is_named() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    std::fs::create_dir(place.path("locked")).expect("a folder");
    set_mode(&place.path("locked"), 0o555);
    let ran = Ran::of(as_anyone(&place).args(["song.wav", "-o", "locked"]));
    ran.failed(4, &["locked", "Permission denied"]);
    assert_eq!(place.files("locked"), [""; 0]);
}

#[test]
fn a_file_where_a_folder_should_be() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    place.put("out", b"a file");
    place.separate(&["song.wav", "-o", "out"]).failed(4, &["out"]);
    assert_eq!(std::fs::read(place.path("out")).expect("the file"), b"a file");
}

#[test]
fn a_profile_does_not_take_a_song_s_place() {
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
fn a_folder_where_a_stem_should_be() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    place.put("separated/song/vocals.wav/mine", b"not to be lost");
    place.separate(&["song.wav"]).failed(4, &["vocals.wav"]);
    assert_eq!(place.files("separated"), ["song/vocals.wav/mine"]);
}

/// A limit on the size of files stands for the disk that is full: the same writes fail, everywhere tests run.
#[test]
fn a_disk_that_takes_no_more_leaves_nothing_half_written() {
    let place = Place::new();
    place.song("song.wav", 10 * RATE_HZ as usize);
    place.song("short.wav", 500);
    for arguments in [&["--clip", "rescale"][..], &["--clip", "clamp"], &["--format", "flac"], &["--format", "mp3"]] {
        let mut shell = place.prepared(Command::new("sh"));
        shell.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_vocalizer")]);
        shell.args(["separate", "song.wav", "short.wav", "-o", "out", "--model"]).arg(tiny()).args(arguments);
        let ran = Ran::of(&mut shell);
        ran.failed(1, &["out/song", "File too large"]);
        assert!(place.files("out").iter().all(|file| file.starts_with("short/")), "{:?}", place.files("out"));
        assert_eq!(place.files("out").len(), 4);
        std::fs::remove_dir_all(place.path("out")).expect("a folder to remove");
    }
}

/// A real file system of 300 kB, where the machine lets tests mount one.
#[test]
#[cfg(target_os = "linux")]
fn a_full_file_system_leaves_nothing_half_written() {
    let place = Place::new();
    place.song("song.wav", 10 * RATE_HZ as usize);
    std::fs::create_dir(place.path("small")).expect("a folder");
    let script = "mount -t tmpfs -o size=300k vocalizer small || exit 77; \"$@\"; code=$?; ls -A small; exit $code";
    let mut shell = place.prepared(Command::new("unshare"));
    shell.args(["--mount", "--map-root-user", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_vocalizer")]);
    shell.args(["separate", "song.wav", "-o", "small", "--model"]).arg(tiny());
    let ran = Ran::of(&mut shell);
    if ran.code == Some(77) || ran.err.starts_with("unshare:") {
        println!("skipped: no file system can be mounted here: {}", ran.err);
        return;
    }
    ran.failed(4, &["small", "No space left on device"]);
    assert_eq!(ran.out, "", "nothing lies in the folder");
}
