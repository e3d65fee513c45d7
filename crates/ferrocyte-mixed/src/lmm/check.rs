//! A look at a design before any count is read: which terms can be estimated, between what they vary, and from how many
//! units.
//!
//! A term that varies between samples is judged against the variation between samples, of which there are few; one that
//! varies between the cells of a sample, against that of cells. What a set of fixed columns can say between units is the
//! part of their span that is constant within units: with W the centring within units, as many dimensions as X has more
//! than WX. A term has those that are lost without it. The degrees of freedom here are those of the balanced case (units
//! less the dimensions of all terms between them); tests estimate theirs gene by gene.
//!
//! How far terms are entangled is the generalised variance inflation per coefficient (Fox and Monette 1992, doi
//! 10.1080/01621459.1992.10475190): with S the cross-products of the term's columns after projecting out others,
//! (|S given the constant| / |S given all other terms|)^(1/columns).

use std::collections::HashMap;

use ferrocyte_base::{Column, Fault, Result, Run, Table};
use ferrocyte_data::Frame;
use ferrocyte_design::{Aliased, BindOptions, Design, Model, Term, alias, replication};
use ferrocyte_math::linalg::{Matrix, cholesky_in_place};

use crate::lmm::options::NaChoice;
use crate::lmm::sums::cells::cells_by_group;
use crate::lmm::support::{Support, group_label, support_table};

/// Variances this many times larger than without the other terms are worth a word.
const ENTANGLED: f64 = 10.0;

/// How a design is looked at.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// The obs column whose levels are fitted apart.
    pub groups: Option<String>,
    /// What to do with cells that lack a value which the model needs.
    pub na: Option<NaChoice>,
}

/// What a design can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// One row per group and term: `group`, `term`, `n_coefficients`, `unit`, `n_units`, `df`, `inflation`, `status`,
    /// `reason`.
    pub terms: Table,
    /// What stands behind each coefficient, as of [`Sums::support`](crate::lmm::Sums::support).
    pub coefficients: Table,
    /// What is worth knowing besides.
    pub warnings: Vec<String>,
}

/// One row of the table of terms.
struct TermRow {
    group: String,
    term: String,
    n_coefficients: usize,
    unit: String,
    n_units: usize,
    df: f64,
    inflation: f64,
    status: &'static str,
    reason: String,
}

/// Looks at the design of `model` on the cells of `obs`, in every group. No count is read; columns that need the totals
/// of cells (`log(libsize)` without a column `libsize`) are taken to vary from cell to cell.
pub fn check(run: &Run, obs: &Frame, model: &Model, options: &CheckOptions) -> Result<Check> {
    let mut warnings = Vec::new();
    let na = options.na.unwrap_or(NaChoice::Refuse);
    let cells = cells_by_group(obs, model, options.groups.as_deref(), na, &mut warnings)?;
    let (mut terms, mut support, mut groupings) = (Vec::new(), Vec::new(), Vec::new());
    for (label, rows) in &cells {
        run.check()?;
        let place = if label.is_empty() { String::new() } else { format!("group `{label}`: ") };
        match Design::bind(
            model,
            obs,
            rows.as_deref(),
            &BindOptions { aliased: Aliased::Drop, ..BindOptions::default() },
        ) {
            Ok(design) => {
                if design.components().is_empty() {
                    return Err(Fault::bad_input("the model has no random term")
                        .at("formula")
                        .hint("add the unit that was sampled or treated, e.g. (1 | sample)"));
                }
                warnings.extend(replication::warnings(&design, obs, None).into_iter().map(|w| format!("{place}{w}")));
                let walk = Walk::new(&design);
                groupings.clone_from(&walk.groupings.iter().map(|g| g.name.clone()).collect());
                terms.extend(term_rows(label, &design, &walk));
                support.extend(support_rows(label, &design, &walk));
            }
            Err(fault) if !label.is_empty() => terms.push(TermRow {
                group: label.clone(),
                term: String::new(),
                n_coefficients: 0,
                unit: String::new(),
                n_units: 0,
                df: f64::NAN,
                inflation: f64::NAN,
                status: "group_not_fitted",
                reason: fault.to_string(),
            }),
            Err(fault) => return Err(fault),
        }
    }
    warnings.dedup();
    Ok(Check { terms: term_table(&terms), coefficients: support_table(&groupings, &support), warnings })
}

