//! What the panels are told, numbered and kept: a snapshot for newcomers, a ring of deltas for
//! those who missed some. Pure.

use super::ask::{self, TELLS};
use super::event::{Notice, State, Transcript, Turn, name};
use super::trust::Role;
use serde::Serialize;
use std::collections::VecDeque;

/// Deltas kept for replay: minutes of lively talk, for a page that lost its connection. One that was
/// away for longer gets a snapshot.
pub const RING: usize = 1000;
/// Text kept in the ring in bytes, because a line comes whole with each of its deltas.
pub const RING_BYTES: usize = 128 << 10;
/// Lines in a snapshot: what a page shows at once.
pub const LINES: usize = 50;
/// Turns in a snapshot.
pub const TURNS: usize = 20;

/// Notices in a snapshot: what the state complains of is among them, with what can be done.
pub const NOTICES: usize = 10;

/// A numbered change.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// Without gaps; begins anywhere, so that a number of an earlier run means nothing.
    pub seq: u64,
    /// Socket.IO event.
    pub event: &'static str,
    /// Its object, with `seq` inside.
    pub body: Body,
    /// Bytes it counts as.
    size: usize,
}

/// What changed, with its number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Body {
    #[serde(flatten)]
    news: News,
    seq: u64,
}

/// As it was told: a third of what a tree of it would take.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum News {
    State(State),
    Transcript(Transcript),
    Turn(Turn),
    Notice(Notice),
}

/// Where a reader of the ring stands.
#[derive(Debug, PartialEq)]
pub enum Next<'a> {
    /// It has everything.
    UpToDate,
    /// This one is next.
    Delta(&'a Delta),
    /// The next one is gone, or the number was never given: only a snapshot helps.
    Lost,
}

/// State, lines and turns as a newcomer needs them.
#[derive(Debug, Serialize)]
pub struct Snapshot<'a> {
    #[serde(flatten)]
    state: Option<&'a State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<&'a VecDeque<Transcript>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turns: Option<&'a VecDeque<Turn>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notices: Option<&'a VecDeque<Notice>>,
}

/// The memory of the panel.
#[derive(Debug)]
pub struct Feed {
    seq: u64,
    ring: VecDeque<Delta>,
    bytes: usize,
    state: Option<State>,
    transcript: VecDeque<Transcript>,
    turns: VecDeque<Turn>,
    notices: VecDeque<Notice>,
}

impl Feed {
    /// Starts to count after `seq`.
    pub fn new(seq: u64) -> Self {
        Self {
            seq,
            ring: VecDeque::new(),
            bytes: 0,
            state: None,
            transcript: VecDeque::with_capacity(LINES),
            turns: VecDeque::with_capacity(TURNS),
            notices: VecDeque::with_capacity(NOTICES),
        }
    }

    /// The last number given.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The state changed.
    pub fn state(&mut self, state: State) {
        self.push(name::STATE, state.trouble.len(), News::State(state.clone()));
        self.state = Some(state);
    }

    /// A line came or changed.
    pub fn transcript(&mut self, line: Transcript) {
        self.push(name::TRANSCRIPT, line.text.len(), News::Transcript(line.clone()));
        if let Some(known) = self.transcript.iter_mut().find(|known| known.item == line.item) {
            *known = line;
            return;
        }
        if self.transcript.len() == LINES {
            self.transcript.pop_front();
        }
        self.transcript.push_back(line);
    }

    /// A turn ended.
    pub fn turn(&mut self, turn: Turn) {
        self.push(name::TURN, 0, News::Turn(turn.clone()));
        if self.turns.len() == TURNS {
            self.turns.pop_front();
        }
        self.turns.push_back(turn);
    }

    /// Somebody should know.
    pub fn notice(&mut self, notice: Notice) {
        let text = notice.message.len() + notice.action.len();
        self.push(name::NOTICE, text, News::Notice(notice.clone()));
        if self.notices.len() == NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }

    fn push(&mut self, event: &'static str, text: usize, news: News) {
        self.seq += 1;
        let body = Body { news, seq: self.seq };
        let delta = Delta { seq: self.seq, event, body, size: text };
        self.bytes += delta.size;
        self.ring.push_back(delta);
        while self.ring.len() > RING || (self.bytes > RING_BYTES && self.ring.len() > 1) {
            self.bytes -= self.ring.pop_front().map_or(0, |gone| gone.size);
        }
    }

