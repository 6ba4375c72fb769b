use std::error::Error as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};

use sqlx::{Connection as _, PgConnection, query_scalar};
use vocalizer_core::ports::{RepositoryError, SongRepository};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::SongId;
use vocalizer_store::postgres::{PostgresError, PostgresStore};

use super::server::Server;
use super::support::{TestDatabase, execute, settings};

async fn open_error(url: &Secret<String>) -> PostgresError {
    PostgresStore::open(url, settings()).await.unwrap_err()
}

/// Creates a role with a password, a connection limit and no privileges.
async fn role(place: &TestDatabase, connection: &mut PgConnection, limit: i32) {
    let name = &place.name;
    execute(connection, &format!("CREATE ROLE {name} LOGIN PASSWORD 'sesame' CONNECTION LIMIT {limit}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_database_is_migrated_explicitly_or_on_open() {
    let place = TestDatabase::new().await;
    let store = PostgresStore::open_without_migrating(&place.url(), settings()).await.unwrap();
    let pending = store.pending_migrations().await.unwrap();
    let names = [
        "0001 songs and users",
        "0002 quotas",
        "0003 installation",
        "0004 locks that expire",
        "0005 share links",
        "0006 stems",
        "0007 webhooks",
        "0008 resumable uploads",
        "0009 models",
        "0010 administration",
        "0011 priorities",
        "0012 traces",
        "0013 administrators",
        "0014 markers",
        "0015 identities",
        "0016 trash",
        "0017 library",
        "0018 labels",
    ];
    assert_eq!(pending, names);
    assert!(matches!(SongRepository::find(&store, SongId::random()).await, Err(RepositoryError::Unavailable(_))));
    assert_eq!(store.migrate().await.unwrap(), pending);
    assert_eq!(store.migrate().await.unwrap(), Vec::<String>::new(), "a repeat must change nothing");
    assert_eq!(place.open().await.pending_migrations().await.unwrap(), Vec::<String>::new());
    assert_eq!(SongRepository::find(&store, SongId::random()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_servers_migrate_a_new_database_once() {
    let place = TestDatabase::new().await;
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let url = place.url();
            tokio::spawn(async move { PostgresStore::open(&url, settings()).await })
        })
        .collect();
    for opened in opening {
        assert_eq!(opened.await.unwrap().unwrap().count().await.unwrap(), [0; 5]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_database_is_rejected_unchanged() {
    let place = TestDatabase::new().await;
    place.open().await;
    let mut newer = place.connect().await;
    execute(
        &mut newer,
        "INSERT INTO store_migrations SELECT 9000, 'tomorrow', installed_on, success, checksum, execution_time \
         FROM store_migrations WHERE version = 1",
    )
    .await;
    for opened in [
        PostgresStore::open(&place.url(), settings()).await,
        PostgresStore::open_without_migrating(&place.url(), settings()).await,
    ] {
        let error = opened.unwrap_err();
        assert!(matches!(error, PostgresError::Newer { version: 9000, .. }), "{error:?}");
        assert!(error.to_string().contains("newer version of Vocalizer"), "{error}");
    }
    execute(&mut newer, "DELETE FROM store_migrations WHERE version = 9000").await;
    place.open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_migration_checksum_is_rejected() {
    let place = TestDatabase::new().await;
    place.open().await;
    execute(&mut place.connect().await, r"UPDATE store_migrations SET checksum = '\x00'").await;
    let error = open_error(&place.url()).await;
    assert!(matches!(error, PostgresError::Database { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_and_missing_database_are_distinct_and_hide_the_password() {
    let place = TestDatabase::new().await;
    role(&place, &mut place.connect().await, -1).await;
    let wrong = place.url_for(&place.name, "open-says-me");
    let error = open_error(&wrong).await;
    assert!(matches!(&error, PostgresError::Authentication { user, .. } if *user == place.name), "{error:?}");
    let shown = format!("{error:?} {error} {:?}", error.source());
    assert!(!shown.contains("open-says-me"), "{shown}");

    let (server, _) =
        place.url().expose().rsplit_once('/').map(|(server, name)| (server.to_owned(), name.to_owned())).unwrap();
    let error = open_error(&Secret::new(format!("{server}/nowhere"))).await;
    assert!(matches!(error, PostgresError::NoDatabase { .. }), "{error:?}");
    assert!(error.to_string().contains("nowhere"), "{error}");

    let store = PostgresStore::open_without_migrating(&place.url_for(&place.name, "sesame"), settings()).await.unwrap();
    assert!(!format!("{store:?}").contains("sesame"), "{store:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_create_permission_is_reported() {
    let place = TestDatabase::new().await;
    role(&place, &mut place.connect().await, -1).await;
    let error = open_error(&place.url_for(&place.name, "sesame")).await;
    assert!(matches!(error, PostgresError::Database { .. }), "{error:?}");
    assert!(error.source().unwrap().to_string().contains("permission denied"), "{error:?}");

    // An up-to-date database needs no such permission.
    place.open().await;
    let mut admin = place.connect().await;
    execute(&mut admin, &format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}", place.name)).await;
    let store = PostgresStore::open(&place.url_for(&place.name, "sesame"), settings()).await.unwrap();
    assert_eq!(store.count().await.unwrap(), [0; 5]);
    execute(&mut admin, &format!("DROP OWNED BY {}", place.name)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exhausted_connection_limit_is_reported() {
    let place = TestDatabase::new().await;
    role(&place, &mut place.connect().await, 0).await;
    let error = open_error(&place.url_for(&place.name, "sesame")).await;
    assert!(matches!(error, PostgresError::TooManyConnections { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_url_and_unreachable_server_are_rejected() {
    for url in ["", "songs.sqlite", "mysql://localhost/vocalizer", "postgres://:port/"] {
        let error = open_error(&Secret::new(url.to_owned())).await;
        assert!(matches!(error, PostgresError::Url(_)), "{url}: {error:?}");
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = open_error(&Secret::new(format!("postgres://vocalizer:sesame@127.0.0.1:{port}/vocalizer"))).await;
    assert!(matches!(error, PostgresError::Unreachable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_used_and_certificate_verified_as_configured() {
    let server = Server::start(&[]);
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (server.dir().join("certificate.pem"), server.dir().join("key.pem"));
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    // PostgreSQL requires a key that only its user can read.
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let owner = server.dir().metadata().unwrap();
    chown(&key, Some(owner.uid()), Some(owner.gid())).unwrap();
    let mut admin = PgConnection::connect(server.url()).await.unwrap();
    for (name, value) in [("ssl_cert_file", &certificate), ("ssl_key_file", &key)] {
        execute(&mut admin, &format!("ALTER SYSTEM SET {name} = '{}'", value.display())).await;
    }
    execute(&mut admin, "ALTER SYSTEM SET ssl = on").await;
    server.kill();
    server.restart();

    let url = |query: &str| Secret::new(format!("{}?{query}", server.url()));
    let checked = format!("sslmode=verify-full&sslrootcert={}&application_name=checked", certificate.display());
    for tls_mode in [checked.as_str(), "sslmode=require&application_name=asked"] {
        let store = PostgresStore::open(&url(tls_mode), settings()).await.unwrap();
        assert_eq!(store.count().await.unwrap(), [0; 5]);
        let mut admin = PgConnection::connect(server.url()).await.unwrap();
        let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name IN ('checked', 'asked') AND NOT ssl";
        assert_eq!(query_scalar::<_, i64>(plain).fetch_one(&mut admin).await.unwrap(), 0);
    }
    let error = open_error(&url("sslmode=verify-full")).await;
    assert!(matches!(error, PostgresError::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("sslrootcert=FILE"), "{error}");
}