/// A random grouping.
struct Grouping {
    name: String,
    /// Cells of each unit.
    n_cells: Vec<f64>,
    /// Sums of the fixed columns over the cells of each unit, units × p.
    sums: Matrix,
    /// Units in which a column is not zero somewhere, by column.
    seen: Vec<Vec<bool>>,
}

/// What one pass over the rows of a design finds.
struct Walk {
    /// Cross-products of the fixed columns and, last, a constant; (p + 1) × (p + 1).
    cross: Matrix,
    n_cells: Vec<f64>,
    /// Columns that wait for the totals of cells.
    waits: Vec<bool>,
    groupings: Vec<Grouping>,
}

impl Walk {
    fn new(design: &Design) -> Self {
        let p = design.n_fixed();
        let mut unit_of: HashMap<u32, (usize, usize)> = HashMap::new();
        let mut groupings: Vec<Grouping> = Vec::new();
        let mut column = p as u32;
        for component in design.components() {
            let n_units = component.columns.len();
            // Slopes repeat the units of their intercepts.
            if !design.is_numeric(column as usize) {
                unit_of.extend((0..n_units).map(|unit| (column + unit as u32, (groupings.len(), unit))));
                groupings.push(Grouping {
                    name: component.name.clone(),
                    n_cells: vec![0.0; n_units],
                    sums: Matrix::zeros(n_units, p),
                    seen: vec![vec![false; n_units]; p],
                });
            }
            column += n_units as u32;
        }
        let mut walk =
            Self { cross: Matrix::zeros(p + 1, p + 1), n_cells: vec![0.0; p], waits: vec![false; p], groupings };
        let (mut row, mut dense) = (Vec::new(), vec![0.0; p + 1]);
        for i in 0..design.n_rows() {
            design.row(i, f64::NAN, &mut row);
            dense.fill(0.0);
            dense[p] = 1.0;
            for &(c, x) in row.iter().take_while(|(c, _)| (*c as usize) < p) {
                let c = c as usize;
                walk.waits[c] |= x.is_nan();
                dense[c] = x;
                walk.n_cells[c] += 1.0;
            }
            walk.add(&dense);
            for (grouping, unit) in row.iter().filter_map(|(c, _)| unit_of.get(c)) {
                walk.groupings[*grouping].see(*unit, &dense[..p]);
            }
        }
        walk
    }

    /// The fixed columns that are known before totals are.
    fn known(&self) -> Vec<usize> {
        (0..self.waits.len()).filter(|&c| !self.waits[c]).collect()
    }

    /// How many dimensions of the span of these columns are constant within the units of a grouping.
    fn dimensions_between(&self, grouping: &Grouping, columns: &[usize]) -> usize {
        // What is left of a column within units, as a share of it, above which it varies there.
        const VARIES: f64 = 1e-10;
        let k = columns.len();
        let within = |i: usize, j: usize| {
            let between: f64 = (0..grouping.n_units())
                .filter(|&unit| grouping.n_cells[unit] > 0.0)
                .map(|unit| grouping.sums[(unit, i)] * grouping.sums[(unit, j)] / grouping.n_cells[unit])
                .sum();
            self.cross[(i, j)] - between
        };
        let varies: Vec<bool> = columns.iter().map(|&c| within(c, c) > VARIES * self.cross[(c, c)]).collect();
        let mut left = vec![0.0; k * k];
        for a in (0..k).filter(|&a| varies[a]) {
            for b in (0..k).filter(|&b| varies[b]) {
                left[a * k + b] = within(columns[a], columns[b]);
            }
        }
        alias::find(&left, k).len()
    }

    /// Cells less the units of the finest grouping and the fixed effects that vary within these.
    fn df_of_cells(&self, design: &Design, between: &[usize]) -> f64 {
        let finest = self.groupings.iter().zip(between).max_by_key(|(g, _)| g.n_units());
        let (units, between) = finest.map_or((0, 0), |(g, &between)| (g.n_units(), between));
        design.n_rows() as f64 - (units + design.n_fixed() - between) as f64
    }

