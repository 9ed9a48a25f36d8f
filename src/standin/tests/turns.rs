//! Listening: server turn detection, push-to-talk, interruptions.

use super::*;

fn without_captions(bench: &Bench) -> Vec<&str> {
    let kinds = bench.kinds().into_iter();
    kinds
        .filter(|k| !k.contains("transcription") && !k.contains(".delta") && *k != "ping")
        .collect()
}

#[test]
fn a_spoken_turn_is_said_back_bit_for_bit() {
    let mut bench = Bench::new(&[], true);
    bench.forget();
    bench.quiet(1000);
    bench.hear(&word());
    bench.quiet(1500);
    bench.run(3000);
    let kinds = without_captions(&bench);
    assert_eq!(
        kinds[..8],
        [
            "input_audio_buffer.speech_started",
            "conversation.item.added",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
        ]
    );
    let ids: Vec<_> = bench
        .events()
        .iter()
        .filter(|e| e["type"].as_str().unwrap().starts_with("input_audio"))
        .map(|e| &e["item_id"])
        .collect();
    assert!(ids.windows(2).all(|w| w[0] == w[1]));
    assert_eq!(bench.said(), "You said: Tell me a joke.");
    let audio = bench.audio();
    let said: Vec<u8> = word().iter().flat_map(|s| s.to_le_bytes()).collect();
    let loud = &said[2000..said.len() - 8000];
    let at = audio.windows(loud.len()).position(|w| w == loud).expect("the words come back");
    let before_ms = at as u64 * 1000 / 48_000;
    assert!((1000..1400).contains(&before_ms), "chime and prefix: {before_ms}");
    let finals = bench.all("conversation.item.input_audio_transcription.completed");
    assert_eq!(finals.iter().filter(|e| e["status"] == "completed").count(), 1);
    assert!(finals.iter().any(|e| e["status"] == "in_progress"));
}

#[test]
fn snapshots_need_a_transcription_model() {
    let mut bench = Bench::new(&[], true);
    bench.configure(&json!({ "audio": { "input": { "transcription": null } } }));
    bench.hear(&word());
    bench.quiet(1500);
    let finals = bench.all("conversation.item.input_audio_transcription.completed");
    assert_eq!(finals.len(), 1);
    assert!(bench.all("conversation.item.input_audio_transcription.updated").is_empty());
}

/// Two words with a pause; how many items, replies opened and replies closed come of it.
fn pause(faults: &[&str], ms: u64, skip: bool) -> (usize, usize, usize) {
    let mut bench = Bench::new(faults, true);
    if skip {
        bench.hear(&word());
        bench.quiet(1500);
        bench.run(4000);
    }
    bench.forget();
    bench.hear(&word());
    bench.quiet(ms);
    bench.hear(&word());
    bench.quiet(1500);
    bench.run(5000);
    let mut items: Vec<_> = bench
        .all("input_audio_buffer.speech_started")
        .iter()
        .map(|e| e["item_id"].to_string())
        .collect();
    items.dedup();
    (items.len(), bench.all("response.created").len(), bench.all("response.done").len())
}

#[test]
fn a_stop_can_be_taken_back() {
    assert_eq!(pause(&[], 300, false), (1, 1, 1), "shorter than the silence");
    assert_eq!(pause(&[], 580, false), (1, 1, 1), "within the window, nothing opened yet");
    assert_eq!(pause(&[], 600, true), (1, 2, 1), "the reply opened in between is never closed");
    assert_eq!(pause(&[], 1500, false), (2, 2, 2), "two turns");
    assert_eq!(pause(&["documented"], 580, false).0, 2, "the documents know no taking back");
}

#[test]
fn speech_stops_a_reply_and_every_second_one_is_closed() {
    let mut bench = Bench::new(&[], true);
    for closed in [true, false, true] {
        bench.quiet(1000);
        bench.typed("tell me a long story");
        bench.run(1500);
        bench.forget();
        bench.hear(&word());
        let stopped = bench.all("response.done");
        assert_eq!(stopped.len(), usize::from(closed));
        assert!(stopped.iter().all(|done| done["response"]["status"] == "cancelled"));
        let at =
            bench.kinds().iter().position(|k| *k == "input_audio_buffer.speech_started").unwrap();
        assert!(!bench.kinds()[at..].contains(&"response.output_audio.delta"));
        bench.quiet(1500);
        bench.run(4000);
        assert_eq!(bench.said(), "You said: Tell me a joke.");
    }
    assert_eq!(bench.desk.report().stopped, 3);
}

