//! The integration tests, one binary: real sockets on loopback, port 0, and the built program.

#[cfg(test)]
mod it {
    mod support {
        pub(super) mod daemon;
        pub(super) mod sessions;
    }

    mod config;
    mod config_of_the_program;
    mod connections;
    mod doors;
    mod machine;
    mod raw;
    mod shortage;
    mod shutdown;
    mod tidy;
}
