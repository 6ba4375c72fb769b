//! The program's command line.

use std::process::{Command, Output};

fn vocalizer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vocalizer")).args(arguments).output().unwrap()
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn short_help_of_serve_fits_two_screens() {
    let short = stdout(vocalizer(&["serve", "-h"]));
    assert!(short.lines().count() <= 100, "{} lines: {short}", short.lines().count());
    assert!(short.lines().all(|line| line.chars().count() <= 100), "{short}");
    for heading in ["Network:", "Storage:", "Limits:", "Accounts:", "Computing:", "Advanced:"] {
        assert!(short.lines().any(|line| line == heading), "{heading} in {short}");
    }
    assert!(short.contains("`--help` lists all options"), "{short}");
    let long = stdout(vocalizer(&["serve", "--help"]));
    for option in ["--data-dir", "--max-event-streams-per-client", "--sweep-interval-s", "DATA_DIR"] {
        assert!(long.contains(option), "{option} in {long}");
    }
    assert!(!short.contains("--sweep-interval-s"), "{short}");
}

#[test]
fn old_option_names_still_work() {
    let dir = tempfile::tempdir().unwrap();
    let (data, database) = (dir.path().to_str().unwrap(), format!("sqlite:{}/old.db", dir.path().display()));
    let old = ["serve", "--check-config", "--listen", "127.0.0.1:8123", "--data", data, "--database", &database];
    let new =
        ["admin", "check-config", "--listen-addr", "127.0.0.1:8123", "--data-dir", data, "--database-url", &database];
    let printed = stdout(vocalizer(&old));
    assert!(printed.contains("LISTEN_ADDR=127.0.0.1:8123\n") && printed.contains(&database), "{printed}");
    assert_eq!(printed, stdout(vocalizer(&new)));
}

#[test]
fn migrate_creates_the_database_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let migrate = || stdout(super::server::admin(&data, &["migrate"]));
    let first = migrate();
    assert!(first.contains("applied ") && first.contains("is up to date"), "{first}");
    let second = migrate();
    assert!(!second.contains("applied ") && second.contains("is up to date"), "{second}");
}

/// Callers of the original system's client run `client --addr=URL integration`.
#[cfg(unix)]
#[test]
fn link_named_client_is_remote() {
    let dir = tempfile::tempdir().unwrap();
    let client = dir.path().join("client");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_vocalizer"), &client).unwrap();
    for (program, before) in [(client.to_str().unwrap(), &[][..]), (env!("CARGO_BIN_EXE_vocalizer"), &["remote"])] {
        let mut command = Command::new(program);
        let output = command.args(before).args(["--addr=http://127.0.0.1:9", "integration"]).output().unwrap();
        // No server at this address.
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("register"));
    }
}

#[cfg(not(feature = "separate"))]
#[test]
fn build_without_the_network_names_the_missing_feature() {
    for command in ["separate", "devices", "worker"] {
        let output = vocalizer(&[command, "--anything", "song.mp3"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            error.contains(&format!("this build lacks `{command}`")) && error.contains("--features separate"),
            "{error}"
        );
    }
    assert!(stdout(vocalizer(&["--help"])).contains("This build has no worker"));
    assert_eq!(vocalizer(&["dance"]).status.code(), Some(2));
}
