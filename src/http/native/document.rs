//! The description of the native API, as an OpenAPI 3.1 document made from the code that answers.
//!
//! Each answer's file describes its own route; what every route may say besides stands here, once.

use std::collections::BTreeMap;

use axum::response::Response;
use http::StatusCode;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa::{IntoResponses, OpenApi};

use super::super::error::ErrorBody;
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
    components(schemas(ErrorBody))
)]
struct Document;

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
