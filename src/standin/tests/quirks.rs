//! Each quirk with a switch of its own, as it shows on the wire.

use super::super::quirk::QUIRKS;
use super::*;

/// A spoken turn and its reply.
fn spoken(faults: &[&str]) -> Bench {
    let mut bench = Bench::new(faults, true);
    bench.forget();
    bench.hear(&word());
    bench.quiet(2500);
    bench.run(4000);
    bench
}

fn positions(bench: &Bench, kind: &str) -> Vec<usize> {
    let kinds = bench.kinds().into_iter().enumerate();
    kinds.filter(|(_, k)| *k == kind).map(|(n, _)| n).collect()
}

#[test]
fn the_table_names_every_quirk_once_and_only_faults_there_are() {
    let numbers: Vec<u8> = QUIRKS.iter().map(|q| q.number).collect();
    assert_eq!(numbers, (1..=18).collect::<Vec<u8>>());
    for quirk in QUIRKS {
        for fault in quirk.on.iter().chain(quirk.off) {
            assert!(fault.parse::<super::super::Fault>().is_ok(), "{fault}");
        }
    }
}

#[test]
fn a_stop_can_be_taken_back_with_the_reply_to_it() {
    let bench = spoken(&["stop-taken-back"]);
    let started = positions(&bench, "input_audio_buffer.speech_started");
    let stopped = positions(&bench, "input_audio_buffer.speech_stopped");
    let created = positions(&bench, "response.created");
    assert_eq!((started.len(), stopped.len(), created.len()), (2, 2, 2), "{:?}", bench.kinds());
    assert!(stopped[0] < created[0] && created[0] < started[1] && started[1] < stopped[1]);
    let events = bench.events();
    assert_eq!(events[started[0]]["item_id"], events[started[1]]["item_id"]);
    let gone = &events[created[0]]["response"]["id"];
    let of_gone = |e: &&&Value| e["response_id"] == *gone;
    assert_eq!(events.iter().filter(of_gone).count(), 0, "neither sound nor an end");
    assert_eq!(bench.all("input_audio_buffer.committed").len(), 1);
    assert_eq!(bench.said(), "You said: Tell me a joke.");
}

#[test]
fn speech_after_a_stop_that_was_taken_back_goes_on_with_the_turn() {
    let mut bench = Bench::new(&["stop-taken-back"], true);
    bench.hear(&word());
    bench.quiet(900);
    bench.hear(&word());
    bench.quiet(2500);
    bench.run(4000);
    assert_eq!(bench.all("input_audio_buffer.committed").len(), 1);
    assert_eq!(bench.desk.report().spoken, 1);
    assert_eq!(bench.all("response.done").len(), 1);
}

#[test]
fn items_can_be_late() {
    let bench = spoken(&["late-items"]);
    let texts = bench.all("conversation.item.input_audio_transcription.completed");
    let last = texts.iter().rposition(|e| e["status"] == "completed").unwrap();
    assert_eq!(texts[last + 1]["status"], "in_progress");
    assert_eq!(texts[last + 1]["transcript"], "Tell me a");
    let created = positions(&bench, "response.created")[0];
    let again = bench.events()[created..]
        .iter()
        .find(|e| e["type"] == "conversation.item.added" && e["item"]["role"] == "user")
        .map(|e| (e["item"]["status"].clone(), e["previous_item_id"].is_string()));
    assert_eq!(again, Some((json!("in_progress"), true)));
}

#[test]
fn items_of_manual_turns_can_be_late_in_documented_behaviour_too() {
    for (faults, items) in [(&["documented"][..], 1), (&["documented", "late-items"], 2)] {
        let mut bench = Bench::new(faults, false);
        bench.hear(&word());
        bench.event("input_audio_buffer.commit");
        bench.run(1000);
        let added = bench.all("conversation.item.added");
        assert_eq!(added.len(), items, "{faults:?}");
        let last = &added[items - 1]["item"]["status"];
        assert_eq!(last, if items == 2 { "in_progress" } else { "completed" });
    }
}

