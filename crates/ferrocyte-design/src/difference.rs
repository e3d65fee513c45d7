//! The difference of two levels of a factor as a contrast.

use ferrocyte_base::{Fault, Result, listing, nearest};

use crate::coefficients::{Coefficients, Part};

impl Coefficients {
    /// The contrast `level` minus `reference` of a factor: the difference of the two rows of the model.
    ///
    /// Variables that interact with the factor are set by `at` (a level, or a value for a number); a fault lists
    /// those that are not. Either level may be the one without a column. Truth values may be spelled `TRUE`, `True`
    /// or `true`. With dropped columns, a difference that has no estimate is refused.
    pub fn difference(
        &self,
        variable: &str,
        level: &str,
        reference: &str,
        at: &[(String, String)],
    ) -> Result<Vec<f64>> {
        let parts = self.parts.as_deref().ok_or_else(|| {
            Fault::bad_input("only the names of the coefficients are known, not their factors")
                .at("contrast")
                .hint("write the contrast as an expression over names")
        })?;
        let ask = Question {
            variable,
            level: self.level(variable, level)?,
            reference: self.level(variable, reference)?,
            at: self.settings(at)?,
        };
        if ask.level == ask.reference {
            return Err(
                Fault::bad_input(format!("`{level}` is compared with itself")).at(format!("factor `{variable}`"))
            );
        }
        self.refuse_open(&ask)?;
        let weights: Vec<f64> = parts.iter().map(|p| ask.weight(p)).collect();
        self.refuse_inestimable(&ask, &weights)?;
        Ok(weights)
    }

    /// The level of a factor, by its text.
    fn level(&self, variable: &str, text: &str) -> Result<&str> {
        let levels = self.levels_of(variable)?;
        if let Some(exact) = levels.iter().find(|l| *l == text) {
            return Ok(exact);
        }
        let truth = levels.iter().all(|l| l == "TRUE" || l == "FALSE");
        if truth && let Some(same) = levels.iter().find(|l| l.eq_ignore_ascii_case(text)) {
            return Ok(same);
        }
        let near = nearest(text, levels, 3);
        let hint = if near.is_empty() {
            format!("its levels are {}", listing(levels, 20))
        } else {
            format!("did you mean {}? Its levels are {}", listing(&near, 3), listing(levels, 20))
        };
        Err(Fault::missing(format!("there is no level `{text}`")).at(format!("factor `{variable}`")).hint(hint))
    }

    pub(crate) fn levels_of(&self, variable: &str) -> Result<&[String]> {
        if let Some((_, levels)) = self.factors.iter().find(|(name, _)| name == variable) {
            return Ok(levels);
        }
        let number = self.parts.iter().flatten().flatten().any(|p| matches!(p, Part::Number(t) if t == variable));
        if number {
            return Err(Fault::bad_input(format!("`{variable}` is a number and has no levels"))
                .at("contrast")
                .hint(format!("test its coefficient, `{variable}`")));
        }
        let names: Vec<&str> = self.factors.iter().map(|(name, _)| name.as_str()).collect();
        let near = nearest(variable, &names, 3);
        let hint = if near.is_empty() {
            format!("the factors are {}", listing(&names, 20))
        } else {
            format!("did you mean {}?", listing(&near, 3))
        };
        Err(Fault::missing(format!("no fixed term has a factor `{variable}`")).at("contrast").hint(hint))
    }

