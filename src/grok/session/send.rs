//! What is said to the service, in order, and what waits while nothing leaves.

use super::super::client::{ClientEvent, Item, append};
use super::{Ask, Detection, Line, Options, Session, Transport, Wish};
use crate::base::event::Wire;
use crate::base::unit::Moment;

/// Messages that wait while the link is congested. Sound is not among them: it waits in the uplink.
const OUTBOX: usize = 64;

impl Session {
    pub(super) fn configure(&mut self) {
        let o = &self.options;
        let transport = match o.transport {
            Transport::Json => "json",
            Transport::Binary => "binary",
        };
        let mut instructions = o.instructions.clone();
        let mut transcription = serde_json::json!({"model": "grok-transcribe"});
        if o.language != "auto" {
            transcription["language_hint"] = o.language.clone().into();
            instructions.push_str(&format!(
                " Speak the language with the code {} unless you are asked for another.",
                o.language
            ));
        }
        // `create_response` and `interrupt_response` are always sent as true (Q9).
        let detection = self.detection.map(|d| {
            serde_json::json!({
                "type": "server_vad",
                "threshold": d.threshold,
                "prefix_padding_ms": d.prefix_padding_ms,
                "silence_duration_ms": d.silence_duration_ms,
                "create_response": true,
                "interrupt_response": true,
            })
        });
        let session = serde_json::json!({
            "instructions": instructions,
            "voice": o.voice,
            "reasoning": {"effort": o.reasoning},
            "turn_detection": detection,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": o.input_rate.0},
                    "transport": transport,
                    "transcription": transcription,
                },
                "output": {
                    "format": {"type": "audio/pcm", "rate": o.output_rate.0},
                    "transport": transport,
                },
            },
            "tools": self.tools,
            "resumption": {"enabled": true},
        });
        let text = ClientEvent::SessionUpdate { session }.encode();
        self.asks.push_back(Ask::Transmit(Wire::Text(text)));
    }

    /// Other settings from now on; rates and transport must be the same. Whether the connection had
    /// to be made anew: the model is part of the address.
    pub fn reconfigure(
        &mut self,
        now: Moment,
        options: Options,
        detection: Option<Detection>,
    ) -> bool {
        let model = options.model != self.options.model;
        let told = options != self.options || detection != self.detection;
        (self.options, self.detection) = (options, detection);
        let up = matches!(self.line, Line::Greeting { .. } | Line::Ready { .. });
        let anew = model && (up || matches!(self.line, Line::Dialling { .. }));
        if anew {
            self.conversation = None;
            self.recycle(now);
        } else if up && told {
            self.configure();
        }
        anew
    }

    pub(super) fn send(&mut self, event: &ClientEvent) {
        if self.is_ready() {
            self.transmit(Wire::Text(event.encode()));
        }
    }

    pub(super) fn transmit(&mut self, wire: Wire) {
        if !self.congested {
            self.asks.push_back(Ask::Transmit(wire));
        } else if self.outbox.len() < OUTBOX {
            self.outbox.push_back(wire);
        } else {
            self.stuck = true;
        }
    }

    /// Sends whole samples at the input rate; the caller asks [`Session::may_stream`] first.
    pub fn append(&mut self, now: Moment, samples: &[i16]) {
        self.last_append = Some(now);
        let mut bytes = std::mem::take(&mut self.sound);
        bytes.resize(samples.len() * 2, 0);
        let pairs = bytes.as_chunks_mut::<2>().0;
        pairs.iter_mut().zip(samples).for_each(|(pair, sample)| *pair = sample.to_le_bytes());
        match self.options.transport {
            Transport::Json => {
                if self.is_ready() {
                    self.transmit(Wire::Text(append(&bytes)));
                }
                self.sound = bytes;
            }
            Transport::Binary => self.transmit(Wire::Binary(bytes)),
        }
    }

    /// Ends a manual turn and expects a reply (R4).
    pub fn commit(&mut self, now: Moment, spoken: bool) {
        self.send(&ClientEvent::Commit);
        self.replies.want(now, Wish::Committed { spoken });
    }

    /// Forgets what was sent and not committed.
    pub fn clear(&mut self) {
        self.last_append = None;
        self.send(&ClientEvent::Clear);
    }

    /// Adds a user's line.
    pub fn user_item(&mut self, id: Option<String>, text: &str) {
        self.send(&ClientEvent::ItemCreate { item: Item::user(id, text) });
    }

    /// Adds a line of the assistant's, as history.
    pub fn assistant_item(&mut self, text: &str) {
        self.send(&ClientEvent::ItemCreate { item: Item::assistant(text) });
    }

    /// Answers a call.
    pub fn output_item(&mut self, call_id: &str, output: &str) {
        let item =
            Item::FunctionCallOutput { call_id: call_id.to_owned(), output: output.to_owned() };
        self.send(&ClientEvent::ItemCreate { item });
        self.unacknowledged.push(call_id.to_owned());
    }

    /// Wants a reply; it is asked for when none is active (Q14).
    pub fn want_reply(&mut self, now: Moment, wish: Wish) {
        self.replies.want(now, wish);
    }

    /// Nobody waits for a reply any more; one that is on its way is cancelled as it comes.
    pub fn forget_reply(&mut self, now: Moment) {
        self.replies.forget(now);
    }

    /// Stops the active reply, if there is one.
    pub fn cancel(&mut self, now: Moment) {
        if let Some(id) = self.replies.cancel(now) {
            self.send(&ClientEvent::ResponseCancel { response_id: Some(id) });
        }
    }

    /// Late sound of this reply is not admitted any more.
    pub fn cut(&mut self, response: &str) {
        self.replies.cut(response);
    }

    /// Shortens an item to what was heard; the confirmation is not waited for (Q7).
    pub fn truncate(&mut self, item: &str, heard_ms: u64) {
        self.send(&ClientEvent::ItemTruncate {
            item_id: item.to_owned(),
            content_index: 0,
            audio_end_ms: heard_ms,
        });
    }
}