#[test]
fn the_first_request_can_be_dropped_until_there_is_other_input() {
    let mut bench = Bench::new(&["drop-create"], true);
    bench.forget();
    bench.typed("hello");
    bench.run(3000);
    bench.event("response.create");
    bench.run(3000);
    assert!(bench.all("response.created").is_empty() && bench.all("error").is_empty());
    bench.event("input_audio_buffer.clear");
    bench.event("response.create");
    bench.run(3000);
    assert_eq!(bench.said(), "You wrote: hello");
    bench.forget();
    bench.typed("and again");
    bench.run(3000);
    assert!(bench.all("response.created").is_empty());
}

#[test]
fn the_services_own_tools_are_called_and_an_answer_is_taken_for_a_failure() {
    let mut bench = Bench::new(&["own-calls"], true);
    bench.typed("hello");
    bench.run(4000);
    let call = bench.last("response.function_call_arguments.done").clone();
    assert_eq!(call["name"], "x_keyword_search");
    assert_eq!(bench.said(), "You wrote: hello");
    bench.say(&json!({ "type": "conversation.item.create", "item": {
        "type": "function_call_output", "call_id": call["call_id"], "output": "no such tool" } }));
    bench.event("response.create");
    bench.run(4000);
    assert!(bench.said().contains("I am sorry"), "{}", bench.said());
    assert_eq!(bench.desk.report().violations["output for a call that was never made"], 1);
}

#[test]
fn create_response_counts_where_it_is_told_to() {
    for (fault, create, answered) in [
        (&[][..], json!(false), 1),
        (&["heed-create-response"], json!(false), 0),
        (&["heed-create-response"], Value::Null, 0),
        (&["heed-create-response"], json!(true), 1),
    ] {
        let mut bench = Bench::new(fault, true);
        let detection = json!({ "type": "server_vad", "create_response": create });
        bench.configure(&json!({ "turn_detection": detection }));
        for _ in 0..2 {
            bench.forget();
            bench.hear(&word());
            bench.quiet(1500);
            bench.run(4000);
            assert_eq!(bench.all("input_audio_buffer.committed").len(), 1);
            assert_eq!(bench.all("response.created").len(), answered, "{fault:?} {create}");
        }
    }
}

#[test]
fn old_names_come_beside_the_new() {
    let mut bench = Bench::new(&["old-names"], true);
    bench.typed("hello");
    bench.run(4000);
    for (new, old) in [
        ("response.output_audio.delta", "response.audio.delta"),
        ("response.output_audio.done", "response.audio.done"),
        ("response.output_audio_transcript.delta", "response.audio_transcript.delta"),
        ("response.output_audio_transcript.done", "response.audio_transcript.done"),
    ] {
        let (new, old) = (bench.all(new), bench.all(old));
        assert!(!new.is_empty() && new.len() == old.len());
        for (new, old) in new.iter().zip(old) {
            assert_eq!((&new["delta"], &new["item_id"]), (&old["delta"], &old["item_id"]));
            assert_ne!(new["event_id"], old["event_id"]);
        }
    }
}

#[test]
fn items_can_be_lost() {
    let mut bench = Bench::new(&["lost-items"], true);
    bench.typed("hello");
    bench.run(4000);
    let item = bench.last("response.output_audio.delta")["item_id"].clone();
    for kind in ["conversation.item.truncate", "conversation.item.delete"] {
        bench.forget();
        bench
            .say(&json!({ "type": kind, "item_id": item, "content_index": 0, "audio_end_ms": 10 }));
        bench.run(200);
        assert_eq!(bench.last("error")["error"]["message"], "Item not found");
        assert_eq!(bench.events().len(), 1, "{:?}", bench.kinds());
    }
}

#[test]
fn the_first_request_can_be_refused_under_another_code() {
    let mut bench = Bench::new(&["busy-create"], true);
    bench.typed("hello");
    bench.run(1000);
    let error = &bench.last("error")["error"];
    assert!(error["message"].as_str().unwrap().contains("already has an active response"));
    assert!(!error["code"].as_str().unwrap().contains("active"));
    assert!(bench.all("response.created").is_empty());
    bench.event("response.create");
    bench.run(4000);
    assert_eq!(bench.said(), "You wrote: hello");
}

#[test]
fn a_cancel_can_fail_and_still_end_the_reply() {
    let mut bench = Bench::new(&["cancel-fails"], true);
    bench.typed("tell me a long story");
    bench.run(1500);
    bench.forget();
    bench.event("response.cancel");
    bench.run(3000);
    let error = &bench.last("error")["error"];
    assert!(error["message"].as_str().unwrap().contains("no active response found"));
    assert!(!error["code"].as_str().unwrap().contains("active"));
    assert!(bench.all("response.done").is_empty());
    assert!(bench.all("response.output_audio.delta").is_empty());
}

