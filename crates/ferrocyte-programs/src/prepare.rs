//! From counts to the matrix that is factorised: which genes, which cells, on which scale.

use std::collections::HashMap;

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_data::{RowChunks, SelectGenes, SelectRows};

use crate::factorised::DividedRows;
use crate::names::repeated;
use crate::sparse::SparseRows;
use crate::stream::{ByCell, ByGene, Door, GeneStats};
use crate::variable::{Genes, VariableGenes, variable_genes};
use crate::{Dialect, Names};

/// How counts are made ready.
#[derive(Debug, Clone, PartialEq)]
pub struct PrepareOptions {
    /// Which genes are factorised.
    pub genes: Genes,
    /// Whose rules are followed.
    pub dialect: Dialect,
    /// Whether cells without a count in the selected genes are left out, and listed, rather than refused.
    pub drop_empty: bool,
    /// Cells with fewer counts over the selected genes are left out; needs [`Genes::Listed`].
    pub min_counts: f64,
}

impl Default for PrepareOptions {
    /// The 2,000 most variable genes; empty cells are refused.
    fn default() -> Self {
        Self { genes: Genes::Top(2000), dialect: Dialect::Cnmf, drop_empty: false, min_counts: 0.0 }
    }
}

/// What is factorised, and what is known of all genes. The matrix is in memory, or as [`Factorised`](crate::Factorised)
/// has it, or only how counts become it ([`Scale`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared<X = SparseRows> {
    /// Cells that are kept × selected genes.
    pub x: X,
    /// The selected genes among all, in the order of the columns of `x`.
    pub genes: Vec<usize>,
    /// The cells that are kept among all, rising.
    pub cells: Vec<usize>,
    /// Cells that were left out, rising.
    pub dropped_cells: Vec<usize>,
    /// Genes that were asked for and left out, as no count varies.
    pub dropped_genes: Vec<usize>,
    /// Mean and variance of all genes over the cells that are kept, in the unit of expression (per million, or as given).
    pub stats: GeneStats,
    /// How genes were judged; `None` where they were listed.
    pub judged: Option<VariableGenes>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl<X> Prepared<X> {
    /// The same with another form of the matrix.
    pub fn with<Y>(self, x: Y) -> Prepared<Y> {
        let Self { genes, cells, dropped_cells, dropped_genes, stats, judged, warnings, .. } = self;
        Prepared { x, genes, cells, dropped_cells, dropped_genes, stats, judged, warnings }
    }
}

/// How counts become the matrix that is factorised, and its size.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// What the counts of each selected gene are divided by.
    pub divisors: Vec<f64>,
    /// Number of cells that are kept.
    pub n_rows: usize,
    /// How many counts of the selected genes are not 0.
    pub n_values: usize,
}

impl Prepared<Scale> {
    /// The matrix as a stream over the counts that were surveyed.
    ///
    /// # Errors
    /// Counts of fewer cells or genes.
    pub fn rows<'a>(&self, counts: &'a mut dyn RowChunks) -> Result<impl RowChunks + 'a> {
        let kept = SelectRows::list(counts, self.cells.clone())?;
        Ok(DividedRows { source: SelectGenes::new(kept, &self.genes)?, by: self.x.divisors.clone() })
    }
}

/// A matrix of expression beside the counts, and the names of its rows.
pub struct Expression<'a> {
    /// Cells × the same genes as the counts.
    pub rows: &'a mut dyn RowChunks,
    /// The names of its cells; empty: they are those of the counts, in their order.
    pub cells: Vec<String>,
}

