//! `text/event-stream`, both ways; bytes only, no sockets.
