//! The files of `deploy/`: each is looked at by the tool that will read it.

mod units;
mod variables;
