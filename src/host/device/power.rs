//! Heat, supply voltage and throttling.

use super::Root;
use serde::Serialize;

/// Where the Raspberry Pi's firmware says what it had to do.
const FIRMWARE: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
/// The kernel's name for its watch over the same supply.
const VOLTAGE: &str = "rpi_volt";
/// How far the bits "since power-on" are above the bits "now".
const SINCE_START: u32 = 16;
/// What a processor can have in degrees Celsius; sensors that are not wired up say other things.
const SANE_C: std::ops::RangeInclusive<f64> = -40.0..=150.0;

/// Whether something was the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Not since power-on.
    Never,
    /// At least once since power-on, and not now.
    Before,
    /// Now.
    Now,
}

/// What the board says of its supply and of its own measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Power {
    /// The supply fell below what the board needs.
    pub low_voltage: When,
    /// The clock was held down for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capped: Option<When>,
    /// The processor was slowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled: Option<When>,
    /// It came near its highest temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hot: Option<When>,
}

/// Firmware and kernel watch the same supply, and each has missed what the other saw: the worse of
/// both counts. `None` on boards that tell nothing.
pub(super) fn look(root: &Root) -> Option<Power> {
    let bits = root.read(FIRMWARE).and_then(|text| bits(&text));
    let kernel = root.list("sys/class/hwmon").into_iter().find_map(|name| {
        let sensor = format!("sys/class/hwmon/{name}");
        let ours = root.read(&format!("{sensor}/name"))? == VOLTAGE;
        let alarm = root.read(&format!("{sensor}/in0_lcrit_alarm"))?;
        ours.then_some(if alarm == "1" { When::Now } else { When::Never })
    });
    let of = |bit: u32| bits.map(|bits| when(bits, bit));
    let low_voltage = match (of(0), kernel) {
        (Some(When::Now), _) | (_, Some(When::Now)) => When::Now,
        (Some(firmware), _) => firmware,
        (None, Some(kernel)) => kernel,
        (None, None) => return None,
    };
    Some(Power { low_voltage, capped: of(1), throttled: of(2), hot: of(3) })
}

/// The firmware's word: hexadecimal digits, with or without `0x`.
fn bits(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

fn when(bits: u32, bit: u32) -> When {
    let is_set = |bit: u32| bits >> bit & 1 == 1;
    if is_set(bit) {
        When::Now
    } else if is_set(bit + SINCE_START) {
        When::Before
    } else {
        When::Never
    }
}

/// The hottest zone of the processor; where none says that it is one, the hottest of all.
pub(super) fn temperature(root: &Root) -> Option<f32> {
    let zones = root.list("sys/class/thermal").into_iter().filter_map(|name| {
        let zone = format!("sys/class/thermal/{name}");
        let celsius = root.number(&format!("{zone}/temp"))? / 1000.0;
        let kind = root.read(&format!("{zone}/type")).unwrap_or_default().to_lowercase();
        let own = ["cpu", "soc", "pkg", "core"].iter().any(|word| kind.contains(word));
        SANE_C.contains(&celsius).then_some((own, celsius))
    });
    let hottest = zones.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    #[expect(clippy::cast_possible_truncation, reason = "a tenth of a degree is enough")]
    hottest.map(|(_, celsius)| celsius as f32)
}

#[cfg(test)]
mod tests {
    use super::super::samples::Samples;
    use super::*;

    #[test]
    fn the_firmwares_bits_are_words() {
        let board = Samples::new(&[(FIRMWARE, "50005\n")]);
        let expected = Power {
            low_voltage: When::Now,
            capped: Some(When::Never),
            throttled: Some(When::Now),
            hot: Some(When::Never),
        };
        assert_eq!(look(&board.0), Some(expected));
        board.put(FIRMWARE, "0x80000");
        let power = look(&board.0).unwrap();
        assert_eq!((power.low_voltage, power.hot), (When::Never, Some(When::Before)));
        board.put(FIRMWARE, "no such property");
        assert_eq!(look(&board.0), None);
    }

    #[test]
    fn the_worse_of_kernel_and_firmware_counts() {
        let board = Samples::new(&[
            ("sys/class/hwmon/hwmon0/name", "cpu_thermal"),
            ("sys/class/hwmon/hwmon1/name", "rpi_volt"),
            ("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1"),
        ]);
        let power = look(&board.0).unwrap();
        assert_eq!((power.low_voltage, power.throttled), (When::Now, None));
        board.put(FIRMWARE, "0");
        assert_eq!(look(&board.0).unwrap().low_voltage, When::Now);
        board.put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0");
        board.put(FIRMWARE, "10000");
        assert_eq!(look(&board.0).unwrap().low_voltage, When::Before);
    }

    #[test]
    fn the_processor_is_told_from_other_sensors() {
        let board = Samples::new(&[
            ("sys/class/thermal/thermal_zone0/type", "iwlwifi_1"),
            ("sys/class/thermal/thermal_zone0/temp", "61000"),
            ("sys/class/thermal/thermal_zone1/type", "cpu-thermal"),
            ("sys/class/thermal/thermal_zone1/temp", "48312"),
            ("sys/class/thermal/thermal_zone2/type", "cpu-dead"),
            ("sys/class/thermal/thermal_zone2/temp", "-274000"),
            ("sys/class/thermal/cooling_device0/type", "Processor"),
        ]);
        assert_eq!(temperature(&board.0), Some(48.312));
        let other = Samples::new(&[("sys/class/thermal/thermal_zone0/temp", "40000")]);
        assert_eq!(temperature(&other.0), Some(40.0));
    }
}
