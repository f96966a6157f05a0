//! The contestants of `appends`: a thousand tasks, each of which awaits one durable append of one
//! event after the other, as fast as they go. Told is what was durable in the measured time.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use afterbay::log::Batch;
use bytes::Bytes;
use fjall::PersistMode;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::child::{Order, tell};
use super::figures::Sample;
use super::groups::groups_for;
use super::ours::Ours;
use super::peer::{Peer, values};
use super::raw::{Blocks, Raw};
use super::sketch::Sketch;
use super::usage;
use super::workload::{EVENT_BYTES, Events, SESSIONS};

/// Before the measured time: files are open, buffers have their size, the pace has settled.
const WARM_UP: Duration = Duration::from_millis(300);

/// The kinds of blocks, in the order of their numbers in an order.
pub(crate) const BLOCKS: [Blocks; 3] = [Blocks::Extending, Blocks::Written, Blocks::Fallocated];

/// As many workers as the machine that the figures are told for has cores.
pub(crate) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// Numbers: seconds.
pub(crate) fn ours(order: &Order) {
    let events = Arc::new(Events::of(EVENT_BYTES));
    runtime().block_on(async {
        let ours = Ours::open(&order.folder);
        let logs: Arc<Vec<_>> = Arc::new((0..SESSIONS as u64).map(|n| ours.log(n)).collect());
        let append = move |session: usize, number: u64| {
            let (log, event) = (logs[session].clone(), events.at(number));
            async move {
                log.append(Batch::default().event(event)).await.unwrap();
            }
        };
        let before = ours.written();
        flood(order, append).await;
        let written = ours.written().since(before);
        tell("groups", written.groups as f64);
        tell("appends", written.appends as f64);
        tell("group_bytes", written.bytes as f64 / written.groups as f64);
        tell("group_events", written.appends as f64 / written.groups as f64);
        ours.store.close().await;
    });
}

pub(crate) fn fjall_sync_data(order: &Order) {
    fjall(order, PersistMode::SyncData);
}

pub(crate) fn fjall_sync_all(order: &Order) {
    fjall(order, PersistMode::SyncAll);
}

/// Numbers: seconds.
fn fjall(order: &Order, mode: PersistMode) {
    let values = Arc::new(values(&Events::of(EVENT_BYTES)));
    runtime().block_on(async {
        let peer = Peer::open(&order.folder);
        let committer = peer.committer(mode);
        let append = move |session: usize, number: u64| {
            let (committer, values) = (committer.clone(), Arc::clone(&values));
            async move {
                let value = values[number as usize % values.len()].clone();
                committer.append(session as u64, number, value).await;
            }
        };
        flood(order, append).await;
    });
}

/// Numbers: seconds.
pub(crate) fn sketch(order: &Order) {
    let events: Arc<Vec<Bytes>> =
        Arc::new(Events::of(EVENT_BYTES).bytes().into_iter().map(Bytes::from).collect());
    runtime().block_on(async {
        let sketch = Sketch::start(&order.folder);
        let append = move |_: usize, number: u64| {
            let (sketch, event) = (sketch.clone(), events[number as usize % events.len()].clone());
            async move { sketch.append(event).await }
        };
        flood(order, append).await;
    });
}

/// Lets all sessions append for the ordered time and tells how that went.
async fn flood<A, F>(order: &Order, append: A)
where
    A: Fn(usize, u64) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let (over, durable) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let tasks = TaskTracker::new();
    for session in 0..SESSIONS {
        let (append, over, durable) = (append.clone(), Arc::clone(&over), Arc::clone(&durable));
        tasks.spawn(async move {
            let mut number = 1;
            while !over.load(Ordering::Relaxed) {
                append(session, number).await;
                durable.fetch_add(1, Ordering::Relaxed);
                number += 1;
            }
        });
    }
    sleep(WARM_UP).await;
    let look = || {
        let cpu = usage::cpu(&usage::this_process());
        (Instant::now(), cpu, durable.load(Ordering::Relaxed))
    };
    let (begun, cpu, before) = look();
    sleep(Duration::from_secs_f64(order.number(0))).await;
    let (ended, cpu_after, after) = look();
    over.store(true, Ordering::Relaxed);
    tasks.close();
    tasks.wait().await;
    let events = (after - before) as f64;
    tell("events_per_second", events / (ended - begun).as_secs_f64());
    tell("cpu_per_event", (cpu_after - cpu) / events);
}

/// Numbers: seconds, kind of blocks, bytes of a group, events in it.
pub(crate) fn raw(order: &Order) {
    let blocks = BLOCKS[order.count(1) as usize];
    let (bytes, events) = (order.count(2) as usize, order.number(3));
    let mut raw = Raw::open(&order.folder, blocks, bytes);
    groups_for(&mut raw, WARM_UP);
    let cpu = usage::cpu(&usage::this_process());
    let took: Sample = groups_for(&mut raw, Duration::from_secs_f64(order.number(0)));
    let cpu = usage::cpu(&usage::this_process()) - cpu;
    tell("events_per_second", events / took.mean());
    tell("cpu_per_event", cpu / (events * took.len() as f64));
}
