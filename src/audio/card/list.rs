//! Cards by names that stay: what the owner may write, and what is there.

use super::{LAYOUTS, Quiet, direction, format, trouble};
use crate::audio::holder::holder;
use crate::audio::{Card, CardError, Device, Facts};
use crate::base::event::Side;
use alsa::pcm::{HwParams, PCM};

/// A card that is there.
struct Named {
    card: Labels,
    ctl: alsa::Ctl,
}

/// Index, id and names of a card, for finding it by what stays the same.
struct Labels {
    index: i32,
    id: String,
    name: String,
    long: String,
}

impl Labels {
    /// Whether the owner means this card. A name with a colon is one of the configuration.
    fn is_called(&self, name: &str) -> bool {
        !name.contains(':') && [&self.id, &self.name, &self.long].iter().any(|own| *own == name)
    }

    /// Of a device of it: its own hardware with its native channels, then with conversion. By the id, because
    /// the index is another one when it is plugged in anew.
    fn pcms(&self, device: i32) -> Vec<String> {
        ["hw", "plughw"].map(|kind| format!("{kind}:CARD={},DEV={device}", self.id)).to_vec()
    }

    /// Whether a PCM of [`Labels::pcms`] is one of this card.
    fn has(&self, pcm: &str) -> bool {
        pcm.split_once("CARD=").and_then(|(_, rest)| rest.split(',').next()) == Some(&*self.id)
    }
}

fn named_cards() -> Vec<Named> {
    alsa::card::Iter::new()
        .flatten()
        .filter_map(|card| {
            let ctl = alsa::Ctl::from_card(&card, false).ok()?;
            let info = ctl.card_info().ok()?;
            let (id, name) = (info.get_id().ok()?.to_owned(), info.get_name().ok()?.to_owned());
            let long = info.get_longname().unwrap_or_default().to_owned();
            let card = Labels { index: card.get_index(), id, name, long };
            Some(Named { card, ctl })
        })
        .collect()
}

impl Named {
    /// Its PCM devices in a direction.
    fn devices(&self, side: Side) -> Vec<i32> {
        alsa::ctl::DeviceIter::new(&self.ctl)
            .filter(|d| {
                let device = u32::try_from(*d).unwrap_or(0);
                self.ctl.pcm_info(device, 0, direction(side)).is_ok()
            })
            .collect()
    }
}

/// The index behind `hw:CARD=Name,..`, for looking up its holder.
pub(super) fn card_index(pcm: &str) -> Option<i32> {
    named_cards().iter().find(|known| known.card.has(pcm)).map(|known| known.card.index)
}

/// The PCM names to try for what the owner wrote, best first. Looked up anew with each attempt.
pub(super) fn candidates(device: &Device, side: Side) -> Vec<String> {
    let name = match device {
        Device::Named(name) => name.as_str(),
        Device::Default | Device::File(_) | Device::Null => "default",
    };
    let known = named_cards().into_iter().find(|known| known.card.is_called(name));
    let Some(known) = known else { return vec![name.to_owned()] };
    known.card.pcms(known.devices(side).first().copied().unwrap_or(0))
}

/// What stays the same about a device. A PCM of the configuration, `default` too, may lead to another
/// card tomorrow: then other cards are there.
pub(in crate::audio) fn stable_name(device: &Device, side: Side) -> String {
    let _quiet = Quiet::new();
    let cards = named_cards();
    let names = candidates(device, side);
    let name = names.first().map_or("default", String::as_str);
    if let Some(known) = cards.iter().find(|known| known.card.has(name)) {
        return format!("{name} ({})", known.card.name);
    }
    let mut others: Vec<&str> = cards.iter().map(|known| known.card.id.as_str()).collect();
    if others.is_empty() {
        return name.to_owned();
    }
    others.sort_unstable();
    format!("{name} among {}", others.join(", "))
}

/// PCM names of the library's own that convert or do nothing: nobody's card.
const PLUGINS: [&str; 11] = [
    "null",
    "lavrate",
    "samplerate",
    "speexrate",
    "speex",
    "upmix",
    "vdownmix",
    "jack",
    "oss",
    "hw",
    "plughw",
];

