//! Binding: from a model and the columns of obs to a [`Design`], with every problem in one fault.

use std::borrow::Cow;
use std::collections::BTreeSet;

use ferrocyte_base::Result;
use ferrocyte_data::{Factor, Frame};

use crate::alias::{self, Alias};
use crate::coding::all_indicators;
use crate::coefficients::{Part, twins};
use crate::columns::{Bound, BoundFactor, Columns, Problem, Values, report};
use crate::design::{Aliased, BindOptions, Block, Component, DROPPED, Design};
use crate::parse::{RandomTerm, Term, grouping_text, term_text};
use crate::source::written;
use crate::{Coefficients, Model};

/// The most fixed columns: X'X is dense.
const MOST_FIXED: usize = 4096;

/// How many aliased columns a message spells out.
const MOST_ALIASES: usize = 8;

impl Design {
    /// Binds a model to the cells `rows` of `obs`, in that order (`None` = all of them).
    ///
    /// Everything that is wrong is said in one fault: columns that do not exist, missing and infinite values, numbers
    /// that a function has no value for, factors with one level left, more columns than cells, and fixed columns that
    /// depend on others, by name and with the reason. Columns that wait for totals take no part in that last check:
    /// look at the finished X'X with [`alias::find`] and [`Design::explain`].
    pub fn bind(model: &Model, obs: &Frame, rows: Option<&[usize]>, options: &BindOptions) -> Result<Self> {
        let mut columns = Columns::new(obs, rows, options.rows_are)?;
        let fixed = Fixed::bind(model, &mut columns);
        let random = bind_random(model, &mut columns);
        let (Some(fixed), Some(random)) = (fixed, random) else {
            report(&columns.problems)?;
            return Err(ferrocyte_base::Fault::internal("a variable was not bound, and no problem says why"));
        };
        check_size(&fixed, options.aliased, &mut columns);
        let mut problems = std::mem::take(&mut columns.problems);
        let p = fixed.names.len();
        let mut design = assemble(model, columns, rows, fixed, random);
        let looks = options.aliased == Aliased::Drop || (options.aliased == Aliased::Refuse && p < design.n);
        if p <= MOST_FIXED && looks {
            let aliases = design.find_aliases(!problems.is_empty());
            match options.aliased {
                Aliased::Refuse => problems.extend(design.alias_problems(&aliases)),
                Aliased::Drop => design.drop_aliased(&aliases),
                Aliased::Keep => {}
            }
        }
        report(&problems)?;
        Ok(design)
    }

    /// Columns of X that depend on columns before them; those that wait for totals are passed over.
    fn find_aliases(&self, skip_incomplete: bool) -> Vec<Alias> {
        let p = self.n_fixed();
        let waits: Vec<bool> = self.columns_waiting();
        let mut xx = vec![0.0; p * p];
        let mut row = Vec::new();
        for i in (0..self.n).filter(|&i| !skip_incomplete || self.is_complete(i)) {
            self.row(i, f64::NAN, &mut row);
            row.retain(|&(j, _)| (j as usize) < p && !waits[j as usize]);
            for (k, &(a, x)) in row.iter().enumerate() {
                for &(b, y) in &row[..=k] {
                    xx[a as usize * p + b as usize] += x * y;
                }
            }
        }
        let mut aliases = alias::find(&xx, p);
        aliases.retain(|a| !waits[a.column]);
        aliases
    }

    /// For each fixed column, whether it waits for the cells' totals.
    fn columns_waiting(&self) -> Vec<bool> {
        let waiting: Vec<&str> =
            self.numbers.iter().filter(|n| matches!(n.values, Values::Deferred(_))).map(|n| n.text.as_str()).collect();
        let parts = self.coefficients.parts.as_deref().unwrap_or_default();
        let waits = |part: &Part| matches!(part, Part::Number(text) if waiting.contains(&text.as_str()));
        parts.iter().map(|column| column.iter().any(waits)).collect()
    }

