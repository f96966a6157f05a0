//! Who asks: a secret header value, or a token of this program's own, and their keyed hashes.
//!
//! A [`Credential`] is the whole value of a client's `Authorization` header, to be sent to the box.
//! An [`OwnToken`] lets its holder in here and is nothing to a box: it cannot be read out, so
//! nothing that is sent or told can hold it. Neither shows anything in `Debug`. What the log keeps
//! of both is a [`CredentialHash`]: BLAKE3 keyed with a [`HashKey`] that stays in the data folder,
//! so that a log without its folder tells nothing about a token, not even whether a guess is right.

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

/// A token that this program asks for itself.
#[derive(Clone)]
pub struct OwnToken(SecretString);

impl OwnToken {
    /// Wraps the token as it was configured or shown, without a scheme.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(SecretString::from(token))
    }
}

impl fmt::Debug for OwnToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnToken(redacted)")
    }
}

/// Who asks, when they show anything at all.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Whoever has this credential of the box.
    Holder(Credential),
    /// Whoever has the own token with this hash. The box cannot be asked about them.
    Own(CredentialHash),
}

impl Caller {
    /// What the box may be shown of the caller.
    #[must_use]
    pub const fn credential(&self) -> Option<&Credential> {
        match self {
            Self::Holder(credential) => Some(credential),
            Self::Own(_) => None,
        }
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

    /// The keyed hash of `token`, which is no credential's: no header's value holds a NUL.
    #[must_use]
    pub fn hash_own(&self, token: &OwnToken) -> CredentialHash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"\0own token\0").update(token.0.expose_secret().as_bytes());
        CredentialHash(*hasher.finalize().as_bytes())
    }

    /// The keyed hash of whoever asks.
    #[must_use]
    pub fn hash_caller(&self, caller: &Caller) -> CredentialHash {
        match caller {
            Caller::Holder(credential) => self.hash(credential),
            Caller::Own(hash) => *hash,
        }
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
        let token = OwnToken::new("canary-1234");
        let (one, two) = (key.hash(&credential), key.hash_own(&token));
        let callers = (Caller::Holder(credential.clone()), Caller::Own(two));
        let shown = format!("{credential:?} {token:?} {key:?} {one:?} {two:?} {callers:?}");
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

    #[test]
    fn an_own_token_is_another_caller_than_the_credential_of_the_same_text() {
        let key = HashKey::from_bytes([1; 32]);
        let (text, token) = ("Bearer a", OwnToken::new("Bearer a"));
        let (holder, own) =
            (Caller::Holder(Credential::new(text)), Caller::Own(key.hash_own(&token)));
        assert_ne!(key.hash_caller(&holder), key.hash_caller(&own));
        assert_ne!(key.hash_own(&token), HashKey::from_bytes([2; 32]).hash_own(&token));
        assert!(holder.credential().is_some() && own.credential().is_none());
    }
}
