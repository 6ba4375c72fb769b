//! A program whose own TLS is rustls with its default provider, and that also talks to Vocalizer.

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: host-aws-lc URL")?;
    // The program's own HTTP client and TLS, before and after the other library is used.
    rustls::ClientConfig::builder();
    reqwest::Client::new().get(format!("{url}/livez")).send().await?.error_for_status()?;
    let songs = vocalizer_client::Client::builder(&url).build()?.songs().await?;
    vocalizer_client::Client::builder("https://vocalizer.example").build()?;
    rustls::ServerConfig::builder();
    reqwest::Client::new().get(format!("{url}/livez")).send().await?.error_for_status()?;
    println!("{} songs", songs.len());
    Ok(())
}
