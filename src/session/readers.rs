//! Who may read a session and act on it.
//!
//! The owner is the credential of the first turn that the box took; only its keyed hash is kept,
//! so this holds after a restart and when the box is gone. Any other credential is shown to the
//! box once, unless the Sandbox API has handed it out for the box: if the box accepts it for this
//! session, it becomes a reader, durably. A 404 from the box is no permission (unless an operator
//! says so, [`Vouching::Box`]), and neither is silence. An own token is never shown to the box: it
//! reads what it owns, and what everyone may read.

use std::str::FromStr;

use http::StatusCode;

use crate::credential::{Caller, Credential, CredentialHash};
use crate::ids::SessionId;
use crate::log::Batch;
use crate::turn::control::TurnRecord;
use crate::upstream::{self, Vouched};

use super::boxes::BoxEntry;
use super::registry::Sessions;
use super::{Owner, RunningTurn, Session};

/// Whose word about a credential, other than the owner's, gives the right to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vouching {
    /// The box's, for this session: once it has forgotten the session it vouches for nobody.
    #[default]
    Session,
    /// The box's for the session; and once it has forgotten that, that it accepts the credential
    /// at all. For boxes whose every credential belongs to one owner. A box that says the same of
    /// a forgotten session to whoever asks accepts nobody by that.
    Box,
}

impl FromStr for Vouching {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "session" => Ok(Self::Session),
            "box" => Ok(Self::Box),
            other => Err(format!("`{other}` is neither `session` nor `box`")),
        }
    }
}

/// Why a credential may not read or act. As the box would say it: 401, 403, or its own refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no right to this session")]
pub struct Denied {
    /// 401 without a credential, else 403, or the box's own refusal.
    pub status: StatusCode,
}

/// What is known without asking the box.
enum Known {
    Yes,
    No(Denied),
    /// Ask the box about this credential.
    Ask,
}

impl Sessions {
    /// Checks the right to read a session; asks the box if need be, and hands a good credential
    /// to a turn that waits for one.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn may_read(&self, session: &Session, who: Option<&Caller>) -> Result<(), Denied> {
        let known = self.known(session, who.map(|who| self.hash(who)));
        let Some(Caller::Holder(credential)) = who else {
            let unknown =
                if who.is_some() { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
            return match known {
                Known::Yes => Ok(()),
                Known::No(denied) => Err(denied),
                Known::Ask => Err(Denied { status: unknown }),
            };
        };
        match known {
            Known::Yes => self.offer_credential(session, credential),
            Known::No(denied) => return Err(denied),
            Known::Ask => {
                self.ask_box(session, credential).await?;
                self.offer_credential(session, credential);
            }
        }
        Ok(())
    }

    /// Whether whoever has this credential, or none, may read the session, as far as that is known
    /// without asking the box.
    pub(super) fn is_known_reader(&self, session: &Session, who: Option<CredentialHash>) -> bool {
        matches!(self.known(session, who), Known::Yes)
    }

    /// Whoever the Sandbox API has given a credential for the box may read what is kept of it, also when
    /// the box itself can no longer say so.
    fn known(&self, session: &Session, who: Option<CredentialHash>) -> Known {
        match (known(session, who), who) {
            (Known::Ask, Some(who)) if self.is_handed_out(&session.box_name, who) => Known::Yes,
            (known, _) => known,
        }
    }

    /// Shows the credential to the box; a good one becomes a reader, durably.
    async fn ask_box(&self, session: &Session, who: &Credential) -> Result<(), Denied> {
        let forbidden = Denied { status: StatusCode::FORBIDDEN };
        let hash = self.inner.config.hash_key.hash(who);
        if let Some(denied) = self.lately_denied(session, hash) {
            return Err(denied);
        }
        let box_session = session.state().box_session.clone();
        let (Some(entry), Some(id)) = (self.boxes().get(&session.box_name), box_session) else {
            return Err(forbidden);
        };
        entry.budget.question().await;
        match vouch(&entry, self.inner.config.vouching, who, &id).await {
            Ok(Vouched::Yes) => {
                self.add_reader(session, hash).await;
                Ok(())
            }
            Ok(Vouched::No(status)) => {
                self.remember_denied(session, hash, Denied { status });
                Err(Denied { status })
            }
            Ok(Vouched::UnknownSession) => {
                self.remember_denied(session, hash, forbidden.clone());
                Err(forbidden)
            }
            Err(error) => {
                tracing::info!(%error, "the box cannot be asked about a credential");
                Err(forbidden)
            }
        }
    }

