//! Splits every file of a folder, and continues where it stopped if it is killed: `folder URL FOLDER`.
//!
//! Each song's ID is written beside the song before its upload begins, so that a repeated upload makes no second song.

use std::error::Error;
use std::path::{Path, PathBuf};

use vocalizer_client::{Client, Part, SongId, Upload};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(folder)) = (args.next(), args.next()) else { return Err("usage: folder URL FOLDER".into()) };
    let client = Client::builder(url).build()?;
    let mut songs: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    songs.retain(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "mp3"));
    songs.sort();
    for song in songs {
        match split(&client, &song).await {
            Ok(()) => println!("{}: done", song.display()),
            Err(error) => eprintln!("{}: {error}", song.display()),
        }
    }
    Ok(())
}

async fn split(client: &Client, song: &Path) -> Result<(), Box<dyn Error>> {
    let vocals = song.with_extension("vocals");
    if vocals.exists() {
        return Ok(());
    }
    let id_file = song.with_extension("id");
    let id: SongId = match std::fs::read_to_string(&id_file) {
        Ok(id) => id.parse()?,
        Err(_) => {
            let id = SongId::random();
            std::fs::write(&id_file, id.to_string())?;
            id
        }
    };
    let title = song.file_stem().unwrap_or_default().to_string_lossy();
    client.upload(Upload::from_path(title, song).with_id(id)).await?;
    client.wait(id).await?;
    client.download_to(id, Part::Vocals, &vocals).resumable().await?;
    Ok(std::fs::remove_file(id_file)?)
}
