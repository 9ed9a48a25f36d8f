//! Anything in any order: no panic, and the rules that need no sensible world still hold.

use grok_speaker::conversation::journal::{Line, transcript};
use grok_speaker::conversation::{Gate, Input, Mode};
use grok_speaker_sim::script::act;
use grok_speaker_sim::seed::Seed;
use grok_speaker_sim::stage::{Stage, policy};
use proptest::prelude::*;

const STEPS: [&str; 48] = [
    "quiet",
    "maybe",
    "talking",
    "wake",
    "up",
    "connect",
    "greeting c1",
    "updated",
    "ping",
    "lose",
    "refuse busy",
    "refuse network",
    "congested",
    "clear",
    "started u1",
    "started u2",
    "stopped u1",
    "committed u1",
    "committed u2",
    "caption u1 \"Hel\"",
    "said u1 \"Hello\"",
    "created r1",
    "created r2",
    "created r3",
    "sound r1 a1 300",
    "sound r2 a2 900",
    "sound r3 a1 30",
    "binary 100",
    "part r1 a1",
    "sound-done r1 a1",
    "words r1 a1 \"So \"",
    "words-done r1 a1 \"So.\"",
    "truncated a1 \"S\"",
    "call r1 c1 set_volume {\"percent\":3}",
    "call r2 c2 stop_speaking",
    "call r2 c3 get_volume {",
    "done r1 completed",
    "done r2 cancelled",
    "done r3 failed",
    "error server_error \"Oh\"",
    "error invalid_request_error \"no active response\"",
    "error invalid_request_error \"already has an active response\"",
    "press",
    "release",
    "mute on",
    "mute off",
    "text \"Hi\"",
    "hush",
];

fn mode(number: u8) -> Mode {
    [Mode::Open, Mode::Push, Mode::Wake][usize::from(number % 3)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_order_keeps_the_rules(
        kind in 0u8..4,
        steps in prop::collection::vec((0..STEPS.len(), 0u64..2500), 1..60),
    ) {
        let mut numbers = policy(mode(kind));
        if kind == 3 {
            numbers.gate = Gate::Always;
        }
        let mut stage = Stage::new(numbers, 1);
        // Nobody keeps the order of the link here, so diallings are not counted.
        stage.checks.forgiving = true;
        stage.sparse = 5;
        for (step, pause) in steps {
            stage.run(pause);
            prop_assert!(act(&mut stage, STEPS[step]).is_some());
        }
        stage.run(2000);
    }

    #[test]
    fn any_text_of_the_service_is_survived(text in ".{0,200}", kind in 0u8..3) {
        let mut stage = Stage::new(policy(mode(kind)), 1);
        stage.run(10);
        stage.checks.forgiving = true;
        act(&mut stage, "text \"Hi\"");
        stage.connect();
        stage.raw(&text);
        stage.raw(&format!("{{\"type\":\"response.done\",\"response\":{text:?}}}"));
        stage.run(100);
    }
}

#[test]
fn a_journal_without_sound_gives_the_same_transcript() {
    let mut dice = Seed::new(11);
    for kind in 0..3u8 {
        let numbers = policy(mode(kind));
        let mut stage = Stage::new(numbers.clone(), 1);
        stage.checks.forgiving = true;
        stage.record = true;
        for _ in 0..120 {
            stage.run(dice.between(0, 900));
            let step = usize::try_from(dice.between(0, STEPS.len() as u64)).unwrap();
            act(&mut stage, STEPS[step]).unwrap();
        }
        let head = Line::Head {
            policy: numbers,
            settings: grok_speaker_sim::stage::settings(),
            seed: 1,
            build: "test".into(),
        };
        let inputs = stage.recorded.iter().map(|(at, input): &(_, Input)| Line::record(*at, input));
        let lines: Vec<Line> = std::iter::once(head)
            .chain(inputs)
            .map(|line| serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap())
            .collect();
        let replayed: Vec<String> = transcript(lines).collect();
        let live = stage.transcript();
        assert!(replayed.len() > 100);
        assert_eq!(replayed.join("\n") + "\n", live);
    }
}
