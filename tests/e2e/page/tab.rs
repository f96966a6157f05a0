//! A tab of the browser, over its DevTools: real clicks and keys, and expressions that read the page.
//!
//! What goes wrong in it is noted: an exception nobody caught, and what the page's policy forbade.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::super::browser::Browser;
use super::super::http::Request;
use super::super::wait;

/// A look at the page that finds nothing for so long has failed: it looks each 1 to 3 s itself.
const SOON: Duration = Duration::from_secs(30);
/// An answer of the browser, on a machine that is busy.
const ANSWER: Duration = Duration::from_secs(60);

/// An open tab.
#[derive(Debug)]
pub(super) struct Tab {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    asked: u64,
    troubles: Vec<String>,
}

impl Tab {
    /// Opens one, empty.
    pub(super) async fn open(browser: &Browser) -> Self {
        let devtools = browser.devtools.parse().expect("an address");
        let made = Request::put("/json/new?about:blank").send(devtools).await.expect("a new tab");
        let made = made.json().await.expect("what was made");
        let address = made["webSocketDebuggerUrl"].as_str().expect("the tab's address").to_owned();
        let (socket, _) = tokio_tungstenite::connect_async(address).await.expect("its DevTools");
        let mut tab = Self { socket, asked: 0, troubles: Vec::new() };
        for part in ["Runtime", "Log", "Page"] {
            tab.call(&format!("{part}.enable"), json!({})).await;
        }
        tab
    }

    /// Opens an address in it.
    pub(super) async fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
        self.until("the page stands", "document.readyState === 'complete'").await;
    }

    /// What an expression comes to.
    pub(super) async fn value(&mut self, expression: &str) -> Value {
        let asked = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true,
        });
        let mut answer = self.call("Runtime.evaluate", asked).await;
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        answer["result"]["value"].take()
    }

    /// What an expression comes to, as text.
    pub(super) async fn text(&mut self, expression: &str) -> String {
        let value = self.value(expression).await;
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// Waits until an expression is true.
    pub(super) async fn until(&mut self, what: &str, expression: &str) {
        // An element that it asks for may not be there yet.
        let expression = format!(
            "(() => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }})()"
        );
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        let waited = tokio::time::timeout(SOON, async {
            while self.value(&expression).await != true {
                looks.tick().await;
            }
        });
        if waited.await.is_err() {
            let shown = self.text("document.body.innerText").await;
            panic!("not within {SOON:?}: {what}; the page shows:\n{shown}\n{:?}", self.troubles);
        }
    }

    /// Clicks in the middle of an element, wherever that is.
    pub(super) async fn click(&mut self, selector: &str) {
        let quoted = json!(selector);
        self.until(selector, &format!("document.querySelector({quoted}).offsetParent !== null || document.querySelector({quoted}).closest('dialog')")).await;
        let place = self
            .value(&format!(
                "(() => {{ const it = document.querySelector({quoted}); \
                 it.scrollIntoView({{ block: 'nearest' }}); const r = it.getBoundingClientRect(); \
                 return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
            ))
            .await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Presses a key: a letter, or one by its name.
    pub(super) async fn press(&mut self, key: &str) {
        let code = match key {
            "Escape" => 27,
            "Enter" => 13,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            letter => u32::from(letter.bytes().next().expect("a key").to_ascii_uppercase()),
        };
        let mut down = json!({ "type": "keyDown", "key": key, "windowsVirtualKeyCode": code });
        if key.len() == 1 || key == "Enter" {
            down["text"] = json!(if key == "Enter" { "\r" } else { key });
        }
        self.call("Input.dispatchKeyEvent", down).await;
        let up = json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", up).await;
    }

    /// Types into whatever has the focus.
    pub(super) async fn type_in(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Chooses an option of a list by its value.
    pub(super) async fn choose(&mut self, selector: &str, value: &str) {
        let (selector, value) = (json!(selector), json!(value));
        let chosen = format!(
            "(() => {{ const it = document.querySelector({selector}); it.value = {value}; \
             it.dispatchEvent(new Event('change', {{ bubbles: true }})); return it.value === {value}; }})()"
        );
        assert_eq!(self.value(&chosen).await, true, "{selector} has {value}");
    }

    /// Sets what the system prefers: `light` or `dark`.
    pub(super) async fn prefer(&mut self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// Makes the window so wide.
    pub(super) async fn widen(&mut self, width: u32) {
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Names of what can be used, by role, as somebody who does not see it is told.
    pub(super) async fn usable(&mut self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().expect("nodes").iter();
        let word = |node: &Value, part: &str| node[part]["value"].as_str().unwrap_or("").to_owned();
        let usable = ["button", "link", "textbox", "searchbox", "combobox", "listbox"];
        let nodes = nodes.filter(|node| node["ignored"] != true);
        let named = nodes.map(|node| (word(node, "role"), word(node, "name")));
        named.filter(|(role, _)| usable.contains(&role.as_str())).collect()
    }

    /// Lets the page use the clipboard, as a click in a real window does.
    pub(super) async fn allow_clipboard(&mut self) {
        let permissions = json!(["clipboardReadWrite", "clipboardSanitizedWrite"]);
        self.call("Browser.grantPermissions", json!({ "permissions": permissions })).await;
    }

    /// Keeps a picture of what is seen, if somebody wants to look at it.
    #[expect(clippy::disallowed_methods, reason = "a variable of the tests' own")]
    pub(super) async fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("AFTERBAY_SCREENSHOTS").map(PathBuf::from) else {
            return;
        };
        let taken = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        let bytes = STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("base64");
        fs::create_dir_all(&folder).expect("make the folder of pictures");
        fs::write(folder.join(format!("{name}.png")), bytes).expect("keep a picture");
    }

    /// Nothing went wrong in it.
    pub(super) async fn check(&mut self) {
        // What was told before its answer has come by then.
        self.value("0").await;
        assert_eq!(self.troubles, Vec::<String>::new());
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        let command = json!({ "id": id, "method": method, "params": params }).to_string();
        self.socket.send(Message::text(command)).await.expect("the browser listens");
        wait::within(ANSWER, method, async {
            loop {
                let message =
                    self.socket.next().await.expect("the tab is open").expect("a message");
                let Message::Text(text) = message else { continue };
                let mut told: Value = serde_json::from_str(&text).expect("JSON");
                if told["id"] == id {
                    assert!(told["error"].is_null(), "{method}: {}", told["error"]);
                    return told["result"].take();
                }
                self.note(&told);
            }
        })
        .await
    }

    fn note(&mut self, told: &Value) {
        let entry = &told["params"]["entry"];
        let is_trouble = match told["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            // What the network says is expected where the program is killed.
            Some("Log.entryAdded") => entry["level"] == "error" && entry["source"] != "network",
            _ => false,
        };
        if is_trouble {
            self.troubles.push(told["params"].to_string());
        }
    }
}
