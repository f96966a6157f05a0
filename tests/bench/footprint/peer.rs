//! The least that the same service can be: a process that answers each request with the same bytes and
//! keeps the connection open. It reads no log, checks nothing and knows no client.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::process::Process;

/// How the program is told to be the peer, and where the bytes are.
pub(crate) const PEER: &str = "--peer=";
/// As long as afterbay's.
const BACKLOG: u32 = 4096;
const REQUEST_BYTES: usize = 1024;

pub(crate) struct Peer {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Peer {
    /// Answers with the bytes in this file.
    pub(crate) async fn start(answer: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let argument = format!("{PEER}{}", answer.display());
        let mut process = Process::start(program.to_str().unwrap(), &[&argument]);
        let address = process.address("listening on http://").await;
        Self { process, address }
    }
}

/// Is the peer, until it is killed.
pub(crate) async fn serve(answer: &str) {
    let answer: Arc<[u8]> = std::fs::read(answer).unwrap().into();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(BACKLOG).unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer_one(stream, Arc::clone(&answer)));
    }
}

async fn answer_one(mut stream: TcpStream, answer: Arc<[u8]>) {
    stream.set_nodelay(true).unwrap();
    let mut request = Vec::with_capacity(REQUEST_BYTES);
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(read) if read > 0 => {}
            Ok(_) | Err(_) => return,
        }
    }
    if stream.write_all(&answer).await.is_ok() {
        // An end or an error means that the client has gone.
        let _ = stream.read_buf(&mut request).await;
    }
}
