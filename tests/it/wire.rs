//! The service's quirks, one test each: what a client can do about it, and fails when it is not
//! done. Then the faults of the wire itself.

use grok_speaker::base::event::{Earcon, Scene, Voice};
use grok_speaker::conversation::{BargeIn, Gate, Mode, Output};
use grok_speaker::grok::server::{self, ServerEvent};
use grok_speaker::panel::event::{Event, Transcript};
use grok_speaker_sim::event;
use grok_speaker_sim::script::act;
use grok_speaker_sim::stage::{Stage, policy};
use serde_json::json;

/// A connected conversation.
fn stage(mode: Mode) -> Stage {
    let mut numbers = policy(mode);
    numbers.barge_in = BargeIn::Speech;
    let mut stage = Stage::new(numbers, 1);
    stage.run(10);
    if mode == Mode::Open {
        stage.connect();
    }
    stage
}

/// The same with a microphone that is open all the time.
fn always(barge_in: BargeIn) -> Stage {
    let mut numbers = policy(Mode::Open);
    numbers.gate = Gate::Always;
    numbers.barge_in = barge_in;
    let mut stage = Stage::new(numbers, 1);
    stage.run(10);
    stage.connect();
    stage
}

/// Steps of a script, without times.
fn play(stage: &mut Stage, steps: &[&str]) {
    for step in steps {
        act(stage, step).unwrap_or_else(|| panic!("not understood: {step}"));
        stage.run(20);
    }
}

/// A push-to-talk turn up to its commit.
fn push(stage: &mut Stage) {
    play(stage, &["press"]);
    if stage.count("session.update") == 0 {
        stage.connect();
    }
    stage.speak(800);
    play(stage, &["release"]);
}

/// A spoken turn up to the service's commit.
fn speak(stage: &mut Stage, item: &str) {
    stage.speak(800);
    play(stage, &[&format!("started {item}")]);
    stage.run(600);
    play(stage, &[&format!("stopped {item}"), &format!("committed {item}")]);
}

fn lines(stage: &Stage) -> Vec<Transcript> {
    stage
        .outputs
        .iter()
        .filter_map(|(_, output)| {
            let Output::Publish(Event::Transcript(line)) = output else { return None };
            Some(line.clone())
        })
        .collect()
}

fn notices(stage: &Stage) -> Vec<String> {
    stage
        .outputs
        .iter()
        .filter_map(|(_, output)| {
            let Output::Publish(Event::Notice(notice)) = output else { return None };
            Some(notice.code.clone())
        })
        .collect()
}

/// How many query parameters each dialling had.
fn dials(stage: &Stage) -> Vec<usize> {
    stage
        .outputs
        .iter()
        .filter_map(|(_, output)| {
            let Output::Dial(dial) = output else { return None };
            Some(dial.query.len())
        })
        .collect()
}

fn flushed(stage: &Stage) -> bool {
    stage.outputs.iter().any(|(_, output)| matches!(output, Output::Flush(_)))
}

fn truncated_at(stage: &Stage) -> Option<u64> {
    let events = stage.sent_events();
    let cut = events.iter().rev().find(|e| e["type"] == "conversation.item.truncate")?;
    cut["audio_end_ms"].as_u64()
}

#[test]
fn q01_a_commit_that_answers_by_itself_is_not_asked_again() {
    let mut stage = stage(Mode::Push);
    push(&mut stage);
    stage.run(150);
    play(&mut stage, &["committed u1"]);
    stage.run(200);
    stage.reply("r1", "a1", 300);
    stage.run(10_000);
    assert_eq!(stage.count("input_audio_buffer.commit"), 1);
    assert_eq!(stage.count("response.create"), 0);
    assert_eq!(stage.turns(), [(1, "completed".to_owned())]);
}

#[test]
fn q01_a_commit_of_silence_is_not_waited_for() {
    let mut stage = stage(Mode::Push);
    play(&mut stage, &["press"]);
    stage.connect();
    stage.run(800);
    play(&mut stage, &["release"]);
    stage.run(4000);
    assert_eq!(stage.count("response.create"), 0);
    assert_eq!(stage.turns(), [(1, "nothing_heard".to_owned())]);
    assert_eq!(stage.checks.scene(), Scene::Asleep);
}

