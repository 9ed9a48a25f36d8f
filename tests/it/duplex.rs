//! A part of the interruptions of the acoustic bench: the real front end and conversation in a room.

#[path = "../acoustic/barge.rs"]
mod barge;

use barge::{Act, Sayings, Sum, converse};
use grok_speaker_sim::burst::Burst;
use grok_speaker_sim::room::Scene;

#[test]
fn a_talker_as_loud_as_the_echo_is_heard_at_once() {
    let session = converse(&Scene::default(), 3, &Sayings::read(), 6.0, &[Act::Say(0.0); 3]);
    let sum = Sum::of(&[session]);
    assert!(sum.lowered >= 1.0 && sum.decided >= 0.66 && sum.clipped <= 0.0, "{sum:?}");
    assert!(sum.stops <= 0.0, "{sum:?}");
}

#[test]
fn the_sounds_of_a_household_and_the_reply_itself_do_not_stop_it() {
    let acts = Burst::ALL.map(|burst| Act::Disturb(burst, 5.0));
    let sum = Sum::of(&[converse(&Scene::default(), 1, &Sayings::read(), 1.0, &acts)]);
    assert!(sum.stopped <= 0.0 && sum.stops <= 0.0, "{sum:?}");
    // A beginner's canceller lowers no word of the reply for long.
    assert!(sum.ducks <= 6.0, "{sum:?}");
}

#[test]
fn a_moved_device_stops_its_own_reply_once_at_most() {
    let acts = [Act::Listen(3.0), Act::Shift, Act::Listen(3.0), Act::Listen(0.5)];
    let session = converse(&Scene::default(), 2, &Sayings::read(), 0.5, &acts);
    assert!(session.stops <= 1, "{session:?}");
}