    fn is_complete(&self, i: usize) -> bool {
        let present = |f: &BoundFactor| f.codes.get(i) != Factor::MISSING;
        self.factors.iter().all(present)
            && self.numbers.iter().all(|n| match &n.values {
                Values::Stored(values) => values[i].is_finite(),
                Values::Deferred(_) => true,
            })
    }

    fn alias_problems(&self, aliases: &[Alias]) -> Vec<Problem> {
        let mut problems: Vec<Problem> = aliases
            .iter()
            .take(MOST_ALIASES)
            .map(|alias| {
                let report = self.explain(alias);
                Problem::new(format!("aliased column `{}`: {}", report.name, report.why))
                    .hint("leave a term out, or have aliased columns dropped")
            })
            .collect();
        if aliases.len() > MOST_ALIASES {
            problems.push(Problem::new(format!("{} more aliased columns", aliases.len() - MOST_ALIASES)));
        }
        problems
    }

    fn drop_aliased(&mut self, aliases: &[Alias]) {
        if aliases.is_empty() {
            return;
        }
        let p = self.n_fixed();
        self.aliased = aliases.iter().map(|alias| self.explain(alias)).collect();
        let dropped: BTreeSet<usize> = aliases.iter().map(|a| a.column).collect();
        self.coefficients.drop_columns(aliases, &self.aliased);
        let mut next = 0;
        for (column, place) in self.places.iter_mut().enumerate() {
            if column < p && dropped.contains(&column) {
                *place = DROPPED;
            } else {
                *place = next;
                next += 1;
            }
        }
        let mut column = 0;
        self.numeric.retain(|_| {
            column += 1;
            !dropped.contains(&(column - 1))
        });
    }
}

/// The fixed side: blocks, and what each column is.
struct Fixed {
    blocks: Vec<Block>,
    names: Vec<String>,
    parts: Vec<Vec<Part>>,
    factors: Vec<(String, Vec<String>)>,
}

impl Fixed {
    fn bind(model: &Model, columns: &mut Columns<'_>) -> Option<Self> {
        let used: BTreeSet<usize> = model.terms.iter().flatten().copied().collect();
        let bound: Vec<Option<Bound>> = (0..model.variables.len())
            .map(|v| if used.contains(&v) { columns.variable(&model.variables[v]) } else { None })
            .collect();
        if used.iter().any(|&v| bound[v].is_none()) {
            return None;
        }
        // `factor(x)` and `x` are one variable where x is a factor: variables are those of the cells from here on.
        let mut variables: Vec<Bound> = Vec::new();
        let mut position = vec![0; bound.len()];
        for &v in &used {
            let bound = bound[v]?;
            position[v] = variables.iter().position(|b| *b == bound).unwrap_or_else(|| {
                variables.push(bound);
                variables.len() - 1
            });
        }
        let terms = bound_terms(&model.terms, &position);
        let is_factor: Vec<bool> = variables.iter().map(|v| matches!(v, Bound::Factor(_))).collect();
        let full = all_indicators(&terms, model.intercept, &is_factor);

        let mut fixed = Self { blocks: Vec::new(), names: Vec::new(), parts: Vec::new(), factors: Vec::new() };
        if model.intercept {
            fixed.push(&[], &[], &variables, columns);
        }
        for (term, full) in terms.iter().zip(&full) {
            fixed.push(term, full, &variables, columns);
        }
        for variable in &variables {
            if let Bound::Factor(f) = variable {
                let factor = &columns.factors[*f];
                fixed.factors.push((factor.name.clone(), factor.levels.clone()));
            }
        }
        Some(fixed)
    }

