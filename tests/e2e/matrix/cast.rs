//! The clients, as people use them: which there are, how each is started, and what each does
//! otherwise than the others.

use super::super::browser::Browser;
use super::super::reading::Reading;
use super::pages::Pages;
use super::rust_reader;

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The browser's own, in a page of another origin.
    ChromiumEventSource,
    /// `@microsoft/fetch-event-source` in such a page.
    ChromiumFetch,
    /// The package `eventsource`.
    NodeEventSource,
    /// `@microsoft/fetch-event-source` on node.
    NodeFetch,
    /// httpx with httpx-sse.
    PythonHttpx,
    /// requests with sseclient-py.
    PythonRequests,
    /// reqwest with eventsource-stream.
    Rust,
    /// curl, and a script in place of the one who calls it.
    Curl,
}

impl Reader {
    pub(crate) const ALL: [Self; 8] = [
        Self::ChromiumEventSource,
        Self::ChromiumFetch,
        Self::NodeEventSource,
        Self::NodeFetch,
        Self::PythonHttpx,
        Self::PythonRequests,
        Self::Rust,
        Self::Curl,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ChromiumEventSource => "EventSource, Chromium",
            Self::ChromiumFetch => "fetch-event-source, Chromium",
            Self::NodeEventSource => "eventsource, node",
            Self::NodeFetch => "fetch-event-source, node",
            Self::PythonHttpx => "httpx-sse, Python",
            Self::PythonRequests => "sseclient-py, Python",
            Self::Rust => "eventsource-stream, Rust",
            Self::Curl => "curl",
        }
    }

    /// How it ends when a turn is over: when it is told that nothing more will come, or with the end
    /// of its stream.
    pub(crate) const fn end(self) -> &'static str {
        if self.is_fetch_event_source() { "ended" } else { "closed" }
    }

    /// What it does of an event that a cut tears behind the line with its id.
    pub(crate) const fn torn(self) -> Torn {
        match self {
            Self::NodeFetch => Torn::Missed,
            // The browser may drop what came right before the cut, the id with it.
            Self::ChromiumFetch => Torn::Either,
            Self::ChromiumEventSource
            | Self::NodeEventSource
            | Self::PythonHttpx
            | Self::PythonRequests
            | Self::Rust
            | Self::Curl => Torn::AskedForAgain,
        }
    }

    const fn is_fetch_event_source(self) -> bool {
        matches!(self, Self::ChromiumFetch | Self::NodeFetch)
    }
}

/// What becomes of an event that has come half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Torn {
    /// An id counts as seen when its event is whole, as the standard says.
    AskedForAgain,
    /// An id counts as seen when its line has come: nobody asks for the rest of the event.
    Missed,
    /// One or the other.
    Either,
}

/// Everything that the clients need.
#[derive(Debug)]
pub(crate) struct Cast {
    /// Where it serves the pages is what the daemon must let in.
    pub(crate) pages: Pages,
    browser: Option<Browser>,
}

impl Cast {
    /// Installs what is missing, and starts the browser.
    pub(crate) async fn ready() -> Self {
        Self { browser: Browser::start().await, pages: Pages::serve().await }
    }

    /// Lets it read `url` from behind `last` on; `None` if it is not installed.
    pub(crate) fn start(&self, reader: Reader, url: &str, last: Option<u64>) -> Option<Reading> {
        let last = last.map(|id| id.to_string()).unwrap_or_default();
        let arguments = [url, &last];
        Some(match reader {
            Reader::ChromiumEventSource => self.chromium("eventsource.js", arguments)?,
            Reader::ChromiumFetch => self.chromium("fetch_event_source.js", arguments)?,
            Reader::NodeEventSource => Reading::script("eventsource.mjs", &arguments),
            Reader::NodeFetch => Reading::script("fetch_event_source.mjs", &arguments),
            Reader::PythonHttpx => Reading::script("httpx_sse_client.py", &arguments),
            Reader::PythonRequests => Reading::script("sseclient_client.py", &arguments),
            Reader::Curl => Reading::script("curl_client.py", &arguments),
            Reader::Rust => {
                let url = url.to_owned();
                Reading::task(|lines| async move { rust_reader::read(url, last, &lines).await })
            }
        })
    }

    fn chromium(&self, script: &str, [url, last]: [&str; 2]) -> Option<Reading> {
        let page = self.pages.page(script);
        Some(Reading::script("chromium.mjs", &[&self.browser.as_ref()?.devtools, &page, url, last]))
    }
}
