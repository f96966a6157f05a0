//! Afterbay: a sidecar proxy that makes agent turns survive dropped SSE streams.
//!
//! A client starts an agent's turn over SSE and expects one unbroken stream; the box that runs the
//! agent may drop it, sleep or restart. Afterbay dispatches the turn detached, polls the box,
//! writes every event to a durable log, and lets clients read the log, from any event on, as often
//! as they like. Writer and reader meet only in the log.
//!
//! # Floors
//! A module uses only floors below its own; a test keeps that.
//!
//! ```text
//! 7 roof     cli  server  config  telemetry  shutdown  supervisor
//! 6 door     http
//! 5 session  session
//! 4 turn     turn
//! 3          log | upstream      neither knows the other
//! 2 wire     sse
//! 1 words    ids  credential  seal  mode  limits  event  metrics  tasks  trace
//! ```
//!
//! `simbox`, the simulated box, is a house of its own: it uses `sse` and words, and only `cli`
//! uses it.
//!
//! The modules stand below in reading order.

pub mod credential;
pub mod event;
pub mod http;
pub mod ids;
pub mod limits;
pub mod metrics;
pub mod mode;
pub mod seal;
pub mod tasks;
pub mod trace;

pub mod sse;

pub mod log;
pub mod upstream;

pub mod turn;

pub mod session;

pub mod simbox;

pub mod cli;
pub mod config;
pub mod server;
pub mod shutdown;
pub mod supervisor;
pub mod telemetry;
