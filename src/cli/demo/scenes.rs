//! The two scenes: the turn straight at the box, and the same turn through afterbay with a
//! `kill -9` in its middle.
//!
//! The client is the same in both; only its base URL differs.

use std::time::Duration;

use tokio::sync::watch;

use super::client::Client;
use super::daemon::{Daemon, Life};
use super::seen::Seen;
use super::stage::Stage;
use super::tale::Tale;
use super::verdict::{Kill, Told};
use crate::config::duration;
use crate::limits;

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// How long the agent says nothing in the middle of its turn.
    pub(super) quiet: Duration,
    /// The silence after which the box cuts a stream.
    pub(super) cut: Duration,
}

impl Times {
    /// After so long without an event the box forgets a stream's buffer: when its stream has been
    /// cut and before the client is back.
    pub(super) fn reap(self) -> Duration {
        self.cut + self.cut / 3
    }

    /// How long the client waits before it comes back: two thirds of the time to a cut, which
    /// for the demo's 3 s is what browsers wait.
    fn pause(self) -> Duration {
        self.cut / 3 * 2
    }

    /// The prompt, in the words by which a simulated box is told what its agent does.
    fn prompt(self) -> String {
        let quiet = duration::show(self.quiet);
        format!("Build it and run the tests: parts=4 grow=3 tool=2 step=200ms quiet={quiet}")
    }
}

/// The turn as it goes today.
///
/// # Errors
/// If stdout takes nothing or there is no HTTP client.
pub(super) async fn straight(stage: &Stage, times: Times) -> anyhow::Result<Told> {
    let tale = Tale::begin("1. Straight at the box, as today")?;
    let client = Client::new(stage.box_url(), "straight", &times.prompt(), times.pause())?;
    let ended = client.run(&tale).await?;
    let by_box = stage.box_says(client.execution()).await;
    if by_box.finished {
        tale.tell("the box has finished the turn all the same")?;
    }
    let seen = client.watch().borrow().clone();
    Ok(Told { ended, seen, by_box })
}

/// The same turn through afterbay, killed and started again while the agent is quiet.
///
/// # Errors
/// If stdout takes nothing, there is no HTTP client, or afterbay does not serve.
pub(super) async fn through_afterbay(stage: &Stage, times: Times) -> anyhow::Result<(Told, Kill)> {
    let tale = Tale::begin("2. The same client, the same turn, through afterbay")?;
    let mut daemon = Daemon::new(stage.box_url().to_owned(), stage.folder())?;
    let life = daemon.start().await?;
    tale.tell(format_args!("afterbay serves in front of the box, on {}", daemon.url()))?;
    let client = Client::new(&daemon.url(), "through-afterbay", &times.prompt(), times.pause())?;
    let works = || !stage.box_says_now(client.execution()).finished;
    let strike = strike(&mut daemon, life, client.watch(), works, &tale);
    let (ended, (kill, _life)) = tokio::try_join!(client.run(&tale), strike)?;
    let by_box = stage.box_says(client.execution()).await;
    let seen = client.watch().borrow().clone();
    Ok((Told { ended, seen, by_box }, kill))
}

/// Kills afterbay when the agent has become quiet and still works, and starts it again when its client has met
/// a closed door. The life that comes back is the one that is left running.
async fn strike(
    daemon: &mut Daemon,
    life: Life,
    mut seen: watch::Receiver<Seen>,
    works: impl Fn() -> bool,
    tale: &Tale,
) -> anyhow::Result<(Kill, Life)> {
    let silent = fell_silent(&mut seen).await;
    if !silent || !works() {
        return Ok((Kill::TooLate, life));
    }
    life.kill();
    tale.tell("kill -9 afterbay")?;
    // The client holds the other end for as long as it runs, and this ends before it does.
    let _ = seen.wait_for(|seen| seen.refused > 0).await;
    let life = daemon.start().await?;
    tale.tell("afterbay runs again, on the same folder and port")?;
    Ok((Kill::InMidTurn, life))
}

/// Resolves to true when parts of the work have come and then nothing for a while; to false when
/// the turn ends first.
async fn fell_silent(seen: &mut watch::Receiver<Seen>) -> bool {
    loop {
        let changed = tokio::time::timeout(limits::DEMO_SILENCE, seen.changed()).await;
        let (works, done) = {
            let now = seen.borrow_and_update();
            (!now.parts.is_empty(), now.done)
        };
        match changed {
            Ok(Err(_)) => return false,
            Ok(Ok(())) | Err(_) if done > 0 => return false,
            Err(_) if works => return true,
            Ok(Ok(())) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times as the demo's own.
    const TIMES: Times = Times { quiet: limits::DEMO_QUIET, cut: limits::DEMO_CUT };

    #[test]
    fn the_client_is_back_after_the_buffer_is_gone_and_gives_up_before_the_agent_goes_on() {
        let back = TIMES.cut + TIMES.pause();
        assert!(TIMES.reap() > TIMES.cut && TIMES.reap() < back);
        assert!(back + TIMES.pause() * (limits::DEMO_CLIENT_TRIES - 1) < TIMES.quiet);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_only_after_parts_of_the_work_and_before_the_end() {
        let (tell, mut seen) = watch::channel(Seen::default());
        {
            let silent = fell_silent(&mut seen);
            tokio::pin!(silent);
            let long = limits::DEMO_SILENCE * 3;
            assert!(tokio::time::timeout(long, &mut silent).await.is_err(), "nothing has come yet");
            let part = |id: &str| (id.to_owned(), serde_json::Value::Null);
            tell.send_modify(|seen| seen.parts.extend([part("a")]));
            let almost = limits::DEMO_SILENCE - Duration::from_millis(1);
            assert!(
                tokio::time::timeout(almost, &mut silent).await.is_err(),
                "not for long enough"
            );
            tell.send_modify(|seen| seen.parts.extend([part("b")]));
            assert!(silent.await);
        }
        tell.send_modify(|seen| seen.done = 1);
        assert!(!fell_silent(&mut seen).await);
    }
}
