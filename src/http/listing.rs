//! What the listings of clients and of operators have in common: how a query says which sessions are
//! wanted and how many, and where they are looked at.

use tokio::task::{JoinError, spawn_blocking};

use super::error::Error;
use super::page_token;
use super::query::Query;
use crate::ids::BoxName;
use crate::limits;
use crate::session::listing::Wanted;

/// Those on the query's `box`, in its `state`, on its `page`.
///
/// # Errors
/// [`Error::InvalidQuery`], [`Error::InvalidId`].
pub(super) fn wanted(query: &Query<'_>) -> Result<Wanted, Error> {
    let box_name = query.get("box").map(BoxName::parse).transpose()?;
    let is_busy = match query.get("state") {
        None => None,
        Some("busy") => Some(true),
        Some("idle") => Some(false),
        Some(_) => return Err(Error::InvalidQuery("state")),
    };
    let before = match query.get("page") {
        None => None,
        Some(page) => Some(page_token::key(page).ok_or(Error::InvalidQuery("page"))?),
    };
    Ok(Wanted { box_name, is_busy, before })
}

/// How many: the query's `limit`, or as many as is usual.
///
/// # Errors
/// [`Error::InvalidQuery`].
pub(super) fn most(query: &Query<'_>) -> Result<usize, Error> {
    let most = query.number("limit", 1..=limits::MAX_PAGE_SESSIONS)?;
    Ok(usize::try_from(most.unwrap_or(limits::PAGE_SESSIONS)).unwrap_or(1))
}

/// Looks at each of perhaps a hundred thousand sessions, off the runtime's threads.
///
/// # Errors
/// None but a broken law of ours.
pub(super) async fn looking<T: Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(look).await.map_err(broken)
}

/// What is answered when a task broke down.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` wants")]
pub(super) fn broken(error: JoinError) -> Error {
    tracing::error!(%error, "look at sessions");
    Error::Internal
}
