//! What we believe about the service connection. Pure.

use crate::base::unit::Rate;
use std::time::Duration;

/// How audio travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Base64 in JSON events.
    #[default]
    Json,
    /// Binary frames.
    Binary,
}

/// What the session is told; part of the journal's head.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// `grok.model`, goes into the URL.
    pub model: String,
    /// `grok.voice`.
    pub voice: String,
    /// `grok.instructions`.
    pub instructions: String,
    /// `grok.language`: a BCP-47 code, or `auto`.
    pub language: String,
    /// `grok.reasoning`.
    pub reasoning: String,
    /// `grok.transport`.
    pub transport: Transport,
    /// `grok.input_rate`.
    pub input_rate: Rate,
    /// `grok.output_rate`.
    pub output_rate: Rate,
    /// `grok.session_minutes`: recycle the session at a quiet moment before the service ends it.
    pub life: Duration,
}
