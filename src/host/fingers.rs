//! The buttons as the loop sees them: the board's lines where they can be had, and what was done.

use crate::base::Clock;
use crate::base::event::Hand;
use crate::base::unit::Moment;
use crate::board::hands::{Edges, Hands};
use crate::board::profile::Buttons;
use std::future::poll_fn;

/// Buttons, or none.
#[derive(Debug, Default)]
pub struct Fingers {
    edges: Option<Box<dyn Edges>>,
    hands: Hands,
}

impl Fingers {
    /// Takes the lines of these buttons. One that cannot be had is said; the speaker goes on
    /// without it. Must be called inside a tokio runtime.
    pub fn open(buttons: &Buttons, clock: &Clock) -> Self {
        let (edges, complaints) = lines(buttons, clock);
        for words in complaints {
            log::warn!("no button: {words}");
        }
        Self { edges, hands: Hands::new(buttons) }
    }

    /// The same on other edges than those of a chip.
    #[cfg(test)]
    pub(super) fn on(buttons: &Buttons, edges: Box<dyn Edges>) -> Self {
        Self { edges: Some(edges), hands: Hands::new(buttons) }
    }

    /// Returns when a contact moved or has been steady for long enough; then it is time to `poll`.
    /// Whoever waits may stop at any time.
    pub async fn stir(&mut self, now: Moment) {
        let Self { edges, hands } = self;
        let Some(edges) = edges else { return std::future::pending().await };
        let deadline = hands.deadline();
        tokio::select! {
            biased;
            edge = poll_fn(|cx| edges.poll_edge(cx)) => hands.edge(edge),
            () = super::pump::wait_until(now, deadline) => {}
        }
    }

    /// As [`Hands::poll`].
    pub fn poll(&mut self, now: Moment, muted: bool) -> Option<Hand> {
        self.hands.poll(now, muted)
    }
}

#[cfg(target_os = "linux")]
fn lines(buttons: &Buttons, clock: &Clock) -> (Option<Box<dyn Edges>>, Vec<String>) {
    let (lines, complaints) =
        crate::board::gpio::Lines::open(buttons, std::sync::Arc::clone(clock));
    (lines.map(|lines| Box::new(lines) as Box<dyn Edges>), complaints)
}

#[cfg(not(target_os = "linux"))]
fn lines(buttons: &Buttons, _: &Clock) -> (Option<Box<dyn Edges>>, Vec<String>) {
    let complaint = |(key, line)| format!("{key} = {line}: there are GPIO lines on Linux only");
    (None, buttons.lines().into_iter().map(complaint).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::hands::Edge;
    use crate::config::{self, Sources};
    use crate::host::Host;
    use crate::panel::event::Event;
    use crate::panel::trust::Denied;
    use std::cell::RefCell;
    use std::ops::ControlFlow;
    use std::rc::Rc;
    use std::task::{Context, Poll, ready};
    use std::time::Duration;
    use tokio::sync::mpsc;

    /// The hold takes three seconds; a machine may be busy.
    const LIMIT: Duration = Duration::from_secs(20);

    /// Contacts in place of a chip's lines.
    #[derive(Debug)]
    struct Contacts(mpsc::Receiver<Edge>);

    impl Edges for Contacts {
        fn poll_edge(&mut self, cx: &mut Context<'_>) -> Poll<Edge> {
            match ready!(self.0.poll_recv(cx)) {
                Some(edge) => Poll::Ready(edge),
                None => Poll::Pending,
            }
        }
    }

    fn buttons() -> Buttons {
        Buttons { talk: Some(17), mute: Some(22), ..Buttons::default() }
    }

    fn contacts(edges: &[(u64, u32, bool)]) -> Fingers {
        let (told, heard) = mpsc::channel(edges.len());
        for &(ms, line, down) in edges {
            told.try_send(Edge { line, down, at: Moment::from_millis(ms) }).unwrap();
        }
        Fingers::on(&buttons(), Box::new(Contacts(heard)))
    }

    #[test]
    fn a_chip_that_is_not_there_costs_the_button_only() {
        let runtime = crate::host::runtime().unwrap();
        let _entered = runtime.enter();
        let clock = crate::host::clock::clock();
        let buttons = Buttons { chip: "of no board".to_owned(), ..buttons() };
        let (edges, complaints) = lines(&buttons, &clock);
        assert!(edges.is_none());
        assert!(complaints[0].starts_with("buttons.talk = 17: "), "{complaints:?}");
        assert!(complaints[1].starts_with("buttons.mute = 22: "), "{complaints:?}");
        assert!(lines(&Buttons::default(), &clock).1.is_empty());
    }

    /// The only test that opens the host: the log can be installed once in a process.
    #[test]
    fn buttons_reach_the_running_speaker_and_a_hold_opens_a_pairing_window() {
        let state = std::env::temp_dir().join(format!("fingers-{}", std::process::id()));
        let of_state = |name: &str| state.join(name).display().to_string();
        let sets = [
            "audio.input=null".to_owned(),
            "audio.output=null".to_owned(),
            "turn.mode=open".to_owned(),
            "grok.url=ws://127.0.0.1:1".to_owned(),
            "panel.listen=127.0.0.1:0".to_owned(),
            "panel.mdns=off".to_owned(),
            format!("state.directory={}", state.display()),
            format!("control.socket={}", of_state("control.sock")),
        ];
        let sources = Sources { sets: sets.to_vec(), ..Sources::default() };
        let (layers, config) = config::read(&sources).unwrap();
        let mut host = Host::open(layers, config, None).unwrap();
        let trust = host.pump.trust.clone();
        host.pump.fingers = contacts(&[
            (0, 22, true),
            (50, 22, false),
            (100, 22, true),
            (150, 22, false),
            (200, 17, true),
        ]);
        let muted = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&muted);
        let begun = (host.pump.clock)();
        let onlooker = Box::new(move |now: Moment, event: &Event| match event {
            Event::State(state) => {
                seen.borrow_mut().push(state.muted);
                ControlFlow::Continue(())
            }
            Event::Turn(turn) => {
                assert_eq!(turn.reason, "nothing_heard");
                ControlFlow::Break(Ok(()))
            }
            // Meters come as long as it runs.
            Event::Tick(_) if now.since(begun) > LIMIT => {
                ControlFlow::Break(Err(anyhow::anyhow!("nothing came of the hold")))
            }
            Event::Transcript(_)
            | Event::Notice(_)
            | Event::Audio(_)
            | Event::Traffic(_)
            | Event::Tick(_)
            | Event::Answer(_) => ControlFlow::Continue(()),
        });
        assert_eq!(trust.enter("none", "x", Moment::ZERO).unwrap_err(), Denied::Closed);
        host.run(Some(onlooker)).unwrap();
        let mut muted = muted.take();
        muted.dedup();
        assert_eq!(muted, [false, true, false]);
        let denied = trust.enter("none", "x", Moment::ZERO).unwrap_err();
        assert_eq!(denied, Denied::Wrong { left: 4 }, "a window is open");
        let _ = std::fs::remove_dir_all(state);
    }
}
