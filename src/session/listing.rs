//! The sessions that somebody may read, page by page.
//!
//! Newest first, by the key that each was given when it began: a session that begins meanwhile does
//! not move those on later pages. Only what is known counts: no box is asked about a credential,
//! so a session shows once its reader is known.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::credential::Caller;
use crate::ids::{BoxName, SessionKey};

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

/// Some of the sessions.
#[derive(Debug)]
pub struct Listed {
    /// Newest first.
    pub sessions: Vec<Overview>,
    /// The last of them, if others follow it.
    pub more_after: Option<SessionKey>,
}

impl Sessions {
    /// At most `most` of the wanted sessions that `who` is known to may read. Looks at all of them,
    /// so it takes a while where there are many.
    #[must_use]
    pub fn list(&self, who: Option<&Caller>, wanted: &Wanted, most: usize) -> Listed {
        let Wanted { box_name, is_busy, before } = wanted;
        let who = who.map(|who| self.hash(who));
        let mut all = self.all();
        all.retain(|session| before.is_none_or(|before| session.key < before));
        all.sort_unstable_by_key(|session| Reverse(session.key));
        let on_box = |session: &Arc<_>| box_name.as_ref().is_none_or(|name| is_on(session, name));
        let wanted = all.iter().filter(|session| on_box(session)).filter_map(|session| {
            let may_read = self.is_known_reader(session, who);
            let overview = may_read.then(|| session.overview_now())?;
            let fits = is_busy.is_none_or(|is_busy| overview.is_busy == is_busy);
            fits.then_some((session.key, overview))
        });
        let mut found: Vec<_> = wanted.take(most.saturating_add(1)).collect();
        let has_more = found.len() > most;
        found.truncate(most);
        let more_after = found.last().map(|(key, _)| *key).filter(|_| has_more);
        let sessions = found.into_iter().map(|(_, overview)| overview).collect();
        Listed { sessions, more_after }
    }
}

fn is_on(session: &super::Session, name: &BoxName) -> bool {
    session.box_name() == name
}
