//! The integration tests: one binary, real sockets, loopback only.

mod it {
    mod doors;
    mod raw;
}
