//! The columns of obs that a model uses, read for the cells it is bound to; every problem is kept, none stops.

use ferrocyte_base::{Fault, Kind, Result, listing, nearest};
use ferrocyte_data::{Codes, Factor, Frame, ObsColumn};

use crate::arithmetic::{Arithmetic, level_text};
use crate::basis::Basis;
use crate::design::Rows;
use crate::model::LIBSIZE;
use crate::parse::{Variable, variable_text};

/// Something that keeps a model from being built on these cells.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    what: String,
    way_out: Option<String>,
}

impl Problem {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { kind: Kind::BadInput, what: what.into(), way_out: None }
    }

    pub(crate) fn hint(mut self, way_out: impl Into<String>) -> Self {
        self.way_out = Some(way_out.into());
        self
    }
}

/// All problems in one fault; none is fine.
pub(crate) fn report(problems: &[Problem]) -> Result<()> {
    let with = |fault: Fault, way_out: Option<&String>| match way_out {
        Some(hint) => fault.hint(hint),
        None => fault,
    };
    match problems {
        [] => Ok(()),
        [one] => Err(with(Fault::new(one.kind, &one.what).at("design"), one.way_out.as_ref())),
        all => {
            let lines: Vec<String> = all
                .iter()
                .map(|p| match &p.way_out {
                    Some(way_out) => format!("\n  - {} ({way_out})", p.what),
                    None => format!("\n  - {}", p.what),
                })
                .collect();
            let kind = if all.iter().all(|p| p.kind == all[0].kind) { all[0].kind } else { Kind::BadInput };
            Err(Fault::new(kind, format!("{} problems{}", all.len(), lines.concat())).at("design"))
        }
    }
}

/// A factor of the bound cells: used levels only.
#[derive(Debug, Clone)]
pub(crate) struct BoundFactor {
    pub(crate) name: String,
    pub(crate) levels: Vec<String>,
    pub(crate) codes: Codes,
}

/// What a number is computed from when the cell's total is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operand {
    Total,
    Column(usize),
}

/// A number of the bound cells.
#[derive(Debug, Clone)]
pub(crate) struct BoundNumber {
    pub(crate) text: String,
    /// The columns of obs behind it, without a deferred `libsize`.
    pub(crate) columns: Vec<String>,
    pub(crate) values: Values,
}

#[derive(Debug, Clone)]
pub(crate) enum Values {
    Stored(Vec<f64>),
    /// Waits for the cells' totals.
    Deferred(Arithmetic<Operand>),
}

/// A variable of the model, bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Factor(usize),
    Number(usize),
}

/// The variables of a model over the bound cells.
pub(crate) struct Columns<'a> {
    obs: &'a Frame,
    rows: Option<&'a [usize]>,
    pub(crate) n: usize,
    pub(crate) rows_are: Rows,
    pub(crate) factors: Vec<BoundFactor>,
    pub(crate) numbers: Vec<BoundNumber>,
    /// Columns of numbers that deferred numbers read.
    pub(crate) raw: Vec<Vec<f64>>,
    pub(crate) dropped_levels: Vec<(String, Vec<String>)>,
    pub(crate) problems: Vec<Problem>,
    /// Names already looked at, with what became of them as factors.
    seen_factors: Vec<(String, Option<usize>)>,
    seen_numbers: Vec<(String, bool)>,
}

impl<'a> Columns<'a> {
    /// Reads `rows` of `obs` (`None` = all).
    pub(crate) fn new(obs: &'a Frame, rows: Option<&'a [usize]>, rows_are: Rows) -> Result<Self> {
        if let Some(&outside) = rows.unwrap_or_default().iter().find(|&&r| r >= obs.n_rows()) {
            return Err(Fault::bad_input(format!("row {outside} is outside the {} rows", obs.n_rows())).at("obs"));
        }
        let n = rows.map_or(obs.n_rows(), <[usize]>::len);
        let problems =
            if n == 0 { vec![Problem::new(format!("there are no {}s", rows_are.one()))] } else { Vec::new() };
        Ok(Self {
            obs,
            rows,
            n,
            rows_are,
            factors: Vec::new(),
            numbers: Vec::new(),
            raw: Vec::new(),
            dropped_levels: Vec::new(),
            problems,
            seen_factors: Vec::new(),
            seen_numbers: Vec::new(),
        })
    }

    fn row(&self, i: usize) -> usize {
        self.rows.map_or(i, |rows| rows[i])
    }

    /// A fixed variable, or a slope; `None` if a problem keeps it from being read.
    pub(crate) fn variable(&mut self, variable: &Variable) -> Option<Bound> {
        match variable {
            Variable::Factor(name) => self.factor(name).map(Bound::Factor),
            Variable::Expression(expression) => self.number(expression, variable_text(variable)).map(Bound::Number),
            Variable::Basis(basis) => self.basis(basis, variable_text(variable)).map(Bound::Number),
            Variable::Column(name) if matches!(self.obs.get(name), Some(ObsColumn::Factor(_))) => {
                self.factor(name).map(Bound::Factor)
            }
            Variable::Column(name) => {
                self.number(&Arithmetic::Column(name.clone()), variable_text(variable)).map(Bound::Number)
            }
        }
    }

