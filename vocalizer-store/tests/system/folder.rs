use std::fs;

use vocalizer_store::system::{FolderError, FolderLock, load_or_generate_secret};

#[test]
fn folder_has_one_holder_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/b");
    let lock = FolderLock::lock(&data).unwrap();
    let error = FolderLock::lock(&data).unwrap_err();
    assert!(matches!(&error, FolderError::InUse { path } if *path == data.join("lock")), "{error:?}");
    drop(lock);
    FolderLock::lock(&data).unwrap();
}

#[test]
fn unusable_folder_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = FolderLock::lock(&file.join("data")).unwrap_err();
    assert!(matches!(&error, FolderError::Io { .. }) && error.to_string().contains("data"), "{error}");
}

#[test]
fn secret_is_generated_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let first = load_or_generate_secret(&path).unwrap();
    assert_eq!(load_or_generate_secret(&path).unwrap().expose(), first.expose());
    assert_ne!(load_or_generate_secret(&dir.path().join("other")).unwrap().expose(), first.expose());
    fs::write(&path, " chosen\n").unwrap();
    assert_eq!(load_or_generate_secret(&path).unwrap().expose(), "chosen");
    // A crash may leave an empty file.
    fs::write(&path, "").unwrap();
    assert_eq!(load_or_generate_secret(&path).unwrap().expose().len(), 64);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_folder_and_secret() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let _lock = FolderLock::lock(&data).unwrap();
    load_or_generate_secret(&data.join("token")).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("token"))), (0o700, 0o600));
}
