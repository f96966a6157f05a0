//! The contestants of `steady`: 10,000 events a second, whether they are taken or not. A thread
//! hands over ten each millisecond; an event's latency counts from the moment at which it was
//! due, so that a log that stands still cannot hide the events that came meanwhile.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use afterbay::log::Batch;
use fjall::PersistMode;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::child::{Order, tell};
use super::figures::Sample;
use super::flood::{BLOCKS, runtime};
use super::ours::Ours;
use super::peer::{Peer, values};
use super::raw::Raw;
use super::usage;
use super::workload::{EVENT_BYTES, Events, SESSIONS};

const TICK: Duration = Duration::from_millis(1);
const EVENTS_A_TICK: usize = 10;
/// What the events of a second come to.
pub(crate) const RATE: f64 = 10_000.0;

/// Numbers: seconds.
pub(crate) fn ours(order: &Order) {
    let events = Arc::new(Events::of(EVENT_BYTES));
    let runtime = runtime();
    let before = Before::of(order);
    let ours = {
        let _guard = runtime.enter();
        Ours::open(&order.folder)
    };
    let logs: Vec<_> = (0..SESSIONS as u64).map(|session| ours.log(session)).collect();
    let append = |number: usize| {
        let (log, event) = (logs[number % SESSIONS].clone(), events.at(number as u64));
        async move {
            log.append(Batch::default().event(event)).await.unwrap();
        }
    };
    pace(runtime.handle(), order, append);
    before.tell(order);
    let written = ours.written();
    tell("group_bytes", written.bytes as f64 / written.groups as f64);
    tell("group_events", written.appends as f64 / written.groups as f64);
    runtime.block_on(ours.store.close());
}

/// Numbers: seconds. With `SyncData`: that is what our log asks of the disk, too.
pub(crate) fn fjall(order: &Order) {
    let values = values(&Events::of(EVENT_BYTES));
    let runtime = runtime();
    let before = Before::of(order);
    let peer = Peer::open(&order.folder);
    let committer = peer.committer(PersistMode::SyncData);
    let append = |number: usize| {
        let (committer, value) = (committer.clone(), values[number % values.len()].clone());
        async move {
            committer.append((number % SESSIONS) as u64, (number / SESSIONS) as u64, value).await;
        }
    };
    pace(runtime.handle(), order, append);
    before.tell(order);
}

/// Numbers: seconds, kind of blocks, bytes of a group, events in it.
pub(crate) fn raw(order: &Order) {
    let blocks = BLOCKS[order.count(1) as usize];
    let mut raw = Raw::open(&order.folder, blocks, order.count(2) as usize);
    let pause = Duration::from_secs_f64(order.number(3) / RATE);
    let groups = (order.number(0) / pause.as_secs_f64()) as u32;
    let (begun, mut took, mut late) = (Instant::now(), Sample::default(), Sample::default());
    for group in 0..groups {
        let due = begun + pause * group;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        late.push_time(due.elapsed());
        took.push_time(raw.write());
    }
    tell_times("latency", &took);
    tell("late_p99", late.at(0.99));
}

/// What the process had used when its contestant was not yet there.
struct Before {
    rss: f64,
    pages: f64,
    device: f64,
    cpu: f64,
}

impl Before {
    fn of(order: &Order) -> Self {
        let process = usage::this_process();
        Self {
            rss: usage::rss(&process),
            pages: usage::written_pages(),
            device: usage::device_bytes(&order.folder),
            cpu: usage::cpu(&process),
        }
    }

    /// Tells what came on top.
    fn tell(self, order: &Order) {
        let process = usage::this_process();
        let events = order.number(0) * RATE;
        let payload = events * EVENT_BYTES as f64;
        tell("rss_before", self.rss);
        tell("rss_after", usage::rss(&process));
        tell("rss_peak", usage::peak(&process));
        tell("pages_per_byte", (usage::written_pages() - self.pages) / payload);
        let device = usage::device_bytes(&order.folder) - self.device;
        tell("device_per_byte", device / payload);
        tell("cpu_per_event", (usage::cpu(&process) - self.cpu) / events);
    }
}

/// Hands events over at their moments, for the ordered time, and tells the latencies.
fn pace<F>(handle: &Handle, order: &Order, append: impl Fn(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let ticks = (order.number(0) / TICK.as_secs_f64()) as u32;
    let all = ticks as usize * EVENTS_A_TICK;
    // Microseconds; in memory before the first event, so that they are not taken for the log's.
    let latencies: Arc<Vec<AtomicU32>> = Arc::new((0..all).map(|_| AtomicU32::new(1)).collect());
    let (tasks, mut late) = (TaskTracker::new(), Sample::with_capacity(ticks as usize));
    let begun = Instant::now();
    for tick in 0..ticks {
        let due = begun + TICK * tick;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        late.push_time(due.elapsed());
        for number in tick as usize * EVENTS_A_TICK..(tick as usize + 1) * EVENTS_A_TICK {
            let (appended, latencies) = (append(number), Arc::clone(&latencies));
            let durable = async move {
                appended.await;
                let micros = u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX);
                latencies[number].store(micros, Ordering::Relaxed);
            };
            tasks.spawn_on(durable, handle);
        }
    }
    tasks.close();
    handle.block_on(tasks.wait());
    let mut sample = Sample::with_capacity(all);
    for micros in latencies.iter() {
        sample.push(f64::from(micros.load(Ordering::Relaxed)) / 1e6);
    }
    tell_times("latency", &sample);
    tell("late_p99", late.at(0.99));
}

fn tell_times(name: &str, sample: &Sample) {
    for (part, value) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        tell(&format!("{name}_{part}"), sample.at(value));
    }
}