#[test]
fn q02_speech_events_of_manual_turns_do_not_interrupt() {
    let mut stage = stage(Mode::Push);
    push(&mut stage);
    stage.run(60);
    let before = stage.count("input_audio_buffer.append");
    play(&mut stage, &["started u1", "stopped u1", "committed u1"]);
    stage.run(200);
    assert_eq!(stage.count("input_audio_buffer.append"), before, "the button is up");
    assert_eq!(stage.checks.scene(), Scene::Thinking);
    stage.reply("r1", "a1", 2000);
    play(&mut stage, &["started u1", "stopped u1", "started u2"]);
    stage.run(3000);
    assert!(!flushed(&stage));
    assert_eq!(stage.played().len(), 48_000);
}

#[test]
fn q03_a_stop_that_is_taken_back_drops_the_reply_that_was_opened() {
    let mut stage = stage(Mode::Open);
    speak(&mut stage, "u1");
    play(&mut stage, &["created r1"]);
    stage.voice(Voice::Talking);
    play(&mut stage, &["started u1", "sound r1 a1 400"]);
    stage.voice(Voice::Quiet);
    stage.run(600);
    play(&mut stage, &["stopped u1", "committed u1"]);
    assert_eq!(stage.checks.scene(), Scene::Thinking, "one item may be committed twice");
    play(&mut stage, &["created r2", "sound r1 a1 400"]);
    assert_eq!(stage.played().len(), 0, "the dropped reply stays silent");
    play(&mut stage, &["sound r2 a2 300", "done r2 completed"]);
    stage.run(1000);
    assert_eq!(stage.played().len(), 7200);
    assert_eq!(stage.turns(), [(1, "completed".to_owned())]);
}

#[test]
fn q04_a_completed_transcript_in_progress_is_a_snapshot() {
    let mut stage = stage(Mode::Open);
    stage.service(event::user_text("u1", "Hello, my", "in_progress"));
    stage.service(event::user_text("u1", "Hallo, my name is", "in_progress"));
    stage.service(event::user_text("u1", "Hello, my name is Alex.", "completed"));
    let lines: Vec<_> = lines(&stage).into_iter().map(|l| (l.text, l.r#final)).collect();
    assert_eq!(
        lines,
        [
            ("Hello, my".to_owned(), false),
            ("Hallo, my name is".to_owned(), false),
            ("Hello, my name is Alex.".to_owned(), true)
        ]
    );
}

#[test]
fn q05_late_and_doubled_items_do_not_undo_a_final_text() {
    let mut stage = stage(Mode::Open);
    stage.service(event::user_text("u1", "Hello, my name is Alex.", ""));
    let item = json!({"id": "u1", "type": "message", "role": "user", "status": "in_progress",
        "content": [{"type": "input_audio", "transcript": ""}]});
    stage.service(json!({"type": "conversation.item.added", "item": item}));
    stage.service(event::caption("u1", "Hello, my"));
    stage.service(event::user_text("u1", "Hello, my", "in_progress"));
    let lines = lines(&stage);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].r#final);
}

#[test]
fn q06_no_commit_is_sent_while_the_service_detects_turns() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["talk on"]);
    stage.speak(800);
    play(&mut stage, &["talk off"]);
    let before = stage.count("input_audio_buffer.append");
    stage.run(600);
    assert_eq!(stage.count("input_audio_buffer.commit"), 0);
    let events = stage.sent_events();
    let silence: Vec<_> =
        events.iter().filter_map(|e| e["audio"].as_str()).skip(before + 1).collect();
    assert!(silence.len() > 20, "silence goes on, so that the service hears the end");
    assert!(silence.iter().all(|audio| audio.trim_end_matches('=').chars().all(|c| c == 'A')));
}

#[test]
fn q06_a_request_that_is_dropped_is_repeated_once_behind_a_clear() {
    let mut stage = stage(Mode::Push);
    push(&mut stage);
    play(&mut stage, &["committed u1"]);
    for _ in 0..2 {
        stage.run(10_000);
        play(&mut stage, &["ping"]);
    }
    let sent = stage.sent();
    let after = sent.iter().skip_while(|k| *k != "input_audio_buffer.commit").skip(1);
    assert_eq!(
        after.collect::<Vec<_>>(),
        ["response.create", "input_audio_buffer.clear", "response.create"]
    );
    assert_eq!(stage.turns(), [(1, "unanswered".to_owned())]);
    assert!(stage.outputs.iter().any(|(_, o)| *o == Output::Sound(Earcon::Failed)));
}