    fn add(&mut self, row: &[f64]) {
        let filled: Vec<usize> = (0..row.len()).filter(|&c| row[c] != 0.0 && !row[c].is_nan()).collect();
        for &a in &filled {
            for &b in &filled {
                self.cross[(a, b)] += row[a] * row[b];
            }
        }
    }

    /// ln |cross-products of the given columns|, scaled to unit diagonal with the scale put back; `None` if singular.
    fn ln_det(&self, columns: &[usize]) -> Option<f64> {
        let root: Vec<f64> = columns.iter().map(|&c| self.cross[(c, c)].sqrt()).collect();
        let mut scaled = Matrix::zeros(columns.len(), columns.len());
        for (a, &i) in columns.iter().enumerate() {
            for (b, &j) in columns.iter().enumerate() {
                scaled[(a, b)] = self.cross[(i, j)] / (root[a] * root[b]);
            }
        }
        cholesky_in_place(&mut scaled).ok()?;
        Some(2.0 * scaled.diagonal().iter().zip(&root).map(|(d, r)| (d * r).ln()).sum::<f64>())
    }

    /// How many times larger the variances of a term's coefficients are than without the other terms.
    fn inflation(&self, term: &Term) -> Option<f64> {
        let constant = self.waits.len();
        let known = |c: &usize| !self.waits[*c];
        if term.columns.is_empty() || !term.columns.iter().all(known) {
            return None;
        }
        let others: Vec<usize> = (0..constant).filter(|c| known(c) && !term.columns.contains(c)).collect();
        let with = |base: &[usize]| base.iter().chain(&term.columns).copied().collect::<Vec<_>>();
        // Where the other terms add up to a constant, columns are compared with their means taken out.
        let base = if self.spans_constant(&others) { vec![constant] } else { Vec::new() };
        let alone = self.ln_det(&with(&base))? - self.ln_det(&base)?;
        let given = self.ln_det(&with(&others))? - self.ln_det(&others)?;
        Some(((alone - given) / term.columns.len() as f64).exp())
    }

    fn spans_constant(&self, columns: &[usize]) -> bool {
        let all: Vec<usize> = columns.iter().copied().chain([self.waits.len()]).collect();
        let entries: Vec<f64> = all.iter().flat_map(|&a| all.iter().map(move |&b| self.cross[(a, b)])).collect();
        alias::find(&entries, all.len()).iter().any(|a| a.column + 1 == all.len())
    }
}

impl Grouping {
    fn n_units(&self) -> usize {
        self.n_cells.len()
    }

    /// Adds a cell; columns that wait for totals are NaN.
    fn see(&mut self, unit: usize, row: &[f64]) {
        self.n_cells[unit] += 1.0;
        for (c, &x) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            self.seen[c][unit] = true;
            if !x.is_nan() {
                self.sums[(unit, c)] += x;
            }
        }
    }
}

fn term_rows(label: &str, design: &Design, walk: &Walk) -> Vec<TermRow> {
    let known = walk.known();
    let between: Vec<usize> = walk.groupings.iter().map(|g| walk.dimensions_between(g, &known)).collect();
    let terms = design.coefficients().terms();
    let rows = terms.iter().filter(|t| t.name != "(Intercept)").map(|term| {
        let others: Vec<usize> = known.iter().copied().filter(|c| !term.columns.contains(c)).collect();
        let share = |g: usize| between[g] - walk.dimensions_between(&walk.groupings[g], &others);
        // Of nested groupings, a term belongs to the one with the fewest units.
        let unit = (0..walk.groupings.len()).filter(|&g| share(g) > 0).min_by_key(|&g| walk.groupings[g].n_units());
        let (unit, n_units, df) = match unit {
            Some(g) => {
                let n_units = walk.groupings[g].n_units();
                (walk.groupings[g].name.clone(), n_units, n_units as f64 - between[g] as f64)
            }
            None => ("cell".to_owned(), design.n_rows(), walk.df_of_cells(design, &between)),
        };
        let inflation = walk.inflation(term).unwrap_or(f64::NAN);
        let (status, reason) = judge(term, &unit, n_units, df, inflation);
        TermRow {
            group: group_label(label),
            term: term.name.clone(),
            n_coefficients: term.columns.len(),
            unit,
            n_units,
            df,
            inflation,
            status,
            reason,
        }
    });
    rows.collect()
}

