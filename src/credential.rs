//! Who asks: a secret header value, or a token of this program's own, and their keyed hashes; and
//! the token of whoever runs the program.
//!
//! A [`Credential`] is the whole value of a client's `Authorization` header, to be sent to the box.
//! An [`OwnToken`] lets its holder in here and is nothing to a box: it cannot be read out, so
//! nothing that is sent or told can hold it. An [`AdminToken`] lets in where operators are, and is
//! read out for them alone. None shows anything in `Debug`. What the log keeps
//! of the first two is a [`CredentialHash`]: BLAKE3 keyed with a [`HashKey`] that stays in the data folder,
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

/// What lets operators in: 256 bits, written as 64 hexadecimal digits.
#[derive(Clone)]
pub struct AdminToken(SecretString);

impl AdminToken {
    /// The token of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        // A hash of these bits has as many, and comes with a way to be written.
        Self(SecretString::from(blake3::Hash::from_bytes(bytes).to_hex().as_str()))
    }

    /// The token that stands in `text`; `None` if it is no 64 digits of lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_token = text.len() == 64 && text.bytes().all(digit);
        is_token.then(|| Self(SecretString::from(text)))
    }

    /// Its digits, for those who run the program and for nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether `shown` is this token. The time that it takes says nothing about either.
    #[must_use]
    pub fn is(&self, shown: &str) -> bool {
        // Equality of hashes takes the same time for all.
        blake3::hash(self.expose().as_bytes()) == blake3::hash(shown.as_bytes())
    }

    /// What only a holder of the token can compute of `message`; it tells nothing of the token.
    #[must_use]
    pub fn sign(&self, message: &str) -> blake3::Hash {
        let key = blake3::derive_key("afterbay 2026 admin tickets", self.expose().as_bytes());
        blake3::keyed_hash(&key, message.as_bytes())
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(redacted)")
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
        let admin = AdminToken::from_bytes([0x77; 32]);
        let shown =
            format!("{credential:?} {token:?} {key:?} {one:?} {two:?} {callers:?} {admin:?}");
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

    #[test]
    fn an_admin_token_is_its_digits_and_nothing_else_is() {
        let token = AdminToken::from_bytes([0xa5; 32]);
        let digits = "a5".repeat(32);
        assert_eq!(token.expose(), digits);
        assert!(
            token.is(&digits) && AdminToken::parse(&digits).is_some_and(|same| same.is(&digits))
        );
        for other in ["", &digits[1..], &format!("{digits}0"), &digits.to_uppercase()] {
            assert!(!token.is(other) && AdminToken::parse(other).is_none(), "{other}");
        }
        assert!(AdminToken::parse(&"g".repeat(64)).is_none());
    }

    #[test]
    fn what_is_signed_depends_on_the_token_and_on_the_message() {
        let (one, two) = (AdminToken::from_bytes([1; 32]), AdminToken::from_bytes([2; 32]));
        assert_eq!(one.sign("a"), one.sign("a"));
        assert_ne!(one.sign("a"), one.sign("b"));
        assert_ne!(one.sign("a"), two.sign("a"));
    }
}