#[test]
fn q07_a_truncation_is_sent_and_not_waited_for() {
    let mut stage = stage(Mode::Open);
    speak(&mut stage, "u1");
    play(&mut stage, &["created r1", "sound r1 a1 3000"]);
    stage.run(980);
    let before = stage.count("input_audio_buffer.append");
    stage.speak(500);
    assert!(truncated_at(&stage).is_some_and(|ms| (900..1200).contains(&ms)));
    assert!(stage.count("input_audio_buffer.append") > before + 10, "speech goes out at once");
    play(&mut stage, &["started u2", "stopped u2", "committed u2"]);
    stage.reply("r2", "a2", 200);
    stage.run(500);
    assert_eq!(stage.turns().last().unwrap(), &(2, "completed".to_owned()));
}

#[test]
fn q07_complaints_about_a_truncation_are_information() {
    let mut stage = stage(Mode::Open);
    speak(&mut stage, "u1");
    play(&mut stage, &["created r1", "sound r1 a1 3000"]);
    stage.speak(500);
    for words in ["Cannot truncate a1", "Audio content of 300ms is already shorter than 310ms"] {
        stage.service(event::error("invalid_request_error", "invalid_value", words));
    }
    assert!(notices(&stage).is_empty());
    play(&mut stage, &["started u2", "stopped u2", "committed u2"]);
    stage.reply("r2", "a2", 200);
    stage.run(500);
    assert_eq!(stage.turns().last().unwrap(), &(2, "completed".to_owned()));
}

#[test]
fn q08_calls_of_the_services_own_tools_are_not_answered() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"News?\"", "created r1"]);
    play(&mut stage, &["call r1 c1 x_keyword_search {\"query\":\"x\"}", "sound r1 a1 100"]);
    play(&mut stage, &["done r1 completed"]);
    stage.run(1000);
    assert_eq!(stage.count("conversation.item.create"), 1, "the typed line only");
    assert_eq!(stage.count("response.create"), 1);
}

#[test]
fn q09_create_response_is_always_sent_as_true() {
    let stage = stage(Mode::Open);
    let session = stage.sent_events().remove(0)["session"].clone();
    let detection = &session["turn_detection"];
    assert_eq!(detection["type"], "server_vad");
    assert_eq!(detection["create_response"], true);
    assert_eq!(detection["interrupt_response"], true);
    assert_eq!(session["voice"], "eve");
    assert_eq!(session["audio"]["input"]["format"], json!({"type": "audio/pcm", "rate": 16_000}));
    assert_eq!(session["audio"]["output"]["format"], json!({"type": "audio/pcm", "rate": 24_000}));
    assert_eq!(session["audio"]["input"]["transcription"]["model"], "grok-transcribe");
    assert_eq!(session["resumption"]["enabled"], true);
    assert_eq!(session["tools"][0]["name"], "set_volume");
    let mut push = self::stage(Mode::Push);
    play(&mut push, &["press", "up"]);
    let session = push.sent_events().remove(0)["session"].clone();
    assert!(session.as_object().unwrap().contains_key("turn_detection"));
    assert!(session["turn_detection"].is_null());
}

#[test]
fn q10_words_come_from_the_audio_transcript_and_text_is_not_waited_for() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"Hello\"", "created r1", "words r1 a1 \"Hello \""]);
    play(&mut stage, &["words r1 a1 \"Alex.\"", "sound r1 a1 100", "done r1 completed"]);
    stage.run(1000);
    let asked = stage.sent_events().into_iter().map(|e| e.to_string()).collect::<String>();
    assert!(!asked.contains("modalities"), "it speaks whatever is asked for");
    assert_eq!(lines(&stage).last().unwrap().text, "Hello Alex.");
    assert_eq!(stage.turns(), [(1, "completed".to_owned())]);
}

#[test]
fn q10_two_names_of_one_text_are_not_added() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"Hello\"", "created r1"]);
    for kind in ["response.output_text.delta", "response.text.delta"] {
        stage.service(
            json!({"type": kind, "response_id": "r1", "item_id": "a1", "delta": "Hello."}),
        );
    }
    play(&mut stage, &["done r1 completed"]);
    assert_eq!(lines(&stage).last().unwrap().text, "Hello.");
    assert_eq!(stage.turns(), [(1, "completed".to_owned())], "a reply without sound ends");
}

