//! The integration tests, one binary.

mod it {
    mod opencode;
    mod support {
        pub(crate) mod box_state;
        pub(crate) mod scripted_box;
    }
}
