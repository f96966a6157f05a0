//! The hash chain of a session: each batch's link covers the one before it, so that anything
//! missing, altered or put elsewhere shows (FORMAT.md, "Chain").
//!
//! Links are 16 bytes of SHA-256: against accidents that leaves no chance. Against somebody who can
//! write the folder no length would help, only a digest that a client holds. SHA-256, since most
//! processors have instructions for it: of a batch of 1.3 KB it takes 0.76 us with them (BLAKE3: 1.42,
//! which was a third of an append), and 3.6 us without.

use sha2::{Digest as _, Sha256};

/// Whether links hash anything. Only a build that is to show what hashing costs has `--cfg
/// afterbay_unchained`; what it writes cannot be verified.
const IS_CHAINED: bool = !cfg!(afterbay_unchained);

/// The link behind a session's last batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chain([u8; 16]);

/// The hash of one batch's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BodyHash([u8; 32]);

/// The same of a body that comes in parts.
#[derive(Default)]
pub(super) struct BodyHasher(Sha256);

impl Chain {
    /// In front of a session's first batch.
    pub(super) const START: Self = Self([0; 16]);

    pub(super) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(super) const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The link behind a batch with this header and body.
    pub(super) fn then(self, header: &[u8], body: &BodyHash) -> Self {
        if !IS_CHAINED {
            return self;
        }
        let hash = Sha256::new_with_prefix(self.0).chain_update(header).chain_update(body.0);
        let mut link = [0; 16];
        link.iter_mut().zip(hash.finalize()).for_each(|(to, byte)| *to = byte);
        Self(link)
    }
}

impl BodyHash {
    pub(super) fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }
}

impl BodyHasher {
    pub(super) fn update(&mut self, part: &[u8]) {
        if IS_CHAINED {
            self.0.update(part);
        }
    }

    pub(super) fn finish(self) -> BodyHash {
        BodyHash(if IS_CHAINED { self.0.finalize().into() } else { [0; 32] })
    }
}
