//! Typed turns, functions, items, resumption: everything but listening.

use super::*;

#[test]
fn a_connection_begins_as_recorded() {
    let mut bench = Bench::open(&desk(&[], &[]), 1, None);
    bench.run(25_000);
    assert_eq!(bench.kinds(), ["session.created", "conversation.created", "ping", "ping", "ping"]);
    let created = &bench.events()[0]["session"];
    assert_eq!(created["model"], "grok-voice-think-fast-2.0");
    assert_eq!(created["turn_detection"]["type"], Value::Null);
    assert!(bench.events()[1].get("previous_item_id").is_some());
    bench.forget();
    bench.configure(&json!({ "voice": "eve", "turn_detection": null }));
    assert_eq!(bench.kinds(), ["session.updated"]);
}

#[test]
fn a_typed_turn_has_the_recorded_order_and_pace() {
    let mut bench = Bench::new(&[], true);
    bench.forget();
    bench.typed("hello there");
    bench.run(4000);
    let kinds = bench.kinds();
    let head: Vec<_> = kinds[..8].to_vec();
    assert_eq!(
        head,
        [
            "conversation.item.added",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio.delta",
            "response.output_audio_transcript.delta",
            "response.output_audio.delta",
        ]
    );
    assert_eq!(
        kinds[kinds.len() - 5..],
        [
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_audio.done",
            "response.output_item.done",
            "response.done",
        ]
    );
    assert_eq!(bench.said(), "You wrote: hello there");
    let lengths: Vec<_> = bench
        .all("response.output_audio.delta")
        .iter()
        .map(|delta| delta["audio_duration_ms"].as_u64().unwrap())
        .collect();
    assert_eq!(lengths[..4], [245, 640, 580, 150]);
    let playing = bench.audio().len() as u64 * 1000 / 48_000;
    assert!(playing >= 1000);
    let took = bench.when("response.done") - bench.when("response.output_audio.delta");
    assert!(took.abs_diff(playing / 4) <= 5, "{took} {playing}");
    let done = bench.last("response.done");
    assert_eq!(done["response"]["status"], "completed");
    assert_eq!(done["response"]["usage"], json!({}));
    assert!(done["usage"]["output_audio_seconds"].as_f64().unwrap() > 1.0);
    assert!(bench.last("response.output_item.done")["item"].get("content").is_none());
    assert!(bench.desk.report().violations.is_empty(), "{:?}", bench.desk.report());
}

#[test]
fn transcript_deltas_add_up_and_belong_to_audio() {
    let mut bench = Bench::new(&[], true);
    bench.typed("tell me a long story");
    bench.run(12_000);
    let deltas = bench.all("response.output_audio_transcript.delta");
    let text: String = deltas.iter().map(|d| d["delta"].as_str().unwrap()).collect();
    assert_eq!(text, bench.said());
    assert!(deltas.windows(2).all(|w| w[0]["start_time"].as_f64() < w[1]["start_time"].as_f64()));
    let seconds = bench.audio().len() / 48_000;
    assert!((19..=21).contains(&seconds));
    for audio in bench.all("response.output_audio.delta") {
        assert!(deltas.iter().any(|delta| delta["event_id"] == audio["rid"]));
    }
}

