//! The integration tests, one binary: real sockets on loopback, port 0, and the built program.

#[cfg(test)]
mod it {
    mod support {
        pub(super) mod daemon;
    }

    mod config;
    mod config_of_the_program;
    mod connections;
    mod machine;
    mod shortage;
    mod shutdown;
    mod tidy;
}