    /// Adds the columns of a term; the levels of its first factor vary fastest.
    fn push(&mut self, term: &[usize], full: &[bool], variables: &[Bound], columns: &Columns<'_>) {
        let mut block = Block { first: self.names.len(), factors: Vec::new(), numbers: Vec::new() };
        let mut stride = 1;
        for (&v, &full) in term.iter().zip(full) {
            match variables[v] {
                Bound::Number(n) => block.numbers.push(n),
                Bound::Factor(f) => {
                    block.factors.push((f, stride, !full));
                    stride *= columns.factors[f].levels.len().saturating_sub(usize::from(!full));
                }
            }
        }
        let side = |bound: &Bound| match *bound {
            Bound::Number(n) => Side::Number(columns.numbers[n].text.as_str().into()),
            Bound::Factor(f) => Side::Factor { name: &columns.factors[f].name, levels: &columns.factors[f].levels },
        };
        let sides: Vec<Side<'_>> = variables.iter().map(side).collect();
        let parts = columns_of_term(term, full, &sides);
        self.names.extend(parts.iter().map(|column| column_name(column)));
        self.parts.extend(parts);
        self.blocks.push(block);
    }
}

/// A variable as the columns of a term see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Side<'a> {
    /// A factor with its levels, the reference level first.
    Factor { name: &'a str, levels: &'a [String] },
    /// A number, by its text.
    Number(Cow<'a, str>),
}

/// The terms of a model in bound variables (`position` has the one of each variable of the model), each once, by number
/// of variables.
pub(crate) fn bound_terms(terms: &[Term], position: &[usize]) -> Vec<Term> {
    let mut bound: Vec<Term> = Vec::new();
    for term in terms {
        let mut term: Term = term.iter().map(|&v| position[v]).collect();
        term.sort_unstable();
        term.dedup();
        if !bound.contains(&term) {
            bound.push(term);
        }
    }
    bound.sort_by_key(Vec::len);
    bound
}

