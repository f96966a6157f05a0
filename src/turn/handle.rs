//! The two sides of a running turn: what others tell it, and what it tells others.
//!
//! Both are states, not queues: the newest order and the newest status count, nothing piles up.

use tokio::sync::watch;
use tokio::time::Instant;

use crate::credential::Credential;
use crate::limits;
use crate::mode::Phase;
use crate::upstream::{Body, Refusal};

use super::timeline::Timeline;
use super::verdict::Withdrawal;

/// What others want of a turn.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// Somebody asked for a stop.
    pub cancel: Option<Stop>,
    /// The credential to use, unless the turn was started without one.
    pub credential: Option<Credential>,
    /// The last one that a reader showed while none was needed: for when that one expires.
    pub spare: Option<Credential>,
    /// The body, until it is dispatched.
    pub body: Option<Body>,
}

/// A stop that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The box was asked, too.
    AtBox,
    /// Only the turn was told: the box may have had nothing to stop yet.
    TurnOnly,
}

/// What a turn tells.
#[derive(Debug, Clone)]
pub struct Status {
    /// Where it is.
    pub phase: Phase,
    /// Since when it shows nothing new.
    pub quiet_since: Instant,
    /// Whether it waits for a credential that the box accepts.
    pub needs_credential: bool,
    /// Whether it waits for its body to be sent again.
    pub needs_body: bool,
    /// Whether its close-out is being written: clients may see `done` at any moment.
    pub closing: bool,
    /// Whether it is in the log.
    pub logged: bool,
    /// How the dispatch was answered, once it was.
    pub answered: Option<Answered>,
}

/// How the dispatch of a turn was answered.
#[derive(Debug, Clone)]
pub enum Answered {
    /// The box has it, or had it: the turn may be over.
    Running,
    /// The box refused it; nothing of it is kept.
    Refused(Refusal),
    /// It never reached the box and was given up; nothing of it is kept.
    Withdrawn(Withdrawal),
    /// Afterbay stopped meanwhile; the turn goes on after its restart.
    Stopped,
}

/// The outside of a running turn. Clones reach the same turn.
#[derive(Debug, Clone)]
pub struct Handle {
    orders: watch::Sender<Orders>,
    status: watch::Receiver<Status>,
    timeline: Timeline,
}

/// The inside: what the driver holds.
#[derive(Debug)]
pub struct Inside {
    orders: watch::Receiver<Orders>,
    status: watch::Sender<Status>,
    timeline: Timeline,
}

/// Both sides of a turn that begins with these orders; both note in `timeline`.
#[must_use]
pub fn pair(orders: Orders, timeline: Timeline) -> (Handle, Inside) {
    let (orders, ordered) = watch::channel(orders);
    let status = Status {
        phase: Phase::Accepted,
        quiet_since: Instant::now(),
        needs_credential: false,
        needs_body: false,
        closing: false,
        logged: false,
        answered: None,
    };
    let (tell, status) = watch::channel(status);
    let noted = timeline.clone();
    let inside = Inside { orders: ordered, status: tell, timeline: noted };
    (Handle { orders, status, timeline }, inside)
}

impl Handle {
    /// Asks for a stop.
    pub fn cancel(&self, stop: Stop) {
        self.orders.send_modify(|orders| orders.cancel = Some(stop));
    }

    /// Hands over a credential that the box has accepted.
    pub fn adopt(&self, credential: Credential) {
        self.orders.send_modify(|orders| orders.credential = Some(credential));
    }

    /// Keeps a reader's credential for the time when the turn's own expires.
    pub fn keep(&self, credential: Credential) {
        self.orders.send_if_modified(|orders| {
            orders.spare = Some(credential);
            false
        });
    }

    /// Hands over the body of a turn that lost it.
    pub fn supply(&self, body: Body) {
        self.orders.send_modify(|orders| orders.body = Some(body));
    }

    /// Frees the body once it is dispatched.
    pub fn forget_body(&self) {
        self.orders.send_if_modified(|orders| {
            orders.body = None;
            false
        });
    }

    /// What was last ordered.
    #[must_use]
    pub fn orders(&self) -> Orders {
        self.orders.borrow().clone()
    }

    /// What the turn last told.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Where its readers' comings and goings are noted.
    #[must_use]
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// If the close-out is being written, waits until it is filed: whoever has just read `done`
    /// must find the turn over. Waits at most [`limits::CLOSING_WAIT`]. True if the turn is over.
    // Cancel-safe: it only waits.
    pub async fn settled(&self) -> bool {
        let closing = self.status.borrow().closing;
        closing && tokio::time::timeout(limits::CLOSING_WAIT, self.ended()).await.is_ok()
    }

    /// Resolves when nobody drives the turn any more.
    // Cancel-safe: it only waits.
    async fn ended(&self) {
        let mut status = self.status.clone();
        while status.changed().await.is_ok() {}
    }

    /// Resolves when the turn is in the log, or never will be.
    // Cancel-safe: it only waits.
    pub async fn logged(&self) {
        let mut status = self.status.clone();
        // An error means that nobody drives the turn any more.
        let _ = status.wait_for(|status| status.logged || status.answered.is_some()).await;
    }

    /// Resolves when the dispatch is answered.
    // Cancel-safe: it only waits.
    pub async fn answered(&self) -> Answered {
        let mut status = self.status.clone();
        let told = status.wait_for(|status| status.answered.is_some()).await;
        told.ok().and_then(|status| status.answered.clone()).unwrap_or(Answered::Stopped)
    }
}

impl Inside {
    /// The newest orders, still counted as news.
    #[must_use]
    pub fn orders(&self) -> Orders {
        self.orders.borrow().clone()
    }

    /// The newest orders; [`Inside::changed`] fires only for later ones.
    pub fn take_orders(&mut self) -> Orders {
        self.orders.borrow_and_update().clone()
    }

    /// Resolves when there are newer orders; never if nobody is left to give any.
    // Cancel-safe: it only waits.
    pub async fn changed(&mut self) {
        if self.orders.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Where what happens is noted.
    #[must_use]
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Tells others something new.
    pub fn tell(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(change);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_read_done_finds_the_turn_over_once_it_is_filed() {
        let (handle, inside) = pair(Orders::default(), Timeline::of_new(0));
        assert!(!handle.settled().await, "a turn that goes on is not waited for");
        inside.tell(|status| status.closing = true);
        let mut settled = Box::pin(handle.settled());
        assert_eq!(settled.as_mut().now_or_never(), None, "told before it was filed");
        drop(inside);
        assert!(settled.await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_out_that_the_log_refuses_is_not_waited_for_without_end() {
        let (handle, inside) = pair(Orders::default(), Timeline::of_new(0));
        inside.tell(|status| status.closing = true);
        assert!(!handle.settled().await);
    }
}
