//! The operators' page in a real browser: what an operator sees there, clicks and types, against the
//! program itself before a simulated box.
//!
//! Nothing of the page is called: it is clicked, typed into and read. A page that throws, or that its own
//! policy stops from something, fails its test. `AFTERBAY_SCREENSHOTS=FOLDER` keeps a picture of each view.

// The cast.
mod history;
mod operator;
mod tab;

// The scenarios.
mod entering;
mod finding;
mod following;
mod picturing;
mod stopping;