    fn missing_column(&mut self, name: &str) {
        let names = self.obs.names();
        let near = nearest(name, &names, 3);
        let hint = if near.is_empty() {
            format!("the columns are {}", listing(&names, 20))
        } else {
            format!("did you mean {}?", listing(&near, 3))
        };
        let mut problem = Problem::new(format!("{} has no column `{name}`", self.rows_are.named())).hint(hint);
        problem.kind = Kind::MissingKey;
        self.problems.push(problem);
    }

    fn missing_values(&mut self, name: &str, count: usize) {
        if count > 0 {
            let (table, one) = (self.rows_are.table(), self.rows_are.one());
            let have = format!("{} {}", self.rows_are.count(count), if count == 1 { "has" } else { "have" });
            self.problems.push(
                Problem::new(format!("{table} column `{name}`: {have} no value (of {})", self.n))
                    .hint(format!("leave these {one}s out, or fill the values in")),
            );
        }
    }

    /// A column as a factor: labels as they are, numbers by their distinct values.
    pub(crate) fn factor(&mut self, name: &str) -> Option<usize> {
        if let Some((_, found)) = self.seen_factors.iter().find(|(n, _)| n == name) {
            return *found;
        }
        let found = self.read_factor(name);
        self.seen_factors.push((name.to_owned(), found));
        found
    }

    fn read_factor(&mut self, name: &str) -> Option<usize> {
        let whole = match self.obs.get(name) {
            None => {
                self.missing_column(name);
                return None;
            }
            Some(ObsColumn::Factor(factor)) => std::borrow::Cow::Borrowed(factor),
            Some(ObsColumn::Number(values)) => std::borrow::Cow::Owned(factor_of_numbers(values)),
        };
        let mut used = vec![false; whole.levels.len()];
        let mut missing = 0;
        for i in 0..self.n {
            match whole.codes.get(self.row(i)) {
                Factor::MISSING => missing += 1,
                code => used[code as usize] = true,
            }
        }
        let mut place = vec![Factor::MISSING; used.len()];
        let (mut levels, mut unused) = (Vec::new(), Vec::new());
        for (code, level) in whole.levels.iter().enumerate() {
            if used[code] {
                place[code] = levels.len() as u32;
                levels.push(level.clone());
            } else {
                unused.push(level.clone());
            }
        }
        let codes = if self.rows.is_none() && unused.is_empty() {
            whole.codes.clone()
        } else {
            let code_of = |code: u32| if code == Factor::MISSING { code } else { place[code as usize] };
            (0..self.n).map(|i| code_of(whole.codes.get(self.row(i)))).collect()
        };
        self.missing_values(name, missing);
        if let [only] = levels.as_slice() {
            self.problems.push(
                Problem::new(format!("`{name}` has one level left, `{only}`"))
                    .hint(format!("leave it out of the model, or add {}s of another level", self.rows_are.one())),
            );
        }
        if !unused.is_empty() {
            self.dropped_levels.push((name.to_owned(), unused));
        }
        self.factors.push(BoundFactor { name: name.to_owned(), levels, codes });
        Some(self.factors.len() - 1)
    }

    fn number(&mut self, expression: &Arithmetic<String>, text: String) -> Option<usize> {
        if let Some(found) = self.numbers.iter().position(|n| n.text == text) {
            return Some(found);
        }
        let deferred = |name: &str| name == LIBSIZE && self.obs.get(LIBSIZE).is_none();
        let names: Vec<String> = expression.columns().into_iter().cloned().collect();
        let columns: Vec<String> = names.iter().filter(|n| !deferred(n)).cloned().collect();
        let waits = columns.len() < names.len();
        let mut readable = true;
        for name in &columns {
            readable &= self.check_numbers(name, &text);
        }
        if !readable {
            return None;
        }
        let values = if waits {
            let raw: Vec<Vec<f64>> = columns.iter().map(|name| self.values_of(name)).collect();
            let first = self.raw.len();
            self.raw.extend(raw);
            let place = |name: &String| columns.iter().position(|c| c == name);
            Values::Deferred(
                expression.map(&mut |name| place(name).map_or(Operand::Total, |c| Operand::Column(first + c))),
            )
        } else {
            Values::Stored(self.evaluate(expression, &columns, &text))
        };
        self.numbers.push(BoundNumber { text, columns, values });
        Some(self.numbers.len() - 1)
    }

