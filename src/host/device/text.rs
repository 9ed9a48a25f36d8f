//! The two shapes of text in `/proc`.

/// Clock ticks a second of `/proc/self/stat`: fixed in the kernel's interface on all our machines.
const TICKS: f64 = 100.0;

/// The number after `name:`, in the unit the line says (kB as a rule).
pub fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Field `number` of `/proc/self/stat` (3 and on; proc(5) counts from 1), from ticks to seconds.
pub fn ticks(stat: &str, number: usize) -> Option<f64> {
    // The name in brackets may hold spaces; field 3 follows it.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    fields.nth(number.checked_sub(3)?)?.parse::<f64>().ok().map(|ticks| ticks / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_and_number() {
        let status = "Name:\tx\nVmRSSX:\t7 kB\nVmRSS:\t 1024 kB\n";
        assert_eq!((field(status, "VmRSS"), field(status, "Vm")), (Some(1024.0), None));
        let stat = format!("9 (a b) c) S {} 150 50 0", "0 ".repeat(10));
        assert_eq!((ticks(&stat, 14), ticks(&stat, 15)), (Some(1.5), Some(0.5)));
        assert_eq!((ticks(&stat, 2), ticks(&stat, 40), ticks("", 14)), (None, None, None));
    }
}
