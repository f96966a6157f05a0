//! Fills a log with whole turns, through its own appends, with many on their way at once.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tokio_util::task::TaskTracker;

use super::ours::Ours;
use super::workload::{Events, SESSIONS, Turn};

/// Writes the turns side by side: each task appends to its sessions in turn, so that all of them
/// lie interleaved.
pub(crate) async fn interleaved(ours: &Ours, turns: &[Turn], events: &Arc<Events>) {
    let tasks = TaskTracker::new();
    for task in 0..SESSIONS.min(turns.len()) {
        let mine = turns.iter().skip(task).step_by(SESSIONS);
        let mine: Vec<_> = mine.map(|turn| (ours.log(turn.session), *turn)).collect();
        let events = Arc::clone(events);
        tasks.spawn(async move {
            let last = mine.iter().map(|(_, turn)| turn.events).max().unwrap_or(0);
            for number in 0..=last {
                for (log, turn) in mine.iter().filter(|(_, turn)| turn.batches().contains(&number))
                {
                    log.append(turn.batch(number, &events)).await.unwrap();
                }
            }
        });
    }
    tasks.close();
    tasks.wait().await;
}

/// Writes one turn, many of its batches on their way at once.
pub(crate) async fn alone(ours: &Ours, turn: Turn, events: &Events) {
    let log = &ours.log(turn.session);
    let append = |number| async move {
        log.append(turn.batch(number, events)).await.unwrap();
    };
    append(0).await;
    // Any order will do, but for the first and the last.
    let between = stream::iter(1..turn.events).map(append).buffer_unordered(SESSIONS);
    between.for_each(|()| async {}).await;
    append(turn.events).await;
}
