//! The end-to-end tests: real `opencode` servers, a fake model that counts the prompts it runs,
//! the daemon as a process of its own, and clients that are cut in the middle of frames.
//!
//! Promises: every process that a test starts ends with it; every wait is for a fact and has a
//! deadline; every random choice comes from a printed seed (`AFTERBAY_SEED` runs it again).
//!
//! Parts in reading order: the cast (processes, box, model, daemon), the hops that break things
//! at aimed points, the client and the oracle, then the scenarios.

#[cfg(test)]
mod e2e {
    // The cast.
    mod browser;
    mod daemon;
    mod fake_model;
    #[path = "../it/log_full/stage.rs"]
    mod file_system;
    mod http;
    mod opencode;
    mod packages;
    mod port;
    mod process;
    mod script;
    mod seed;
    mod stage;
    mod wait;

    // What proves who it is.
    #[path = "../it/support/certificates.rs"]
    mod certificates;
    #[path = "../it/support/tls_hop.rs"]
    mod tls_hop;

    // What breaks things.
    mod bent;
    mod box_hop;
    mod client_hop;
    mod kill_at_sync;
    mod preload;
    mod split_hop;

    // Who watches.
    mod client;
    mod digest;
    mod frames;
    mod oracle;
    mod reading;
    #[path = "../it/metrics/readme.rs"]
    mod readme;

    // The scenarios.
    mod adapter_promises;
    mod boxes_that_fail;
    mod chaos;
    mod commands;
    mod contract;
    mod credentials;
    mod dashboard;
    mod deploy;
    mod fifty;
    mod flood;
    mod image;
    mod kills;
    mod matrix;
    mod page;
    mod people;
    mod simbox;
    mod story;
    mod tls;
    mod turns;
    mod websockets;
}