#[test]
fn q11_nothing_is_streamed_while_a_reply_is_produced() {
    let mut stage = stage(Mode::Push);
    push(&mut stage);
    play(&mut stage, &["committed u1", "created r1", "sound r1 a1 3000"]);
    let before = stage.count("input_audio_buffer.append");
    play(&mut stage, &["press"]);
    stage.speak(600);
    assert_eq!(stage.count("response.cancel"), 1);
    assert_eq!(stage.count("input_audio_buffer.append"), before);
    play(&mut stage, &["done r1 cancelled"]);
    assert!(stage.count("input_audio_buffer.append") > before, "it was kept and goes now");
}

#[test]
fn q11_a_reply_that_is_never_closed_does_not_hold_speech_back_for_ever() {
    let mut stage = stage(Mode::Push);
    push(&mut stage);
    play(&mut stage, &["committed u1", "created r1", "sound r1 a1 3000"]);
    let before = stage.count("input_audio_buffer.append");
    play(&mut stage, &["press"]);
    stage.speak(1800);
    assert!(stage.count("input_audio_buffer.append") > before);
}

#[test]
fn q12_times_of_speech_events_are_not_positions() {
    let mut stage = always(BargeIn::Speech);
    speak(&mut stage, "u1");
    play(&mut stage, &["created r1", "sound r1 a1 3000"]);
    stage.run(980);
    assert_eq!(truncated_at(&stage), None, "only the service hears somebody");
    let mut started = event::buffer("speech_started", "u2");
    started["audio_start_ms"] = json!(123_456_789);
    stage.service(started);
    assert!(truncated_at(&stage).is_some_and(|ms| (900..=1100).contains(&ms)));
}

#[test]
fn q13_confirmations_and_complaints_about_unknown_items_change_nothing() {
    let mut stage = stage(Mode::Open);
    speak(&mut stage, "u1");
    stage.service(event::user_text("u1", "Hello?", "completed"));
    play(&mut stage, &["created r1", "sound r1 a1 300"]);
    let before = lines(&stage).len();
    for item in ["", "u1", "a1"] {
        stage.service(json!({"type": "conversation.item.deleted", "item_id": item}));
        stage.service(event::error("invalid_request_error", "", "Item not found"));
    }
    play(&mut stage, &["done r1 completed"]);
    stage.run(500);
    assert!(notices(&stage).is_empty());
    assert_eq!(lines(&stage).len(), before);
    assert_eq!(stage.count("conversation.item.delete"), 0, "nothing is deleted at all");
    assert_eq!(stage.turns(), [(1, "completed".to_owned())]);
}

#[test]
fn q14_an_active_reply_is_no_failure_and_the_question_is_asked_again() {
    for (code, words) in [
        ("", "Conversation already has an active response in progress: r0"),
        ("conversation_already_has_active_response", "Busy"),
    ] {
        let mut stage = stage(Mode::Open);
        play(&mut stage, &["text \"Hello\""]);
        stage.service(event::error("invalid_request_error", code, words));
        stage.run(6000);
        assert_eq!(stage.count("response.create"), 2, "{words}");
        stage.reply("r1", "a1", 200);
        stage.run(500);
        assert!(notices(&stage).is_empty(), "{words}");
        assert_eq!(stage.turns(), [(1, "completed".to_owned())]);
    }
}

#[test]
fn q14_nothing_is_asked_for_while_a_reply_is_active() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"Hello\"", "created r1", "sound r1 a1 2000", "text \"Stop\""]);
    stage.run(500);
    assert_eq!((stage.count("response.cancel"), stage.count("response.create")), (1, 1));
    play(&mut stage, &["done r1 cancelled"]);
    assert_eq!(stage.count("response.create"), 2);
}

#[test]
fn q14_a_cancel_without_a_reply_is_harmless() {
    for (code, words) in [
        ("", "Cancellation failed: no active response found"),
        ("response_cancel_not_active", "There is none"),
    ] {
        let mut stage = stage(Mode::Open);
        let talk = ["text \"Hello\"", "created r1", "sound r1 a1 2000", "text \"Stop\""];
        play(&mut stage, &talk);
        stage.service(event::error("invalid_request_error", code, words));
        stage.run(20);
        assert_eq!(stage.count("response.create"), 2, "the next is asked for at once: {words}");
        assert!(notices(&stage).is_empty(), "{words}");
    }
}

