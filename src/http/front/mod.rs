//! The Sandbox API behind the doors: one base URL for a client that makes sandboxes and works in them.
//!
//! Promises: the API's routes are passed on as a box's are; in the answers that may hold sandbox
//! objects (`asked`) the URLs of their connections lead here (`objects`), below `/box/{id}`, and
//! nothing else changes. Before such an answer is shown, where its boxes are is durable: there is no URL
//! of ours that leads nowhere after a crash. An answer that cannot be read is an error (`answer`).
//!
//! An object whose box cannot be taken (`whereabouts`, or a name that is none or another box's) stays
//! as it came: its client goes around afterbay, which is logged and counted, and never to another
//! box. A URL of a terminal for people (`webTerminalUrl`) stays, too: it is a page of its own, no turns
//! run through it, and it may carry its own key.
//!
//! A failed create may be sent once more (`acquire`).

mod acquire;
mod answer;
mod asked;
mod objects;
mod whereabouts;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};

pub use acquire::Acquire;
pub(crate) use answer::Unreadable;
pub use whereabouts::Whereabouts;

use self::asked::{Asked, asked};
use self::objects::ShownUrl;
use super::error::Error;
use super::passthrough::Passthrough;
use super::{Door, upgrade};
use crate::ids::BoxName;
use crate::limits;
use crate::metrics::front::{Left, Metrics};
use crate::session::learned::Learnt;
use crate::session::sandboxes::Shown;
use crate::upstream::endpoint::Endpoint;

/// The way to the Sandbox API, and to the boxes that it tells of.
#[derive(Debug, Clone)]
pub struct Front {
    /// The way to the API.
    pub to_api: Passthrough,
    /// The way to learned boxes, but for where each is.
    pub to_boxes: Passthrough,
    /// Where they may be.
    pub whereabouts: Whereabouts,
    /// Whether failed creates are sent once more.
    pub acquire: Option<Acquire>,
    /// What is counted here.
    pub metrics: Metrics,
}

impl Front {
    /// Whether a path is the API's also where a box is at the root.
    pub(super) fn owns(&self, path: &str) -> bool {
        asked::is_the_apis(path)
    }

    /// Answers a request to the API; `door` is for what needs no box.
    ///
    /// # Errors
    /// Those of the pass-through; [`Error::ApiAnswer`], [`Error::ApiBroke`],
    /// [`Error::LogUnavailable`].
    // Cancel-safe: dropping it closes the connection to the API, as the client closed its own.
    pub(super) async fn answer(
        &self,
        door: &Door,
        mut parts: Parts,
        body: Body,
    ) -> Result<Response, Error> {
        self.to_api.check_loop(&parts.headers)?;
        if upgrade::is_asked(&parts) {
            return upgrade::carry(door, &self.to_api, parts, body).await.map_err(of_api);
        }
        match asked(&parts.method, parts.uri.path()) {
            Asked::Other => self.send(parts, body).await,
            Asked::Delete(name) => {
                let answer = self.send(parts, body).await?;
                // A 404 proves nothing: the API may say it to whoever has no right.
                if answer.status().is_success() || answer.status() == StatusCode::GONE {
                    door.doors.sessions.sandbox_deleted(name).await;
                }
                Ok(answer)
            }
            Asked::Create => {
                answer::ask_for_readable(&mut parts);
                let answer = match &self.acquire {
                    Some(acquire) => acquire.create(self, door, parts, body).await?,
                    None => self.send(parts, body).await?,
                };
                self.with_our_urls(door, answer).await
            }
            Asked::Objects => {
                let is_head = parts.method == Method::HEAD;
                answer::ask_for_readable(&mut parts);
                let mut answer = self.send(parts, body).await?;
                if is_head {
                    answer::forget_bytes(answer.headers_mut());
                    return Ok(answer);
                }
                self.with_our_urls(door, answer).await
            }
        }
    }

    /// Sends a request to the API as it is.
    async fn send(&self, parts: Parts, body: Body) -> Result<Response, Error> {
        self.to_api.send(parts, body).await.map_err(of_api)
    }

