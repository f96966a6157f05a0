//! The one integration binary: everything through the public surface of the crate.
#![expect(clippy::indexing_slicing, reason = "a test may panic, and says where")]

mod it {
    mod support {
        pub(crate) mod faulty_disk;
        pub(crate) mod log_bytes;
        pub(crate) mod log_model;
    }

    mod log_crash;
    mod log_damage;
    mod log_faults;
    mod log_format;
    mod log_reading;
    mod log_torn;
}
