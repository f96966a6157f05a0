//! A turn that says nothing for a long time, with cutters of idle connections on both sides of
//! afterbay: one client that stays on one connection, one that comes back again and again.
//!
//! Quiet is not dead: no verdict before the end, no event in the silence, nothing held to the box.

use std::time::Duration;

use tokio::time::Instant;

use super::super::client::{Client, Turn, WAYS, Way};
use super::super::daemon;
use super::super::frames::Stop;
use super::super::oracle::{self, Verdict};
use super::super::wait;
use super::link::Link;
use super::measure::{asked_for, bytes_on_disk, resident_kib};
use super::set::{Set, Settings};
use super::shown::{self, Seen};

/// What the normal run can afford, and its cutter.
const SHORT: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(2));
/// The idle timer that proxies commonly have.
const COMMON_CUTTER: Duration = Duration::from_secs(60);
/// For everything around the silence.
const REST: Duration = Duration::from_secs(60);

/// The set-up of one run.
#[derive(Debug)]
struct Run {
    set: Set,
    /// Between the clients and the daemon.
    link: Link,
    quiet: Duration,
    cutter: Duration,
}

impl Run {
    async fn start() -> Self {
        let quiet = asked_for("AFTERBAY_QUIET", SHORT.0);
        let is_short = quiet <= SHORT.0;
        let (cutter, daemon) = if is_short {
            let flags = vec!["--heartbeat", "1s"];
            (SHORT.1, daemon::Settings { flags, ..daemon::Settings::default() })
        } else {
            let (pace, patience) = (daemon::Pace::AsShipped, daemon::Patience::AsShipped);
            (COMMON_CUTTER, daemon::Settings { pace, patience, ..daemon::Settings::default() })
        };
        let idle_cut = Some(cutter);
        let set = Set::with(Settings { daemon, idle_cut, ..Settings::default() }).await;
        let link = Link::start(set.daemon.address(), cutter).await;
        Self { set, link, quiet, cutter }
    }

    fn limit(&self) -> Duration {
        self.quiet + REST
    }
}

/// Memory and verdicts, looked at again and again while the turn runs.
#[derive(Debug, Default)]
struct Watched {
    resident: Vec<u64>,
    /// Frames that the staying client had, at each look within the silence.
    verdicts_seen: f64,
}

impl Watched {
    async fn look(&mut self, run: &Run) {
        self.resident.push(resident_kib(run.set.daemon.process_id()));
        let verdicts = run.set.daemon.metric("afterbay_turns_finished_total").await;
        self.verdicts_seen = self.verdicts_seen.max(verdicts);
    }

    /// Looks until the silence is nearly over.
    async fn over(&mut self, run: &Run, since: Instant) {
        let mut looks = tokio::time::interval(run.quiet / 60);
        while since.elapsed() < run.quiet.mul_f64(0.95) {
            looks.tick().await;
            self.look(run).await;
        }
    }
}

/// Reads for `span`, goes away without a word, and comes back in the next way, to the end.
async fn come_and_go(client: &mut Client, span: Duration) {
    let mut ways = WAYS.into_iter().cycle();
    while !client.has_all() {
        let way = ways.next().unwrap_or(Way::RunStream);
        let mut frames = client.open(way).await.expect("the daemon answers").stream();
        // Dropping a read in its middle loses what was read of a frame; so does a cut.
        let stopped = tokio::time::timeout(span, client.read(&mut frames)).await;
        if let Ok(stop) = stopped {
            assert_eq!(stop, Stop::Ended, "a stream with heartbeats is not cut");
        }
    }
}

#[tokio::test]
async fn behind_idle_cutters_a_quiet_turn_is_whole_for_who_stays_and_for_who_comes_back() {
    let run = Run::start().await;
    let millis = run.quiet.as_millis();
    let script = format!("parts=4 grow=3 tool=1 step=300ms quiet={millis}ms");
    let turn = Turn::new("turn-1", &script);
    let mut stays = Client::new(run.link.address(), turn.clone(), &[Way::SamePost]);
    let begun = Instant::now();
    let mut frames = stays.open(Way::SamePost).await.expect("the turn starts").stream();
    stays.read_until(&mut frames, "message.part.updated").await;

    let mut returns = Client::new(run.link.address(), turn, &WAYS);
    returns.execution.clone_from(&stays.execution);
    let mut watched = Watched::default();
    let limit = run.limit();
    let coming = wait::within(limit, "who comes back has all", async {
        come_and_go(&mut returns, (run.quiet / 12).max(Duration::from_millis(500))).await;
    });
    let staying = wait::within(limit, "who stays has all", stays.read(&mut frames));
    let ((), (), stop) = tokio::join!(watched.over(&run, begun), coming, staying);
    let took = begun.elapsed();

    assert_eq!((stop, stays.streams), (Stop::Ended, 1), "one connection was enough");
    assert!(returns.streams > 4, "it came back {} times", returns.streams);
    assert!(took >= run.quiet, "the verdict came after {took:?}");
    assert_eq!(watched.verdicts_seen, 0.0, "no verdict before the end");
    assert_eq!(run.link.seen().cuts, 0, "heartbeats keep every stream of a client alive");
    assert_eq!(oracle::bytes_of(&returns.seen), oracle::bytes_of(&stays.seen));
    shown::check(&run.set, &stays, Verdict::Completed, Seen::Last).await;
    report(&run, &watched, took, &[&stays, &returns], frames.comments()).await;
}

async fn report(
    run: &Run,
    watched: &Watched,
    took: Duration,
    clients: &[&Client; 2],
    heartbeats: usize,
) {
    let [stays, returns] = clients;
    let told = run.set.told(stays);
    let polls = told.polls;
    let seconds = took.as_secs_f64();
    let of = |pick: Option<&u64>| pick.copied().unwrap_or(0);
    let resident = &watched.resident;
    let written = run.set.daemon.metric("afterbay_log_written_bytes_total").await;
    let on_disk = bytes_on_disk(&run.set.daemon.log_folder());
    println!("quiet {:?}, cutters {:?}, turn {took:.1?}", run.quiet, run.cutter);
    println!(
        "polls: {} status, {} messages; {:.2} polls/s, {:.2} requests/s",
        polls.status,
        polls.messages,
        polls.status as f64 / seconds,
        polls.sum() as f64 / seconds
    );
    println!(
        "RSS of afterbay: first {} KiB, last {} KiB, most {} KiB, {} looks",
        of(resident.first()),
        of(resident.last()),
        of(resident.iter().max()),
        resident.len()
    );
    println!("log: {written} bytes written, {on_disk} bytes of disk taken");
    println!(
        "streams to the box: {} opened, {} open now, longest silence {} ms; {} connections to the \
         box, {} cut when idle",
        told.streams_opened,
        told.streams_open,
        told.longest_silence_ms,
        run.set.link.seen().connections,
        run.set.link.seen().cuts
    );
    println!(
        "events: {} on 1 connection with {heartbeats} comments; {} over {} connections; {} \
         connections of clients cut",
        stays.seen.len(),
        returns.seen.len(),
        returns.streams,
        run.link.seen().cuts
    );
}
