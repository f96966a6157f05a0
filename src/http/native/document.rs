//! The description of the native API, as an OpenAPI 3.1 document made from the code that answers.
//!
//! Each answer's file describes its own route; what every route may say besides, and by what callers are
//! known, stands here, once. Numbers in descriptions are literals, since attributes take no others:
//! a test holds them against the limits that are kept.

use std::collections::BTreeMap;

use axum::response::Response;
use http::{StatusCode, header};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi};

use super::super::error::ErrorBody;
use super::super::own_tokens::X_AFTERBAY_TOKEN;
use super::answers;

/// All routes of the API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Afterbay",
        description = "Agent turns that survive dropped streams: started, read, and stopped.",
        version = "1",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        get,
        super::listing::get,
        super::session::get,
        super::events::get,
        super::start::post,
        super::turn::get,
        super::cancel::post,
    ),
    components(schemas(ErrorBody)),
    modifiers(&Credentials),
    security(
        (),
        ("credential" = []),
        ("token" = []),
        ("tokenBeside" = []),
        ("tokenBeside" = [], "credential" = []),
    ),
)]
struct Document;

/// What a request may show of who sends it.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let credential = "What the box takes, in its own scheme. A session is read and acted on by \
            those whom its box lets in; one that was begun without a credential, by everyone.";
        let token = "A token of this server's own: needed where it has some, and whoever shows one \
            needs no credential of the box.";
        let beside = "The same, where `Authorization` is the box's.";
        let header = |name: &str, what| ApiKey::Header(ApiKeyValue::with_description(name, what));
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(token));
        let credential = SecurityScheme::ApiKey(header(header::AUTHORIZATION.as_str(), credential));
        components.add_security_scheme("credential", credential);
        components.add_security_scheme("token", SecurityScheme::Http(bearer.build()));
        let beside = SecurityScheme::ApiKey(header(X_AFTERBAY_TOKEN.as_str(), beside));
        components.add_security_scheme("tokenBeside", beside);
    }
}

/// The document.
#[utoipa::path(
    get,
    path = "/afterbay/v1/openapi.json",
    operation_id = "readDocument",
    responses(
        (status = 200, description = "This document.", body = Object),
        Refusals,
    ),
)]
pub(super) fn get() -> Response {
    answers::answer(StatusCode::OK, &Document::openapi())
}

/// What any route may say instead of its answer.
pub(super) struct Refusals;

const REFUSALS: [(&str, &str); 10] = [
    ("400", "The request is not valid."),
    ("401", "No credential, and one is needed."),
    ("403", "No right to this, or a web page of another origin."),
    ("404", "There is no such thing here."),
    ("405", "The route has other methods: see `Allow`."),
    ("421", "This server does not answer to that `Host`."),
    ("429", "Too much at once."),
    ("500", "Afterbay failed."),
    ("502", "The box is not reachable, or makes no sense."),
    ("503", "Not now; `Retry-After` says when."),
];

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        let described = |(status, why): (&str, &str)| {
            let schema = Ref::from_schema_name("Error");
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let response = ResponseBuilder::new().description(why);
            let response = response.content("application/json", content).build();
            (status.to_owned(), response.into())
        };
        REFUSALS.into_iter().map(described).collect()
    }
}