/// Where the cells of the counts are in a matrix of expression.
///
/// # Errors
/// Another number of cells, cells of other names, and cells in another order whose names repeat.
pub fn align(counts: &[String], expression: &[String]) -> Result<Option<Vec<usize>>> {
    if counts.len() != expression.len() {
        let message = format!("there are counts of {} cells and expression of {}", counts.len(), expression.len());
        return Err(Fault::bad_input(message).at("tpm").hint("give both for the same cells"));
    }
    if counts == expression {
        return Ok(None);
    }
    let twice = repeated(counts);
    if !twice.is_empty() {
        let message = format!("cells of the expression are in another order, and names repeat: {}", listing(&twice, 5));
        return Err(Fault::bad_input(message).at("tpm").hint("make the names of cells different"));
    }
    let known: HashMap<&str, usize> = expression.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let missing: Vec<&str> = counts.iter().map(String::as_str).filter(|name| !known.contains_key(name)).collect();
    if !missing.is_empty() {
        let message = format!("{} cells of the counts have no expression: {}", missing.len(), listing(&missing, 5));
        return Err(Fault::bad_input(message).at("tpm"));
    }
    Ok(Some(counts.iter().map(|name| known[name.as_str()]).collect()))
}

/// Makes counts ready, the matrix in memory.
///
/// # Errors
/// Those of [`survey`], and a matrix that does not fit the memory of the run.
pub fn prepare(
    run: &Run,
    counts: &mut dyn RowChunks,
    expression: Option<Expression>,
    names: &Names,
    options: &PrepareOptions,
) -> Result<Prepared> {
    let found = survey(run, counts, expression, names, options)?;
    let x = SparseRows::collect(run, &mut found.rows(counts)?)?;
    Ok(found.with(x))
}

/// Finds out how counts are made ready, and holds none of them: one pass for the moments of all genes, two for those of
/// the selected ones.
///
/// # Errors
/// Genes of one name; values that are missing, infinite or negative; expression that does not fit; genes that do not
/// exist, or none that varies; cells without a count in the selected genes, all of them counted, unless they are dropped.
pub fn survey(
    run: &Run,
    counts: &mut dyn RowChunks,
    expression: Option<Expression>,
    names: &Names,
    options: &PrepareOptions,
) -> Result<Prepared<Scale>> {
    names.check_genes()?;
    check_shape(counts, names)?;
    let mut warnings = Vec::new();
    let twice = repeated(&names.cells);
    if !twice.is_empty() {
        warnings.push(format!("{} names belong to several cells, which are told apart by their order", twice.len()));
    }
    let mut expression = match expression {
        None => None,
        Some(expression) => Some(aligned(expression, names, &mut warnings)?),
    };
    let mut cells: Vec<usize> = (0..counts.n_rows()).collect();
    let mut dropped = Vec::new();
    loop {
        let mut part = SelectRows::list(&mut *counts, cells.clone())?;
        let here = Names { cells: cells.iter().map(|&i| names.cells[i].clone()).collect(), genes: names.genes.clone() };
        let stats = match expression.as_mut() {
            None => GeneStats::of(run, &mut part, &here, true)?,
            Some(rows) => {
                let stats = GeneStats::of(run, &mut SelectRows::list(&mut **rows, cells.clone())?, &here, false);
                stats.map_err(|fault| fault.at("tpm"))?
            }
        };
        let judged = if matches!(options.genes, Genes::Listed(_)) {
            None
        } else {
            Some(variable_genes(&stats, &options.genes)?)
        };
        let chosen = match (&judged, &options.genes) {
            (Some(judged), _) => judged.genes(),
            (None, Genes::Listed(list)) => names.positions(list)?,
            (None, _) => Vec::new(),
        };
        let counted = if expression.is_some() { totals(run, &mut part, &here)? } else { stats.mean.clone() };
        let (genes, dropped_genes): (Vec<usize>, Vec<usize>) = chosen.into_iter().partition(|&j| counted[j] > 0.0);
        tell_genes(&options.genes, &genes, &dropped_genes, names, &mut warnings)?;
        let mut chosen = SelectGenes::new(&mut part, &genes)?;
        let least = if options.min_counts > 0.0 { options.min_counts } else { f64::MIN_POSITIVE };
        let (moments, totals) = moments(run, &mut chosen)?;
        let poor: Vec<usize> = (0..totals.len()).filter(|&i| totals[i] < least).collect();
        if poor.is_empty() {
            let divisors = if options.dialect.scales_genes() {
                let named = |at: usize| names.genes[genes[at]].as_str();
                deviations(run, &mut chosen, &moments, named, &mut warnings)?
            } else {
                vec![1.0; genes.len()]
            };
            warnings.dedup();
            let n_values = moments.iter().map(|m| m.stored as usize).sum();
            let x = Scale { divisors, n_rows: totals.len(), n_values };
            return Ok(Prepared { x, genes, cells, dropped_cells: dropped, dropped_genes, stats, judged, warnings });
        }
        if !options.drop_empty && options.min_counts <= 0.0 {
            return Err(empty_cells(&poor, &here));
        }
        let gone: Vec<usize> = poor.iter().map(|&i| cells[i]).collect();
        cells.retain(|i| gone.binary_search(i).is_err());
        if cells.is_empty() {
            return Err(Fault::bad_input("no cell has enough counts in the selected genes").at("counts"));
        }
        dropped.extend(gone);
        dropped.sort_unstable();
        warnings.retain(|w| !w.starts_with(FEW_COUNTS));
        warnings.push(format!("{FEW_COUNTS}: {} cells are left out", dropped.len()));
    }
}

