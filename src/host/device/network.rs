//! Network interfaces of hardware, and how well a radio hears.

use super::Root;
use serde::Serialize;

/// One interface.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Network {
    /// The kernel's name for it.
    pub name: String,
    /// Whether packets can pass.
    pub up: bool,
    /// Of a cable that is plugged in, in Mbit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mbit: Option<u32>,
    /// Present on Wi-Fi.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radio: Option<Radio>,
}

/// What a radio hears of its access point; without one, nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Radio {
    /// Strength in dBm: -50 is near, -80 hardly enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dbm: Option<f64>,
}

pub(super) fn look(root: &Root) -> Vec<Network> {
    let radios = root.read("proc/net/wireless").unwrap_or_default();
    let one = |name: String| {
        let folder = format!("sys/class/net/{name}");
        // Bridges, tunnels and the loopback have no device behind them.
        if !root.is_there(&format!("{folder}/device")) {
            return None;
        }
        let up = root.read(&format!("{folder}/operstate")).is_some_and(|state| state == "up");
        let wireless = root.is_there(&format!("{folder}/wireless"))
            || root.is_there(&format!("{folder}/phy80211"));
        let speed = root.read(&format!("{folder}/speed")).filter(|_| up && !wireless);
        Some(Network {
            up,
            // A driver that does not know says -1.
            mbit: speed.and_then(|speed| speed.parse().ok()).filter(|&mbit| mbit > 0),
            radio: wireless.then(|| Radio { dbm: strength(&radios, &name).filter(|_| up) }),
            name,
        })
    };
    root.list("sys/class/net").into_iter().filter_map(one).collect()
}

/// The column "level" of `/proc/net/wireless` where it is in dBm.
fn strength(text: &str, name: &str) -> Option<f64> {
    let line =
        text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'))?;
    let level = line.split_whitespace().nth(2)?.trim_end_matches('.');
    level.parse().ok().filter(|dbm| (-120.0..0.0).contains(dbm))
}

#[cfg(test)]
mod tests {
    use super::super::samples::Samples;
    use super::*;

    const WIRELESS: &str = "\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   54.  -56.  -256        0      0      0      0      0        0
wlan1: 0000    0     54     0        0      0      0      0      0        0
";

    #[test]
    fn cable_and_radio_are_told_apart_and_bridges_left_out() {
        let board = Samples::new(&[
            ("proc/net/wireless", WIRELESS),
            ("sys/class/net/lo/operstate", "unknown"),
            ("sys/class/net/docker0/operstate", "up"),
            ("sys/class/net/eth0/device/uevent", ""),
            ("sys/class/net/eth0/operstate", "up"),
            ("sys/class/net/eth0/speed", "1000"),
            ("sys/class/net/eth1/device/uevent", ""),
            ("sys/class/net/eth1/operstate", "down"),
            ("sys/class/net/eth1/speed", "-1"),
            ("sys/class/net/wlan0/device/uevent", ""),
            ("sys/class/net/wlan0/operstate", "up"),
            ("sys/class/net/wlan0/wireless/x", ""),
        ]);
        let one = |name: &str, up, mbit, radio| Network { name: name.into(), up, mbit, radio };
        let expected = vec![
            one("eth0", true, Some(1000), None),
            one("eth1", false, None, None),
            one("wlan0", true, None, Some(Radio { dbm: Some(-56.0) })),
        ];
        assert_eq!(look(&board.0), expected);
    }

    #[test]
    fn a_level_that_is_not_in_dbm_is_none() {
        assert_eq!(strength(WIRELESS, "wlan1"), None);
        assert_eq!(strength(WIRELESS, "wlan"), None);
        assert_eq!(strength("wlan0: 0000", "wlan0"), None);
    }
}
