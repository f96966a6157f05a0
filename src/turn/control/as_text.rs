//! How the parts of control records stand in JSON: ids and hashes as text, checked again when they
//! are read, and numbers of events as numbers.

use crate::credential::CredentialHash;
use crate::event::Seq;
use crate::ids::{Id, IdKind};
use crate::trace::Root;
use crate::trace::context::{SpanId, TraceContext};
use crate::trace::state::TraceState;
use crate::upstream::TextHash;

/// Ids as text; checked again when read.
pub(super) mod id_text {
    use super::{Id, IdKind};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::turn::control) fn serialize<K, S: Serializer>(
        id: &Id<K>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_str(id)
    }

    pub(in crate::turn::control) fn deserialize<'de, K: IdKind, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Id<K>, D::Error> {
        Id::parse(&String::deserialize(d)?).map_err(D::Error::custom)
    }
}

/// Optional ids as text.
pub(super) mod optional_id_text {
    use super::{Id, IdKind, id_text};
    use serde::{Deserializer, Serializer};

    pub(in crate::turn::control) fn serialize<K, S: Serializer>(
        id: &Option<Id<K>>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => id_text::serialize(id, s),
            None => s.serialize_none(),
        }
    }

    pub(in crate::turn::control) fn deserialize<'de, K: IdKind, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Id<K>>, D::Error> {
        id_text::deserialize(d).map(Some)
    }
}

/// 32 bytes as hexadecimal text.
pub(super) mod hex_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::turn::control) fn serialize<S: Serializer>(
        bytes: &[u8; 32],
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_str(&blake3::Hash::from_bytes(*bytes))
    }

    pub(in crate::turn::control) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<[u8; 32], D::Error> {
        let hash = blake3::Hash::from_hex(String::deserialize(d)?).map_err(D::Error::custom)?;
        Ok(*hash.as_bytes())
    }
}

/// Credential hashes as hexadecimal text.
pub(super) mod hash_text {
    use super::{CredentialHash, hex_text};
    use serde::{Deserializer, Serializer};

    pub(in crate::turn::control) fn serialize<S: Serializer>(
        hash: &CredentialHash,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        hex_text::serialize(&hash.to_bytes(), s)
    }

    pub(in crate::turn::control) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<CredentialHash, D::Error> {
        hex_text::deserialize(d).map(CredentialHash::from_bytes)
    }
}

/// Optional hashes of texts.
pub(super) mod optional_text_hash {
    use super::{TextHash, hex_text};
    use serde::{Deserializer, Serializer};

    pub(in crate::turn::control) fn serialize<S: Serializer>(
        hash: &Option<TextHash>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match hash {
            Some(hash) => hex_text::serialize(&hash.to_bytes(), s),
            None => s.serialize_none(),
        }
    }

    pub(in crate::turn::control) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<TextHash>, D::Error> {
        hex_text::deserialize(d).map(TextHash::from_bytes).map(Some)
    }
}

/// Optional credential hashes.
pub(super) mod optional_hash_text {
    use super::{CredentialHash, hash_text};
    use serde::{Deserializer, Serializer};

    pub(in crate::turn::control) fn serialize<S: Serializer>(
        hash: &Option<CredentialHash>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match hash {
            Some(hash) => hash_text::serialize(hash, s),
            None => s.serialize_none(),
        }
    }

    pub(in crate::turn::control) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<CredentialHash>, D::Error> {
        hash_text::deserialize(d).map(Some)
    }
}

/// The place of a turn in a trace: its own span as a `traceparent`, the client's span, the state.
pub(super) mod optional_trace_text {
    use super::{Root, SpanId, TraceContext, TraceState};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Text {
        span: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        state: String,
    }

    pub(in crate::turn::control) fn serialize<S: Serializer>(
        root: &Option<Root>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        let text = root.as_ref().map(|Root { context, parent }| Text {
            span: context.to_string(),
            parent: parent.map(|parent| parent.to_string()),
            state: context.state().as_str().to_owned(),
        });
        text.serialize(s)
    }

    pub(in crate::turn::control) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Root>, D::Error> {
        let value = serde_json::Value::deserialize(d)?;
        let Ok(Text { span, parent, state }) = serde_json::from_value(value) else {
            return Ok(None);
        };
        let context = TraceContext::parse(&span);
        let context = context.map(|context| context.with_state(TraceState::read(&state)));
        let parent = parent.and_then(|parent| SpanId::parse(&parent));
        Ok(context.map(|context| Root { context, parent }))
    }
}

/// Lists of credential hashes.
pub(super) mod hash_texts {
    use super::{CredentialHash, hash_text};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct One(#[serde(with = "hash_text")] CredentialHash);

    pub(in crate::turn::control) fn serialize<S: Serializer>(
        hashes: &[CredentialHash],
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_seq(hashes.iter().map(|hash| One(*hash)))
    }

    pub(in crate::turn::control) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Vec<CredentialHash>, D::Error> {
        let hashes = Vec::<One>::deserialize(d)?;
        Ok(hashes.into_iter().map(|One(hash)| hash).collect())
    }
}

/// Numbers of events.
pub(super) mod seq_number {
    use super::Seq;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::turn::control) fn serialize<S: Serializer>(
        seq: &Seq,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.serialize_u64(seq.get())
    }

    pub(in crate::turn::control) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Seq, D::Error> {
        u64::deserialize(d).map(Seq::new)
    }
}