/// How the warning of cells that are left out begins.
const FEW_COUNTS: &str = "too few counts in the selected genes";

fn check_shape(counts: &dyn RowChunks, names: &Names) -> Result<()> {
    let (n, g) = (counts.n_rows(), counts.n_cols());
    if (n, g) == (names.cells.len(), names.genes.len()) && n > 0 && g > 0 {
        return Ok(());
    }
    let (cells, genes) = (names.cells.len(), names.genes.len());
    Err(Fault::bad_input(format!("counts of {n} x {g} and names of {cells} cells and {genes} genes")).at(counts.name()))
}

/// Expression in the order of the counts.
fn aligned<'a>(
    expression: Expression<'a>,
    names: &Names,
    warnings: &mut Vec<String>,
) -> Result<Box<dyn RowChunks + 'a>> {
    let Expression { rows, cells } = expression;
    if rows.n_cols() != names.genes.len() {
        let message = format!("there are counts of {} genes and expression of {}", names.genes.len(), rows.n_cols());
        return Err(Fault::bad_input(message).at("tpm"));
    }
    let known = if cells.is_empty() { names.cells.clone() } else { cells };
    if known.len() != rows.n_rows() || rows.n_rows() != names.cells.len() {
        let message = format!("there are counts of {} cells and expression of {}", names.cells.len(), rows.n_rows());
        return Err(Fault::bad_input(message).at("tpm").hint("give both for the same cells"));
    }
    match align(&names.cells, &known)? {
        None => Ok(Box::new(rows)),
        Some(order) => {
            warnings.push("cells of the expression were in another order, and were matched by name".to_owned());
            Ok(Box::new(SelectRows::list(rows, order)?))
        }
    }
}

/// The counts of every gene. Looks at every value.
fn totals(run: &Run, counts: &mut dyn RowChunks, names: &Names) -> Result<Vec<f64>> {
    let mut door = Door::new(names);
    let mut totals = ByGene::new(counts.n_cols(), 1, |_, x, sum: &mut [f64]| sum[0] += x);
    ferrocyte_data::fold(run, counts, &mut [&mut door, &mut totals])?;
    door.verdict(&counts.name())?;
    Ok(totals.sums)
}

fn tell_genes(
    asked: &Genes,
    genes: &[usize],
    dropped: &[usize],
    names: &Names,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let named = |which: &[usize]| which.iter().map(|&j| names.genes[j].as_str()).collect::<Vec<_>>();
    if !dropped.is_empty() {
        let list = listing(&named(dropped), 20);
        warnings.push(format!("{} genes without any count are left out: {list}", dropped.len()));
    }
    if let Genes::Top(n) = asked
        && genes.len() < *n
    {
        warnings.push(format!("{n} genes were asked for, {} vary and are taken", genes.len()));
    }
    if genes.is_empty() {
        return Err(Fault::bad_input("no gene is selected").at("genes").hint("lower the thresholds, or give a list"));
    }
    Ok(())
}

