//! A program whose own HTTP client has no TLS, and that also talks to Vocalizer.

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: host-plain-http URL")?;
    reqwest::Client::new().get(format!("{url}/livez")).send().await?.error_for_status()?;
    let songs = vocalizer_client::Client::builder(&url).build()?.songs().await?;
    // Or with the program's own client.
    let client = vocalizer_client::Client::builder(&url).with_http_client(reqwest::Client::new()).build()?;
    assert_eq!(client.songs().await?.len(), songs.len());
    println!("{} songs", songs.len());
    Ok(())
}
