//! What the integration tests have, too.

#![allow(dead_code, reason = "the integration tests use more of it")]

#[path = "../../it/support/faulty_disk.rs"]
pub(crate) mod faulty_disk;
#[path = "../../it/support/log_bytes.rs"]
pub(crate) mod log_bytes;
#[path = "../../it/support/log_forge.rs"]
pub(crate) mod log_forge;
#[path = "../../it/support/log_model.rs"]
pub(crate) mod log_model;
