//! The peer: fjall, an embedded store, in the way that suits it best. One thread commits; it
//! takes whatever is queued as one batch and makes it durable with one sync, as our writer does.
//! Its own settings are left as they come; nothing is compressed, as our log compresses nothing.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Slice};
use tokio::sync::{mpsc, oneshot};

use super::workload::{Events, Turn, key};

/// Appends that wait; as many as our log lets wait.
const QUEUE: usize = 4096;

/// An open store.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) database: Database,
    pub(crate) events: Keyspace,
}

/// Where appends go.
#[derive(Clone)]
pub(crate) struct Committer(mpsc::Sender<Waiting>);

struct Waiting {
    key: Slice,
    value: Slice,
    durable: oneshot::Sender<()>,
}

impl Peer {
    pub(crate) fn open(folder: &Path) -> Self {
        let database = Database::builder(folder.join("fjall")).open().unwrap();
        let events = database.keyspace("events", KeyspaceCreateOptions::default).unwrap();
        Self { database, events }
    }

    /// Starts the committer's thread; it ends when nobody can append any more.
    pub(crate) fn committer(&self, mode: PersistMode) -> Committer {
        let (sender, mut receiver) = mpsc::channel::<Waiting>(QUEUE);
        let peer = self.clone();
        std::thread::spawn(move || {
            while let Some(first) = receiver.blocking_recv() {
                let mut group = vec![first];
                while let Ok(next) = receiver.try_recv() {
                    group.push(next);
                }
                let mut batch = peer.database.batch().durability(Some(mode));
                for waiting in &group {
                    batch.insert(&peer.events, waiting.key.clone(), waiting.value.clone());
                }
                batch.commit().unwrap();
                for waiting in group {
                    let told = waiting.durable.send(());
                    assert!(told.is_ok(), "every append is awaited");
                }
            }
        });
        Committer(sender)
    }

    /// Writes whole turns, in batches of a thousand, each of them durable; in turn one record of
    /// each session, so that they lie as interleaved as in our log.
    pub(crate) fn write_turns(&self, turns: &[Turn], events: &Events) {
        let values = values(events);
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        let mut filled = 0;
        for number in 0..=turns.iter().map(|turn| turn.events).max().unwrap_or(0) {
            for turn in turns.iter().filter(|turn| turn.batches().contains(&number)) {
                if number > 0 {
                    let value = &values[(turn.session + number) as usize % values.len()];
                    batch.insert(&self.events, record_key(turn.session, number, 0), value.clone());
                }
                for (at, control) in (1..).zip(turn.controls(number)) {
                    let key = record_key(turn.session, number, at);
                    batch.insert(&self.events, key, Slice::from(control.bytes.as_ref()));
                }
                filled += 1;
                if filled % 1000 == 0 {
                    let next = self.database.batch().durability(Some(PersistMode::SyncData));
                    std::mem::replace(&mut batch, next).commit().unwrap();
                }
            }
        }
        batch.commit().unwrap();
    }
}

impl Committer {
    /// Resolves when the value is durable.
    pub(crate) async fn append(&self, session: u64, seq: u64, value: Slice) {
        let (durable, done) = oneshot::channel();
        let waiting = Waiting { key: record_key(session, seq, 0), value, durable };
        assert!(self.0.send(waiting).await.is_ok(), "the committer died");
        done.await.expect("the committer died");
    }
}

/// The values of events, ready to be shared.
pub(crate) fn values(events: &Events) -> Vec<Slice> {
    events.bytes().into_iter().map(Slice::from).collect()
}

/// Sorted by session and number, and the records beside an event behind it.
pub(crate) fn record_key(session: u64, seq: u64, beside: u8) -> Slice {
    let mut bytes = [0; 25];
    bytes[..16].copy_from_slice(&key(session).to_bytes());
    bytes[16..24].copy_from_slice(&seq.to_be_bytes());
    bytes[24] = beside;
    Slice::from(bytes.as_slice())
}