#[test]
fn both_calls_then_their_outputs_as_they_came() {
    let mut bench = Bench::new(&[], true);
    bench.typed("The weather in both, please: Paris!");
    bench.run(3000);
    let calls: Vec<_> = bench
        .all("response.function_call_arguments.done")
        .iter()
        .map(|call| (call["call_id"].as_str().unwrap().to_owned(), call["arguments"].clone()))
        .collect();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call.1 == r#"{"city":"Paris"}"#));
    assert!(calls[0].0.starts_with("call-") && calls[1].0.ends_with("-1"));
    assert_eq!(bench.last("response.done")["response"]["output"].as_array().unwrap().len(), 3);
    for (n, (call_id, _)) in calls.iter().enumerate() {
        bench.say(&json!({ "type": "conversation.item.create", "item": {
            "type": "function_call_output", "call_id": call_id, "output": format!("{{\"n\": {n}}}") } }));
    }
    bench.event("response.create");
    bench.run(4000);
    assert!(bench.said().contains(r#"{"n": 0}"#) && bench.said().contains(r#"{"n": 1}"#));
    assert!(bench.desk.report().violations.is_empty());
}

#[test]
fn one_reply_at_a_time() {
    let mut bench = Bench::new(&[], true);
    bench.event("response.cancel");
    assert_eq!(bench.last("error")["error"]["code"], "response_cancel_not_active");
    bench.typed("hello");
    bench.run(900);
    bench.say(&json!({ "type": "response.create", "event_id": "r-2" }));
    let error = &bench.last("error")["error"];
    let words = error["message"].as_str().unwrap();
    assert!(words.starts_with("Conversation already has an active response in progress: "));
    assert_eq!(error["event_id"], "r-2");
    bench.event("response.cancel");
    assert_eq!(bench.last("response.done")["response"]["status"], "cancelled");
    let before = bench.audio().len();
    bench.run(5000);
    assert_eq!(bench.audio().len(), before);
    assert_eq!(bench.all("response.done").len(), 1);
}

#[test]
fn metadata_comes_back() {
    let mut bench = Bench::new(&[], true);
    bench.say(&json!({ "type": "response.create", "response": { "metadata": { "turn": "17" } } }));
    bench.run(3000);
    assert_eq!(bench.last("response.created")["response"]["metadata"]["turn"], "17");
    assert_eq!(bench.last("response.done")["response"]["metadata"]["turn"], "17");
}

#[test]
fn truncation_lands_only_after_the_reply() {
    let mut bench = Bench::new(&[], true);
    bench.typed("one two three four five six seven eight nine ten eleven twelve");
    bench.run(1100);
    let item = bench.last("response.output_audio.delta")["item_id"].clone();
    let truncate = |ms: u64| json!({ "type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": ms });
    bench.say(&truncate(500));
    assert!(bench.all("conversation.item.truncated").is_empty() && bench.all("error").is_empty());
    bench.run(4000);
    bench.say(&truncate(90_000));
    assert!(bench.last("error")["error"]["message"].as_str().unwrap().contains("already shorter"));
    bench.say(&truncate(1500));
    let left = bench.last("conversation.item.truncated")["transcript"].as_str().unwrap().to_owned();
    assert!(bench.said().starts_with(&left) && left.len() < bench.said().len() && !left.is_empty());
    bench.say(&json!({ "type": "conversation.item.delete", "item_id": item }));
    assert_eq!(bench.last("conversation.item.deleted")["item_id"], item);
    bench.say(&json!({ "type": "conversation.item.delete", "item_id": item }));
    assert_eq!(bench.last("error")["error"]["message"], "Item not found");
}

#[test]
fn nonsense_gets_an_error_and_the_connection_lives() {
    let mut bench = Bench::new(&[], true);
    bench.brain.text(bench.now, "{not json");
    bench.run(0);
    assert_eq!(bench.last("error")["error"]["type"], "invalid_request_error");
    bench.event("conversation.item.retrieve");
    assert_eq!(bench.last("error")["error"]["type"], "invalid_event");
    bench.configure(&json!({ "audio": { "input": { "format": { "type": "audio/opus" } } } }));
    assert_eq!(bench.last("error")["error"]["code"], "invalid_audio_format");
    assert_eq!(bench.all("session.updated").len(), 1);
    bench.typed("hello");
    bench.run(3000);
    assert_eq!(bench.said(), "You wrote: hello");
}

fn resumed(fault: &str) -> (bool, Vec<Value>) {
    let desk = desk(&[fault], &[]);
    let mut first = Bench::open(&desk, 1, None);
    first.configure(
        &json!({ "voice": "eve", "turn_detection": null, "resumption": { "enabled": true } }),
    );
    first.typed("hello");
    first.run(3000);
    let id = first.last("conversation.created")["conversation"]["id"].clone();
    first.brain.leave(first.now);
    let mut second = Bench::open(&desk, 2, id.as_str());
    second.configure(&json!({ "voice": "eve", "turn_detection": null }));
    let items = second.all("conversation.item.added").iter().map(|e| e["item"].clone()).collect();
    (second.last("conversation.created")["conversation"]["id"] == id, items)
}

#[test]
fn resumption_brings_back_what_the_mood_says() {
    let (same, items) = resumed("resume=partial");
    assert!(same && items.len() == 1);
    assert_eq!(items[0]["content"], json!([{ "type": "text", "text": "You wrote: hello" }]));
    assert_eq!(items[0]["replayed"], true);
    let (same, items) = resumed("resume=full");
    assert!(same && items.len() == 2 && items[0]["role"] == "user");
    let (same, items) = resumed("resume=off");
    assert!(!same && items.is_empty());
}

#[test]
fn a_line_is_spoken_as_it_is() {
    let mut bench = Bench::new(&[], true);
    bench.forget();
    bench.say(&json!({ "type": "conversation.item.create", "item": {
        "type": "force_message", "role": "assistant", "interruptible": false,
        "content": [{ "type": "output_text", "text": "The timer is done." }] } }));
    bench.run(300);
    assert_eq!(bench.kinds(), ["response.created"]);
    bench.hear(&word());
    bench.quiet(600);
    assert!(bench.all("input_audio_buffer.speech_started").is_empty());
    assert_eq!(bench.said(), "The timer is done.");
    bench.run(3000);
    bench.hear(&word());
    bench.quiet(600);
    assert_eq!(bench.all("input_audio_buffer.speech_started").len(), 1);
}

#[test]
fn silence_after_a_reply_brings_a_check_in_until_someone_acts() {
    let mut bench = Bench::new(&[], true);
    bench
        .configure(&json!({ "turn_detection": { "type": "server_vad", "idle_timeout_ms": 3000 } }));
    bench.typed("hello");
    bench.run(20_000);
    assert!(bench.all("input_audio_buffer.timeout_triggered").len() >= 2);
    assert_eq!(bench.said(), "Are you still there?");
    bench.configure(&json!({ "turn_detection": { "type": "server_vad" } }));
    bench.run(10_000);
    bench.forget();
    bench.run(30_000);
    assert!(bench.all("input_audio_buffer.timeout_triggered").is_empty());
}