    /// What `at` sets each variable to.
    fn settings<'a>(&'a self, at: &'a [(String, String)]) -> Result<Vec<(&'a str, Setting<'a>)>> {
        let number = |name: &str| self.all_parts().any(|p| matches!(p, Part::Number(t) if t == name));
        at.iter()
            .map(|(name, text)| {
                if !number(name) {
                    return Ok((name.as_str(), Setting::Level(self.level(name, text)?)));
                }
                let value: f64 = text.trim().parse().map_err(|_| {
                    Fault::bad_input(format!("expected a number, found `{text}`")).at(format!("at `{name}`"))
                })?;
                Ok((name.as_str(), Setting::Number(value)))
            })
            .collect()
    }

    fn all_parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().flatten().chain(self.dropped.iter().map(|d| &d.parts)).flatten()
    }

    /// Refuses a question that leaves an interacting variable open, listing all of them.
    fn refuse_open(&self, ask: &Question<'_>) -> Result<()> {
        let columns = self.parts.iter().flatten().chain(self.dropped.iter().map(|d| &d.parts));
        let mut open: Vec<&str> = Vec::new();
        for part in columns.filter(|c| c.iter().any(|p| part_variable(p) == ask.variable)).flatten() {
            let name = part_variable(part);
            if name != ask.variable && !open.contains(&name) && ask.at.iter().all(|(set, _)| *set != name) {
                open.push(name);
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let choices: Vec<String> = open
            .iter()
            .map(|name| match self.factors.iter().find(|(factor, _)| factor == name) {
                Some((_, levels)) => format!("`{name}` is one of {}", listing(levels, 20)),
                None => format!("`{name}` is a number"),
            })
            .collect();
        Err(Fault::bad_input(format!("`{}` interacts with {}, not set by `at`", ask.variable, listing(&open, 20)))
            .at("contrast")
            .hint(choices.join("; ")))
    }

    /// With dropped columns a difference has an estimate only if its weight on each of them is what the columns that
    /// it depends on give.
    fn refuse_inestimable(&self, ask: &Question<'_>, weights: &[f64]) -> Result<()> {
        for dropped in &self.dropped {
            let wanted = ask.weight(&dropped.parts);
            let given: f64 = dropped.depends_on.iter().map(|&(j, w)| w * weights[j]).sum();
            let size: f64 = dropped.depends_on.iter().map(|&(j, w)| (w * weights[j]).abs()).sum();
            if (wanted - given).abs() > 1e-6 * size.max(wanted.abs()) {
                return Err(dropped.fault().at(format!("contrast {} - {}", ask.level, ask.reference)));
            }
        }
        if weights.iter().all(|&w| w == 0.0) {
            return Err(Fault::bad_input(format!("the model does not tell `{}` from `{}`", ask.level, ask.reference))
                .at(format!("factor `{}`", ask.variable)));
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Setting<'a> {
    Level(&'a str),
    Number(f64),
}

/// Two levels of a factor, and what the other variables are set to.
struct Question<'a> {
    variable: &'a str,
    level: &'a str,
    reference: &'a str,
    at: Vec<(&'a str, Setting<'a>)>,
}

impl Question<'_> {
    /// The difference in one column of the design.
    fn weight(&self, column: &[Part]) -> f64 {
        let mut weight = 1.0;
        let mut involved = false;
        for part in column {
            let name = part_variable(part);
            if let Part::Level { level, .. } = part
                && name == self.variable
            {
                involved = true;
                weight *= f64::from(u8::from(level == self.level)) - f64::from(u8::from(level == self.reference));
            } else {
                let setting = self.at.iter().find(|(set, _)| *set == name).map(|(_, s)| *s);
                weight *= match (part, setting) {
                    (Part::Level { level, .. }, Some(Setting::Level(set))) => f64::from(u8::from(level == set)),
                    (Part::Number(_), Some(Setting::Number(x))) => x,
                    // Open variables only remain in columns that the factor is not part of.
                    _ => 0.0,
                };
            }
        }
        if involved { weight } else { 0.0 }
    }
}

/// The variable of a part: the factor, or the text of the number.
pub(crate) fn part_variable(part: &Part) -> &str {
    match part {
        Part::Level { variable, .. } => variable,
        Part::Number(text) => text,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::coefficients::tests::{drop, example, level};

    fn at(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    /// `~ condition * flag + dose:condition` over three conditions.
    fn crossed() -> Coefficients {
        let parts = vec![
            vec![],
            vec![level("condition", "b")],
            vec![level("condition", "c")],
            vec![level("flag", "TRUE")],
            vec![level("condition", "b"), level("flag", "TRUE")],
            vec![level("condition", "c"), level("flag", "TRUE")],
            vec![Part::Number("dose".into()), level("condition", "a")],
            vec![Part::Number("dose".into()), level("condition", "b")],
            vec![Part::Number("dose".into()), level("condition", "c")],
        ];
        let names = (0..parts.len()).map(|i| format!("n{i}")).collect();
        let texts = |all: &[&str]| all.iter().map(|t| (*t).to_owned()).collect();
        Coefficients::new(
            names,
            parts,
            vec![("condition".into(), texts(&["a", "b", "c"])), ("flag".into(), texts(&["FALSE", "TRUE"]))],
        )
    }

    #[test]
    fn levels_are_compared_in_either_direction() {
        let table = crossed();
        let base = at(&[("flag", "False"), ("dose", "0")]);
        let d = |a, b, at: &[(String, String)]| table.difference("condition", a, b, at).unwrap();
        assert_eq!(d("b", "a", &base), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(d("a", "b", &base), [0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(
            d("c", "b", &at(&[("flag", "true"), ("dose", "2.5")])),
            [0.0, -1.0, 1.0, 0.0, -1.0, 1.0, 0.0, -2.5, 2.5]
        );
        let flag = table.difference("flag", "TRUE", "FALSE", &at(&[("condition", "c")])).unwrap();
        assert_eq!(flag, [0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn an_open_interaction_is_refused_with_its_levels() {
        let fault = crossed().difference("condition", "b", "a", &[]).unwrap_err();
        assert_eq!(fault.to_string(), "contrast: `condition` interacts with `flag`, `dose`, not set by `at`");
        assert_eq!(fault.way_out(), Some("`flag` is one of `FALSE`, `TRUE`; `dose` is a number"));
        let stim = example().difference("condition", "stim", "ctrl", &at(&[("cell_type", "B cells")])).unwrap();
        assert_eq!(stim, [0.0, 0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn unknown_words_come_with_near_ones() {
        let table = example();
        let says = |v, l, r, pairs: &[(&str, &str)]| {
            let fault = table.difference(v, l, r, &at(pairs)).unwrap_err();
            format!("{fault} | {}", fault.way_out().unwrap_or_default())
        };
        assert_eq!(
            says("conditon", "stim", "ctrl", &[]),
            "contrast: no fixed term has a factor `conditon` | did you mean `condition`?"
        );
        assert_eq!(
            says("condition", "stimm", "ctrl", &[]),
            "factor `condition`: there is no level `stimm` | did you mean `stim`? Its levels are `ctrl`, `stim`"
        );
        assert_eq!(
            says("log(libsize)", "2", "1", &[]),
            "contrast: `log(libsize)` is a number and has no levels | test its coefficient, `log(libsize)`"
        );
        assert_eq!(says("condition", "stim", "stim", &[]), "factor `condition`: `stim` is compared with itself | ");
        let plain = Coefficients::from_names(&["a".to_owned()]).unwrap();
        assert!(plain.difference("a", "x", "y", &[]).is_err());
    }

    #[test]
    fn a_difference_through_a_dropped_column_is_refused() {
        // No cell is a stimulated CD14+ monocyte: its column is zero.
        let mut table = example();
        drop(&mut table, 4, "no cell has it", &[]);
        assert!(table.difference("condition", "stim", "ctrl", &at(&[("cell_type", "B cells")])).is_ok());
        let fault =
            table.difference("condition", "stim", "ctrl", &at(&[("cell_type", "CD14+ Monocytes")])).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "contrast stim - ctrl: `cell_typeCD14+ Monocytes:conditionstim` has no estimate, its column was dropped: \
             no cell has it"
        );
        // Equal columns: the sum has an estimate, the part left does not stand for one alone.
        let mut twins = crossed();
        drop(&mut twins, 5, "equals n2", &[(2, 1.0)]);
        let both = at(&[("flag", "TRUE"), ("dose", "0")]);
        assert!(twins.difference("condition", "c", "a", &both).is_ok());
        assert!(twins.difference("condition", "c", "a", &at(&[("flag", "FALSE"), ("dose", "0")])).is_err());
    }
}