/// The fault of cells without a count.
fn empty_cells(poor: &[usize], names: &Names) -> Fault {
    /// Longer lists help nobody.
    const MOST: usize = 200;
    let list: Vec<&str> = poor.iter().map(|&i| names.cells[i].as_str()).collect();
    let message = format!("{} cells have no count in the selected genes: {}", poor.len(), listing(&list, MOST));
    Fault::bad_input(message).at("counts").hint("leave these cells out (drop_empty), or select more genes")
}

/// What is known of a selected gene after one pass.
struct Moments {
    sum: f64,
    /// Counts that are not 0.
    stored: f64,
    least: f64,
    most: f64,
}

/// Moments of all genes of a stream, and the total of each cell.
fn moments(run: &Run, chosen: &mut dyn RowChunks) -> Result<(Vec<Moments>, Vec<f64>)> {
    let (n, g) = (chosen.n_rows(), chosen.n_cols());
    let mut by_gene = ByGene::new(g, 4, |_, x, s: &mut [f64]| {
        if x != 0.0 {
            s[0] += x;
            s[1] += 1.0;
            s[2] = x.min(s[2]);
            s[3] = x.max(s[3]);
        }
    });
    by_gene.sums = [0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY].repeat(g);
    let mut by_cell = ByCell::new(n, 1, |_, x, s: &mut [f64]| s[0] += x);
    ferrocyte_data::fold(run, chosen, &mut [&mut by_gene, &mut by_cell])?;
    let of = |s: &[f64]| Moments { sum: s[0], stored: s[1], least: s[2], most: s[3] };
    Ok((by_gene.sums.chunks_exact(4).map(of).collect(), by_cell.sums))
}

