use std::error::Error as _;
use std::time::Duration;

use sqlx::query_scalar;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::JobQueue;
use vocalizer_core::secret::Secret;
use vocalizer_queue::PostgresQueue;

use super::support::{LONG, TestDatabase, execute, job, settings};

async fn open_error(url: &Secret<String>) -> String {
    let settings = vocalizer_queue::PostgresQueueSettings { acquire_timeout: Duration::from_secs(2), ..settings(LONG) };
    let error = PostgresQueue::open(url, settings).await.unwrap_err();
    assert!(error.source().is_some(), "{error:?}");
    let message = chain(&error).to_string();
    assert!(!message.contains("sesame"), "{message}");
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn database_errors_are_reported_without_the_password() {
    let place = TestDatabase::new().await;
    let url = |text: &str| Secret::new(text.to_owned());
    let message = open_error(&url("mysql://ada:sesame@localhost/songs")).await;
    assert!(message.contains("invalid database URL; use postgres://"), "{message}");
    let message = open_error(&url("postgres://ada:sesame@127.0.0.1:1/songs")).await;
    assert!(message.contains("songs at 127.0.0.1:1"), "{message}");
    let message = open_error(&url(&format!("{}_not_there", place.url().expose()))).await;
    assert!(message.contains("does not exist"), "{message}");
    let queue = format!("{:?}", place.open(LONG).await);
    assert!(queue.contains(&place.name) && !queue.contains("vocalizer:"), "{queue}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_servers_migrate_once() {
    let place = TestDatabase::new().await;
    let starting: Vec<_> = (0..6)
        .map(|number| {
            let url = place.url();
            tokio::spawn(async move {
                let queue = PostgresQueue::open(&url, settings(LONG)).await.unwrap();
                queue.publish(job(&number.to_string())).await.unwrap();
            })
        })
        .collect();
    for started in starting {
        started.await.unwrap();
    }
    let queue = place.open(LONG).await;
    assert_eq!(queue.depth().await.unwrap().waiting, 6);
    let again = PostgresQueue::migrate(&place.url()).await.unwrap();
    assert!(again.is_empty(), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_database_is_rejected() {
    let place = TestDatabase::new().await;
    drop(place.open(LONG).await);
    let mut connection = place.connect().await;
    let newer = "INSERT INTO queue_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'newer', TRUE, '', 0)";
    execute(&mut connection, newer).await;
    let message = open_error(&place.url()).await;
    assert!(message.contains("newer version of Vocalizer (migration 99 in queue_migrations)"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn user_without_create_permission_can_use_existing_tables() {
    let place = TestDatabase::new().await;
    let applied = PostgresQueue::migrate(&place.url()).await.unwrap();
    assert_eq!(applied, ["queue 0001 jobs", "queue 0002 lines", "queue 0003 models", "queue 0004 traces"]);
    let mut admin = place.connect().await;
    let role = format!("{}_user", place.name);
    execute(&mut admin, &format!("CREATE ROLE {role} LOGIN PASSWORD 'sesame'")).await;
    let grants = format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON queue_jobs, queue_lines, queue_dead_letters TO {role}; \
         GRANT SELECT ON queue_migrations TO {role}"
    );
    execute(&mut admin, &grants).await;
    let options = place.options();
    let (host, port) = (options.get_host(), options.get_port());
    let url = Secret::new(format!("postgres://{role}:sesame@{host}:{port}/{}", place.name));
    let queue = PostgresQueue::open(&url, settings(LONG)).await.unwrap();
    queue.publish(job("a")).await.unwrap();
    queue.lease().await.unwrap().acknowledge().await.unwrap();
    drop(queue);
    execute(&mut admin, &format!("DROP OWNED BY {role} CASCADE")).await;
    // Its last connection may still be closing.
    let gone = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1";
    while query_scalar::<_, i64>(gone).bind(&role).fetch_one(&mut admin).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    execute(&mut admin, &format!("DROP ROLE {role}")).await;
}
