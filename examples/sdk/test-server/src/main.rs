//! A server for the other programs: prints its address and runs until it is killed.

#[tokio::main]
async fn main() {
    let server = vocalizer_testing::TestServer::start().await;
    println!("{}", server.url());
    std::future::pending::<()>().await;
}