    /// If the log refuses the note, the right still holds until the next restart.
    async fn add_reader(&self, session: &Session, hash: CredentialHash) {
        if !session.state().readers.insert(hash) {
            return;
        }
        let batch = Batch::default().control(TurnRecord::ReaderAdded(hash).encode());
        if let Err(error) = session.log.append(batch).await {
            tracing::warn!(%error, "the log does not take a new reader");
        }
    }

    /// A turn that waits for a credential gets this one, for polling: its starter's own and one that
    /// the Sandbox API handed out at once, another's once the box accepts it. One that does not wait keeps it for later.
    fn offer_credential(&self, session: &Session, who: &Credential) {
        let running = |turn: &RunningTurn| (turn.handle.clone(), turn.accepted.starter);
        let running = session.state().running.turn().map(running);
        let Some((handle, starter)) = running else {
            return;
        };
        let who = who.clone();
        if !handle.status().needs_credential {
            return handle.keep(who);
        }
        let hash = self.inner.config.hash_key.hash(&who);
        if starter == Some(hash) || self.is_handed_out(&session.box_name, hash) {
            return handle.adopt(who);
        }
        let box_session = session.state().box_session.clone();
        let vouching = self.inner.config.vouching;
        let entry = self.boxes().last_known(&session.box_name);
        let (Some(entry), Some(id)) = (entry, box_session) else {
            return;
        };
        self.tasks().spawn("adopt credential", async move {
            entry.budget.question().await;
            match vouch(&entry, vouching, &who, &id).await {
                Ok(Vouched::Yes) => handle.adopt(who),
                Ok(Vouched::No(_) | Vouched::UnknownSession) => {
                    tracing::info!("the box does not accept the credential of a reader");
                }
                Err(error) => tracing::info!(%error, "the box cannot be asked about a credential"),
            }
        });
    }
}

fn known(session: &Session, who: Option<CredentialHash>) -> Known {
    let state = session.state();
    let starter = state.running.turn().map(|turn| turn.accepted.starter);
    let owner = match (state.owner, starter) {
        (Owner::Undecided, Some(Some(hash))) => Owner::Holder(hash),
        (Owner::Undecided, Some(None)) => Owner::Everyone,
        (owner, _) => owner,
    };
    let (holder, Some(hash)) = (owner, who) else {
        return match owner {
            Owner::Everyone => Known::Yes,
            Owner::Undecided | Owner::Holder(_) => {
                Known::No(Denied { status: StatusCode::UNAUTHORIZED })
            }
        };
    };
    let known =
        holder == Owner::Everyone || holder == Owner::Holder(hash) || state.readers.contains(&hash);
    if known { Known::Yes } else { Known::Ask }
}

/// The box's word about a credential, and what follows from it after `vouching`.
async fn vouch(
    entry: &BoxEntry,
    vouching: Vouching,
    who: &Credential,
    session: &SessionId,
) -> Result<Vouched, upstream::Error> {
    let told = entry.upstream.vouch(who, session).await?;
    match (&told, vouching) {
        (Vouched::UnknownSession, Vouching::Box) => {
            // A box that looks for the session before it looks at the credential, and a gateway
            // without such a route, say 404 to everybody: only one that refuses a made-up
            // credential has accepted this one.
            let nobodys = Credential::new(&format!("Bearer {}", uuid::Uuid::now_v7()));
            let to_nobody = entry.upstream.vouch(&nobodys, session).await?;
            Ok(if matches!(to_nobody, Vouched::No(_)) { Vouched::Yes } else { told })
        }
        (Vouched::Yes | Vouched::No(_) | Vouched::UnknownSession, _) => Ok(told),
    }
}