/// Cards by stable name, then the PCMs of the configuration (`default`, ...).
pub(in crate::audio) fn cards() -> Vec<Card> {
    let quiet = Quiet::new();
    let both = [Side::Capture, Side::Playout];
    let mut cards: Vec<Card> = named_cards()
        .into_iter()
        .map(|known| {
            let card = &known.card;
            let sides = both.iter().filter_map(|side| {
                let device = known.devices(*side).first().copied()?;
                facts(card.pcms(device).first()?, *side, Some(card.index), &quiet)
            });
            Card { sides: sides.collect(), name: card.id.clone(), description: card.name.clone() }
        })
        .collect();
    let hints = alsa::device_name::HintIter::new(None, c"pcm").into_iter().flatten();
    for hint in hints {
        let Some(name) = hint.name else { continue };
        if name.contains(':') || PLUGINS.contains(&name.as_str()) {
            continue;
        }
        let wanted = |s: &&Side| hint.direction.is_none_or(|d| d == direction(**s));
        let sides: Vec<Facts> = both
            .iter()
            .filter(wanted)
            .filter_map(|side| facts(&name, *side, None, &quiet))
            .filter(|f| f.channels.is_some() || f.holder.is_some())
            .collect();
        if !sides.is_empty() {
            let description = hint.desc.unwrap_or_default().replace('\n', ", ");
            cards.push(Card { name, description, sides });
        }
    }
    cards
}

/// What a PCM can do; nothing when it does not exist in this direction.
fn facts(pcm: &str, side: Side, card: Option<i32>, quiet: &Quiet) -> Option<Facts> {
    let mut facts = Facts { side, channels: None, rates: vec![], formats: vec![], holder: None };
    let path = std::ffi::CString::new(pcm).ok()?;
    let opened = match PCM::open(&path, direction(side), true) {
        Ok(opened) => opened,
        Err(error) => {
            let error = trouble(pcm, side, error, quiet.words());
            if let CardError::Busy { holder, .. } = error {
                facts.holder = Some(holder);
            } else if card.is_some() {
                facts.holder = holder(card, side);
            } else {
                return None;
            }
            return Some(facts);
        }
    };
    let h = HwParams::any(&opened).ok()?;
    facts.channels = h.get_channels_min().ok().zip(h.get_channels_max().ok());
    let rates = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000];
    facts.rates = rates.into_iter().filter(|r| h.test_rate(*r).is_ok()).collect();
    let formats = LAYOUTS.iter().filter(|l| h.test_format(format(**l)).is_ok());
    facts.formats = formats.map(|l| l.name().to_owned()).collect();
    Some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: i32) -> Labels {
        let long = "Jabra SPEAK 510 USB at usb-0000:01:00.0-1.2, full speed".to_owned();
        Labels { index, id: "USB".into(), name: "Jabra SPEAK 510 USB".into(), long }
    }

    /// F09.
    #[test]
    fn f09_a_card_under_another_number_is_the_same_card() {
        let (before, after) = (at(1), at(3));
        for name in ["USB", "Jabra SPEAK 510 USB"] {
            assert!(before.is_called(name) && after.is_called(name), "{name}");
        }
        assert_eq!(before.pcms(0), ["hw:CARD=USB,DEV=0", "plughw:CARD=USB,DEV=0"]);
        assert_eq!(after.pcms(0), before.pcms(0));
        // What was opened before is looked for under its present number.
        let other = Labels { id: "vc4hdmi".into(), ..at(1) };
        let cards = [other, after];
        let found = |pcm: &str| cards.iter().find(|card| card.has(pcm)).map(|card| card.index);
        assert_eq!(before.pcms(0).iter().map(|pcm| found(pcm)).collect::<Vec<_>>(), [Some(3); 2]);
        assert_eq!((found("default"), found("hw:CARD=US,DEV=0")), (None, None));
        for name in ["default", "hw:CARD=USB,DEV=0", "1", ""] {
            assert!(!cards[1].is_called(name), "{name}");
        }
    }
}
