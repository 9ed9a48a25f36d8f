//! Cards by names that stay: what the owner may write, and what is there.

use super::{LAYOUTS, Quiet, direction, format, trouble};
use crate::audio::holder::holder;
use crate::audio::{Card, CardError, Device, Facts};
use crate::base::event::Side;
use alsa::pcm::{HwParams, PCM};

/// Index, id and names of a card, for finding it by what stays the same.
struct Named {
    index: i32,
    id: String,
    name: String,
    long: String,
    ctl: alsa::Ctl,
}

fn named_cards() -> Vec<Named> {
    alsa::card::Iter::new()
        .flatten()
        .filter_map(|card| {
            let ctl = alsa::Ctl::from_card(&card, false).ok()?;
            let info = ctl.card_info().ok()?;
            let (id, name) = (info.get_id().ok()?.to_owned(), info.get_name().ok()?.to_owned());
            let long = info.get_longname().unwrap_or_default().to_owned();
            Some(Named { index: card.get_index(), id, name, long, ctl })
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
    let id = pcm.split_once("CARD=")?.1.split(',').next()?;
    named_cards().into_iter().find(|c| c.id == id).map(|c| c.index)
}

/// The PCM names to try for what the owner wrote, best first: a card's own hardware with its native
/// channels, then with conversion.
pub(super) fn candidates(device: &Device, side: Side) -> Vec<String> {
    let name = match device {
        Device::Named(name) => name.as_str(),
        Device::Default | Device::File(_) | Device::Null => "default",
    };
    let card = named_cards()
        .into_iter()
        .find(|c| !name.contains(':') && [&c.id, &c.name, &c.long].iter().any(|n| *n == name));
    let Some(card) = card else { return vec![name.to_owned()] };
    let number = card.devices(side).first().copied().unwrap_or(0);
    ["hw", "plughw"].map(|kind| format!("{kind}:CARD={},DEV={number}", card.id)).to_vec()
}

/// What stays the same about a device. A PCM of the configuration, `default` too, may lead to another
/// card tomorrow: then other cards are there.
pub(in crate::audio) fn stable_name(device: &Device, side: Side) -> String {
    let _quiet = Quiet::new();
    let cards = named_cards();
    let names = candidates(device, side);
    let name = names.first().map_or("default", String::as_str);
    let own = name.split_once("CARD=").and_then(|(_, rest)| rest.split(',').next());
    if let Some(card) = own.and_then(|id| cards.iter().find(|card| card.id == id)) {
        return format!("{name} ({})", card.name);
    }
    let mut others: Vec<&str> = cards.iter().map(|card| card.id.as_str()).collect();
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
        .map(|card| {
            let sides = both.iter().filter_map(|side| {
                let device = card.devices(*side).first().copied()?;
                facts(&format!("hw:CARD={},DEV={device}", card.id), *side, Some(card.index), &quiet)
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