/// What each column of a term is the product of; the levels of its first factor vary fastest. `full` tells of each
/// variable whether its first level has a column.
pub(crate) fn columns_of_term(term: &[usize], full: &[bool], sides: &[Side<'_>]) -> Vec<Vec<Part>> {
    let mut parts: Vec<Vec<Part>> = vec![Vec::new()];
    for (&v, &full) in term.iter().zip(full) {
        match &sides[v] {
            Side::Number(text) => parts.iter_mut().for_each(|column| column.push(Part::Number(text.to_string()))),
            Side::Factor { name, levels } => {
                let levels = &levels[usize::from(!full).min(levels.len())..];
                parts = levels
                    .iter()
                    .flat_map(|level| parts.iter().map(move |column| (column, level)))
                    .map(|(column, level)| {
                        let part = Part::Level { variable: (*name).to_owned(), level: level.clone() };
                        column.iter().cloned().chain([part]).collect()
                    })
                    .collect();
            }
        }
    }
    parts
}

/// R's name of a column.
pub(crate) fn column_name(parts: &[Part]) -> String {
    if parts.is_empty() {
        return "(Intercept)".to_owned();
    }
    parts.iter().map(Part::name).collect::<Vec<_>>().join(":")
}

/// A random term, bound: its component and the numbers that multiply its indicators.
struct Random {
    component: Component,
    slopes: Vec<usize>,
}

fn bind_random(model: &Model, columns: &mut Columns<'_>) -> Option<Vec<Random>> {
    let mut bound: Vec<Random> = Vec::new();
    let mut complete = true;
    for term in &model.random {
        let (text, sides) = match term {
            RandomTerm::Bar { slope, grouping } => {
                let text = if slope.is_empty() {
                    format!("(1 | {})", grouping_text(grouping, &model.random_variables))
                } else {
                    let slope = term_text(slope, &model.random_variables, ":");
                    format!("(0 + {slope} | {})", grouping_text(grouping, &model.random_variables))
                };
                let sides = bind_slopes(model, slope, grouping, &text, columns);
                (text, sides)
            }
            RandomTerm::Indicators(term) => {
                let text = format!("~ 0 + {}", term_text(term, &model.random_variables, ":"));
                (text.clone(), bind_indicators(model, term, &text, columns))
            }
        };
        let Some((grouping, slopes)) = sides else {
            complete = false;
            continue;
        };
        let component = component(&grouping, &slopes, &text, columns);
        if bound.iter().all(|b| b.component.name != component.name) {
            bound.push(Random { component, slopes });
        }
    }
    complete.then_some(bound)
}

/// Factors and numbers of `(slope | grouping)`.
fn bind_slopes(
    model: &Model,
    slope: &[usize],
    grouping: &[usize],
    text: &str,
    columns: &mut Columns<'_>,
) -> Option<(Vec<usize>, Vec<usize>)> {
    let bind = |v: &usize, columns: &mut Columns<'_>| columns.variable(&model.random_variables[*v]);
    let groups: Vec<Option<Bound>> = grouping.iter().map(|v| bind(v, columns)).collect();
    let slopes: Vec<Option<Bound>> = slope.iter().map(|v| bind(v, columns)).collect();
    let mut numbers = Vec::new();
    for (bound, &v) in slopes.iter().zip(slope) {
        match (*bound)? {
            Bound::Number(n) => numbers.push(n),
            Bound::Factor(_) => {
                let factor = term_text(&[v], &model.random_variables, ":");
                let groups = grouping_text(grouping, &model.random_variables);
                columns.problems.push(
                    Problem::new(format!("`{text}`: `{factor}` holds labels, and slopes are numbers"))
                        .hint(format!("write `(1 | {groups}:{factor})`")),
                );
                return None;
            }
        }
    }
    let factors = groups.into_iter().map(|g| match g? {
        Bound::Factor(f) => Some(f),
        Bound::Number(_) => None,
    });
    Some((factors.collect::<Option<_>>()?, numbers))
}

/// Factors and numbers of a term of an R formula.
fn bind_indicators(
    model: &Model,
    term: &[usize],
    text: &str,
    columns: &mut Columns<'_>,
) -> Option<(Vec<usize>, Vec<usize>)> {
    let bound: Vec<Option<Bound>> = term.iter().map(|&v| columns.variable(&model.random_variables[v])).collect();
    let bound: Vec<Bound> = bound.into_iter().collect::<Option<_>>()?;
    let factors: Vec<usize> =
        bound.iter().filter_map(|b| if let Bound::Factor(f) = b { Some(*f) } else { None }).collect();
    let numbers = bound.iter().filter_map(|b| if let Bound::Number(n) = b { Some(*n) } else { None }).collect();
    if factors.is_empty() {
        let name = term_text(&term[..1], &model.random_variables, ":");
        columns.problems.push(
            Problem::new(format!("random term `{text}`: no variable of it holds labels"))
                .hint(format!("write `~ 0 + factor({name})` or `(1 | {name})` if the numbers are labels")),
        );
        return None;
    }
    Some((factors, numbers))
}

/// The component of a grouping and its slopes. Several factors group by the combinations that occur.
fn component(grouping: &[usize], slopes: &[usize], text: &str, columns: &mut Columns<'_>) -> Component {
    let factor = if let [one] = grouping { *one } else { combined(grouping, columns) };
    let slopes: Vec<&str> = slopes.iter().map(|&n| columns.numbers[n].text.as_str()).collect();
    let suffix: String = slopes.iter().flat_map(|text| [":", text]).collect();
    let group = &columns.factors[factor];
    let single = grouping.len() == 1;
    let column = |level: &String| {
        let plain = if single { format!("{}{level}", written(&group.name)) } else { level.clone() };
        plain + &suffix
    };
    let name = if single { written(&group.name) } else { group.name.clone() };
    let component =
        Component { name: name + &suffix, columns: group.levels.iter().map(column).collect(), grouping: factor };
    if group.levels.len() == columns.n && columns.n > 1 {
        columns.problems.push(
            Problem::new(format!("random term `{text}`: every cell has a level of its own"))
                .hint("group cells by a label that several of them share"),
        );
    }
    component
}

/// A factor of the combinations of several that occur (`donorP1:batchb2`), the first one varying fastest.
fn combined(grouping: &[usize], columns: &mut Columns<'_>) -> usize {
    let name = grouping.iter().map(|&f| written(&columns.factors[f].name)).collect::<Vec<_>>().join(":");
    if let Some(known) = columns.factors.iter().position(|f| f.name == name) {
        return known;
    }
    // Looked up once to find the distinct ones and again to number them, rather than kept: cells are many.
    let combination = |i: usize, out: &mut Vec<u32>| {
        out.clear();
        out.extend(grouping.iter().rev().map(|&f| columns.factors[f].codes.get(i)));
        !out.contains(&Factor::MISSING)
    };
    let mut here = Vec::new();
    let mut distinct: BTreeSet<Vec<u32>> = BTreeSet::new();
    for i in 0..columns.n {
        if combination(i, &mut here) && !distinct.contains(&here) {
            distinct.insert(here.clone());
        }
    }
    let distinct: Vec<Vec<u32>> = distinct.into_iter().collect();
    let number = |i: usize| {
        let found = combination(i, &mut here).then(|| distinct.binary_search(&here).ok()).flatten();
        found.map_or(Factor::MISSING, |code| code as u32)
    };
    let codes = (0..columns.n).map(number).collect();
    let label = |codes: &Vec<u32>| {
        let parts = grouping.iter().zip(codes.iter().rev()).map(|(&f, &code)| {
            let factor = &columns.factors[f];
            format!("{}{}", written(&factor.name), factor.levels[code as usize])
        });
        parts.collect::<Vec<_>>().join(":")
    };
    let levels = distinct.iter().map(label).collect();
    columns.factors.push(BoundFactor { name, levels, codes });
    columns.factors.len() - 1
}

/// Keeps the problems of a design that is too large for its cells.
fn check_size(fixed: &Fixed, aliased: Aliased, columns: &mut Columns<'_>) {
    let (p, n) = (fixed.names.len(), columns.n);
    if p == 0 {
        columns.problems.push(Problem::new("the model has no fixed effect").hint("keep the intercept"));
    }
    if p > MOST_FIXED {
        columns
            .problems
            .push(Problem::new(format!("the model has {p} fixed columns, at most {MOST_FIXED} can be fitted")));
    } else if p >= n && n > 0 && aliased != Aliased::Keep {
        columns.problems.push(
            Problem::new(format!("the model has {p} fixed columns and only {n} cells"))
                .hint("leave terms out, or add cells"),
        );
    }
    let twins = twins(&fixed.names);
    if !twins.is_empty() {
        let twins = ferrocyte_base::listing(&twins, 5);
        columns
            .problems
            .push(Problem::new(format!("columns share a name: {twins}")).hint("rename a column of obs or a level"));
    }
}

fn assemble(model: &Model, columns: Columns<'_>, rows: Option<&[usize]>, fixed: Fixed, random: Vec<Random>) -> Design {
    let mut numeric: Vec<bool> =
        fixed.parts.iter().map(|column| column.iter().any(|p| matches!(p, Part::Number(_)))).collect();
    let mut blocks = fixed.blocks;
    let mut components = Vec::new();
    for Random { component, slopes } in random {
        let first = numeric.len();
        numeric.extend(component.columns.iter().map(|_| !slopes.is_empty()));
        blocks.push(Block { first, factors: vec![(component.grouping, 1, false)], numbers: slopes });
        components.push(component);
    }
    Design {
        n: columns.n,
        rows: rows.map(<[usize]>::to_vec),
        factors: columns.factors,
        numbers: columns.numbers,
        raw: columns.raw,
        blocks,
        places: (0..numeric.len() as u32).collect(),
        coefficients: Coefficients::new(fixed.names, fixed.parts, fixed.factors),
        components,
        numeric,
        dropped_levels: columns.dropped_levels,
        aliased: Vec::new(),
        text: model.display(),
    }
}
