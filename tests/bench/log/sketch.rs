//! The least that a log can be whose appends are awaited by tasks: one thread that copies whatever
//! is queued into one buffer, writes and syncs it, and answers. No numbers, no checksums, no chain,
//! no index, no way to read: what is between it and the raw disk is the price of tasks that wait.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

/// Appends that wait; as many as our log lets wait.
const QUEUE: usize = 4096;
/// Where the file begins anew.
const GROWN_BYTES: u64 = 1 << 30;

/// Where appends go.
#[derive(Clone)]
pub(crate) struct Sketch(mpsc::Sender<Waiting>);

struct Waiting {
    event: Bytes,
    durable: oneshot::Sender<()>,
}

impl Sketch {
    /// Starts the thread; it ends when nobody can append any more.
    pub(crate) fn start(folder: &Path) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let path = folder.join("sketch");
        std::thread::spawn(move || write(&path, receiver));
        Self(sender)
    }

    /// Resolves when the event is durable.
    pub(crate) async fn append(&self, event: Bytes) {
        let (durable, done) = oneshot::channel();
        assert!(self.0.send(Waiting { event, durable }).await.is_ok(), "the writer died");
        done.await.expect("the writer died");
    }
}

fn write(path: &Path, mut receiver: mpsc::Receiver<Waiting>) {
    let (mut file, mut at) = (File::create(path).unwrap(), 0);
    let mut buffer = Vec::new();
    while let Some(first) = receiver.blocking_recv() {
        let mut group = vec![first];
        while let Ok(next) = receiver.try_recv() {
            group.push(next);
        }
        buffer.clear();
        for waiting in &group {
            buffer.extend_from_slice(&waiting.event);
        }
        if at > GROWN_BYTES {
            (file, at) = (File::create(path).unwrap(), 0);
        }
        file.write_all_at(&buffer, at).unwrap();
        file.sync_data().unwrap();
        at += buffer.len() as u64;
        for waiting in group {
            assert!(waiting.durable.send(()).is_ok(), "every append is awaited");
        }
    }
}