#[test]
fn q15_an_echo_of_the_reply_does_not_interrupt_it() {
    let mut stage = Stage::new(policy(Mode::Open), 1);
    stage.run(10);
    stage.connect();
    speak(&mut stage, "u1");
    play(&mut stage, &["created r1", "sound r1 a1 4000"]);
    stage.levels = (-32.0, -28.0);
    stage.run(300);
    stage.speak(2000);
    assert!(!flushed(&stage));
    let sent = stage.count("input_audio_buffer.append");
    stage.run(300);
    assert_eq!(stage.count("input_audio_buffer.append"), sent);
}

#[test]
fn q15_an_open_microphone_sends_silence_until_its_echo_is_known_to_be_faint() {
    let silent = |mic: f32| {
        let mut stage = always(BargeIn::Auto);
        speak(&mut stage, "u1");
        play(&mut stage, &["created r1", "sound r1 a1 4000"]);
        stage.levels = (mic, mic);
        let before = stage.count("input_audio_buffer.append");
        stage.run(2000);
        let events = stage.sent_events();
        let sent = events.iter().filter_map(|e| e["audio"].as_str()).skip(before + 1);
        let silent: Vec<bool> =
            sent.map(|audio| audio.trim_end_matches('=').chars().all(|c| c == 'A')).collect();
        assert!(silent.len() > 90, "time goes on for the service");
        silent
    };
    assert!(silent(-32.0).iter().all(|s| *s), "an echo");
    let faint = silent(-80.0);
    assert!(faint[..20].iter().all(|s| *s) && !faint[40..].contains(&true), "{faint:?}");
}

#[test]
fn q16_a_slow_reply_is_waited_for() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"Hello\"", "created r1"]);
    stage.run(8700);
    play(&mut stage, &["sound r1 a1 300", "done r1 completed"]);
    stage.run(1000);
    assert_eq!(stage.turns(), [(1, "completed".to_owned())]);
    assert!(notices(&stage).is_empty());
}

#[test]
fn q16_a_slow_answer_to_a_tool_belongs_to_its_turn() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"How loud?\"", "created r1", "sound r1 a1 500"]);
    play(&mut stage, &["call r1 c1 get_volume {}", "sound-done r1 a1", "done r1 completed"]);
    stage.run(300);
    assert_eq!(stage.count("response.create"), 2);
    play(&mut stage, &["created r2"]);
    stage.run(8700);
    assert_eq!((stage.turns(), stage.checks.scene()), (vec![], Scene::Thinking));
    play(&mut stage, &["sound r2 a2 300", "done r2 completed"]);
    stage.run(1000);
    assert_eq!(stage.turns(), [(1, "completed".to_owned())]);
}

#[test]
fn q17_replayed_items_carry_text_and_spare_our_own_history() {
    let told = |replayed: &[&str]| {
        let mut stage = stage(Mode::Open);
        play(&mut stage, &["text \"The word is cobalt.\"", "created r1", "sound r1 a1 300"]);
        play(&mut stage, &["words-done r1 a1 \"Cobalt.\"", "done r1 completed"]);
        stage.run(12_000);
        stage.lose();
        play(&mut stage, &["up", "greeting c1"]);
        for role in replayed {
            let item = json!({"id": role, "type": "message", "role": role,
                "content": [{"type": "text", "text": "Cobalt."}], "replayed": true});
            stage.service(json!({"type": "conversation.item.added", "item": item}));
        }
        play(&mut stage, &["updated"]);
        stage.count("conversation.item.create") - 1
    };
    assert_eq!(told(&["user", "assistant"]), 0, "the service has it");
    assert_eq!(told(&["assistant"]), 1, "recorded connections lost what was typed");
    assert_eq!(told(&[]), 2, "one line each");
    let text = r#"{"type":"conversation.item.added","item":{"content":[{"text":"Cobalt."}]}}"#;
    let ServerEvent::ItemAdded(item) = server::decode(text).event else { panic!() };
    assert_eq!(item.text, "Cobalt.");
}

