//! The running afterbay that a command asks: found by its data folder, where its addresses and the
//! operators' token are; asked over its admin address.
//!
//! No error text holds the token or a URL's query.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::failure::Failure;
use crate::config::{Environment, for_commands};
use crate::credential::AdminToken;
use crate::limits;
use crate::server::Addresses;
use crate::session::admin_token;
use crate::upstream::trust::Authorities;

/// Which afterbay.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Which {
    /// Its configuration file, for the data folder in it; AFTERBAY_CONFIG names one too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Its data folder, as in `serve --data-dir`; AFTERBAY_DATA_DIR names one too
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Its admin address, if it is not the one that the data folder tells
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

impl Which {
    /// Whom https trusts besides the system's authorities; `given` is the command's own flag.
    pub(super) fn authorities(
        &self,
        given: Option<&Path>,
        environment: &Environment,
    ) -> Result<Authorities, Failure> {
        let found = for_commands::authorities(self.config.as_deref(), given, environment);
        found.map_err(|mistakes| Failure::Usage(mistakes.to_string()))
    }

    /// The admin address that its configuration chooses, if it does.
    pub(super) fn chosen_admin(
        &self,
        environment: &Environment,
    ) -> Result<Option<SocketAddr>, Failure> {
        let chosen = for_commands::chosen_admin(self.config.as_deref(), environment);
        chosen.map_err(|mistakes| Failure::Usage(mistakes.to_string()))
    }
}

/// A running afterbay. Clones share the connections.
#[derive(Debug, Clone)]
pub(super) struct Daemon {
    data_dir: PathBuf,
    admin: Option<SocketAddr>,
    http: reqwest::Client,
}

impl Daemon {
    /// The one that is meant; nothing is asked yet.
    pub(super) fn of(which: &Which, environment: &Environment) -> Result<Self, Failure> {
        let Which { config, data_dir, admin } = which;
        let data_dir = for_commands::data_dir(config.as_deref(), data_dir.as_deref(), environment);
        let data_dir = data_dir.map_err(|mistakes| Failure::Usage(mistakes.to_string()))?;
        Ok(Self { data_dir, admin: *admin, http: http_client()? })
    }

    /// Asks for what is at `target` of its admin address.
    pub(super) async fn get(&self, target: &str) -> Result<Value, Failure> {
        let request = self.request(Method::GET, target)?.timeout(limits::COMMAND_CALL_TIMEOUT);
        let answer = request.send().await.map_err(|error| self.unreachable(error))?;
        whole(answer).await
    }

    /// A request to its admin address, which is looked up each time: a restart may move it.
    pub(super) fn request(
        &self,
        method: Method,
        target: &str,
    ) -> Result<reqwest::RequestBuilder, Failure> {
        let url = self.url(target)?;
        let token = self.token()?;
        Ok(self.http.request(method, url).bearer_auth(token.expose()))
    }

    /// Asks without the token whether it lives: where the data folder tells, else `otherwise`, since one
    /// that cannot write where it serves, as on a full disk, serves all the same.
    pub(super) async fn is_alive(&self, otherwise: Option<SocketAddr>) -> Result<(), Failure> {
        let livez = "/livez";
        let url = match (self.url(livez), otherwise) {
            (Err(Failure::Unreachable(_)), Some(chosen)) => {
                format!("{}{livez}", reachable(&format!("http://{chosen}")))
            }
            (told, _) => told?,
        };
        let request = self.http.get(url).timeout(limits::HEALTH_CALL_TIMEOUT);
        let answer = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(refusal(status, &[])) }
    }

    /// What is at `target` of its admin address.
    fn url(&self, target: &str) -> Result<String, Failure> {
        let base = match self.admin {
            Some(given) => format!("http://{given}"),
            None => {
                let none = "it serves no admin address (--admin off)".to_owned();
                let told = self.addresses()?.admin.ok_or(Failure::Unreachable(none))?;
                reachable(&told)
            }
        };
        Ok(format!("{base}{target}"))
    }

    /// Where its clients connect.
    pub(super) fn clients(&self) -> Result<String, Failure> {
        Ok(reachable(&self.addresses()?.clients))
    }

    fn addresses(&self) -> Result<Addresses, Failure> {
        let folder = self.data_dir.display();
        let none = || {
            let what = format!("no afterbay serves with the data folder {folder}");
            Failure::Unreachable(format!("{what}, as far as can be told here; --admin names one"))
        };
        let found = Addresses::load(&self.data_dir);
        let unreadable =
            |error| Failure::Unreachable(format!("read the data folder {folder}: {error}"));
        found.map_err(unreadable)?.ok_or_else(none)
    }

    fn token(&self) -> Result<AdminToken, Failure> {
        admin_token::load(&self.data_dir).map_err(|error| {
            let mut what = format!("data folder {}: {error}", self.data_dir.display());
            if let Some(why) = std::error::Error::source(&error) {
                let _ = write!(what, ": {why}");
            }
            Failure::Unreachable(what)
        })
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        let folder = self.data_dir.display();
        Failure::Unreachable(format!("no afterbay answers for {folder}: {}", told(error)))
    }
}