    /// A column of an expanded covariate.
    fn basis(&mut self, basis: &Basis, text: String) -> Option<usize> {
        if let Some(found) = self.numbers.iter().position(|n| n.text == text) {
            return Some(found);
        }
        let columns: Vec<String> = basis.argument.columns().into_iter().cloned().collect();
        let mut readable = true;
        for name in &columns {
            readable &= self.check_numbers(name, &text);
        }
        if !readable {
            return None;
        }
        let argument = self.evaluate(&basis.argument, &columns, &text);
        if argument.iter().any(|x| !x.is_finite()) {
            // Said already.
            return None;
        }
        match basis.values(&argument) {
            Ok(values) => {
                self.numbers.push(BoundNumber { text, columns, values: Values::Stored(values) });
                Some(self.numbers.len() - 1)
            }
            Err(fault) => {
                let problem = Problem::new(format!("`{text}`: {fault}"));
                self.problems.push(match fault.way_out() {
                    Some(way_out) => problem.hint(way_out),
                    None => problem,
                });
                None
            }
        }
    }

    fn values_of(&self, name: &str) -> Vec<f64> {
        match self.obs.get(name) {
            Some(ObsColumn::Number(values)) => (0..self.n).map(|i| values[self.row(i)]).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a column can be read as numbers; its problems are kept once.
    fn check_numbers(&mut self, name: &str, text: &str) -> bool {
        if let Some((_, fine)) = self.seen_numbers.iter().find(|(n, _)| n == name) {
            return *fine;
        }
        let fine = match self.obs.get(name) {
            None => {
                self.missing_column(name);
                false
            }
            Some(ObsColumn::Factor(_)) => {
                self.problems.push(
                    Problem::new(format!("`{text}`: obs column `{name}` holds labels, expected numbers"))
                        .hint("make the column numeric, or use it as a factor"),
                );
                false
            }
            Some(ObsColumn::Number(values)) => {
                let count = |test: fn(f64) -> bool| (0..self.n).filter(|&i| test(values[self.row(i)])).count();
                let (missing, infinite) = (count(f64::is_nan), count(f64::is_infinite));
                self.missing_values(name, missing);
                if infinite > 0 {
                    self.problems.push(
                        Problem::new(format!(
                            "{} column `{name}`: infinite in {} (of {})",
                            self.rows_are.table(),
                            self.rows_are.count(infinite),
                            self.n
                        ))
                        .hint("leave these cells out, or mend the values"),
                    );
                }
                true
            }
        };
        self.seen_numbers.push((name.to_owned(), fine));
        fine
    }

    /// The values of an expression; a value that is not finite though its columns are is a problem.
    fn evaluate(&mut self, expression: &Arithmetic<String>, columns: &[String], text: &str) -> Vec<f64> {
        let inputs: Vec<Vec<f64>> = columns.iter().map(|name| self.values_of(name)).collect();
        let bound = expression.map(&mut |name| columns.iter().position(|c| c == name).unwrap_or(0));
        let values: Vec<f64> = (0..self.n).map(|i| bound.value(&|&c| inputs[c][i])).collect();
        let bad: Vec<usize> = (0..self.n)
            .filter(|&i| !values[i].is_finite() && inputs.iter().all(|column| column[i].is_finite()))
            .collect();
        if let Some(&first) = bad.first() {
            let at: Vec<String> = columns.iter().zip(&inputs).map(|(c, v)| format!("{c} = {}", v[first])).collect();
            let rows: Vec<String> = bad.iter().take(5).map(|&i| self.row(i).to_string()).collect();
            let more = if bad.len() > 5 { ", ..." } else { "" };
            let row = if bad.len() == 1 { "row" } else { "rows" };
            self.problems.push(
                Problem::new(format!(
                    "`{text}` is {} in {} (obs {row} {}{more}; {} in the first)",
                    values[first],
                    self.rows_are.count(bad.len()),
                    rows.join(", "),
                    at.join(", ")
                ))
                .hint("leave these cells out, or mend the values"),
            );
        }
        values
    }
}

/// The distinct values of a column of numbers as levels, in numeric order.
fn factor_of_numbers(values: &[f64]) -> Factor {
    let mut distinct: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).map(|x| x + 0.0).collect();
    distinct.sort_unstable_by(f64::total_cmp);
    distinct.dedup();
    let code = |x: f64| distinct.binary_search_by(|d| d.total_cmp(&(x + 0.0))).map_or(Factor::MISSING, |i| i as u32);
    let codes = values.iter().map(|&x| if x.is_nan() { Factor::MISSING } else { code(x) }).collect();
    Factor { levels: distinct.iter().map(|&x| level_text(x)).collect(), codes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_labels_keep_their_order() {
        let factor = factor_of_numbers(&[10.0, 2.0, f64::NAN, 2.0, -0.0, 0.0]);
        assert_eq!(factor.levels, ["0", "2", "10"]);
        assert_eq!(factor.codes, [2, 1, Factor::MISSING, 1, 0, 0]);
    }
}
