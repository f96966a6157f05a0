//! Turns on a simulated box of the sandbox's kind, with the daemon as a process of its own: what
//! takes long (nobody there, silence, outages) and what the routes of a session promise.
//!
//! The box counts what reaches it and knows what it showed, so each turn is held against the
//! box's own account. Times are short here; the same tests run at full length by hand:
//!
//! - `AFTERBAY_AWAY=300 cargo test --test e2e nobody_is_connected -- --nocapture`
//! - `AFTERBAY_QUIET=1800 cargo test --test e2e behind_idle_cutters -- --nocapture`
//! - `AFTERBAY_OUTAGE=120 cargo test --test e2e refused_connections -- --nocapture`
//! - `AFTERBAY_HOP_CUT=60 cargo test --test e2e that_a_proxy_cuts -- --nocapture`

// The cast.
mod link;
mod measure;
mod prometheus;
mod proxy;
pub(super) mod set;
mod shown;
mod watch;

// The scenarios.
mod activation;
mod alerts;
mod away;
mod crowd;
mod drain;
mod fidelity;
mod full_disk;
mod hop_cuts;
mod hop_http2;
mod operation;
mod outage;
mod quiet;
mod real_hops;
mod reload;
mod sessions;
mod short_disk;
mod slow_faults;
