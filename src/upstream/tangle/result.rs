//! The result route, if the box has one: the turn's end and answer in one place.
//!
//! It is an addition: whatever goes wrong with it, the messages tell the same.

use serde_json::value::RawValue;

use super::api::json_of;
use super::assumed::RESULT_EXECUTION;
use super::{closing, frame};
use crate::credential::Credential;
use crate::metrics::upstream::Call;
use crate::upstream::client::BoxClient;
use crate::upstream::result_path::ResultPath;
use crate::upstream::{Answer, Bound, Ending, Error};

/// What the route tells of the turn; `None` if it tells nothing that can be relied on.
pub(super) async fn read(
    client: &BoxClient,
    path: &ResultPath,
    who: Option<&Credential>,
    turn: &Bound,
) -> Option<(Ending, Answer)> {
    let execution = turn.execution.as_ref().unwrap_or(&turn.ids.execution);
    let target = format!("{}?{RESULT_EXECUTION}={execution}", path.of(&turn.session));
    match client
        .read(Call::Result, who, &target)
        .await
        .and_then(|reply| of_ours(json_of(&reply)?, turn))
    {
        Ok(told) => told,
        Err(error) => {
            tracing::debug!(%error, "the result route tells nothing");
            None
        }
    }
}

fn of_ours(json: &RawValue, turn: &Bound) -> Result<Option<(Ending, Answer)>, Error> {
    let said = frame::said(json);
    let own = [Some(&turn.ids.execution), turn.execution.as_ref()];
    let is_ours = |named: &String| own.iter().flatten().any(|own| own.as_str() == named);
    if said.execution.as_ref().is_some_and(|named| !is_ours(named)) {
        return Ok(None);
    }
    let ending = closing::of_result(&said);
    Ok(ending.map(|ending| (ending, closing::answer(&[said]))))
}