/// A client that follows no redirect and takes no proxy: whom it asks was said.
fn http_client() -> Result<reqwest::Client, Failure> {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let client = client.read_timeout(limits::FOLLOWED_SILENCE).build();
    client.map_err(|error| Failure::Refused(format!("set up an HTTP client: {}", told(error))))
}

/// The whole answer as JSON.
async fn whole(answer: reqwest::Response) -> Result<Value, Failure> {
    let status = answer.status();
    let broken = |error| Failure::Unreachable(format!("the answer broke off: {}", told(error)));
    let body = answer.bytes().await.map_err(broken)?;
    json(status, &body)
}

/// The same of an answer at the clients' door.
pub(super) async fn whole_of(answer: http::Response<Incoming>) -> Result<Value, Failure> {
    let status = answer.status();
    let body =
        tokio::time::timeout(limits::COMMAND_CALL_TIMEOUT, answer.into_body().collect()).await;
    let broken = || Failure::Unreachable("the answer broke off".to_owned());
    let body = body.map_err(|_| broken())?.map_err(|_| broken())?;
    json(status, &body.to_bytes())
}

fn json(status: StatusCode, body: &[u8]) -> Result<Value, Failure> {
    if !status.is_success() {
        return Err(refusal(status, body));
    }
    serde_json::from_slice(body).map_err(|_| Failure::Refused("the answer is no JSON".to_owned()))
}

/// What an answer that is no success says.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |path| body.pointer(path).and_then(Value::as_str);
    match (text("/error/code"), text("/error/message")) {
        (Some(code), Some(message)) => Failure::Refused(format!("{message} ({status}, {code})")),
        (_, _) => Failure::Refused(format!("the answer is {status}")),
    }
}

/// An error of the client without the URL, which may hold a secret, and with its innermost cause.
pub(super) fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// An address that is bound to all of a machine's is reached at its own.
fn reachable(url: &str) -> String {
    let Some((scheme, address)) = url.split_once("://") else { return url.to_owned() };
    let Ok(mut address) = address.parse::<SocketAddr>() else { return url.to_owned() };
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("{scheme}://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_all_is_reached_at_ones_own() {
        for (bound, reached) in [
            ("http://0.0.0.0:9788", "http://127.0.0.1:9788"),
            ("https://[::]:1", "https://[::1]:1"),
            ("http://127.0.0.2:9788", "http://127.0.0.2:9788"),
        ] {
            assert_eq!(reachable(bound), reached);
        }
    }

    #[test]
    fn a_refusal_tells_message_and_code() {
        let body = br#"{"success":false,"error":{"code":"X","message":"no such thing"}}"#;
        let told = refusal(StatusCode::NOT_FOUND, body).to_string();
        assert_eq!(told, "no such thing (404 Not Found, X)");
        assert_eq!(
            refusal(StatusCode::BAD_GATEWAY, b"<html>").to_string(),
            "the answer is 502 Bad Gateway"
        );
    }
}
