//! Why a column is aliased, in words.

use ferrocyte_base::listing;
use ferrocyte_data::{Codes, Factor};

use crate::Design;
use crate::alias::{Alias, AliasReport};
use crate::coefficients::Part;
use crate::columns::Values;

/// How many columns of a combination a message spells out.
const MOST_COLUMNS: usize = 6;

impl Design {
    /// An aliased column of this design by name, and why. `alias` counts the fixed columns as they are now.
    pub fn explain(&self, alias: &Alias) -> AliasReport {
        let names = self.fixed_names();
        let depends_on: Vec<(String, f64)> = alias.depends_on.iter().map(|&(j, w)| (names[j].clone(), w)).collect();
        let why = if depends_on.is_empty() {
            self.why_zero(alias.column)
        } else {
            let equals = combination(&depends_on);
            match self.cause(alias) {
                Some(cause) => format!("{equals}: {cause}"),
                None => equals,
            }
        };
        AliasReport { name: names[alias.column].clone(), why, depends_on }
    }

    fn parts(&self, column: usize) -> &[Part] {
        self.coefficients.parts.as_ref().map_or(&[], |all| &all[column])
    }

    /// A column of zeros: no cell has its levels, or the number is zero in them.
    fn why_zero(&self, column: usize) -> String {
        let parts = self.parts(column);
        let levels: Vec<(&str, &str)> = parts.iter().filter_map(as_level).collect();
        let wanted: Vec<String> = levels.iter().map(|(variable, level)| format!("{variable}={level}")).collect();
        let wanted = wanted.join(" and ");
        let has_all = |i: usize| levels.iter().all(|(variable, level)| self.level(variable, i) == Some(*level));
        if !levels.is_empty() && !(0..self.n).any(has_all) {
            return format!("no cell has {wanted}");
        }
        let numbers: Vec<String> = parts
            .iter()
            .filter_map(|p| if let Part::Number(text) = p { Some(format!("`{text}`")) } else { None })
            .collect();
        let place = if levels.is_empty() { "every cell".to_owned() } else { format!("every cell with {wanted}") };
        format!("{} is 0 in {place}", numbers.join(" times "))
    }

    fn level(&self, variable: &str, i: usize) -> Option<&str> {
        let factor = self.factors.iter().find(|f| f.name == variable)?;
        factor.levels.get(factor.codes.get(i) as usize).map(String::as_str)
    }

    /// What in the study makes a column a combination of others, if it is one of the usual causes.
    fn cause(&self, alias: &Alias) -> Option<String> {
        let own = self.parts(alias.column);
        let others: Vec<&Part> = alias.depends_on.iter().flat_map(|&(j, _)| self.parts(j)).collect();
        if let [Part::Number(text)] = own {
            return self.why_number(text, &others);
        }
        let mut factors: Vec<&str> =
            own.iter().chain(others).filter_map(as_level).map(|(variable, _)| variable).collect();
        factors.sort_unstable();
        factors.dedup();
        let own: Vec<&str> = own.iter().filter_map(as_level).map(|(variable, _)| variable).collect();
        for inner in &factors {
            for outer in &factors {
                let concerns = own.contains(inner) || own.contains(outer);
                if inner != outer && concerns && self.is_nested(outer, inner) {
                    return Some(format!("each `{inner}` has one `{outer}`, and both are fixed effects"));
                }
            }
        }
        if matches!(alias.depends_on.as_slice(), [(_, 1.0)]) {
            return Some("both mark the same cells".to_owned());
        }
        let block = self.blocks.iter().rev().find(|b| b.first <= alias.column)?;
        let full = own.len() > 1 && block.factors.iter().all(|&(_, _, contrasts)| !contrasts);
        full.then(|| {
            let term = own.join(":");
            format!(
                "`{term}` has a column for every combination, and these add up to columns of other terms; write `{}`",
                own.join("*")
            )
        })
    }

    fn why_number(&self, text: &str, others: &[&Part]) -> Option<String> {
        let number = self.numbers.iter().find(|n| n.text == text)?;
        let Values::Stored(values) = &number.values else { return None };
        if let Some(first) = values.first()
            && values.iter().all(|x| x == first)
        {
            return Some(format!("it is {first} in every cell"));
        }
        let factors = others.iter().copied().filter_map(as_level).map(|(variable, _)| variable);
        for name in factors {
            let factor = self.factors.iter().find(|f| f.name == name)?;
            if is_constant_within(&factor.codes, factor.levels.len(), |i| values[i].to_bits()) {
                return Some(format!("it is the same in all cells of each `{name}`, and `{name}` is a fixed effect"));
            }
        }
        others
            .is_empty()
            .then(|| "its spread is too small beside its size, subtract a typical value from it".to_owned())
    }

    /// Whether each level of `inner` has one level of `outer`.
    pub(crate) fn is_nested(&self, outer: &str, inner: &str) -> bool {
        let find = |name: &str| self.factors.iter().find(|f| f.name == name);
        let (Some(outer), Some(inner)) = (find(outer), find(inner)) else { return false };
        is_constant_within(&inner.codes, inner.levels.len(), |i| u64::from(outer.codes.get(i)))
    }
}

/// Whether `value` is the same for all rows of each code; rows without a code are passed over.
pub(crate) fn is_constant_within(codes: &Codes, n_levels: usize, value: impl Fn(usize) -> u64) -> bool {
    let mut seen: Vec<Option<u64>> = vec![None; n_levels];
    codes.iter().enumerate().filter(|(_, code)| *code != Factor::MISSING).all(|(i, code)| {
        let here = value(i);
        *seen[code as usize].get_or_insert(here) == here
    })
}

fn as_level(part: &Part) -> Option<(&str, &str)> {
    match part {
        Part::Level { variable, level } => Some((variable, level)),
        Part::Number(_) => None,
    }
}

/// A combination of columns in words.
pub(crate) fn combination(columns: &[(String, f64)]) -> String {
    if columns.iter().all(|(_, w)| *w == 1.0) {
        let names: Vec<&String> = columns.iter().map(|(name, _)| name).collect();
        let sum = if names.len() == 1 { "" } else { "the sum of " };
        return format!("equals {sum}{}", listing(&names, MOST_COLUMNS));
    }
    let rest = columns.len().saturating_sub(MOST_COLUMNS);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let terms = columns.iter().take(MOST_COLUMNS).enumerate().map(|(k, (name, weight))| {
        let sign = match (k, *weight < 0.0) {
            (0, true) => "-",
            (0, false) => "",
            (_, true) => " - ",
            (_, false) => " + ",
        };
        let factor = if weight.abs() == 1.0 { String::new() } else { format!("{}*", six_digits(weight.abs())) };
        format!("{sign}{factor}`{name}`")
    });
    format!("equals {}{more}", terms.collect::<Vec<_>>().concat())
}

/// A number to six significant digits.
fn six_digits(x: f64) -> String {
    let rounded: f64 = format!("{x:.5e}").parse().unwrap_or(x);
    crate::arithmetic::number_text(rounded)
}
