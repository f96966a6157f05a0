//! Tokens of the program's own: nobody comes in without one, whatever they ask; no box ever sees
//! one; and whoever holds one is somebody else than the holder of another.

mod doors;
mod stage;
mod turns;
