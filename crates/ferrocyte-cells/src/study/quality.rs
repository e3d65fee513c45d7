//! Which cells of a sample are good: [`good_cells`], from what was measured of them.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::trend::sorted_quantile;

/// A cell or gene with no more than this in all is empty.
pub const EMPTY: f64 = 0.1;

/// How the bounds on the total counts of a cell are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bounds {
    /// The median, less and plus so many median absolute deviations (not scaled to a standard deviation).
    Mads(f64),
    /// The quartiles, less and plus so many distances between them.
    Tukey(f64),
    /// These.
    Fixed(f64, f64),
}

impl Bounds {
    /// The bounds where nothing is said of outliers: 200, and the largest 32-bit number less one.
    pub const USUAL: Self = Self::Fixed(200.0, 2_147_483_646.0);

    /// The bounds of a word, `mads` or `tukey`, with its factor.
    ///
    /// # Errors
    /// Another word, or a factor that is negative or no number.
    pub fn from_word(word: &str, n: f64) -> Result<Self> {
        if n.is_nan() || n < 0.0 {
            return Err(Fault::bad_input(format!("a factor of at least 0 is expected, found {n}")).at("outlier_n"));
        }
        match word {
            "mads" => Ok(Self::Mads(n)),
            "tukey" => Ok(Self::Tukey(n)),
            _ => Err(Fault::bad_input(format!("there is no way `{word}` to find outliers"))
                .at("outlier_mode")
                .hint("it is `mads`, `tukey`, or two numbers")),
        }
    }

    /// The lowest and highest total that is kept. Of no values at all: everything.
    pub fn limits(self, values: &[f64]) -> (f64, f64) {
        if values.is_empty() {
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        match self {
            Self::Mads(n) => {
                let middle = median(values);
                let spread = median(&values.iter().map(|x| (x - middle).abs()).collect::<Vec<_>>());
                (middle - n * spread, middle + n * spread)
            }
            Self::Tukey(n) => {
                let sorted = sorted(values);
                let (low, high) = (sorted_quantile(&sorted, 0.25), sorted_quantile(&sorted, 0.75));
                (low - n * (high - low), high + n * (high - low))
            }
            Self::Fixed(low, high) => (low, high),
        }
    }
}

/// What a good cell is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellRules {
    /// Bounds on the total counts.
    pub totals: Bounds,
    /// Fewest genes; cells with fewer have no say in the bounds.
    pub min_genes: f64,
    /// Most genes, if there is a limit.
    pub max_genes: Option<f64>,
    /// The share of mitochondrial counts (0 to 1) below which a cell is good.
    pub max_mito: f64,
    /// The same of ribosomal counts, if there is a limit.
    pub max_ribo: Option<f64>,
}

impl Default for CellRules {
    fn default() -> Self {
        Self { totals: Bounds::Mads(5.0), min_genes: 300.0, max_genes: None, max_mito: 0.15, max_ribo: None }
    }
}

/// What was measured of cells: one value each.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// Total counts.
    pub totals: &'a [f64],
    /// Genes with counts.
    pub genes: &'a [f64],
    /// Share of mitochondrial counts, 0 to 1.
    pub mito: &'a [f64],
    /// Share of ribosomal counts, 0 to 1.
    pub ribo: &'a [f64],
}

/// Which cells are kept at all, and which of them are good.
#[derive(Debug, Clone, PartialEq)]
pub struct Good {
    /// Cells that are not empty and have genes enough.
    pub kept: Vec<bool>,
    /// Cells that are kept and pass all rules.
    pub good: Vec<bool>,
    /// The bounds on totals, of the cells that are kept.
    pub limits: (f64, f64),
}

