//! The integration tests, one binary: real sockets on loopback, port 0, and the built program.

#[cfg(test)]
mod it {
    mod support {
        pub(crate) mod box_state;
        pub(crate) mod certificates;
        pub(super) mod daemon;
        pub(crate) mod faulty_disk;
        pub(super) mod hall;
        pub(crate) mod log_bytes;
        pub(crate) mod log_forge;
        pub(crate) mod log_life;
        pub(crate) mod log_meddling;
        pub(crate) mod log_model;
        pub(crate) mod open_doors;
        pub(crate) mod panicking_disk;
        pub(super) mod play;
        pub(crate) mod puppet;
        pub(crate) mod rig;
        pub(crate) mod scripted_box;
        pub(crate) mod scripted_sidecar;
        pub(super) mod sessions;
        pub(crate) mod tls_client;
        pub(crate) mod tls_hop;
    }

    mod adapter_promises;
    mod answers_from_the_log;
    mod bad_input;
    mod boxes;
    mod canary;
    mod config;
    mod config_of_the_program;
    mod connections;
    mod connections_tls;
    mod cors;
    mod demo;
    mod digest;
    mod doors;
    mod expect_continue;
    mod fuzz_corpora;
    mod kills_around_the_dispatch;
    mod log_compaction_faults;
    mod log_crash;
    mod log_crash_threads;
    mod log_damage;
    mod log_faults;
    mod log_format;
    mod log_full;
    mod log_index;
    mod log_names;
    mod log_panics;
    mod log_reading;
    mod log_replay_to_live;
    mod log_shortage;
    mod log_torn;
    mod log_verify;
    mod log_verify_forged;
    mod log_verify_kills;
    mod log_verify_live;
    mod log_verify_program;
    mod loops;
    mod machine;
    mod mode_of_a_request;
    mod native;
    mod opencode;
    mod own_tokens;
    mod passing_bodies;
    mod passing_http2;
    mod raw;
    mod reaching;
    mod resume;
    mod retention;
    mod sealed;
    mod sent_once_more;
    mod shortage;
    mod shutdown;
    mod shutdown_tls;
    mod sidecar_at_the_doors;
    mod simbox;
    mod tangle;
    mod tidy;
    mod turn_races;
    mod turn_storm;
    mod turns_at_the_doors;
    mod verify;
    mod websockets;
}
