//! Scene as a pure function of state.

use super::turn::Turn;
use crate::base::event::Scene;

/// What else shows besides the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Weather {
    /// The microphone is off by the owner's will.
    pub(super) muted: bool,
    /// The service is wanted and cannot be reached.
    pub(super) offline: bool,
    /// A person must do something.
    pub(super) error: bool,
}

/// A running turn shows; the rest is what a person should know before the next one.
pub(super) fn scene(turn: Turn, weather: Weather) -> Scene {
    match turn {
        Turn::Listening { .. } => Scene::Listening,
        Turn::Thinking { .. } => Scene::Thinking,
        Turn::Speaking { .. } => Scene::Speaking,
        Turn::Asleep | Turn::Lingering { .. } if weather.error => Scene::Error,
        Turn::Asleep | Turn::Lingering { .. } if weather.muted => Scene::Muted,
        Turn::Asleep | Turn::Lingering { .. } if weather.offline => Scene::Offline,
        Turn::Lingering { .. } => Scene::Lingering,
        Turn::Asleep => Scene::Asleep,
    }
}
