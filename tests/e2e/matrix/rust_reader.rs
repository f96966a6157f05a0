//! A client in Rust: `eventsource-stream` over what `reqwest` reads. After a cut, or a clean end, it
//! asks again with its last id.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use eventsource_stream::Eventsource;
use futures_util::{StreamExt, stream};
use http::StatusCode;

use super::super::reading::Line;

/// Until it asks again.
const PAUSE: Duration = Duration::from_millis(100);

/// Reads `url` from behind the id `last` on until nothing more will come.
pub(crate) async fn read(url: String, mut last: String, lines: &Mutex<Vec<Line>>) {
    let tell = |line| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    loop {
        let mut request = client.get(&url).header("accept", "text/event-stream");
        if !last.is_empty() {
            request = request.header("last-event-id", &last);
        }
        let Ok(answer) = request.send().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if answer.status() == StatusCode::NO_CONTENT {
            break;
        }
        assert_eq!(answer.status(), StatusCode::OK, "{url}");
        let chunks = stream::unfold(answer, |mut answer| async {
            Some((answer.chunk().await.transpose()?, answer))
        });
        let mut events = std::pin::pin!(chunks.eventsource());
        while let Some(Ok(event)) = events.next().await {
            tell(Line::event(&event.id, &event.event, &event.data));
            last = event.id;
        }
    }
    tell(Line::end("closed"));
}
