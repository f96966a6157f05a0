//! Stopping a session's work.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::status;
use crate::credential::Credential;
use crate::ids::SessionId;
use crate::metrics::upstream::Call;
use crate::upstream::Error;
use crate::upstream::client::BoxClient;

/// Asks the box to stop. A session that is not running, or that the box does not know, has
/// nothing to be stopped.
pub(super) async fn cancel(
    client: &BoxClient,
    who: Option<&Credential>,
    session: &SessionId,
) -> Result<(), Error> {
    let target = format!("{}/abort", status::path(session));
    let empty = Bytes::from_static(b"{}");
    let reply = client.act(Call::Abort, who, &target, HeaderMap::new(), empty).await?;
    let why = reply.class();
    let runs_nothing = reply.status == StatusCode::CONFLICT || matches!(why, Error::Gone);
    if reply.status.is_success() || runs_nothing { Ok(()) } else { Err(why) }
}
