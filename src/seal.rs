//! Sealing bytes: only who has the key can read them, and only as what they were sealed as.
//!
//! What is sealed is bound to a purpose, some bytes that say what it is and whose: opened for
//! another purpose it is as good as damaged, so sealed things cannot take each other's places.
//!
//! Each sealing has a key of its own, made from the key and 32 random bytes that stand before what
//! is sealed. So no two sealings share a key and a nonce (which is always zero), however many there
//! are. The cipher is ChaCha20-Poly1305.

use std::fmt;
use std::sync::Arc;

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use secrecy::{ExposeSecret as _, SecretBox};

/// The first byte of everything sealed: how the rest is to be read.
const VERSION: u8 = 1;
const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// What is sealed is longer by so many bytes than what it holds.
pub const SEAL_BYTES: usize = 1 + SALT_BYTES + TAG_BYTES;

/// The key. Clones share it.
#[derive(Clone)]
pub struct SealKey(Arc<SecretBox<[u8; KEY_BYTES]>>);

/// The system gave no random bytes, or the bytes are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot seal")]
pub struct CannotSeal;

/// Not sealed with this key for this purpose, or damaged since: these cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed with another key or for another purpose, or damaged")]
pub struct CannotOpen;

impl SealKey {
    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Arc::new(SecretBox::new(Box::new(bytes))))
    }

    /// Seals `plain` for `purpose`.
    ///
    /// # Errors
    /// [`CannotSeal`].
    pub fn seal(&self, purpose: &[u8], plain: &[u8]) -> Result<Vec<u8>, CannotSeal> {
        let mut salt = [0; SALT_BYTES];
        OsRng.try_fill_bytes(&mut salt).map_err(|_| CannotSeal)?;
        let mut secret = plain.to_vec();
        let key = self.key_for(&salt).ok_or(CannotSeal)?;
        let tag = key.seal_in_place_separate_tag(nonce(), Aad::from(purpose), &mut secret);
        let tag = tag.map_err(|_| CannotSeal)?;
        Ok([&[VERSION][..], &salt, &secret, tag.as_ref()].concat())
    }

    /// Opens what was sealed for `purpose`.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn open(&self, purpose: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        let rest = sealed.strip_prefix(&[VERSION]).ok_or(CannotOpen)?;
        let (salt, secret) = rest.split_first_chunk::<SALT_BYTES>().ok_or(CannotOpen)?;
        let key = self.key_for(salt).ok_or(CannotOpen)?;
        let mut secret = secret.to_vec();
        let plain = key.open_in_place(nonce(), Aad::from(purpose), &mut secret);
        let length = plain.map_err(|_| CannotOpen)?.len();
        secret.truncate(length);
        Ok(secret)
    }

    /// The key of one sealing.
    fn key_for(&self, salt: &[u8; SALT_BYTES]) -> Option<LessSafeKey> {
        let mut hasher = blake3::Hasher::new_keyed(self.0.expose_secret());
        hasher.update(b"afterbay seal").update(salt);
        let key = UnboundKey::new(&CHACHA20_POLY1305, hasher.finalize().as_bytes()).ok()?;
        Some(LessSafeKey::new(key))
    }
}

/// The same for each sealing, since no two have the same key.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealKey {
        SealKey::from_bytes([byte; 32])
    }

    #[test]
    fn what_is_sealed_is_opened_and_never_sealed_the_same_twice() {
        for plain in [&b""[..], b"x", &[7; 100_000]] {
            let (one, two) = (key(1).seal(b"p", plain).unwrap(), key(1).seal(b"p", plain).unwrap());
            assert_ne!(one, two);
            assert_eq!(one.len(), plain.len() + SEAL_BYTES);
            assert_eq!(key(1).open(b"p", &one).as_deref(), Ok(plain));
            assert_eq!(key(1).open(b"p", &two).as_deref(), Ok(plain));
        }
    }

    #[test]
    fn another_key_another_purpose_and_any_flipped_cut_or_added_bit_is_refused() {
        let sealed = key(1).seal(b"purpose", b"canary").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_eq!(key(2).open(b"purpose", &sealed), Err(CannotOpen));
        for purpose in [&b""[..], b"purpos", b"purpose2", b"Purpose"] {
            assert_eq!(key(1).open(purpose, &sealed), Err(CannotOpen));
        }
        for at in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert_eq!(key(1).open(b"purpose", &bad), Err(CannotOpen), "bit {at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key(1).open(b"purpose", &sealed[..length]), Err(CannotOpen));
        }
        let longer = [&sealed[..], &[0]].concat();
        assert_eq!(key(1).open(b"purpose", &longer), Err(CannotOpen));
    }

    #[test]
    fn debug_shows_nothing_of_a_key() {
        assert_eq!(format!("{:?}", key(7)), "SealKey(redacted)");
    }
}