/// The standard deviation of each gene (ddof 1), 1 for a gene that does not vary, in a second pass.
fn deviations<'a>(
    run: &Run,
    chosen: &mut dyn RowChunks,
    moments: &[Moments],
    named: impl Fn(usize) -> &'a str,
    warnings: &mut Vec<String>,
) -> Result<Vec<f64>> {
    let n = chosen.n_rows() as f64;
    let mean = |m: &Moments| m.sum / n;
    // Of each gene its mean, which stays, and the squares of what is off it, beginning with those of its zeros.
    let mut squares = ByGene::new(moments.len(), 2, |_, x, s: &mut [f64]| {
        if x != 0.0 {
            s[1] += (x - s[0]) * (x - s[0]);
        }
    });
    squares.sums = moments.iter().flat_map(|m| [mean(m), mean(m) * mean(m) * (n - m.stored)]).collect();
    ferrocyte_data::fold(run, chosen, &mut [&mut squares])?;
    let constant = |m: &Moments| m.least == m.most && m.stored == n;
    let still: Vec<&str> = (0..moments.len()).filter(|&at| constant(&moments[at])).map(named).collect();
    if !still.is_empty() {
        let list = listing(&still, 20);
        warnings.push(format!("{} selected genes do not vary and are not scaled: {list}", still.len()));
    }
    let deviation = |(m, s): (&Moments, &[f64])| if constant(m) || n < 2.0 { 1.0 } else { (s[1] / (n - 1.0)).sqrt() };
    Ok(moments.iter().zip(squares.sums.chunks_exact(2)).map(deviation).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::Dense;

    fn names(n: usize, g: usize) -> Names {
        Names { cells: (0..n).map(|i| format!("c{i}")).collect(), genes: (0..g).map(|j| format!("g{j}")).collect() }
    }

    fn listed(genes: &[&str]) -> PrepareOptions {
        let genes = Genes::Listed(genes.iter().map(|g| (*g).to_owned()).collect());
        PrepareOptions { genes, ..PrepareOptions::default() }
    }

    #[test]
    fn genes_are_scaled_and_keep_the_order_of_the_list() -> Result<()> {
        let values = [1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 5.0, 9.0, 0.0];
        let found =
            prepare(&Run::new(), &mut Dense::row_major(3, 3, &values)?, None, &names(3, 3), &listed(&["g1", "g0"]))?;
        assert_eq!(found.genes, [1, 0]);
        let sd = 13.0_f64.sqrt();
        assert_eq!(found.x.row(0), ([0, 1].as_slice(), [2.0 / sd, 0.5].as_slice()));
        let exprmat = PrepareOptions { dialect: Dialect::Exprmat, ..listed(&["g1", "g0"]) };
        let raw = prepare(&Run::new(), &mut Dense::row_major(3, 3, &values)?, None, &names(3, 3), &exprmat)?;
        assert_eq!(raw.x.row(2).1, [9.0, 5.0]);
        Ok(())
    }

    #[test]
    fn genes_that_do_not_vary_are_named() -> Result<()> {
        // g1 is constant, g2 has no count.
        let values = [1.0, 3.0, 0.0, 4.0, 3.0, 0.0];
        let found = prepare(
            &Run::new(),
            &mut Dense::row_major(2, 3, &values)?,
            None,
            &names(2, 3),
            &listed(&["g0", "g1", "g2"]),
        )?;
        assert_eq!((found.genes, found.dropped_genes), (vec![0, 1], vec![2]));
        assert_eq!(found.x.row(0).1[1], 3.0);
        assert!(found.warnings.iter().any(|w| w.contains("`g2`")) && found.warnings.iter().any(|w| w.contains("`g1`")));
        Ok(())
    }

    #[test]
    fn empty_cells_are_refused_or_left_out() -> Result<()> {
        let values = [1.0, 2.0, 0.0, 7.0, 4.0, 1.0, 0.0, 5.0, 2.0, 2.0];
        let counts = || Dense::row_major(5, 2, &values);
        let refused = prepare(&Run::new(), &mut counts()?, None, &names(5, 2), &listed(&["g0"]));
        assert!(refused.is_err_and(|f| f.message().contains("`c1`, `c3`")));
        let options = PrepareOptions { drop_empty: true, ..listed(&["g0"]) };
        let found = prepare(&Run::new(), &mut counts()?, None, &names(5, 2), &options)?;
        assert_eq!((found.cells, found.dropped_cells, found.stats.n_cells), (vec![0, 2, 4], vec![1, 3], 3));
        let options = PrepareOptions { min_counts: 2.0, ..listed(&["g0"]) };
        assert_eq!(prepare(&Run::new(), &mut counts()?, None, &names(5, 2), &options)?.cells, [2, 4]);
        Ok(())
    }

    #[test]
    fn expression_is_matched_by_name() -> Result<()> {
        let (values, turned) = ([1.0, 2.0, 3.0, 4.0], [3.0, 4.0, 1.0, 2.0]);
        let mut rows = Dense::row_major(2, 2, &turned)?;
        let given = Expression { rows: &mut rows, cells: vec!["c1".into(), "c0".into()] };
        let found =
            prepare(&Run::new(), &mut Dense::row_major(2, 2, &values)?, Some(given), &names(2, 2), &listed(&["g0"]))?;
        assert!(found.stats.mean == [2.0, 3.0] && found.warnings[0].contains("matched by name"));
        let mut rows = Dense::row_major(1, 2, &turned[..2])?;
        let short = Expression { rows: &mut rows, cells: vec!["c0".into()] };
        let refused =
            prepare(&Run::new(), &mut Dense::row_major(2, 2, &values)?, Some(short), &names(2, 2), &listed(&["g0"]));
        assert!(refused.is_err_and(|f| f.message().contains("2 cells and expression of 1")));
        Ok(())
    }
}
