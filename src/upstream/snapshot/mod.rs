//! What the adapters share whose boxes show a session as a mutable snapshot: parts that change in
//! place, told as the difference to what was sent last.
//!
//! [`parts`] finds the difference, [`pages`] cuts it into short appends with the marks that belong
//! to them, [`part`] reads the fields of a part that matter, [`text`] what a JSON string means,
//! [`failure`] names failures, and [`nesting`] keeps out what nobody could decode. None of them talks to a box.

pub(super) mod failure;
pub(super) mod nesting;
pub(super) mod pages;
pub(super) mod part;
pub(super) mod parts;
pub(super) mod text;
