//! From deltas to samples: repeats dropped, two names of one event read once, odd bytes carried
//! over, binary sound given to the reply it belongs to (R1, R8). Pure.

use std::collections::HashSet;
use std::collections::{HashMap, VecDeque};

/// Event ids that are remembered: more than ten seconds of the fastest reply.
const EVENTS: usize = 512;
/// Items whose state is kept; a reply has a handful, and replies do not overlap.
const ITEMS: usize = 16;

/// The last event ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    order: VecDeque<String>,
    set: HashSet<String>,
}

impl Seen {
    /// Whether this id came before; remembers it.
    pub(super) fn again(&mut self, id: &str) -> bool {
        if self.set.contains(id) {
            return true;
        }
        if self.order.len() == EVENTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        self.order.push_back(id.to_owned());
        self.set.insert(id.to_owned());
        false
    }
}

#[derive(Debug, Clone, Default)]
struct Part {
    old_name: Option<bool>,
    words: Option<&'static str>,
    odd: Option<u8>,
    last: Option<(u64, Vec<u8>)>,
}

/// The items whose sound or words are coming in.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    order: VecDeque<String>,
    parts: HashMap<String, Part>,
}

impl Parts {
    fn part(&mut self, item: &str) -> &mut Part {
        if !self.parts.contains_key(item) {
            if self.order.len() == ITEMS
                && let Some(oldest) = self.order.pop_front()
            {
                self.parts.remove(&oldest);
            }
            self.order.push_back(item.to_owned());
        }
        self.parts.entry(item.to_owned()).or_default()
    }

    /// Samples of a delta; `None` for the second name of the same sound and for a repeat under a
    /// new event id (same time stamp, same bytes).
    pub(super) fn sound(
        &mut self,
        item: &str,
        bytes: &[u8],
        old_name: bool,
        stamp: Option<u64>,
    ) -> Option<Vec<i16>> {
        let part = self.part(item);
        if *part.old_name.get_or_insert(old_name) != old_name {
            return None;
        }
        if let Some(stamp) = stamp {
            if part.last.as_ref().is_some_and(|(at, last)| *at == stamp && last == bytes) {
                return None;
            }
            part.last = Some((stamp, bytes.to_vec()));
        }
        let mut whole = Vec::with_capacity(bytes.len() + 1);
        whole.extend(part.odd.take());
        whole.extend_from_slice(bytes);
        if whole.len() % 2 == 1 {
            part.odd = whole.pop();
        }
        Some(whole.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
    }

    /// Whether words under this name count: the first name seen for an item does.
    pub(super) fn words(&mut self, item: &str, name: &'static str) -> bool {
        *self.part(item).words.get_or_insert(name) == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_bytes_wait_for_the_next_delta_of_their_item() {
        let mut parts = Parts::default();
        assert_eq!(parts.sound("a", &[1, 0, 2], false, None), Some(vec![1]));
        assert_eq!(parts.sound("b", &[9, 0], false, None), Some(vec![9]));
        assert_eq!(parts.sound("a", &[], false, None), Some(vec![]));
        assert_eq!(parts.sound("a", &[0, 3], false, None), Some(vec![2]));
        assert_eq!(parts.sound("a", &[0], false, None), Some(vec![3]));
    }

    #[test]
    fn one_name_and_one_copy_of_each_sound_count() {
        let mut parts = Parts::default();
        assert!(parts.sound("a", &[1, 0], true, Some(5)).is_some());
        assert!(parts.sound("a", &[1, 0], false, Some(5)).is_none());
        assert!(parts.sound("a", &[1, 0], true, Some(5)).is_none());
        assert!(parts.sound("a", &[1, 0], true, Some(6)).is_some());
        assert!(parts.sound("a", &[1, 0], true, None).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let (mut seen, mut parts) = (Seen::default(), Parts::default());
        for i in 0..10_000 {
            assert!(!seen.again(&i.to_string()));
            parts.words(&i.to_string(), "x");
        }
        assert!(seen.again("9999") && seen.set.len() == EVENTS && parts.parts.len() == ITEMS);
    }
}