    /// What follows `seq`.
    pub fn after(&self, seq: u64) -> Next<'_> {
        if seq == self.seq {
            return Next::UpToDate;
        }
        let first = self.ring.front().map_or(self.seq + 1, |delta| delta.seq);
        seq.checked_add(1)
            .and_then(|wanted| wanted.checked_sub(first))
            .and_then(|index| self.ring.get(usize::try_from(index).ok()?))
            .map_or(Next::Lost, Next::Delta)
    }

    /// What `role` may know now.
    pub fn snapshot(&self, role: Role) -> Snapshot<'_> {
        let may = |event| ask::may(TELLS, role, event);
        Snapshot {
            state: self.state.as_ref().filter(|_| may(name::STATE)),
            transcript: may(name::TRANSCRIPT).then_some(&self.transcript),
            turns: may(name::TURN).then_some(&self.turns),
            notices: may(name::NOTICE).then_some(&self.notices),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Severity, Speaker};
    use super::*;

    fn line(item: &str, text: &str) -> Transcript {
        Transcript {
            item: item.into(),
            role: Speaker::User,
            text: text.into(),
            r#final: false,
            interrupted: false,
        }
    }

    fn replay(feed: &Feed, mut seq: u64) -> Option<Vec<u64>> {
        let mut seen = Vec::new();
        loop {
            match feed.after(seq) {
                Next::UpToDate => return Some(seen),
                Next::Lost => return None,
                Next::Delta(delta) => seq = delta.seq,
            }
            seen.push(seq);
        }
    }

    #[test]
    fn missed_deltas_are_replayed_without_gap_or_double() {
        let mut feed = Feed::new(7000);
        assert_eq!(replay(&feed, 7000), Some(vec![]));
        for n in 0..5 {
            feed.transcript(line("a", &n.to_string()));
        }
        assert_eq!(replay(&feed, 7002), Some(vec![7003, 7004, 7005]));
        assert_eq!(replay(&feed, 7005), Some(vec![]));
        let Next::Delta(delta) = feed.after(7004) else { panic!("lost") };
        let line = serde_json::json!({
            "seq": 7005, "item": "a", "role": "user", "text": "4", "final": false, "interrupted": false
        });
        let body = serde_json::to_value(&delta.body).unwrap();
        assert_eq!((delta.event, body), (name::TRANSCRIPT, line));
    }

    #[test]
    fn numbers_of_another_run_and_too_old_ones_are_lost() {
        let mut feed = Feed::new(7000);
        feed.transcript(line("a", ""));
        for seq in [0, 6999, 7002, u64::MAX] {
            assert_eq!(replay(&feed, seq), None, "{seq}");
        }
        for _ in 0..RING {
            feed.transcript(line("a", ""));
        }
        assert_eq!(replay(&feed, 7000), None);
        assert_eq!(replay(&feed, 7001).map(|all| all.len()), Some(RING));
    }

    #[test]
    fn long_lines_do_not_fill_the_memory() {
        let mut feed = Feed::new(0);
        for _ in 0..100 {
            feed.transcript(line("a", &"x".repeat(RING_BYTES / 10)));
        }
        assert_eq!(feed.ring.len(), 10);
        feed.transcript(line("a", &"x".repeat(RING_BYTES * 2)));
        assert_eq!(feed.ring.len(), 1);
        assert_eq!(replay(&feed, 100), Some(vec![101]));
    }

    #[test]
    fn a_snapshot_holds_whole_lines_and_only_what_the_role_may_see() {
        let mut feed = Feed::new(0);
        for n in 0..LINES + 3 {
            feed.transcript(line(&format!("i{n}"), "to"));
            feed.transcript(line(&format!("i{n}"), "told"));
        }
        for n in 0..NOTICES + 2 {
            feed.notice(Notice {
                level: Severity::Warn,
                code: format!("n{n}"),
                message: String::new(),
                action: String::new(),
            });
        }
        let seen = serde_json::to_value(feed.snapshot(Role::Controller)).unwrap();
        let notices = seen["notices"].as_array().unwrap();
        assert_eq!((notices.len(), &notices[0]["code"]), (NOTICES, &"n2".into()));
        let lines = seen["transcript"].as_array().unwrap();
        assert_eq!(lines.len(), LINES);
        assert!(lines.iter().all(|line| line["text"] == "told"));
        assert_eq!((&lines[0]["item"], &seen["turns"]), (&"i3".into(), &serde_json::json!([])));
        let seen = serde_json::to_value(feed.snapshot(Role::Viewer)).unwrap();
        assert_eq!(seen, serde_json::json!({}));
    }
}
