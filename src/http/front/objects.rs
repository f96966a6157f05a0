//! Sandbox objects in an answer of the Sandbox API: where they stand and what they say.
//!
//! Pure. An object is looked for only where the API puts one: at the root, as an item of an array at
//! the root, and in either of these under `sandbox` or as an item under `sandboxes`. It is one if it
//! has a text `id` and an object `connection`. Whatever stands elsewhere, in metadata above all, may
//! look like one and is none; inside an object that was found nothing more is looked for.
//!
//! [`put_in`] changes the URLs that were found, and no other byte of the document: numbers, order,
//! white space, escapes and doubled keys stay as they came. Of a key that stands twice the last one
//! counts, as decoders have it; what is changed are all of them, so that none is left for a decoder
//! that has it otherwise.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::credential::Credential;

/// An object that stands in a document.
#[derive(Debug)]
pub(super) struct Shown {
    /// Its id, as it came.
    pub(super) id: String,
    /// Where its box can be reached; the first one that will do counts. Perhaps none: a sandbox that is
    /// still made has an empty connection.
    pub(super) urls: Vec<ShownUrl>,
    /// What its box is asked with, as clients send it.
    pub(super) token: Option<Credential>,
}

/// A URL of an object's connection.
pub(super) struct ShownUrl {
    /// The place of its JSON text in the document, quotes included.
    pub(super) place: Range<usize>,
    /// The URL. It may hold a secret until it has been looked at.
    pub(super) text: String,
}

impl fmt::Debug for ShownUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShownUrl({:?})", self.place)
    }
}

/// A document that is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not JSON")]
pub(super) struct NotJson;

impl From<serde_json::Error> for NotJson {
    /// Without the error's own text: it may quote the document.
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

/// Finds every sandbox object of `document`, in its order.
///
/// # Errors
/// [`NotJson`].
pub(super) fn find(document: &str) -> Result<Vec<Shown>, NotJson> {
    let root: &RawValue = serde_json::from_str(document)?;
    let mut search = Search { document, found: Vec::new() };
    if is_array(root) {
        for item in items(root)? {
            search.holder(item)?;
        }
    } else {
        search.holder(root)?;
    }
    Ok(search.found)
}

/// `document` with `url` in the place of each of these; the places do not overlap.
pub(super) fn put_in(document: &str, mut places: Vec<(Range<usize>, String)>) -> String {
    places.sort_unstable_by_key(|(place, _)| place.start);
    let mut changed = String::with_capacity(document.len());
    let mut from = 0;
    for (Range { start, end }, url) in places {
        changed.push_str(document.get(from..start).unwrap_or_default());
        changed.push_str(&serde_json::Value::String(url).to_string());
        from = end;
    }
    changed.push_str(document.get(from..).unwrap_or_default());
    changed
}

struct Search<'a> {
    document: &'a str,
    found: Vec<Shown>,
}

impl<'a> Search<'a> {
    /// A value that is an object, or has some.
    fn holder(&mut self, value: &'a RawValue) -> Result<(), NotJson> {
        if !is_object(value) {
            return Ok(());
        }
        let members = members(value)?;
        if self.take(&members)? {
            return Ok(());
        }
        for (key, value) in members {
            match key.as_ref() {
                "sandbox" => self.object(value)?,
                "sandboxes" if is_array(value) => {
                    for item in items(value)? {
                        self.object(item)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A value that is an object, or nothing to us.
    fn object(&mut self, value: &'a RawValue) -> Result<(), NotJson> {
        if is_object(value) {
            self.take(&members(value)?)?;
        }
        Ok(())
    }

    /// Takes the object of these members, if it is a sandbox.
    fn take(&mut self, members: &[Member<'a>]) -> Result<bool, NotJson> {
        let id = last(members, "id").and_then(text_of);
        let connected = last(members, "connection").is_some_and(is_object);
        let Some(id) = id.filter(|_| connected) else {
            return Ok(false);
        };
        let (mut direct, mut through_api, mut token) = (Vec::new(), Vec::new(), None);
        for (_, connection) in members.iter().filter(|(key, _)| key == "connection") {
            if !is_object(connection) {
                continue;
            }
            for (key, value) in self::members(connection)? {
                let Some(text) = text_of(value).filter(|text| !text.is_empty()) else {
                    continue;
                };
                let place = self.place(value);
                match key.as_ref() {
                    "sidecarUrl" => direct.push(ShownUrl { place, text }),
                    "runtimeUrl" => through_api.push(ShownUrl { place, text }),
                    "authToken" => token = Some(Credential::new(&format!("Bearer {text}"))),
                    _ => {}
                }
            }
        }
        let urls = direct.into_iter().rev().chain(through_api.into_iter().rev()).collect();
        self.found.push(Shown { id, urls, token });
        Ok(true)
    }

    /// The value is borrowed from the document, so the distance is its place.
    fn place(&self, value: &RawValue) -> Range<usize> {
        let start = value.get().as_ptr().addr() - self.document.as_ptr().addr();
        start..start + value.get().len()
    }
}

type Member<'a> = (Cow<'a, str>, &'a RawValue);

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

fn is_array(value: &RawValue) -> bool {
    value.get().starts_with('[')
}

/// A text; `None` for any other value, and for one that is no Unicode.
fn text_of(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn last<'a>(members: &[Member<'a>], name: &str) -> Option<&'a RawValue> {
    members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
}

fn items(array: &RawValue) -> Result<Vec<&RawValue>, NotJson> {
    Ok(serde_json::from_str(array.get())?)
}

/// The members of an object in their order, doubled ones too.
fn members(object: &RawValue) -> Result<Vec<Member<'_>>, NotJson> {
    let mut decoder = serde_json::Deserializer::from_str(object.get());
    Ok(decoder.deserialize_map(Members)?)
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            members.push((key, map.next_value()?));
        }
        Ok(members)
    }
}

/// A key, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
