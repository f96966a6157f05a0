//! The names under which sessions and turns are found: whatever the client sent, whatever the
//! box assigned, and what afterbay minted. All of them lead to one session.
//!
//! Boxes are isolated: a name counts on its own box only. A name is claimed before a turn is
//! dispatched, so that two requests with the same name meet in one session, and released again
//! if the box refuses the turn.

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::ids::{BoxName, ExecutionId, SessionId, SessionKey};

/// The aliases of all sessions.
#[derive(Debug, Default)]
pub(super) struct Names {
    sessions: DashMap<(BoxName, SessionId), SessionKey>,
    /// How many of those each box has.
    boxes: DashMap<BoxName, usize>,
    executions: DashMap<(BoxName, ExecutionId), Execution>,
}

/// What an execution's name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Execution {
    /// Its session.
    pub(super) key: SessionKey,
    /// Its own name, of which the one looked up may be an alias.
    pub(super) execution: ExecutionId,
}

impl Names {
    /// The session of that name.
    #[must_use]
    pub(super) fn session(&self, box_name: &BoxName, id: &SessionId) -> Option<SessionKey> {
        self.sessions.get(&(box_name.clone(), id.clone())).map(|key| *key)
    }

    /// The execution of that name.
    #[must_use]
    pub(super) fn execution(&self, box_name: &BoxName, id: &ExecutionId) -> Option<Execution> {
        self.executions.get(&(box_name.clone(), id.clone())).map(|found| found.clone())
    }

    /// Lets `id` lead to `key`, unless it leads elsewhere already. True if it leads to `key` now.
    pub(super) fn claim_session(
        &self,
        box_name: &BoxName,
        id: &SessionId,
        key: SessionKey,
    ) -> bool {
        match self.sessions.entry((box_name.clone(), id.clone())) {
            Entry::Occupied(taken) => *taken.get() == key,
            Entry::Vacant(free) => {
                *self.boxes.entry(box_name.clone()).or_default() += 1;
                free.insert(key);
                true
            }
        }
    }

    /// Lets `id` lead to `execution`, unless it is taken. True if it leads there now.
    pub(super) fn claim_execution(
        &self,
        box_name: &BoxName,
        id: &ExecutionId,
        execution: Execution,
    ) -> bool {
        match self.executions.entry((box_name.clone(), id.clone())) {
            Entry::Occupied(taken) => *taken.get() == execution,
            Entry::Vacant(free) => {
                free.insert(execution);
                true
            }
        }
    }

    /// Frees `id`, if it leads to `key`.
    pub(super) fn release_session(&self, box_name: &BoxName, id: &SessionId, key: SessionKey) {
        let name = (box_name.clone(), id.clone());
        if self.sessions.remove_if(&name, |_, held| *held == key).is_some() {
            self.boxes.alter(box_name, |_, sessions| sessions.saturating_sub(1));
            self.boxes.remove_if(box_name, |_, sessions| *sessions == 0);
        }
    }

    /// Whether a session has a name on this box.
    #[must_use]
    pub(super) fn has_box(&self, box_name: &BoxName) -> bool {
        self.boxes.contains_key(box_name)
    }

    /// Frees `id`, if it leads to `key`'s session.
    pub(super) fn release_execution(&self, box_name: &BoxName, id: &ExecutionId, key: SessionKey) {
        self.executions.remove_if(&(box_name.clone(), id.clone()), |_, held| held.key == key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_the_first_who_claimed_it_until_that_one_releases_it() {
        let names = Names::default();
        let home = BoxName::default_box();
        let id = SessionId::parse("s").expect("an id");
        let (one, two) = (SessionKey::mint(), SessionKey::mint());
        assert!(names.claim_session(&home, &id, one));
        assert!(names.claim_session(&home, &id, one));
        assert!(!names.claim_session(&home, &id, two));
        names.release_session(&home, &id, two);
        assert_eq!(names.session(&home, &id), Some(one));
        names.release_session(&home, &id, one);
        assert_eq!(names.session(&home, &id), None);
    }

    #[test]
    fn a_box_is_there_as_long_as_one_of_its_sessions_has_a_name() {
        let names = Names::default();
        let home = BoxName::default_box();
        let [one, two] = ["one", "two"].map(|id| SessionId::parse(id).expect("an id"));
        let key = SessionKey::mint();
        assert!(!names.has_box(&home));
        names.claim_session(&home, &one, key);
        names.claim_session(&home, &one, key);
        names.claim_session(&home, &two, key);
        names.release_session(&home, &one, SessionKey::mint());
        names.release_session(&home, &one, key);
        names.release_session(&home, &one, key);
        assert!(names.has_box(&home));
        names.release_session(&home, &two, key);
        assert!(!names.has_box(&home));
    }

    #[test]
    fn boxes_do_not_see_each_others_names() {
        let names = Names::default();
        let (home, away) = (BoxName::default_box(), BoxName::parse("away").expect("an id"));
        let id = SessionId::parse("s").expect("an id");
        names.claim_session(&home, &id, SessionKey::mint());
        assert_eq!(names.session(&away, &id), None);
    }
}
