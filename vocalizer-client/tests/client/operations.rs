//! The client has a method for every operation of the API, with an example that runs, and a type for every error code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vocalizer_client::ErrorCode;

/// The methods of `Client` for each operation of the OpenAPI document.
const METHODS: [(&str, &[&str]); 79] = [
    ("register", &["register", "register_with_invite"]),
    ("login", &["login"]),
    ("logout", &["logout"]),
    ("logout_everywhere", &["logout_everywhere"]),
    ("me", &["me"]),
    ("change_password", &["change_password"]),
    ("sign_in_options", &["sign_in_options"]),
    // For browsers, which go to the provider and come back.
    ("begin_sign_in", &["sign_in_options"]),
    ("finish_sign_in", &["sign_in_options"]),
    ("link_sign_in", &["sign_in_options"]),
    ("sign_in_connection", &["is_connected"]),
    ("unlink_sign_in", &["disconnect"]),
    ("sign_out_at_provider", &["sign_in_options"]),
    ("list_tokens", &["tokens"]),
    ("create_token", &["create_token"]),
    ("revoke_token", &["revoke_token"]),
    ("list_songs", &["songs", "songs_page", "song_pages"]),
    ("upload", &["upload"]),
    // For other clients of the protocol; the limits say the same.
    ("upload_options", &["limits"]),
    ("create_upload", &["begin_upload"]),
    ("get_upload", &["upload_state"]),
    ("get_upload_head", &["upload_state"]),
    ("append_upload", &["upload", "continue_upload"]),
    ("terminate_upload", &["delete_upload"]),
    ("get_song", &["song", "song_in_detail"]),
    ("rename_song", &["rename"]),
    ("delete_song", &["delete"]),
    ("restore_song", &["restore"]),
    ("list_trash", &["trash_pages"]),
    ("delete_for_good", &["delete_for_good"]),
    ("retry_song", &["retry"]),
    ("split_song", &["split_again"]),
    ("cancel_song", &["cancel"]),
    ("events", &["watch", "wait", "wait_with"]),
    ("list_events", &["watch_all"]),
    ("peaks", &["peaks", "peaks_between"]),
    ("analysis", &["analysis"]),
    ("cover", &["cover"]),
    ("lyrics", &["lyrics"]),
    ("part", &["download", "download_bytes", "download_range", "download_to", "download_stems", "resume"]),
    ("part_head", &["file_info"]),
    ("create_share", &["share"]),
    ("list_shares", &["shares"]),
    ("revoke_share", &["revoke_share"]),
    ("open_share", &["shared"]),
    ("list_labels", &["labels"]),
    ("add_label", &["add_label"]),
    ("remove_label", &["remove_label"]),
    ("list_markers", &["markers"]),
    ("create_marker", &["add_marker"]),
    ("change_marker", &["change_marker"]),
    ("delete_marker", &["delete_marker"]),
    ("list_webhooks", &["webhooks"]),
    ("create_webhook", &["create_webhook"]),
    ("delete_webhook", &["delete_webhook"]),
    ("list_deliveries", &["webhook_deliveries"]),
    ("test_webhook", &["test_webhook"]),
    ("enable_webhook", &["enable_webhook"]),
    ("admin_list_users", &["users"]),
    ("admin_get_user", &["user"]),
    ("admin_disable_user", &["disable_user"]),
    ("admin_enable_user", &["enable_user"]),
    ("admin_disconnect_user", &["disconnect_user"]),
    ("admin_reset_password", &["reset_password"]),
    ("admin_set_quota", &["set_limits"]),
    ("admin_list_songs", &["songs"]),
    ("admin_delete_song", &["delete_song"]),
    ("admin_requeue_song", &["requeue_song"]),
    ("admin_list_jobs", &["jobs"]),
    ("admin_drain_jobs", &["drain_jobs"]),
    ("admin_resume_jobs", &["resume_jobs"]),
    ("admin_storage", &["storage"]),
    ("admin_audit", &["audit"]),
    ("live", &["check_live"]),
    ("ready", &["readiness"]),
    ("metrics", &["metrics"]),
    ("openapi", &["openapi"]),
    ("limits", &["limits"]),
    ("models", &["models"]),
];

/// The operations of workers, and the last part of the path in the source of the ports.
const OF_WORKERS: [(&str, &str); 10] = [
    ("upload_result", "upload_result"),
    ("begin_work", "begin"),
    ("source", "source"),
    ("report_progress", "progress"),
    ("hand_back", "hand_back"),
    ("give_up", "fail"),
    ("lease_job", "jobs/lease"),
    ("extend_lease", "extend"),
    ("acknowledge_job", "acknowledge"),
    ("fail_job", "fail"),
];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The source of the client, without its tests.
fn source(folder: &str) -> String {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut source = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                source.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    source
}

#[test]
fn every_operation_has_a_method_with_an_example_that_runs() {
    let document: Value = serde_json::from_str(&read("../vocalizer-http/openapi.json")).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    let operations: BTreeSet<_> = operations.filter_map(|operation| operation["operationId"].as_str()).collect();
    let known = METHODS.iter().map(|(name, _)| *name).chain(OF_WORKERS.iter().map(|(name, _)| *name)).collect();
    assert_eq!(operations, known, "an operation has no method, or a method no operation");

    let client = source("src");
    let begins = |name: &str, prefix: &str| client.find(&format!("    pub {prefix}fn {name}("));
    for name in METHODS.iter().flat_map(|(_, methods)| *methods) {
        let at = begins(name, "async ").or_else(|| begins(name, "")).unwrap_or_else(|| panic!("no method {name}"));
        let documented = client[..at].lines().rev().take_while(|line| line.trim_start().starts_with("///"));
        let documentation: Vec<_> = documented.map(|line| line.trim_start().trim_start_matches("///").trim()).collect();
        let runs = documentation.contains(&"```") && !documentation.iter().any(|line| line.starts_with("```no_run"));
        let refers = documentation.iter().any(|line| line.ends_with("for an example."));
        assert!(runs || refers, "{name} has no example that runs");
    }
    let ports = source("src/worker");
    for (operation, path) in OF_WORKERS {
        assert!(ports.contains(&format!("{path}\"")), "the ports of a worker do not use {operation}");
    }
}

#[test]
fn every_documented_error_code_has_a_type() {
    let documentation = read("../docs/http-api.md");
    let table = documentation.split("## Error codes").nth(1).unwrap().split("\n## ").next().unwrap();
    let codes: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(codes.len() > 20, "{codes:?}");
    for code in codes {
        let parsed: ErrorCode = serde_json::from_value(code.into()).unwrap();
        assert_eq!(parsed.name(), code);
    }
}
