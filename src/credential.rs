//! A secret header value and its keyed hash.
//!
//! A [`Credential`] is the whole value of a client's `Authorization` header. It lives in memory
//! only and shows nothing in `Debug`. What the log keeps is a [`CredentialHash`]: BLAKE3 keyed
//! with a [`HashKey`] that stays in the data folder, so that a log without its folder tells
//! nothing about a token, not even whether a guess is right.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// The value of an `Authorization` header.
#[derive(Clone)]
pub struct Credential(SecretString);

impl Credential {
    /// Wraps the header's value as it came.
    #[must_use]
    pub fn new(header_value: &str) -> Self {
        Self(SecretString::from(header_value))
    }

    /// The header's value, to be sent to the box that it is meant for and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(redacted)")
    }
}

/// The key under which credentials are hashed; one for each data folder.
#[derive(Clone)]
pub struct HashKey([u8; 32]);

impl HashKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The keyed hash of `credential`.
    #[must_use]
    pub fn hash(&self, credential: &Credential) -> CredentialHash {
        CredentialHash(*blake3::keyed_hash(&self.0, credential.expose().as_bytes()).as_bytes())
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(redacted)")
    }
}

/// A keyed hash of a credential. Compared as a hash: an attacker who could time the comparison
/// would learn about a value that only the key's holder can compute.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialHash([u8; 32]);

impl CredentialHash {
    /// The hash that these bytes of the log mean.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes for the log.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_a_credential() {
        let credential = Credential::new("Bearer canary-1234");
        let key = HashKey::from_bytes([7; 32]);
        let shown = format!("{credential:?} {key:?} {:?}", key.hash(&credential));
        assert!(!shown.contains("canary") && !shown.contains('7'), "{shown}");
    }

    #[test]
    fn the_hash_depends_on_the_key_and_on_the_credential() {
        let (one, two) = (HashKey::from_bytes([1; 32]), HashKey::from_bytes([2; 32]));
        let (a, b) = (Credential::new("Bearer a"), Credential::new("Bearer b"));
        assert_eq!(one.hash(&a), one.hash(&a));
        assert_ne!(one.hash(&a), two.hash(&a));
        assert_ne!(one.hash(&a), one.hash(&b));
    }
}
