//! An operator at the page: the program before a simulated box, a browser, and a tab that was let in.

use std::fs;
use std::time::Duration;

use tokio::task::JoinSet;

use super::super::browser::Browser;
use super::super::client::{Client, Turn, Way};
use super::super::simbox::set::{Set, Settings};
use super::super::{daemon, wait};
use super::tab::Tab;

/// A turn that goes on until somebody ends it.
pub(super) const WAITS: &str = "parts=4 tool=1 step=50ms wait=answer";

/// Fields are dropped in this order: the tab before its browser.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) tab: Tab,
    pub(super) set: Set,
    _browser: Browser,
}

impl Operator {
    /// Puts everything up, and opens the page without a token. `None` where no browser is installed.
    pub(super) async fn arrives(flags: &[&'static str]) -> Option<Self> {
        let flags = ["--poll-waiting", "200ms"].into_iter().chain(flags.iter().copied()).collect();
        Self::before(daemon::Settings { flags, ..daemon::Settings::default() }).await
    }

    /// The same before a program with these settings.
    pub(super) async fn before(daemon: daemon::Settings) -> Option<Self> {
        let browser = Browser::start().await?;
        let set = Set::with(Settings { daemon, ..Settings::default() }).await;
        let mut tab = Tab::open(&browser).await;
        tab.go(&format!("http://{}/", set.daemon.operators())).await;
        Some(Self { tab, set, _browser: browser })
    }

    /// Opens the address that the program prints.
    pub(super) async fn enter(&mut self) {
        let (address, token) = (self.set.daemon.operators(), self.token());
        self.tab.go("about:blank").await;
        self.tab.go(&format!("http://{address}/#token={token}")).await;
        self.tab.until("the list stands", "document.querySelector('.sessions table')").await;
    }

    /// What `admin.token` holds.
    pub(super) fn token(&self) -> String {
        let token = fs::read_to_string(self.set.daemon.data().join("admin.token"));
        token.expect("the token").trim().to_owned()
    }

    /// Runs a turn to its end.
    pub(super) async fn run(&self, marker: &str, script: &str) -> Client {
        let mut client = self.set.client(Turn::new(marker, script));
        client.run().await;
        client
    }

    /// Starts a turn whose client reads while the test does other things.
    pub(super) fn reads(&self, marker: &str, script: &str) -> Reading {
        let mut client = self.set.client(Turn::new(marker, script));
        let (session, mut task) = (client.turn.session.clone(), JoinSet::new());
        task.spawn(async move {
            client.run().await;
            client
        });
        Reading { session, task }
    }

    /// Starts a turn that waits for a person, and reads up to there; the client has gone then.
    pub(super) async fn begin(&self, marker: &str) -> Client {
        let mut client = self.set.client(Turn::new(marker, WAITS));
        let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
        client.read_until(&mut frames, "interaction").await;
        client
    }

    /// Opens a session by a click on its row.
    pub(super) async fn open(&mut self, id: &str) {
        self.tab.until(id, &row(id)).await;
        let mark = format!("{}.setAttribute('data-wanted', '')", row(id));
        self.tab
            .value(&format!(
                "document.querySelector('[data-wanted]')?.removeAttribute('data-wanted'); {mark}"
            ))
            .await;
        self.tab.click("tr[data-wanted] td:nth-child(3)").await;
        self.tab
            .until(
                "it is open",
                &format!("document.querySelector('.session h2').textContent === '{id}'"),
            )
            .await;
    }

    /// Waits until the live tail has this many events.
    pub(super) async fn has(&mut self, events: u64) {
        let what = format!("{events} events are there");
        self.tab.until(&what, &format!("{COUNT} === {events}")).await;
    }

    /// Waits until the live tail has more events than that.
    pub(super) async fn has_more_than(&mut self, events: u64) {
        let what = format!("more than {events} events are there");
        self.tab.until(&what, &format!("{COUNT} > {events}")).await;
    }

    /// How many the live tail has.
    pub(super) async fn count(&mut self) -> u64 {
        self.tab.until("they are counted", COUNTED).await;
        self.tab.value(COUNT).await.as_u64().expect("a number")
    }

    /// All rows of the live tail as `(id, name)`, found by scrolling through it: each place once.
    pub(super) async fn rows(&mut self) -> Vec<(u64, String)> {
        let all = self.tab.value(SCROLLED).await;
        let rows = all.as_array().expect("rows").iter().map(|row| {
            (row[0].as_u64().expect("an id"), row[1].as_str().expect("a name").to_owned())
        });
        rows.collect()
    }

    /// Nothing went wrong in the page.
    pub(super) async fn leaves(mut self) {
        self.tab.check().await;
    }
}

/// A client that reads its turn meanwhile.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) session: String,
    task: JoinSet<Client>,
}

impl Reading {
    /// The client when it has the turn whole.
    pub(super) async fn whole(mut self) -> Client {
        let ended = wait::within(Duration::from_secs(60), "the turn ends", self.task.join_next());
        ended.await.expect("a client").expect("it is well")
    }
}

/// The row of a session, as an expression.
pub(super) fn row(id: &str) -> String {
    format!(
        "[...document.querySelectorAll('tbody tr')].find((row) => row.querySelector('.id').textContent === '{id}')"
    )
}

/// Waits for a fact that the box tells.
pub(super) async fn at_the_box(what: &str, mut look: impl FnMut() -> bool) {
    let seen = || std::future::ready(look().then_some(()));
    wait::until(Duration::from_secs(30), what, seen).await;
}

const COUNTED: &str = "/^\\d/.test(document.querySelector('.tail .quiet').textContent)";

/// The number before "events" in the live tail's head.
const COUNT: &str = "Number(document.querySelector('.tail .quiet').textContent.match(/^[\\d\\u2009]+/)[0].replace(/\\u2009/g, ''))";

/// Scrolls by less than what is in sight, a frame at a time.
const SCROLLED: &str = "(async () => {
  const rows = document.querySelector('.rows');
  const found = new Map();
  for (let top = 0; ; top += rows.clientHeight / 2) {
    rows.scrollTop = top;
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    for (const row of rows.querySelectorAll('.row')) {
      const place = Number(row.dataset.place);
      const line = [Number(row.children[0].textContent), row.children[1].textContent];
      if (found.has(place) && String(found.get(place)) !== String(line)) throw new Error(`place ${place} changed`);
      found.set(place, line);
    }
    if (top + rows.clientHeight >= rows.scrollHeight) break;
  }
  return [...found.entries()].sort(([a], [b]) => a - b).map(([, line]) => line);
})()";
