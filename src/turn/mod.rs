//! Dispatch, poll, verdict.

pub mod control;