/// A word and a sentence for a term.
fn judge(term: &Term, unit: &str, n_units: usize, df: f64, inflation: f64) -> (&'static str, String) {
    if let Some((name, why)) = term.dropped.first() {
        let word = if term.columns.is_empty() { "aliased" } else { "partly_aliased" };
        return (word, format!("`{name}` cannot be estimated: it {why}"));
    }
    if df <= 0.0 {
        let text =
            format!("as many fixed effects vary between `{unit}` as there are of them ({n_units}): no replicates");
        return ("no_replication", text);
    }
    if inflation > ENTANGLED {
        let times = inflation.sqrt();
        return (
            "confounded",
            format!("largely explained by other terms: its standard errors are {times:.1} times those without them"),
        );
    }
    ("ok", String::new())
}

fn term_table(rows: &[TermRow]) -> Table {
    let text = |f: &dyn Fn(&TermRow) -> String| rows.iter().map(f).collect::<Vec<_>>();
    let int = |f: &dyn Fn(&TermRow) -> usize| rows.iter().map(|r| f(r) as i64).collect::<Vec<_>>();
    Table::new("check")
        .with(Column::text("group", "level of the grouping column; `all` without one", text(&|r| r.group.clone())))
        .with(Column::text("term", "fixed term of the formula", text(&|r| r.term.clone())))
        .with(Column::int("n_coefficients", "", "coefficients that can be estimated", int(&|r| r.n_coefficients)))
        .with(Column::text("unit", "what it varies between: a random grouping, or cells", text(&|r| r.unit.clone())))
        .with(Column::int("n_units", "", "how many of these there are", int(&|r| r.n_units)))
        .with(Column::float(
            "df",
            "",
            "units less the fixed effects that vary between them",
            rows.iter().map(|r| r.df).collect(),
        ))
        .with(Column::float(
            "inflation",
            "",
            "how many times larger its variances are because of the other terms",
            rows.iter().map(|r| r.inflation).collect(),
        ))
        .with(Column::text("status", "whether it can be estimated", text(&|r| r.status.to_owned())))
        .with(Column::text("reason", "the status in a sentence", text(&|r| r.reason.clone())))
}

