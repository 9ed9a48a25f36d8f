//! What comes with an event.

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// The first thing after the name of an event, or nothing. What is no JSON, or nested without end, is
/// neither. A tuple to serde, so that the library lets it read to the end.
#[derive(Debug, PartialEq)]
pub(super) struct Payload(pub(super) Value);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(1, Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what comes with an event")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Payload, A::Error> {
        let first = seq.next_element()?.unwrap_or_default();
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Payload(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_read_to_the_end() {
        let read = |text: &str| serde_json::from_str::<Payload>(text).map(|payload| payload.0).ok();
        assert_eq!(read("[]"), Some(Value::Null));
        assert_eq!(read(r#"[{"on":true}]"#), Some(json!({"on": true})));
        assert_eq!(read("[1,2,[3]]"), Some(json!(1)));
        let deep = format!("[{}{}]", "[".repeat(1000), "]".repeat(1000));
        for broken in ["[1", "[1,", "[1,x]", "[{]", deep.as_str()] {
            assert_eq!(read(broken), None, "{broken:.20}");
        }
    }
}
