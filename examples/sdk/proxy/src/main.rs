//! A web app that streams vocals from Vocalizer without holding them in memory: `proxy URL`, then `GET /SONG_ID`.

use std::error::Error;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use vocalizer_client::{Client, ErrorCode, Part, SongId};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: proxy URL")?;
    let app = Router::new().route("/{id}", get(vocals)).with_state(Client::builder(url).build()?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn vocals(State(client): State<Client>, Path(id): Path<String>) -> Result<Response, StatusCode> {
    let id: SongId = id.parse().map_err(|_| StatusCode::NOT_FOUND)?;
    match client.download(id, Part::Vocals).await {
        Ok(download) => {
            let kind = download.content_type().unwrap_or("audio/mpeg").to_owned();
            Ok(([(CONTENT_TYPE, kind)], Body::from_stream(download)).into_response())
        }
        Err(error) if error.has_code(ErrorCode::NotFound) => Err(StatusCode::NOT_FOUND),
        Err(_) => Err(StatusCode::BAD_GATEWAY),
    }
}