fn support_rows(label: &str, design: &Design, walk: &Walk) -> Vec<Support> {
    let terms = design.coefficients().terms();
    let term_of = |column: usize| terms.iter().find(|t| t.columns.contains(&column)).map(|t| t.name.clone());
    let names = design.fixed_names().iter().enumerate();
    let units = |g: &Grouping, column: usize| g.seen[column].iter().filter(|&&s| s).count() as f64;
    names
        .map(|(column, name)| Support {
            group: group_label(label),
            coefficient: name.clone(),
            term: term_of(column).unwrap_or_default(),
            n_cells: walk.n_cells[column],
            n_units: walk.groupings.iter().map(|g| units(g, column)).collect(),
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ferrocyte_data::{Factor, ObsColumn};

    use super::*;

    /// 6 donors × 2 conditions × 5 cells; sex of the donor; batch follows the donor but for one.
    fn study() -> Frame {
        let n = 60;
        let factor = |f: &dyn Fn(usize) -> String| ObsColumn::Factor(Factor::from_texts((0..n).map(|i| Some(f(i)))));
        let mut obs = Frame::new(n);
        obs.insert("donor", factor(&|i| format!("P{}", i / 10))).unwrap();
        obs.insert("condition", factor(&|i| ["ctrl", "stim"][i / 5 % 2].to_owned())).unwrap();
        obs.insert("sample", factor(&|i| format!("S{}", i / 5))).unwrap();
        obs.insert("sex", factor(&|i| ["f", "m"][i / 10 % 2].to_owned())).unwrap();
        obs.insert("type", factor(&|i| ["B", "T"][i * i % 7 % 2].to_owned())).unwrap();
        obs.insert("nearly_sex", factor(&|i| ["x", "y"][usize::from(i / 10 % 2 == 1 || i == 0)].to_owned())).unwrap();
        obs
    }

    fn terms(formula: &str) -> Table {
        let model = Model::parse(formula, &[]).unwrap();
        check(&Run::new(), &study(), &model, &CheckOptions::default()).unwrap().terms
    }

    fn texts(table: &Table, column: &str) -> Vec<String> {
        let cells = &table.column(column).unwrap().cells;
        let ferrocyte_base::Cells::Text(values) = cells else { unreachable!("texts") };
        values.clone()
    }

    #[test]
    fn a_paired_treatment_is_judged_by_samples_less_donors() {
        let table = terms("~ donor + condition + type + (1 | sample)");
        assert_eq!(texts(&table, "unit"), ["sample", "sample", "cell"]);
        // Twelve samples, six donors and one treatment; cells less samples and their own type.
        assert_eq!(table.floats("df").unwrap(), [5.0, 5.0, 60.0 - 12.0 - 1.0]);
        assert_eq!(texts(&table, "status"), ["ok", "ok", "ok"]);
    }

    #[test]
    fn terms_of_donors_are_judged_by_donors() {
        let table = terms("~ sex + condition + (1 | donor) + (1 | sample)");
        assert_eq!(texts(&table, "unit"), ["donor", "sample"]);
        assert_eq!(table.floats("df").unwrap(), [4.0, 9.0]);
    }

    #[test]
    fn confounded_and_aliased_terms_are_named() {
        let table = terms("~ donor + sex + condition + (1 | sample)");
        assert_eq!(texts(&table, "status"), ["ok", "ok", "aliased"]);
        assert!(texts(&table, "reason")[2].contains("donor"), "{:?}", texts(&table, "reason"));
        let table = terms("~ sex + nearly_sex + (1 | sample)");
        assert_eq!(texts(&table, "status"), ["confounded", "confounded"]);
        // Two columns whose correlation is r: 1 / (1 - r²).
        let r2 = {
            let (n, a, b, ab) = (60.0, 30.0, 31.0, 30.0);
            let cov: f64 = ab - a * b / n;
            cov * cov / ((a - a * a / n) * (b - b * b / n))
        };
        let inflation = table.floats("inflation").unwrap();
        assert!((inflation[0] - 1.0 / (1.0 - r2)).abs() < 1e-9 && (inflation[0] - inflation[1]).abs() < 1e-9);
    }

    #[test]
    fn no_replicates_are_told() {
        let table = terms("~ donor * condition + (1 | sample)");
        assert!(texts(&table, "status").iter().all(|s| s == "no_replication"));
    }

    #[test]
    fn a_treatment_in_every_type_is_judged_by_donors_a_difference_of_types_by_cells() {
        let table = terms("~ type + type:sex + (1 | donor)");
        assert_eq!(texts(&table, "unit"), ["cell", "donor"]);
        assert_eq!(table.floats("df").unwrap()[1], 4.0);
        let table = terms("~ type * sex + (1 | donor)");
        assert_eq!(texts(&table, "unit"), ["cell", "donor", "cell"]);
    }

    #[test]
    fn coding_without_intercept_does_not_look_entangled() {
        let table = terms("~ 0 + type + type:condition + (1 | sample)");
        let inflation = table.floats("inflation").unwrap();
        assert!(inflation.iter().all(|&x| x < 4.0), "{inflation:?}");
    }

    #[test]
    fn support_counts_cells_and_units() {
        let model = Model::parse("~ type + condition + (1 | donor) + (1 | sample)", &[]).unwrap();
        let found = check(&Run::new(), &study(), &model, &CheckOptions::default()).unwrap().coefficients;
        assert_eq!(texts(&found, "coefficient"), ["(Intercept)", "typeT", "conditionstim"]);
        assert_eq!(found.floats("n_cells").unwrap()[2], 30.0);
        assert_eq!(found.floats("n_donor").unwrap(), [6.0, 6.0, 6.0]);
        assert_eq!(found.floats("n_sample").unwrap()[2], 6.0);
    }
}
