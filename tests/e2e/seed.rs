//! Where the random choices of a test come from: a printed seed, so that a run can be repeated.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// A generator from `AFTERBAY_SEED`, or from a fresh seed; the seed is printed.
pub(crate) fn generator() -> StdRng {
    let seed = given_or_fresh();
    println!("AFTERBAY_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// `AFTERBAY_SEED`, or a fresh seed.
#[expect(clippy::disallowed_methods, reason = "a variable of the tests' own")]
pub(crate) fn given_or_fresh() -> u64 {
    let given = std::env::var("AFTERBAY_SEED").ok();
    given.map_or_else(rand::random, |text| text.parse().expect("a number as seed"))
}
