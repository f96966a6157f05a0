//! What a running turn needs after a restart and the log may not hold: its credential, and its body
//! until that is sent. Sealed, each in a file of its own, in the folder `sealed` of the data folder.
//!
//! Promises: a file is synced, and its folder too, before the turn is in the log, so a turn in the
//! log has what it needs. A crash before leaves a file of no turn in the log: it is removed at the
//! next start. A file opens for its own box, session, execution and kind alone, and only with the
//! key. What cannot be opened is as gone: the turn waits for somebody to bring it.
//!
//! Whoever calls holds the data folder's lock. There are two files for each running turn at most,
//! and the bodies' bytes count as those that wait to be sent.

mod body;
mod files;

use std::path::Path;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::credential::Credential;
use crate::ids::{BoxName, ExecutionId, SessionKey};
use crate::seal::SealKey;
use crate::upstream::Body;
use files::Files;

/// The folder of sealed files. Clones share it.
#[derive(Debug, Clone)]
pub struct Vault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Files,
    key: SealKey,
}

/// Whose secrets they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The box that they are for.
    pub box_name: BoxName,
    /// The turn's session.
    pub session: SessionKey,
    /// The turn.
    pub execution: ExecutionId,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Credential,
    Body,
}

/// What was kept of one turn.
#[derive(Debug, Default)]
pub struct Kept {
    /// Whom its driver is at the box.
    pub credential: Option<Credential>,
    /// What was not sent yet.
    pub body: Option<Body>,
    /// How many files there were that do not open.
    pub unopened: usize,
}

/// Why something could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] crate::seal::CannotSeal),
    /// It could not be written, or what is there could not be looked at.
    #[error("the folder of sealed files")]
    Folder(#[from] std::io::Error),
    /// The program is on its way out.
    #[error("stopped meanwhile")]
    Stopped,
}

impl Vault {
    /// The folder in `data_dir`, made if there is none.
    ///
    /// # Errors
    /// [`Error::Folder`].
    pub fn open(data_dir: &Path, key: SealKey) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner { files: Files::open(data_dir)?, key })))
    }

    /// Keeps what a new turn needs, durably.
    ///
    /// # Errors
    /// [`Error`]: then it must not begin, and [`Vault::forget_all`] removes what was kept so far.
    // Dropped, it still comes to its end.
    pub(super) async fn keep(
        &self,
        whose: &Whose,
        credential: Option<Credential>,
        body: Option<Body>,
    ) -> Result<(), Error> {
        self.apart(whose, move |inner, whose| {
            if let Some(credential) = credential {
                inner.put(&whose, Kind::Credential, credential.expose().as_bytes())?;
            }
            if let Some(body) = body {
                inner.put(&whose, Kind::Body, &body::encode(&body))?;
            }
            Ok(())
        })
        .await
    }

    /// Keeps another credential in the place of the turn's former one.
    ///
    /// # Errors
    /// [`Error`]: then the former one stays.
    pub(super) async fn replace(&self, whose: &Whose, credential: Credential) -> Result<(), Error> {
        self.keep(whose, Some(credential), None).await
    }

    /// Removes a turn's body, which is sent.
    pub(super) async fn forget_body(&self, whose: &Whose) {
        self.forget(whose, &[Kind::Body]).await;
    }

    /// Removes everything of a turn, which is over.
    pub(super) async fn forget_all(&self, whose: &Whose) {
        self.forget(whose, &[Kind::Credential, Kind::Body]).await;
    }

    /// A file that stays is of no use to anyone without the key, and goes at the next start.
    async fn forget(&self, whose: &Whose, kinds: &'static [Kind]) {
        let removed = self.apart(whose, |inner, whose| {
            let names = kinds.iter().map(|kind| name(&purpose(&whose, *kind)));
            Ok(inner.files.remove(names)?)
        });
        if let Err(error) = removed.await {
            tracing::warn!(%error, source = source(&error), "a sealed file is not removed");
        }
    }

    /// Off the runtime's threads: files are synced.
    async fn apart(
        &self,
        whose: &Whose,
        act: impl FnOnce(&Inner, Whose) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (inner, whose) = (Arc::clone(&self.0), whose.clone());
        spawn_blocking(move || act(&inner, whose)).await.map_err(|_| Error::Stopped)?
    }

    /// What is kept of a turn; the body only if it `needs_body`.
    pub(super) fn kept(&self, whose: &Whose, needs_body: bool) -> Kept {
        let mut unopened = 0;
        let mut open = |kind| {
            let found = self.0.get(whose, kind);
            unopened += usize::from(found.is_err());
            found.ok().flatten()
        };
        let credential = open(Kind::Credential).and_then(|bytes| String::from_utf8(bytes).ok());
        let credential = credential.map(|text| Credential::new(&text));
        let body = if needs_body { open(Kind::Body) } else { None };
        let body = body.and_then(|bytes| body::decode(bytes.into()));
        Kept { credential, body, unopened }
    }

    /// Removes every file that is none of these turns'. Of those whose body is not needed, the body goes.
    ///
    /// # Errors
    /// [`Error::Folder`].
    pub(super) fn retain<'a>(
        &self,
        turns: impl Iterator<Item = (&'a Whose, bool)>,
    ) -> Result<(), Error> {
        let names = turns.flat_map(|(whose, needs_body)| {
            let body = needs_body.then_some(Kind::Body);
            let kinds = [Some(Kind::Credential), body].into_iter().flatten();
            kinds.map(|kind| name(&purpose(whose, kind)))
        });
        Ok(self.0.files.retain(&names.collect())?)
    }
}

/// Removes what an earlier start has sealed, where nothing is sealed any more.
///
/// # Errors
/// [`Error::Folder`].
pub fn clear(data_dir: &Path) -> Result<(), Error> {
    Ok(Files::clear(data_dir)?)
}

impl Inner {
    fn put(&self, whose: &Whose, kind: Kind, bytes: &[u8]) -> Result<(), Error> {
        let purpose = purpose(whose, kind);
        let sealed = self.key.seal(&purpose, bytes)?;
        Ok(self.files.write(&name(&purpose), &sealed)?)
    }

    /// `None` if there is no file; an error if there is one that does not open.
    fn get(&self, whose: &Whose, kind: Kind) -> Result<Option<Vec<u8>>, Error> {
        let purpose = purpose(whose, kind);
        let Some(sealed) = self.files.read(&name(&purpose))? else { return Ok(None) };
        let opened = self.key.open(&purpose, &sealed);
        opened.map(Some).map_err(|error| Error::Folder(std::io::Error::other(error)))
    }
}

/// Says of a sealed file what it is and whose; no two turns' are the same, since each part's length
/// stands before it.
fn purpose(whose: &Whose, kind: Kind) -> Vec<u8> {
    let Whose { box_name, session, execution } = whose;
    let kind = match kind {
        Kind::Credential => "credential",
        Kind::Body => "body",
    };
    let session = session.to_bytes();
    let mut purpose = Vec::new();
    for part in
        [kind.as_bytes(), box_name.as_str().as_bytes(), &session, execution.as_str().as_bytes()]
    {
        purpose.extend((part.len() as u64).to_le_bytes());
        purpose.extend(part);
    }
    purpose
}

/// The name of the file that is sealed for this purpose: a hash of it, of a length that any folder
/// takes.
fn name(purpose: &[u8]) -> String {
    blake3::hash(purpose).to_hex().as_str().get(..32).unwrap_or_default().to_owned()
}

/// What the system said, which no error of ours repeats.
pub(super) fn source(error: &Error) -> Option<String> {
    std::error::Error::source(error).map(ToString::to_string)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