#[test]
fn a_reply_is_heard_in_an_open_microphone_and_not_in_digital_silence() {
    let hiss: Vec<i16> = (0..frames(900, RATE)).map(|n| if n % 2 == 0 { 9 } else { -9 }).collect();
    for (faults, microphone, stopped) in [
        (&["echo"][..], &hiss[..], 1),
        (&["echo"], &vec![0; frames(900, RATE)][..], 0),
        (&[], &hiss[..], 0),
    ] {
        let mut bench = Bench::new(faults, true);
        bench.quiet(1000);
        bench.typed("tell me a long story");
        bench.run(500);
        bench.hear(microphone);
        assert_eq!(bench.desk.report().stopped, stopped, "{faults:?}");
        let heard = bench.all("input_audio_buffer.speech_started").len() as u64;
        assert_eq!(heard, stopped);
    }
}

/// What a manual turn brings: speech events, replies by themselves, replies asked for afterwards.
fn manual(faults: &[&str]) -> [usize; 3] {
    let mut bench = Bench::new(faults, false);
    bench.hear(&word());
    bench.event("input_audio_buffer.commit");
    bench.run(4000);
    let heard = bench.all("input_audio_buffer.speech_started").len();
    let by_itself = bench.all("response.created").len();
    if by_itself == 0 {
        bench.event("response.create");
        bench.run(4000);
    }
    bench.forget();
    bench.event("response.create");
    bench.run(4000);
    [heard, by_itself, bench.all("response.created").len()]
}

#[test]
fn manual_turns_are_as_recorded_or_as_documented() {
    assert_eq!(manual(&[]), [1, 1, 0]);
    assert_eq!(manual(&["documented"]), [0, 0, 1]);
    for (faults, stopped) in [(&[][..], 1), (&["documented"], 0)] {
        let mut bench = Bench::new(faults, false);
        bench.typed("tell me a long story");
        bench.run(1500);
        bench.hear(&word());
        bench.run(8000);
        assert_eq!(bench.desk.report().stopped, stopped, "{faults:?}");
        assert_eq!(bench.all("response.done").len() as u64, 1 - stopped);
    }
}

#[test]
fn heard_turns_are_as_recorded_or_as_documented() {
    for (faults, recorded) in [(&[][..], true), (&["documented"], false)] {
        let mut bench = Bench::new(faults, true);
        bench.run(3000);
        bench.hear(&word());
        bench.quiet(1500);
        bench.run(4000);
        let kind = "conversation.item.input_audio_transcription.completed";
        let snapshots = bench.all(kind).iter().filter(|e| e["status"] == "in_progress").count();
        assert_eq!(snapshots > 0, recorded, "{faults:?}");
        let start = &bench.last("input_audio_buffer.speech_started")["audio_start_ms"];
        assert_eq!(start.as_u64().unwrap() > 3000, recorded, "{start}: sound began at once");
    }
}

#[test]
fn confirmations_are_as_recorded_or_as_documented() {
    for (faults, recorded) in [(&[][..], true), (&["documented"], false)] {
        let mut bench = Bench::new(faults, true);
        let session = &bench.last("session.updated")["session"];
        assert_eq!(session.get("is_kids_mode").is_some(), recorded, "{faults:?}");
        bench.typed("tell me a long story");
        bench.run(2000);
        let items = bench.all("conversation.item.added");
        let ids: Vec<Value> = items.iter().map(|e| e["item"]["id"].clone()).collect();
        bench.say(&json!({ "type": "conversation.item.truncate", "item_id": ids[1],
            "content_index": 0, "audio_end_ms": 10 }));
        let answers = bench.all("conversation.item.truncated").len();
        assert_eq!(answers == 0, recorded, "{faults:?}: a reply is active");
        bench.run(8000);
        for id in &ids {
            bench.say(&json!({ "type": "conversation.item.delete", "item_id": id }));
        }
        let named = &bench.last("conversation.item.deleted")["item_id"];
        assert_eq!(*named == "", recorded, "{faults:?}");
    }
}
