//! The document against the routes, and answers against the document.

use afterbay::limits;
use serde_json::{Value, json};

use super::super::raw::Answer;
use super::super::support::play::Play;

/// Holds an answer to the request `line` against the document that `play` serves.
pub(super) async fn check(play: &Play, line: &str, answer: &Answer) {
    let document = document(play).await;
    let (method, target) = line.split_once(' ').expect("a method and a target");
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    let status = answer.head.status();
    let Some(operation) = operation(&document, method, path) else {
        assert!(matches!(status, 204 | 404 | 405), "{line} is not in the document: {answer:?}");
        return;
    };
    let response = &operation["responses"][status.to_string()];
    assert!(response.is_object(), "{line}: {status} is not in the document: {answer:?}");
    let kind = answer.head.one("content-type");
    // A box's own refusal has a body of its own.
    let is_ours = status < 300 || answer.head.one("x-afterbay-error").is_some();
    if kind != Some("application/json") || method == "HEAD" || !is_ours {
        return;
    }
    let mut schema = response["content"]["application/json"]["schema"].clone();
    assert!(schema.is_object(), "{line}: {status} has no schema");
    schema["components"] = document["components"].clone();
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let wrong: Vec<_> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{line}: {body} is not {schema}: {wrong:?}");
}

async fn document(play: &Play) -> Value {
    let answer = play.get("/afterbay/v1/openapi.json", "").await;
    assert_eq!(answer.head.status(), 200);
    serde_json::from_str(&answer.body).expect("JSON")
}

/// What the document says of this method on this path.
fn operation<'a>(document: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_ascii_lowercase() };
    let paths = document["paths"].as_object().expect("paths");
    let (_, found) = paths.iter().find(|(template, _)| is_at(path, template))?;
    found.get(&method)
}

fn is_at(path: &str, template: &str) -> bool {
    let (path, template): (Vec<_>, Vec<_>) =
        (path.split('/').collect(), template.split('/').collect());
    path.len() == template.len()
        && path.iter().zip(&template).all(|(s, t)| t.starts_with('{') || s == t)
}

#[tokio::test]
async fn the_document_is_openapi_and_names_each_route_with_its_methods() {
    let play = Play::new().await;
    let document = document(&play).await;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), 7);
    for (template, item) in paths {
        let path = template.replace("{box}", "default").replace("{session}", "ses");
        let path = path.replace("{execution}", "e-1");
        let listed: Vec<_> = item.as_object().expect("operations").keys().cloned().collect();
        let refused = super::ask(&play, &format!("TRACE {path}"), "", "").await;
        super::check_error(&refused, 405, "METHOD_NOT_ALLOWED");
        let expected = if listed == ["get"] { "GET, HEAD, OPTIONS" } else { "POST, OPTIONS" };
        assert_eq!(refused.head.one("allow"), Some(expected), "{template}");
        for (method, operation) in item.as_object().expect("operations") {
            let responses = operation["responses"].as_object().expect("responses");
            for status in ["400", "401", "403", "404", "421", "429", "500", "502", "503"] {
                let schema = &responses[status]["content"]["application/json"]["schema"];
                assert_eq!(schema, &json!({"$ref": "#/components/schemas/Error"}), "{template}");
            }
            assert!(responses.keys().any(|status| status.starts_with('2')), "{template} {method}");
            assert!(operation["operationId"].is_string(), "{template} {method}");
        }
    }
    // Whoever asks may read it: it says nothing of anybody.
    let open = super::ask_as(&play, "", "GET /afterbay/v1/openapi.json", "", "").await;
    assert_eq!(open.head.status(), 200);
}

#[tokio::test]
async fn the_document_tells_the_bounds_that_are_kept() {
    let document = document(&Play::new().await).await;
    for (path, name, least, most, unless_said) in [
        (super::EVENTS, "limit", 1, limits::MAX_POLL_EVENTS, limits::POLL_EVENTS),
        (super::EVENTS, "wait", 0, limits::MAX_POLL_WAIT_SECONDS, 0),
        ("/afterbay/v1/sessions", "limit", 1, limits::MAX_PAGE_SESSIONS, limits::PAGE_SESSIONS),
    ] {
        let operation = operation(&document, "GET", path).expect("an operation");
        let mut parameters = operation["parameters"].as_array().expect("parameters").iter();
        let found = parameters.find(|parameter| parameter["name"] == name).expect("a parameter");
        let bounds = (&found["schema"]["minimum"], &found["schema"]["maximum"]);
        assert_eq!(bounds, (&json!(least), &json!(most)), "{path} {name}");
        let described = found["description"].as_str().expect("a description");
        assert!(described.ends_with(&format!(" {unless_said} unless said.")), "{described}");
    }
    let mut names = 0;
    each_value(&document, &mut |schema| {
        if let Some(most) = schema.get("maxLength") {
            assert_eq!(most, limits::MAX_ID_BYTES, "{schema}");
            names += 1;
        }
    });
    assert!(names >= 4, "{names} schemas of names");
}

fn each_value(value: &Value, look: &mut impl FnMut(&Value)) {
    look(value);
    match value {
        Value::Array(values) => values.iter().for_each(|value| each_value(value, look)),
        Value::Object(fields) => fields.values().for_each(|value| each_value(value, look)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_document_tells_by_what_callers_are_known() {
    let document = document(&Play::new().await).await;
    let schemes = &document["components"]["securitySchemes"];
    for (name, kind) in [
        ("credential", json!({"type": "apiKey", "in": "header", "name": "authorization"})),
        ("token", json!({"type": "http", "scheme": "bearer"})),
        ("tokenBeside", json!({"type": "apiKey", "in": "header", "name": "x-afterbay-token"})),
    ] {
        let told = schemes[name].as_object().expect("a scheme");
        for (field, value) in kind.as_object().expect("fields") {
            assert_eq!(&told[field], value, "{name}");
        }
    }
    let security = document["security"].as_array().expect("requirements");
    // A server without own tokens, over a box without credentials, asks for nothing.
    assert!(security.contains(&json!({})));
    let mut named = security.iter().flat_map(|one| one.as_object().expect("schemes").keys());
    assert!(named.all(|name| schemes.get(name).is_some()), "{security:?}");
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    let document = document(&Play::new().await).await;
    let text = document.to_string();
    let mut references = text.match_indices("\"$ref\":\"#").map(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        rest.split('"').next().expect("an end")
    });
    assert!(references.all(|path| document.pointer(path).is_some()));
}
