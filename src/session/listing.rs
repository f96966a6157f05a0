//! The sessions that somebody may read, page by page.
//!
//! Newest first, by the key that each was given when it began: a session that begins meanwhile does
//! not move those on later pages. Only what is known counts: no box is asked about a credential,
//! so a session shows once its reader is known.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::credential::Caller;
use crate::ids::{BoxName, SessionKey};

use super::Session;
use super::overview::Overview;
use super::registry::Sessions;

/// Which sessions are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those on this box.
    pub box_name: Option<BoxName>,
    /// Those in which a turn runs, or in which none does.
    pub is_busy: Option<bool>,
    /// Those that began before this one.
    pub before: Option<SessionKey>,
}

/// Some of the sessions, as somebody sees them.
#[derive(Debug)]
pub struct Listed<T> {
    /// Newest first.
    pub sessions: Vec<T>,
    /// The last of them, if others follow it.
    pub more_after: Option<SessionKey>,
}

impl Wanted {
    pub(super) fn takes(&self, is_busy: bool) -> bool {
        self.is_busy.is_none_or(|wanted| wanted == is_busy)
    }
}

impl Sessions {
    /// At most `most` of the wanted sessions that `who` is known to may read. Looks at all of them,
    /// so it takes a while where there are many.
    #[must_use]
    pub fn list(&self, who: Option<&Caller>, wanted: &Wanted, most: usize) -> Listed<Overview> {
        let who = who.map(|who| self.hash(who));
        self.page(wanted, most, |session| {
            let may_read = self.is_known_reader(session, who);
            let overview = may_read.then(|| session.overview_now())?;
            wanted.takes(overview.is_busy).then_some(overview)
        })
    }

    /// At most `most` of the sessions on the wanted box and page that `look` shows, which sees to
    /// the rest of what is wanted.
    pub(super) fn page<T>(
        &self,
        wanted: &Wanted,
        most: usize,
        look: impl Fn(&Arc<Session>) -> Option<T>,
    ) -> Listed<T> {
        let Wanted { box_name, before, is_busy: _ } = wanted;
        let is_on_page = |session: &Session| before.is_none_or(|before| session.key < before);
        let is_on_box =
            |session: &Session| box_name.as_ref().is_none_or(|name| session.box_name == *name);
        let mut all = self.all();
        all.retain(|session| is_on_page(session) && is_on_box(session));
        all.sort_unstable_by_key(|session| Reverse(session.key));
        let shown = all.iter().filter_map(|session| Some((session.key, look(session)?)));
        let mut found: Vec<_> = shown.take(most.saturating_add(1)).collect();
        let has_more = found.len() > most;
        found.truncate(most);
        let more_after = found.last().map(|(key, _)| *key).filter(|_| has_more);
        let sessions = found.into_iter().map(|(_, shown)| shown).collect();
        Listed { sessions, more_after }
    }
}
