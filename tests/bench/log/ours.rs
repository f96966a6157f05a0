//! The log under test, as the program uses it. The only file that knows how a store is opened.

use std::path::Path;
use std::sync::Arc;

use afterbay::log::{Log, Options, RealDisk, Store};
use afterbay::metrics::Metrics;
use afterbay::turn::control::role;

use super::workload::key;

/// An open log, and what it counts.
pub(crate) struct Ours {
    pub(crate) store: Store,
    metrics: Metrics,
    /// What opening it found.
    pub(crate) found: Found,
}

/// Control records that opening found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// What was written up to now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) appends: u64,
    pub(crate) groups: u64,
    pub(crate) bytes: u64,
}

impl Ours {
    /// Opens the log in `folder`, with the program's own sizes.
    pub(crate) fn open(folder: &Path) -> Self {
        let disk = RealDisk::open(&folder.join("log")).unwrap();
        let metrics = Metrics::new().unwrap();
        let mut found = Found::default();
        let store = Store::open(
            Arc::new(disk),
            Options::new(role),
            metrics.log.clone(),
            &mut |recovered| {
                found.records += 1;
                found.bytes += recovered.control.bytes.len() as u64;
            },
        );
        Self { store: store.unwrap(), metrics, found }
    }

    pub(crate) fn log(&self, session: u64) -> Log {
        self.store.log(key(session))
    }

    pub(crate) fn written(&self) -> Written {
        let log = &self.metrics.log;
        Written {
            appends: log.appends.get(),
            groups: log.groups.get(),
            bytes: log.written_bytes.get(),
        }
    }

    pub(crate) fn sessions(&self) -> f64 {
        self.metrics.log.sessions.get() as f64
    }
}

impl Written {
    /// What came since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            appends: self.appends - earlier.appends,
            groups: self.groups - earlier.groups,
            bytes: self.bytes - earlier.bytes,
        }
    }
}
