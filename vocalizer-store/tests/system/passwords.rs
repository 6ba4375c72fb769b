use vocalizer_core::account::PasswordHash;
use vocalizer_core::ports::{PasswordError, PasswordHasher as _};
use vocalizer_core::secret::Secret;
use vocalizer_store::system::Argon2Passwords;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn only_the_right_password_verifies() {
    let hasher = Argon2Passwords::new(1).unwrap();
    let hash = hasher.hash(&secret("correct horse")).await.unwrap();
    assert!(hasher.verify(&secret("correct horse"), Some(&hash)).await.unwrap());
    for wrong in ["correct horse ", "Correct horse", "", "correct horse\0"] {
        assert!(!hasher.verify(&secret(wrong), Some(&hash)).await.unwrap(), "{wrong:?}");
    }
}

#[tokio::test]
async fn hashes_are_salted_and_use_owasp_parameters() {
    let hasher = Argon2Passwords::new(2).unwrap();
    let (one, other) =
        (hasher.hash(&secret("12345678")).await.unwrap(), hasher.hash(&secret("12345678")).await.unwrap());
    assert_ne!(one.expose(), other.expose());
    assert!(one.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.expose());
}

#[tokio::test]
async fn unknown_user_never_verifies() {
    let hasher = Argon2Passwords::new(1).unwrap();
    assert!(!hasher.verify(&secret("dummy password"), None).await.unwrap());
}

#[tokio::test]
async fn malformed_stored_hash_is_an_error() {
    let hasher = Argon2Passwords::new(1).unwrap();
    let broken = PasswordHash::new("md5:abc".to_owned());
    let error = hasher.verify(&secret("x"), Some(&broken)).await.unwrap_err();
    assert!(matches!(error, PasswordError::Malformed(_)), "{error:?}");
}

#[tokio::test]
async fn excess_requests_fail_and_waiting_ones_complete() {
    let hasher = std::sync::Arc::new(Argon2Passwords::new(1).unwrap());
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let hasher = std::sync::Arc::clone(&hasher);
            tokio::spawn(async move { hasher.verify(&secret("x"), None).await.is_ok() })
        })
        .collect();
    let mut served = 0;
    for call in calls {
        served += usize::from(call.await.unwrap());
    }
    assert!((1..200).contains(&served), "{served} of 200 were served");
    assert!(hasher.verify(&secret("x"), None).await.is_ok(), "the hasher stays usable");
}
