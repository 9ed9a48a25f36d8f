//! Which GPIO chip a line is meant on, and what is wrong when it is on none. Pure.

/// The chip with the header's pins, on the boards this is made for: its driver's name begins so.
const HEADER: &str = "pinctrl-";
/// Where no chip calls itself so.
const FIRST: &str = "gpiochip0";

/// A chip as the kernel tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chip {
    /// `gpiochip0`.
    pub name: String,
    /// What its driver calls it.
    pub label: String,
    /// How many lines it has.
    pub lines: u32,
}

/// Why a line cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLine {
    /// There is no chip, or none may be opened.
    #[error("there is no GPIO chip that can be opened (/dev/gpiochip*; its group is gpio)")]
    NoChip,
    /// None is called so.
    #[error(
        "buttons.chip = {named:?}: no GPIO chip has this name or label; there are: {there_are}"
    )]
    NotNamed {
        /// As written.
        named: String,
        /// Those there are.
        there_are: String,
    },
    /// The chip is smaller.
    #[error("{chip} has the lines 0 to {last} only")]
    NotThere {
        /// Its name.
        chip: String,
        /// Its last line.
        last: u32,
    },
}

/// The chip of a line: the one that is `named`; else the one with the header's pins, if it has the
/// line; else the first.
pub fn choose<'a>(chips: &'a [Chip], named: &str, line: u32) -> Result<&'a Chip, NoLine> {
    let chosen = if named.is_empty() {
        let header = |chip: &&Chip| chip.label.starts_with(HEADER) && line < chip.lines;
        let first = || chips.iter().find(|chip| chip.name == FIRST);
        chips.iter().find(header).or_else(first).ok_or(NoLine::NoChip)?
    } else {
        let is_named = |chip: &&Chip| chip.name == named || chip.label == named;
        chips.iter().find(is_named).ok_or_else(|| NoLine::NotNamed {
            named: named.to_owned(),
            there_are: match chips {
                [] => "none".to_owned(),
                _ => chips.iter().map(said).collect::<Vec<_>>().join(", "),
            },
        })?
    };
    if line >= chosen.lines {
        let last = chosen.lines.saturating_sub(1);
        return Err(NoLine::NotThere { chip: said(chosen), last });
    }
    Ok(chosen)
}

fn said(chip: &Chip) -> String {
    format!("{} ({})", chip.name, chip.label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chips() -> Vec<Chip> {
        let chip = |name: &str, label: &str, lines| Chip {
            name: name.to_owned(),
            label: label.to_owned(),
            lines,
        };
        vec![
            chip("gpiochip0", "raspberrypi-exp-gpio", 8),
            chip("gpiochip1", "pinctrl-small", 4),
            chip("gpiochip4", "pinctrl-header", 54),
        ]
    }

    fn name(named: &str, line: u32) -> Result<String, String> {
        let chips = chips();
        choose(&chips, named, line).map(|c| c.name.clone()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_header_goes_before_the_first_where_it_has_the_line() {
        assert_eq!(name("", 3), Ok("gpiochip1".to_owned()));
        assert_eq!(name("", 17), Ok("gpiochip4".to_owned()));
        assert_eq!(choose(&chips()[..1], "", 7).unwrap().name, "gpiochip0");
    }

    #[test]
    fn a_named_chip_is_taken_by_name_or_label() {
        assert_eq!(name("gpiochip0", 7), Ok("gpiochip0".to_owned()));
        assert_eq!(name("pinctrl-header", 3), Ok("gpiochip4".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(name("gpiochip0", 8).unwrap_err().contains("the lines 0 to 7 only"));
        assert!(name("", 54).unwrap_err().contains("gpiochip0 (raspberrypi-exp-gpio)"));
        let error = name("gpiochip9", 1).unwrap_err();
        assert!(error.contains("buttons.chip") && error.contains("gpiochip4 (pinctrl-header)"));
        assert_eq!(choose(&[], "", 1), Err(NoLine::NoChip));
        assert!(choose(&[], "x", 1).unwrap_err().to_string().ends_with("there are: none"));
    }
}
