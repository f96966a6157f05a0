//! `text/event-stream`; bytes only, no sockets.
//!
//! [`frame`] writes what clients read, in the form that the widest set of readers accepts;
//! [`last_event_id`] reads the cursor that a client sends back; [`parser`] reads what a box
//! sends. None knows what a stream is about.

pub mod frame;
pub mod last_event_id;
pub mod parser;