#[test]
fn a_manual_commit_of_speech_answers_by_itself() {
    let mut bench = Bench::new(&[], false);
    bench.forget();
    bench.hear(&word());
    assert!(bench.all("response.created").is_empty());
    bench.event("input_audio_buffer.commit");
    bench.run(4000);
    let kinds = without_captions(&bench);
    assert_eq!(
        kinds[..3],
        [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed"
        ]
    );
    assert_eq!(bench.all("response.created").len(), 1);
    assert_eq!(bench.said(), "You said: Tell me a joke.");
    // Q5: once more, late, and older.
    let items = bench.all("conversation.item.added");
    assert_eq!(
        (&items[0]["item"]["status"], &items[1]["item"]["status"]),
        (&json!("completed"), &json!("in_progress"))
    );
    assert_eq!(items[0]["item"]["id"], items[1]["item"]["id"]);
    // Q6: asking again brings nothing until there is other input.
    bench.forget();
    bench.event("response.create");
    bench.run(2000);
    assert!(bench.kinds().iter().all(|k| *k == "ping"), "{:?}", bench.kinds());
    bench.event("input_audio_buffer.clear");
    bench.event("response.create");
    bench.run(4000);
    assert_eq!(bench.all("response.done").len(), 1);
}

#[test]
fn a_manual_commit_of_silence_is_not_answered() {
    let mut bench = Bench::new(&[], false);
    bench.quiet(1000);
    bench.forget();
    bench.event("input_audio_buffer.commit");
    bench.run(5000);
    assert!(bench.kinds().iter().all(|k| *k == "ping"), "{:?}", bench.kinds());
}

#[test]
fn a_request_beside_a_commit_is_answered_once() {
    let mut bench = Bench::new(&[], false);
    bench.hear(&word());
    bench.event("input_audio_buffer.commit");
    bench.say(&json!({ "type": "response.create", "response": { "metadata": { "k": "v" } } }));
    bench.run(5000);
    assert_eq!(bench.all("response.created").len(), 1);
    assert_eq!(bench.last("response.done")["response"]["metadata"]["k"], "v");
    assert!(bench.all("error").is_empty());
}

#[test]
fn speech_during_a_reply_in_manual_mode_stops_it_without_a_word() {
    let mut bench = Bench::new(&[], false);
    bench.typed("tell me a long story");
    bench.run(1500);
    bench.hear(&word());
    let before = bench.audio().len();
    bench.run(8000);
    assert_eq!(bench.audio().len(), before);
    assert!(bench.all("response.done").is_empty());
}

#[test]
fn documented_manual_turns_wait_to_be_asked() {
    let mut bench = Bench::new(&["documented"], false);
    bench.forget();
    bench.hear(&word());
    bench.event("input_audio_buffer.commit");
    bench.run(5000);
    assert_eq!(
        bench.kinds(),
        [
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.input_audio_transcription.completed"
        ]
    );
    bench.event("response.create");
    bench.run(5000);
    assert_eq!(bench.said(), "You said: Tell me a joke.");
    let done = bench.last("response.done");
    assert!(
        done.get("usage").is_none() && done["response"]["usage"]["total_tokens"].as_u64() > Some(0)
    );
    assert!(bench.last("response.content_part.done").get("part").is_some());
    assert!(bench.all("ping").is_empty());
}

#[test]
fn a_burst_is_heard_in_audio_time() {
    let mut bench = Bench::new(&[], true);
    bench.forget();
    let mut sound = vec![0; frames(300, RATE)];
    for _ in 0..2 {
        sound.extend(word());
        sound.extend(vec![0; frames(2000, RATE)]);
    }
    let bytes: Vec<u8> = sound.iter().flat_map(|s| s.to_le_bytes()).collect();
    bench.brain.binary(bench.now, &bytes);
    bench.run(6000);
    assert_eq!(bench.all("input_audio_buffer.committed").len(), 2);
    assert_eq!(bench.desk.report().spoken, 2);
    assert_eq!(
        bench
            .all("response.done")
            .iter()
            .filter(|d| d["response"]["status"] == "completed")
            .count(),
        1
    );
}

