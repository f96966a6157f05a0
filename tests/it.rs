//! The integration tests: one binary, one module for each subject.

#[path = "it/machine.rs"]
mod machine;
