//! The signals that stop the program, SIGTERM and SIGINT, and the one that has it read its
//! configuration anew, SIGHUP.
//!
//! They are listened for from before the first listener is bound, so that none kills the program
//! in mid-start without its knowing. What the first and the second one mean is the caller's.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// A signal that stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// From an orchestrator, `kill` or an init system.
    Terminate,
    /// From a terminal.
    Interrupt,
}

impl Signal {
    /// Its usual name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }

    /// The exit code of a program that it ended: 128 plus its number.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
        }
    }
}

/// The signals, one after the other.
#[derive(Debug)]
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
}

/// Calls to read the configuration anew, one after the other; those that come while one is followed
/// count as one.
#[derive(Debug)]
pub struct Hangups(Stream);

impl Hangups {
    /// Begins to listen; from here on the signal no longer kills by itself.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Waits for the next one.
    // Cancel-safe: a signal that was not returned stays pending in its stream.
    pub async fn next(&mut self) {
        let _ = self.0.recv().await;
    }
}

impl Signals {
    /// Begins to listen; from here on the signals no longer kill by themselves.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    // Cancel-safe: a signal that was not returned stays pending in its stream.
    pub async fn next(&mut self) -> Signal {
        // Dropping either branch leaves its signal pending.
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}
