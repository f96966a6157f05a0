//! Our name in `Via`, by which a request that comes back is known.
//!
//! Whatever this process sends to a box carries it: what is passed on, and what its adapters ask. So a
//! box that leads back here, over another proxy or by a name that nobody could have told for our own,
//! is found out with the first request, and not by a turn that starts itself again.

use http::{HeaderMap, HeaderValue, Version, header};

/// A name of one process, which no other has: two of us may stand in a row.
#[derive(Debug, Clone)]
pub struct ViaName(String);

impl ViaName {
    /// A name for this process.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("afterbay-{:08x}", rand::random::<u32>()))
    }

    /// Signs a message that came, or was made, in this version of HTTP.
    pub(crate) fn sign(&self, headers: &mut HeaderMap, version: Version) {
        let protocol = match version {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2.0",
            _ => "1.1",
        };
        let signed = HeaderValue::from_str(&format!("{protocol} {}", self.0));
        headers.append(
            header::VIA,
            signed.unwrap_or_else(|_| HeaderValue::from_static("1.1 afterbay")),
        );
    }

    /// Whether a message has been signed by this name before.
    pub(crate) fn has_signed(&self, headers: &HeaderMap) -> bool {
        let values = headers.get_all(header::VIA).iter().filter_map(|value| value.to_str().ok());
        let mut hops = values.flat_map(|value| value.split(','));
        hops.any(|hop| hop.split_ascii_whitespace().nth(1) == Some(self.0.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_was_signed_is_known_again_and_that_of_another_is_not() {
        let (one, two) = (ViaName::random(), ViaName::random());
        let mut headers = HeaderMap::new();
        headers.insert("via", HeaderValue::from_static("1.0 a, 1.1 b"));
        assert!(!one.has_signed(&headers));
        one.sign(&mut headers, Version::HTTP_2);
        assert!(one.has_signed(&headers) && !two.has_signed(&headers));
        let hops: Vec<_> = headers.get_all("via").iter().collect();
        assert_eq!(hops, ["1.0 a, 1.1 b", &format!("2.0 {}", one.0)]);
        // A hop may join the lines, and may write comments behind a name.
        let joined = format!("1.1 a,1.1  {} (x),\t1.1 b", one.0);
        let joined =
            HeaderMap::from_iter([(header::VIA, HeaderValue::from_str(&joined).expect("a value"))]);
        assert!(one.has_signed(&joined));
    }
}
