//! Afterbay: a sidecar proxy that makes agent turns survive dropped SSE streams.

pub mod credential;
pub mod event;
pub mod http;
pub mod ids;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod mode;
pub mod session;
pub mod sse;
pub mod tasks;
pub mod turn;
pub mod upstream;
