//! More turns at once than the poll rate has places for: each is polled seldom, later than its
//! own deadlines, and waiting for a place is nobody's fault. None may get a verdict for it.

use std::time::Duration;

use tokio::task::JoinSet;

use super::super::client::{Client, Turn, WAYS};
use super::super::daemon::{self, Patience};
use super::super::oracle::{self, Verdict};
use super::set::{Set, Settings};
use super::shown::{self, Seen};

/// Turns at once; at 4 polls a second each is polled every 6 s.
const TURNS: usize = 24;
/// Two polls of each turn, and its time at the box.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn turns_that_wait_for_their_polls_longer_than_their_deadlines_end_as_the_box_says() {
    let mut flags = vec!["--poll-rate", "4", "--start-deadline", "2s", "--idle-grace", "2s"];
    flags.extend(["--unreachable-deadline", "2s"]);
    let daemon =
        daemon::Settings { patience: Patience::AsShipped, flags, ..daemon::Settings::default() };
    let set = Set::with(Settings { daemon, ..Settings::default() }).await;
    let mut running = JoinSet::new();
    for number in 0..TURNS {
        // Some take a while to begin, and read idle until then.
        let slow = if number % 3 == 0 { "start=500ms idle=500ms" } else { "" };
        let script = format!("parts=3 tool=1 step=100ms quiet=1s {slow}");
        let turn = Turn::new(&format!("turn-{number}"), &script);
        let mut client = Client::new(set.daemon.address(), turn, &WAYS);
        running.spawn(async move {
            client.run_within(LIMIT).await;
            client
        });
    }
    while let Some(client) = running.join_next().await {
        let client = client.expect("a turn is read to its end");
        oracle::check_frames(&client.turn.marker, &client.seen, Verdict::Completed);
        let told = set.told(&client);
        shown::check_parts(&told, &client.seen, Seen::Last);
        shown::check_cost(&client.turn.marker, &told);
    }
}
