//! `grok.budget_per_day`: the service is not asked once the day's money is gone.

use grok_speaker::base::event::{Earcon, Hand, Scene};
use grok_speaker::conversation::{Input, Mode, Output, Policy, Settings, Wall};
use grok_speaker::panel::event::{ClientId, Command, Event, Request};
use grok_speaker_sim::event;
use grok_speaker_sim::stage::{Stage, policy, settings};

/// Noon in London on 24 November 2026.
const NOON: i64 = 1_795_521_600;
const DAY: i64 = 86_400;

/// A cent: seven and a half seconds of sound both ways.
fn cent(mode: Mode) -> Policy {
    Policy { budget_per_day: 0.01, ..policy(mode) }
}

fn begin(policy: Policy, kept: Settings, unix: i64) -> Stage {
    let mut stage = Stage::with(policy, kept, 1);
    stage.feed(Input::Tick);
    stage.feed(Input::Wall(Wall { unix, offset: 0 }));
    stage
}

/// A spoken turn with a reply of so long.
fn turn(stage: &mut Stage, number: u32, ms: usize) {
    let (item, response) = (format!("u{number}"), format!("r{number}"));
    stage.speak(1000);
    stage.service(event::buffer("speech_started", &item));
    stage.service(event::buffer("committed", &item));
    stage.reply(&response, &format!("a{number}"), ms);
    stage.run(ms as u64 + 1000);
}

fn count(stage: &Stage, wanted: fn(&Output) -> bool) -> usize {
    stage.outputs.iter().filter(|(_, output)| wanted(output)).count()
}

fn dials(stage: &Stage) -> usize {
    count(stage, |o| matches!(o, Output::Dial(_)))
}

fn hang_ups(stage: &Stage) -> usize {
    count(stage, |o| *o == Output::HangUp)
}

fn notices(stage: &Stage) -> usize {
    count(stage, |o| matches!(o, Output::Publish(Event::Notice(n)) if n.code == "budget"))
}

fn stored(stage: &Stage) -> Settings {
    let kept = |(_, output): &(_, Output)| {
        let Output::Store(settings) = output else { return None };
        Some(settings.clone())
    };
    stage.outputs.iter().rev().find_map(kept).unwrap()
}

/// The state and the trouble that is shown.
fn shown(stage: &Stage) -> (Scene, String) {
    let state = |(_, output): &(_, Output)| {
        let Output::Publish(Event::State(state)) = output else { return None };
        Some((state.state, state.trouble.clone()))
    };
    stage.outputs.iter().rev().find_map(state).unwrap()
}

/// What a panel is told when it types.
fn typed(stage: &mut Stage) -> Option<String> {
    let command = Command::Text { text: "Hello".into() };
    stage.feed(Input::Panel(Request { client: ClientId(1), id: 1, command }));
    let answer = |(_, output): &(_, Output)| {
        let Output::Publish(Event::Answer(answer)) = output else { return None };
        Some(answer.result.clone())
    };
    let answer = stage.outputs.iter().rev().find_map(answer).unwrap();
    answer.err().map(|refusal| refusal.code)
}

#[test]
fn the_turn_that_spends_the_last_cent_is_answered_and_no_other() {
    let mut stage = begin(cent(Mode::Open), settings(), NOON);
    stage.connect();
    turn(&mut stage, 1, 2000);
    assert_eq!((notices(&stage), hang_ups(&stage)), (0, 0));
    turn(&mut stage, 2, 6000);
    assert_eq!(stage.turns().len(), 2);
    assert_eq!(stage.turns()[1].1, "completed");
    assert_eq!((notices(&stage), hang_ups(&stage), dials(&stage)), (1, 1, 1));
    let (state, trouble) = shown(&stage);
    assert_eq!(state, Scene::Error);
    assert!(trouble.contains("budget"), "{trouble}");
    // Whatever is tried now.
    stage.speak(2000);
    stage.run(8000);
    assert_eq!(typed(&mut stage).as_deref(), Some("budget"));
    stage.feed(Input::Hand(Hand::Pressed));
    stage.run(500);
    stage.feed(Input::Hand(Hand::Released));
    stage.run(1000);
    assert_eq!(count(&stage, |o| *o == Output::Sound(Earcon::Failed)), 1, "the button says so");
    assert_eq!((stage.turns().len(), dials(&stage), notices(&stage)), (2, 1, 1));
}

#[test]
fn what_was_spent_counts_after_a_restart_until_the_day_ends() {
    let mut stage = begin(cent(Mode::Open), settings(), NOON);
    stage.connect();
    turn(&mut stage, 1, 8000);
    let kept: Settings =
        serde_json::from_str(&serde_json::to_string(&stored(&stage)).unwrap()).unwrap();
    let mut again = begin(cent(Mode::Open), kept.clone(), NOON + 3600);
    again.run(5000);
    assert_eq!((notices(&again), typed(&mut again).as_deref()), (1, Some("budget")));
    assert_eq!(dials(&again), 0);
    // A board without a clock of its own starts in the past.
    let mut past = begin(cent(Mode::Open), kept, 0);
    past.run(5000);
    assert_eq!((dials(&past), typed(&mut past).as_deref()), (0, Some("budget")));
    past.feed(Input::Wall(Wall { unix: NOON + DAY / 2, offset: 0 }));
    assert_eq!((dials(&past), typed(&mut past)), (1, None), "another day");
}

#[test]
fn another_mode_does_not_ask_either() {
    let mut stage = begin(cent(Mode::Push), settings(), NOON);
    stage.feed(Input::Hand(Hand::Pressed));
    stage.connect();
    stage.speak(8000);
    stage.feed(Input::Hand(Hand::Released));
    stage.run(500);
    stage.service(event::buffer("committed", "u1"));
    stage.reply("r1", "a1", 2000);
    stage.run(4000);
    assert_eq!((notices(&stage), dials(&stage), hang_ups(&stage)), (1, 1, 1));
    stage.feed(Input::Policy(Box::new(cent(Mode::Open))));
    stage.run(1000);
    assert_eq!((dials(&stage), hang_ups(&stage)), (1, 1));
}

#[test]
fn without_a_ceiling_nothing_is_kept_and_nothing_ends() {
    let mut stage = begin(policy(Mode::Open), settings(), NOON);
    stage.connect();
    turn(&mut stage, 1, 20_000);
    turn(&mut stage, 2, 20_000);
    assert_eq!((hang_ups(&stage), count(&stage, |o| matches!(o, Output::Store(_)))), (0, 0));
}

#[test]
fn a_reply_that_spends_it_can_still_be_stopped() {
    let mut stage = begin(cent(Mode::Open), settings(), NOON);
    stage.policy.barge_in = grok_speaker::conversation::BargeIn::Speech;
    stage.feed(Input::Policy(Box::new(stage.policy.clone())));
    stage.connect();
    stage.speak(1000);
    stage.service(event::buffer("speech_started", "u1"));
    stage.service(event::buffer("committed", "u1"));
    stage.reply("r1", "a1", 20_000);
    stage.run(2000);
    stage.speak(1000);
    stage.run(2000);
    let turns = stage.turns();
    assert_eq!((turns.len(), turns[0].1.as_str()), (1, "stopped"));
    assert_eq!((hang_ups(&stage), dials(&stage)), (1, 1));
}
