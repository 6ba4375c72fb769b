use std::error::Error as _;
use std::time::Duration;

use sqlx::query_scalar;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::JobQueue;
use vocalizer_core::secret::Secret;
use vocalizer_queue::PostgresQueue;

use super::support::{LONG, Place, execute, job, settings};

async fn refused(url: &Secret<String>) -> String {
    let settings = vocalizer_queue::PostgresQueueSettings { acquire_timeout: Duration::from_secs(2), ..settings(LONG) };
    let error = PostgresQueue::open(url, settings).await.unwrap_err();
    assert!(error.source().is_some(), "{error:?}");
    let said = chain(&error).to_string();
    assert!(!said.contains("sesame"), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_database_is_said_and_no_password() {
    let place = Place::new().await;
    let url = |text: &str| Secret::new(text.to_owned());
    let said = refused(&url("mysql://ada:sesame@localhost/songs")).await;
    assert!(said.contains("not of the form postgres://"), "{said}");
    let said = refused(&url("postgres://ada:sesame@127.0.0.1:1/songs")).await;
    assert!(said.contains("songs at 127.0.0.1:1"), "{said}");
    let said = refused(&url(&format!("{}_not_there", place.url().expose()))).await;
    assert!(said.contains("does not exist"), "{said}");
    let queue = format!("{:?}", place.open(LONG).await);
    assert!(queue.contains(&place.name) && !queue.contains("vocalizer:"), "{queue}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_make_the_tables_once() {
    let place = Place::new().await;
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
async fn a_database_of_a_newer_version_is_refused() {
    let place = Place::new().await;
    drop(place.open(LONG).await);
    let mut connection = place.connect().await;
    let newer = "INSERT INTO queue_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'newer', TRUE, '', 0)";
    execute(&mut connection, newer).await;
    let said = refused(&place.url()).await;
    assert!(said.contains("newer version of Vocalizer: it has migration 99 of the queue"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_create_no_tables_may_use_them() {
    let place = Place::new().await;
    assert_eq!(PostgresQueue::migrate(&place.url()).await.unwrap(), ["queue 0001 jobs"]);
    let mut admin = place.connect().await;
    let role = format!("{}_user", place.name);
    execute(&mut admin, &format!("CREATE ROLE {role} LOGIN PASSWORD 'sesame'")).await;
    let grants = format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON queue_jobs, queue_dead_letters TO {role}; \
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
    // The last of its connections may be on its way out.
    let gone = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1";
    while query_scalar::<_, i64>(gone).bind(&role).fetch_one(&mut admin).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    execute(&mut admin, &format!("DROP ROLE {role}")).await;
}
