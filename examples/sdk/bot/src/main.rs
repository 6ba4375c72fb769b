//! A chat bot: splits songs that users send, for several users at once, and stops when a user says so. The test below is how an
//! application tests itself with `vocalizer-testing`.

use std::error::Error;

use tokio::sync::oneshot;
use vocalizer_client::{Client, Upload};

/// Splits a song for a user, unless the user cancels. Returns the answer to the user.
async fn split(
    client: Client,
    title: &str,
    bytes: Vec<u8>,
    cancel: oneshot::Receiver<()>,
) -> Result<String, Box<dyn Error>> {
    let upload = Upload::from_bytes(title, "song.mp3", bytes);
    let id = upload.id();
    let work = async {
        client.upload(upload).await?;
        client.wait(id).await
    };
    tokio::select! {
        song = work => Ok(format!("{}: {}", title, song?.status)),
        _ = cancel => {
            // The song may be there already or not.
            let _ = client.delete(id).await;
            Ok(format!("{title}: cancelled"))
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = vocalizer_testing::TestServer::start().await;
    let client = server.client();
    let (_keep, never) = oneshot::channel();
    println!("{}", split(client.with_session(), "a song", b"a".to_vec(), never).await?);

    server.hold_songs();
    let (cancel, cancelled) = oneshot::channel();
    let splitting = split(client.clone(), "another song", b"b".to_vec(), cancelled);
    let cancelling = async {
        while client.songs().await?.len() < 2 {}
        let _ = cancel.send(());
        Ok::<_, Box<dyn Error>>(())
    };
    let (answer, cancelled) = tokio::join!(splitting, cancelling);
    cancelled?;
    println!("{}", answer?);
    assert_eq!(client.songs().await?.len(), 1, "a cancelled song is deleted");
    Ok(())
}
