//! The integration tests, one binary: real sockets on loopback, port 0, and the built program.

#[cfg(test)]
mod it {
    mod config;
    mod connections;
    mod tidy;
}
