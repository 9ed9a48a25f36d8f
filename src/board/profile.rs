//! The typed form of `board/<name>/profile.toml`, as far as pins go. Pure.

use serde::{Deserialize, Serialize};

/// What a board has on its pins. Lines are offsets on a GPIO chip.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What can be pressed.
    pub buttons: Buttons,
    /// What can shine.
    pub leds: Leds,
}

/// Buttons by what they do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buttons {
    /// Talk; held long it opens a pairing window.
    pub talk: Option<u32>,
    /// Microphone off and on again, in turns.
    pub mute: Option<u32>,
    /// Louder.
    pub volume_up: Option<u32>,
    /// Quieter.
    pub volume_down: Option<u32>,
    /// Pressed reads 0.
    pub active_low: bool,
    /// Name or label of the chip; empty where it is to be found.
    pub chip: String,
}

impl Default for Buttons {
    fn default() -> Self {
        Self {
            talk: None,
            mute: None,
            volume_up: None,
            volume_down: None,
            active_low: true,
            chip: String::new(),
        }
    }
}

impl Buttons {
    /// The lines there are, each with its key.
    pub fn lines(&self) -> Vec<(&'static str, u32)> {
        let lines = [
            ("buttons.talk", self.talk),
            ("buttons.mute", self.mute),
            ("buttons.volume_up", self.volume_up),
            ("buttons.volume_down", self.volume_down),
        ];
        lines.into_iter().filter_map(|(key, line)| Some((key, line?))).collect()
    }
}

/// How a lamp is driven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lamp {
    /// There is none.
    #[default]
    None,
    /// One, on or off.
    Gpio,
    /// A chain of APA102 on SPI.
    Apa102,
    /// A chain of WS2812 on SPI.
    Ws2812,
}

/// The lamps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leds {
    /// How they are driven.
    pub lamp: Lamp,
    /// How many pixels of a chain.
    pub count: u16,
    /// The line of a single one.
    pub line: Option<u32>,
}

/// Pins that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Two things on one line.
    #[error("line {line} is taken by {other} already; each line is used once")]
    Twice {
        /// The second user.
        key: &'static str,
        /// The first.
        other: &'static str,
        /// The line.
        line: u32,
    },
    /// A chain without pixels.
    #[error("a chain of lamps needs leds.count, from 1 to 256")]
    NoCount,
    /// A lamp without a line.
    #[error("leds.kind = \"gpio\" needs leds.line, the line of the lamp")]
    NoLine,
}

impl ProfileError {
    /// The key to change.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Twice { key, .. } => key,
            Self::NoCount => "leds.count",
            Self::NoLine => "leds.line",
        }
    }
}

impl Profile {
    /// Whether the pins make sense together.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self) -> Result<(), ProfileError> {
        match self.leds.lamp {
            Lamp::Apa102 | Lamp::Ws2812 if self.leds.count == 0 => {
                return Err(ProfileError::NoCount);
            }
            Lamp::Gpio if self.leds.line.is_none() => return Err(ProfileError::NoLine),
            Lamp::None | Lamp::Gpio | Lamp::Apa102 | Lamp::Ws2812 => {}
        }
        let mut lines = self.buttons.lines();
        lines.extend(self.leds.line.map(|line| ("leds.line", line)));
        for (i, &(key, line)) in lines.iter().enumerate() {
            if let Some(&(other, _)) = lines[..i].iter().find(|(_, l)| *l == line) {
                return Err(ProfileError::Twice { key, other, line });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_without_pins_is_fine() {
        assert_eq!(Profile::default().check(), Ok(()));
    }

    #[test]
    fn contradictions_name_their_key() {
        let twice = Profile {
            buttons: Buttons { talk: Some(17), mute: Some(17), ..Buttons::default() },
            ..Profile::default()
        };
        let error = twice.check().unwrap_err();
        assert_eq!(error.key(), "buttons.mute");
        assert!(error.to_string().contains("line 17 is taken by buttons.talk"));
        for (lamp, key) in
            [(Lamp::Gpio, "leds.line"), (Lamp::Apa102, "leds.count"), (Lamp::Ws2812, "leds.count")]
        {
            let leds = Leds { lamp, ..Leds::default() };
            let profile = Profile { leds, ..Profile::default() };
            assert_eq!(profile.check().unwrap_err().key(), key);
        }
    }
}
