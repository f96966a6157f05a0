//! What the program tells of itself while it runs: [`log_lines`] on stderr, and the spans of its turns
//! to a collector of traces, by [`otlp`].

pub mod log_lines;
pub mod otlp;