/// Applies the rules: bounds are found among the cells that are not empty and have genes enough.
///
/// ```
/// use ferrocyte_cells::study::{Bounds, CellRules, good_cells, quality::Measured};
/// let (totals, genes) = ([500.0, 520.0, 480.0, 9000.0, 10.0], [300.0, 310.0, 305.0, 400.0, 9.0]);
/// let none = [0.0; 5];
/// let cells = Measured { totals: &totals, genes: &genes, mito: &none, ribo: &none };
/// let found = good_cells(&cells, &CellRules { totals: Bounds::Mads(5.0), ..CellRules::default() })?;
/// assert_eq!(found.kept, [true, true, true, true, false]);
/// assert_eq!(found.good, [true, true, true, false, false]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
///
/// # Errors
/// Measures of different lengths.
pub fn good_cells(cells: &Measured<'_>, rules: &CellRules) -> Result<Good> {
    let n = cells.totals.len();
    for other in [cells.genes, cells.mito, cells.ribo] {
        if other.len() != n {
            return Err(Fault::bad_input(format!("{n} totals, but {} of another measure", other.len())));
        }
    }
    let kept: Vec<bool> = (0..n).map(|i| cells.totals[i] > EMPTY && cells.genes[i] >= rules.min_genes).collect();
    let totals: Vec<f64> = (0..n).filter(|&i| kept[i]).map(|i| cells.totals[i]).collect();
    let (low, high) = rules.totals.limits(&totals);
    let good = (0..n).map(|i| {
        kept[i]
            && (low..=high).contains(&cells.totals[i])
            && cells.mito[i] < rules.max_mito
            && rules.max_genes.is_none_or(|most| cells.genes[i] <= most)
            && rules.max_ribo.is_none_or(|most| cells.ribo[i] < most)
    });
    Ok(Good { good: good.collect(), kept, limits: (low, high) })
}

/// Whether a gene is ribosomal: its symbol begins with `RPS` or `RPL`, in capitals or not.
pub fn is_ribosomal(symbol: &str) -> bool {
    let start = symbol.get(..3).unwrap_or_default().to_ascii_lowercase();
    start == "rps" || start == "rpl"
}

/// Whether a gene is mitochondrial by its symbol: it begins with `MT-`, in capitals or not.
pub fn is_mitochondrial(symbol: &str) -> bool {
    symbol.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("mt-"))
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn median(values: &[f64]) -> f64 {
    sorted_quantile(&sorted(values), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_their_definitions() -> Result<()> {
        let values = [1.0, 2.0, 3.0, 4.0, 100.0];
        // Median 3, deviations 2 1 0 1 97 with median 1.
        assert_eq!(Bounds::from_word("mads", 5.0)?.limits(&values), (-2.0, 8.0));
        // Quartiles 2 and 4.
        assert_eq!(Bounds::from_word("tukey", 1.5)?.limits(&values), (-1.0, 7.0));
        assert_eq!(Bounds::USUAL.limits(&values), (200.0, 2_147_483_646.0));
        assert_eq!(Bounds::Mads(5.0).limits(&[]), (f64::NEG_INFINITY, f64::INFINITY));
        assert!(Bounds::from_word("sd", 2.0).is_err_and(|f| f.to_string().contains("`sd`")));
        assert!(Bounds::from_word("mads", -1.0).is_err() && Bounds::from_word("mads", f64::NAN).is_err());
        Ok(())
    }

    #[test]
    fn every_rule_counts() -> Result<()> {
        let totals = [500.0; 7];
        let genes = [300.0, 299.0, 400.0, 400.0, 400.0, 900.0, 0.0];
        let mito = [0.0, 0.0, 0.15, 0.1, 0.0, 0.0, 0.0];
        let ribo = [0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0];
        let cells = Measured { totals: &totals, genes: &genes, mito: &mito, ribo: &ribo };
        let rules = CellRules { totals: Bounds::USUAL, ..CellRules::default() };
        let found = good_cells(&cells, &rules)?;
        assert_eq!(found.kept, [true, false, true, true, true, true, false]);
        assert_eq!(found.good, [true, false, false, true, true, true, false]);
        let strict = CellRules { max_genes: Some(800.0), max_ribo: Some(0.5), ..rules };
        assert_eq!(good_cells(&cells, &strict)?.good, [true, false, false, true, false, false, false]);
        assert!(good_cells(&Measured { ribo: &[], ..cells }, &rules).is_err());
        Ok(())
    }

    #[test]
    fn symbols_tell_what_genes_are() {
        assert!(is_ribosomal("RPL10") && is_ribosomal("Rps6") && !is_ribosomal("RP") && !is_ribosomal("MRPL1"));
        assert!(is_mitochondrial("MT-ND1") && is_mitochondrial("mt-Co1") && !is_mitochondrial("MTOR"));
    }
}
