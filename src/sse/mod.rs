//! `text/event-stream`; bytes only, no sockets.
//!
//! [`frame`] writes what clients read, in the form that the widest set of readers accepts;
//! [`last_event_id`] reads the cursor that a client sends back. Neither knows what a stream is
//! about, and neither keeps state.

pub mod frame;
pub mod last_event_id;
