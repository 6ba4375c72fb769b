use vocalizer_core::account::PasswordHash;
use vocalizer_core::ports::{PasswordError, PasswordHasher as _};
use vocalizer_core::secret::Secret;
use vocalizer_http::passwords::Argon2Passwords;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn a_password_is_known_again_and_no_other_is() {
    let hasher = Argon2Passwords::new(1).unwrap();
    let hash = hasher.hash(&secret("correct horse")).await.unwrap();
    assert!(hasher.verify(&secret("correct horse"), Some(&hash)).await.unwrap());
    for wrong in ["correct horse ", "Correct horse", "", "correct horse\0"] {
        assert!(!hasher.verify(&secret(wrong), Some(&hash)).await.unwrap(), "{wrong:?}");
    }
}

#[tokio::test]
async fn equal_passwords_are_stored_differently_and_with_owasps_parameters() {
    let hasher = Argon2Passwords::new(2).unwrap();
    let (one, other) =
        (hasher.hash(&secret("12345678")).await.unwrap(), hasher.hash(&secret("12345678")).await.unwrap());
    assert_ne!(one.expose(), other.expose());
    assert!(one.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.expose());
}

#[tokio::test]
async fn nobodys_password_is_never_right() {
    let hasher = Argon2Passwords::new(1).unwrap();
    assert!(!hasher.verify(&secret("a password that is nobody's"), None).await.unwrap());
}

#[tokio::test]
async fn a_stored_hash_that_is_none_is_an_error() {
    let hasher = Argon2Passwords::new(1).unwrap();
    let broken = PasswordHash::new("md5:abc".to_owned());
    let error = hasher.verify(&secret("x"), Some(&broken)).await.unwrap_err();
    assert!(matches!(error, PasswordError::Malformed(_)), "{error:?}");
}

#[tokio::test]
async fn a_flood_is_sent_away_and_those_who_wait_are_served() {
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
    assert!(hasher.verify(&secret("x"), None).await.is_ok(), "and the next one is");
}
