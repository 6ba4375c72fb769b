//! A program whose own TLS is the system's, and that also talks to Vocalizer.

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: host-native-tls URL")?;
    reqwest::Client::new().get(format!("{url}/livez")).send().await?.error_for_status()?;
    let songs = vocalizer_client::Client::builder(&url).build()?.songs().await?;
    vocalizer_client::Client::builder("https://vocalizer.example").build()?;
    println!("{} songs", songs.len());
    Ok(())
}