#[test]
fn a_commit_under_server_turn_detection_is_ignored() {
    let mut bench = Bench::new(&[], true);
    bench.hear(&word());
    bench.forget();
    bench.event("input_audio_buffer.commit");
    bench.run(300);
    assert!(bench.kinds().is_empty());
}

#[test]
fn other_formats_and_binary_audio() {
    let mut bench = Bench::new(&[], true);
    bench.configure(&json!({ "audio": {
        "input": { "format": { "type": "audio/pcmu" }, "transport": "binary" },
        "output": { "format": { "type": "audio/pcm", "rate": 16000 }, "transport": "binary" } } }));
    bench.forget();
    let sound = speak("aha oho", 8000);
    let bytes = crate::standin::sound::Format::Ulaw.encode(&sound);
    for chunk in bytes.chunks(160).chain([&[0xff; 160][..]; 75]) {
        bench.brain.binary(bench.now, chunk);
        bench.run(20);
    }
    bench.run(4000);
    assert_eq!(bench.said(), "You said: Tell me a joke.");
    assert!(bench.all("response.output_audio.delta").is_empty());
    let audio: usize =
        bench.seen.iter().map(|(_, out)| if let Out::Audio(a) = out { a.len() } else { 0 }).sum();
    assert!(audio > 32_000, "{audio}");
}

#[test]
fn transcripts_come_in_order_and_the_last_one_stays() {
    let desk = desk(&[], &["First.", "Second."]);
    let mut bench = Bench::open(&desk, 1, None);
    bench.configure(&json!({ "voice": "eve", "turn_detection": { "type": "server_vad" } }));
    for want in ["First.", "Second.", "Second."] {
        bench.quiet(500);
        bench.hear(&word());
        bench.quiet(1500);
        bench.run(4000);
        assert_eq!(bench.said(), format!("You said: {want}"));
    }
}

#[test]
fn clients_are_watched() {
    let mut bench = Bench::open(&desk(&[], &[]), 1, None);
    bench.say(&json!({ "type": "input_audio_buffer.append", "audio": "AAAA" }));
    bench.configure(&json!({ "instructions": "short" }));
    let report = bench.desk.report();
    for what in [
        "audio before session.updated",
        "event before session.update",
        "odd number of bytes",
        "first session.update without voice or turn_detection at the top",
    ] {
        assert_eq!(report.violations.get(what), Some(&1), "{what}");
    }
}

#[test]
fn what_was_said_wins_over_a_reply_asked_for_meanwhile() {
    let mut bench = Bench::new(&[], true);
    bench.hear(&word());
    bench.quiet(200);
    bench.typed("tell me a long story");
    bench.quiet(1500);
    bench.run(5000);
    assert_eq!(bench.said(), "You said: Tell me a joke.");
    assert_eq!(bench.all("response.created").len(), 2);
    assert_eq!(bench.all("response.output_audio_transcript.done").len(), 1);
}

#[test]
fn a_reply_under_way_keeps_its_format() {
    let mut bench = Bench::new(&[], true);
    bench.typed("hello");
    bench.run(800);
    let output = json!({ "format": { "type": "audio/pcm", "rate": 8000 }, "transport": "binary" });
    bench.configure(&json!({ "audio": { "output": output } }));
    bench.run(3000);
    let ms: u64 = bench
        .all("response.output_audio.delta")
        .iter()
        .map(|d| d["audio_duration_ms"].as_u64().unwrap())
        .sum();
    assert!(ms.abs_diff(bench.audio().len() as u64 / 48) < 5);
    bench.forget();
    bench.typed("hello");
    bench.run(3000);
    assert!(
        bench.audio().is_empty() && bench.seen.iter().any(|(_, out)| matches!(out, Out::Audio(_)))
    );
}