#[test]
fn q18_session_updated_is_an_acknowledgement_whatever_is_in_it() {
    for session in [json!(null), json!({}), json!({"is_kids_mode": 7, "voice": null, "tools": {}})]
    {
        let mut stage = Stage::new(policy(Mode::Open), 1);
        stage.run(10);
        play(&mut stage, &["up"]);
        stage.service(json!({"type": "session.updated", "session": session}));
        assert!(stage.outputs.iter().any(|(_, o)| *o == Output::Ready));
    }
}

#[test]
fn every_sample_of_the_service_is_understood() {
    let samples = include_str!("../golden/wire/server.jsonl");
    let mut count = 0;
    for line in samples.lines() {
        let sample: serde_json::Value = serde_json::from_str(line).unwrap();
        let decoded = server::decode(&sample["event"].to_string());
        let shape = format!("{:?}", decoded.event);
        let expected = sample["is"].as_str().unwrap();
        assert!(shape.starts_with(expected), "{expected} became {shape} from {line}");
        assert!(decoded.id.is_some(), "{line}");
        count += 1;
    }
    assert_eq!(count, 76);
}

#[test]
fn no_sample_ends_a_session_or_panics_in_any_state() {
    let samples = include_str!("../golden/wire/server.jsonl");
    for setup in [&[][..], &["text \"Hi\""], &["text \"Hi\"", "created r1", "sound r1 a1 900"]] {
        let mut stage = stage(Mode::Open);
        play(&mut stage, setup);
        for (n, line) in samples.lines().enumerate() {
            let mut sample: serde_json::Value = serde_json::from_str(line).unwrap();
            let kind = sample["event"]["error"]["type"].as_str().unwrap_or("").to_owned();
            if kind == "max_duration" || kind == "timeout" {
                continue;
            }
            sample["event"]["event_id"] = json!(format!("sample-{n}"));
            stage.raw(&sample["event"].to_string());
            stage.run(10);
        }
        assert!(!stage.outputs.iter().any(|(_, o)| *o == Output::HangUp));
    }
}

#[test]
fn nothing_is_played_twice() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"Hello\"", "created r1"]);
    let samples: Vec<i16> = (0..480).collect();
    let delta = event::stamped(900, event::sound("r1", "a1", &samples));
    stage.raw(&delta);
    stage.raw(&delta);
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    stage.service(event::sound_bytes("response.audio.delta", "r1", "a1", &bytes));
    assert_eq!(stage.played(), samples);
}

#[test]
fn odd_deltas_lose_no_sample() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"Hello\"", "created r1"]);
    let samples: Vec<i16> = (-500..500).collect();
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    for piece in bytes.chunks(333) {
        stage.service(event::sound_bytes("response.output_audio.delta", "r1", "a1", piece));
    }
    assert_eq!(stage.played(), samples);
}

#[test]
fn reordered_events_are_coped_with() {
    let mut stage = stage(Mode::Open);
    speak(&mut stage, "u1");
    play(&mut stage, &["sound r1 a1 200", "created r1", "sound-done r1 a1", "sound r1 a1 200"]);
    play(&mut stage, &["done r1 completed", "sound r1 a1 200", "started u1", "committed u1"]);
    stage.run(2000);
    assert_eq!(stage.played().len(), 600 * 24);
    assert!(!flushed(&stage));
    assert_eq!(stage.turns(), [(1, "completed".to_owned())]);
}

#[test]
fn late_deltas_of_an_interrupted_reply_stay_silent() {
    let mut stage = stage(Mode::Open);
    speak(&mut stage, "u1");
    play(&mut stage, &["created r1", "sound r1 a1 3000"]);
    stage.speak(300);
    let before = stage.played().len();
    play(&mut stage, &["sound r1 a1 300", "done r1 cancelled", "sound r1 a1 300"]);
    assert_eq!(stage.played().len(), before);
}

