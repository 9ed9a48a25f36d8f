//! Each fault does what its line says.

use super::*;

fn reply(faults: &[&str], text: &str) -> Bench {
    let mut bench = Bench::new(faults, true);
    bench.forget();
    bench.typed(text);
    bench.run(6000);
    bench
}

fn lengths(bench: &Bench) -> Vec<usize> {
    let deltas = bench.all("response.output_audio.delta");
    deltas.iter().map(|d| decode(d["delta"].as_str().unwrap()).unwrap().len()).collect()
}

#[test]
fn deltas_can_be_huge_odd_or_missing() {
    let plain = reply(&[], "hello there").audio();
    let huge = reply(&["huge-delta"], "hello there");
    assert_eq!((lengths(&huge).len(), huge.audio()), (1, plain.clone()));
    let odd = reply(&["odd-deltas"], "hello there");
    assert!(lengths(&odd).iter().any(|n| n % 2 == 1));
    assert_eq!(odd.audio(), plain);
    let none = reply(&["no-audio"], "hello there");
    assert!(none.audio().is_empty());
    assert_eq!(none.said(), "You wrote: hello there");
    assert_eq!(none.last("response.done")["response"]["status"], "completed");
    let nothing = reply(&[], "please say nothing");
    assert!(nothing.audio().is_empty() && !nothing.all("response.done").is_empty());
}

#[test]
fn events_can_come_twice() {
    let bench = reply(&["duplicate"], "hello");
    let events = bench.events();
    assert!(events.chunks(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn reordered_events_keep_what_matters() {
    let (plain, swapped) = (
        reply(&[], "one two three four five six seven eight"),
        reply(&["reorder"], "one two three four five six seven eight"),
    );
    assert_ne!(plain.kinds(), swapped.kinds());
    assert_eq!(plain.audio(), swapped.audio());
    let mut sorted = [plain.kinds(), swapped.kinds()];
    sorted.iter_mut().for_each(|kinds| kinds.sort_unstable());
    assert_eq!(sorted[0], sorted[1]);
    let done = swapped.kinds().iter().position(|k| *k == "response.done").unwrap();
    assert!(!swapped.kinds()[done..].contains(&"response.output_audio.delta"));
}

#[test]
fn strange_messages_are_mixed_in() {
    let bench = reply(&["unknown-events"], "hello");
    assert!(
        bench.kinds().iter().any(|k| *k == "response.mystery.delta" || *k == "session.weather")
    );
    assert_eq!(bench.last("response.function_call_arguments.done")["name"], "x_keyword_search");
    assert!(bench.events().iter().any(|e| e.get("x_unheard_of").is_some()));
    let bench = reply(&["bad-json"], "hello");
    let junk = bench.seen.iter().filter(|(_, out)| matches!(out, Out::Junk(_))).count();
    assert!(junk >= 3, "{junk}");
    let bench = reply(&["null-fields"], "hello");
    let delta = bench.last("response.output_audio.delta");
    assert!(delta["audio_duration_ms"].is_null() && delta["item_id"].is_string());
    assert!(bench.last("response.output_item.done")["item"]["role"].is_null());
}

#[test]
fn replies_can_break() {
    for (faults, text) in
        [(&["error-mid-reply"][..], "hello there my friend"), (&[], "fail please")]
    {
        let bench = reply(faults, text);
        let error = bench.kinds().iter().position(|k| *k == "error").unwrap();
        assert!(bench.kinds()[..error].contains(&"response.output_audio.delta"));
        assert_eq!(bench.last("response.done")["response"]["status"], "failed");
    }
    let mut bench = reply(&["no-done"], "hello");
    assert!(
        bench.all("response.done").is_empty() && !bench.all("response.output_item.done").is_empty()
    );
    bench.typed("again");
    bench.run(4000);
    assert_eq!(bench.said(), "You wrote: again");
    let slow = reply(&["slow-audio=3"], "hello");
    assert!(slow.when("response.output_audio.delta") - slow.when("response.created") > 3000);
}

#[test]
fn deltas_of_a_stopped_reply_can_be_late() {
    let mut bench = Bench::new(&["late-deltas"], true);
    bench.typed("tell me a long story");
    bench.run(1500);
    bench.event("response.cancel");
    bench.forget();
    bench.run(5000);
    assert_eq!(bench.all("response.output_audio.delta").len(), 3);
}

#[test]
fn truncation_can_be_ignored_for_good() {
    let mut bench = reply(&["truncate-ignored"], "hello");
    let item = bench.last("response.output_audio.delta")["item_id"].clone();
    bench.forget();
    bench.say(&json!({ "type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": 10 }));
    bench.run(500);
    assert!(bench.events().is_empty());
}

#[test]
fn conversations_end() {
    for (fault, kind) in [("max-duration=5", "max_duration"), ("timeout=5", "timeout")] {
        let mut bench = Bench::new(&[fault], true);
        bench.run(2000);
        assert!(bench.all("error").is_empty());
        bench.event("input_audio_buffer.clear");
        bench.run(4000);
        let early = fault.starts_with("max");
        assert_eq!(bench.all("error").len(), usize::from(early), "{fault}");
        bench.run(4000);
        assert_eq!(bench.last("error")["error"]["type"], kind);
        assert!(matches!(bench.seen.last(), Some((_, Out::Close(1000)))));
    }
}

#[test]
fn connections_break_the_first_time_only() {
    for (fault, want) in
        [("drop=2", Out::Drop), ("close=1011", Out::Close(1011)), ("silence=1", Out::Hush)]
    {
        for number in [1, 2] {
            let mut bench = Bench::open(&desk(&[fault], &[]), number, None);
            bench.configure(&json!({ "voice": "eve", "turn_detection": null }));
            bench.run(5000);
            let broken = bench.seen.iter().any(|(_, out)| *out == want);
            assert_eq!(broken, number == 1, "{fault} {number}");
        }
    }
}

#[test]
fn the_conversation_can_come_first() {
    let mut bench = Bench::open(&desk(&["conversation-first"], &[]), 1, None);
    bench.run(0);
    assert_eq!(bench.kinds()[..2], ["conversation.created", "session.created"]);
}