    /// The answer with our URLs in the place of the boxes' own, which are known from then on.
    async fn with_our_urls(&self, door: &Door, answer: Response) -> Result<Response, Error> {
        if !answer::is_json(&answer) {
            return Ok(answer);
        }
        let (mut head, body) = answer.into_parts();
        let read = answer::read(&head.headers, body, &door.bodies).await;
        let document = read.inspect_err(|error| self.count_unreadable(error))?;
        // A bare success is no document, and tells of no box.
        let changed = if document.trim_ascii().is_empty() {
            document
        } else {
            self.changed(door, document).await.inspect_err(|error| self.count_unreadable(error))?
        };
        answer::forget_bytes(&mut head.headers);
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(changed.len()));
        Ok(Response::from_parts(head, Body::from(changed)))
    }

    async fn changed(&self, door: &Door, document: String) -> Result<String, Error> {
        let (document, found) = find(document).await?;
        let mut taken = Vec::new();
        for object in found {
            match self.take(door, object) {
                Ok(Some(one)) => taken.push(one),
                Ok(None) => {}
                Err(why) => self.leave(why),
            }
        }
        let (shown, urls): (Vec<Shown>, Vec<_>) = taken.into_iter().unzip();
        let names: Vec<BoxName> = shown.iter().map(|shown| shown.name.clone()).collect();
        // Durable: from here on the URLs that the client is about to see lead to these boxes.
        let learnt = door.doors.sessions.learn(shown).await;
        let learnt = learnt.map_err(|_| Error::LogUnavailable)?;
        let mut places = Vec::new();
        for ((learnt, name), urls) in learnt.into_iter().zip(names).zip(urls) {
            match learnt {
                Learnt::Known => {
                    let ours = format!("{}/box/{name}", self.whereabouts.public_url);
                    places.extend(urls.into_iter().map(|url| (url.place, ours.clone())));
                }
                Learnt::NoRoom => self.leave(Left::Full),
            }
        }
        Ok(objects::put_in(&document, places))
    }

    /// What an object tells of its box; nothing as long as it has no URL.
    fn take(
        &self,
        door: &Door,
        object: objects::Shown,
    ) -> Result<Option<(Shown, Vec<ShownUrl>)>, Left> {
        let objects::Shown { id, urls, token } = object;
        if urls.is_empty() {
            return Ok(None);
        }
        let name = BoxName::parse(&id).map_err(|_| Left::Id)?;
        if door.doors.sessions.is_configured(&name) {
            return Err(Left::Taken);
        }
        let mut places = urls.iter().map(|url| self.whereabouts.place(&url.text));
        let endpoint: Option<Endpoint> = places.find_map(|place| {
            place.inspect_err(|why| tracing::warn!(sandbox = %name, %why, "a box's URL")).ok()
        });
        let endpoint = endpoint.ok_or(Left::Url)?;
        Ok(Some((Shown { name, endpoint, handed_out: token }, urls)))
    }

    fn leave(&self, why: Left) {
        tracing::warn!(
            why = why.as_str(),
            "a sandbox is shown with its own URL: its clients go around afterbay"
        );
        self.metrics.left(why);
    }

    fn count_unreadable(&self, error: &Error) {
        if let Error::ApiAnswer(why) = error {
            tracing::warn!(%why, "an answer of the Sandbox API is not passed on");
            self.metrics.unreadable.inc();
        }
    }
}

/// Finds the objects of a document; off the runtime's threads if that takes long.
async fn find(document: String) -> Result<(String, Vec<objects::Shown>), Error> {
    let is_large = document.len() > limits::READ_IN_PLACE_BYTES;
    let search = move || {
        let found = objects::find(&document)?;
        Ok::<_, objects::NotJson>((document, found))
    };
    let found = if is_large {
        tokio::task::spawn_blocking(search).await.map_err(|_| Error::Internal)?
    } else {
        search()
    };
    found.map_err(|_| Error::ApiAnswer(Unreadable::NotJson))
}

/// What the pass-through says of a box, said of the API.
fn of_api(error: Error) -> Error {
    if matches!(error, Error::BoxUnreachable) {
        Error::ApiUnreachable
    } else if matches!(error, Error::BoxBroke) {
        Error::ApiBroke
    } else {
        error
    }
}