#[test]
fn garbage_null_and_unknown_events_do_not_disturb_a_turn() {
    let mut stage = stage(Mode::Open);
    speak(&mut stage, "u1");
    let noise = ["{", "null", "[1]", r#"{"type":7}"#, r#"{"type":"weather"}"#];
    let null = [
        r#"{"type":"response.created","response":null}"#,
        r#"{"type":"response.output_audio.delta","delta":null,"item_id":null}"#,
        r#"{"type":"error","error":null}"#,
        r#"{"type":"conversation.item.added","item":null}"#,
    ];
    for text in noise.into_iter().chain(null) {
        stage.raw(text);
    }
    stage.reply("r1", "a1", 300);
    stage.run(1000);
    assert_eq!(stage.turns(), [(1, "completed".to_owned())]);
}

#[test]
fn an_error_in_mid_reply_ends_it_soon_and_the_session_goes_on() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"fail please\"", "created r1", "sound r1 a1 500"]);
    play(&mut stage, &["error server_error \"Something broke\""]);
    stage.run(2000);
    assert_eq!(stage.turns(), [(1, "failed".to_owned())]);
    play(&mut stage, &["text \"Again\""]);
    stage.reply("r2", "a2", 200);
    stage.run(500);
    assert_eq!(stage.turns().last().unwrap(), &(2, "completed".to_owned()));
}

#[test]
fn a_conversation_that_is_too_long_is_begun_anew_with_our_history() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"Hello\"", "created r1", "sound r1 a1 100", "done r1 completed"]);
    stage.run(11_000);
    play(&mut stage, &["error max_duration \"Conversation exceeded the maximum duration\""]);
    let dials = dials(&stage);
    assert_eq!(dials, [1, 1], "no conversation_id");
    play(&mut stage, &["up", "greeting c2", "updated"]);
    assert_eq!(stage.count("conversation.item.create"), 2);
}

#[test]
fn a_call_without_a_name_takes_it_from_its_item_and_runs_once() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"How loud?\"", "created r1"]);
    let item = |arguments: &str| {
        json!({"id": "f", "type": "function_call", "call_id": "c1", "name": "get_volume",
            "arguments": arguments})
    };
    stage.service(json!({"type": "response.output_item.added", "response_id": "r1",
        "item": item("")}));
    let kind = "response.function_call_arguments.done";
    stage.service(json!({"type": kind, "response_id": "r1", "call_id": "c1", "arguments": "{}"}));
    stage.service(json!({"type": "response.output_item.done", "response_id": "r1",
        "item": item("{}")}));
    stage.service(json!({"type": "response.done", "response": {"id": "r1", "status": "completed",
        "output": [item("{}")]}}));
    stage.run(100);
    let outputs: Vec<_> = stage
        .sent_events()
        .into_iter()
        .filter(|e| e["item"]["type"] == "function_call_output")
        .map(|e| e["item"]["output"].clone())
        .collect();
    assert_eq!(outputs, [json!("{\"percent\":60}")]);
    assert_eq!(stage.count("response.create"), 2);
}

#[test]
fn an_unacknowledged_output_is_no_conversation_to_resume() {
    let mut stage = stage(Mode::Open);
    play(&mut stage, &["text \"How loud?\"", "created r1", "call r1 c1 get_volume {}"]);
    stage.run(11_000);
    stage.lose();
    assert_eq!(dials(&stage).last(), Some(&1));
}

#[test]
fn sound_is_live_while_it_may_leave_and_none_of_before_waits() {
    let mut stage = always(BargeIn::Speech);
    let mut live = |step: &str| {
        act(&mut stage, step).unwrap_or_else(|| panic!("not understood: {step}"));
        stage.run(100);
        stage.conversation.is_live()
    };
    assert!(live("quiet"));
    assert!(!live("congested"), "the link takes nothing");
    assert!(live("clear"));
    assert!(!live("lose"), "it waits for the next connection");
    let mut stage = self::stage(Mode::Push);
    stage.run(100);
    assert!(!stage.conversation.is_live(), "the gate is shut");
}

#[test]
fn blocks_are_waited_for_before_the_session_is_up() {
    let mut numbers = policy(Mode::Open);
    numbers.gate = Gate::Always;
    let mut stage = Stage::new(numbers, 1);
    let mut prompt = |step: &str| {
        act(&mut stage, step).unwrap_or_else(|| panic!("not understood: {step}"));
        stage.run(100);
        stage.conversation.is_prompt()
    };
    assert!(prompt("quiet"), "it is being dialled");
    assert!(!prompt("mute on"));
    assert!(prompt("mute off"));
    assert!(prompt("connect"));
    assert!(!prompt("lose"), "it waits for the next dial");
    let mut stage = self::stage(Mode::Open);
    stage.run(100);
    assert!(!stage.conversation.is_prompt(), "the gate is shut");
}
