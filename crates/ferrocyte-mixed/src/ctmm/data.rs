//! What goes in: pseudobulk with its noise, proportions and covariates, checked before anything is fitted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_math::linalg::Matrix;

use super::options::Level;

/// How far the proportions of an individual may sum from 1.
const SUM_TOLERANCE: f64 = 1e-6;

/// A covariate of individuals, with one column or several.
#[derive(Debug, Clone)]
pub struct Covariate {
    /// Its name.
    pub name: String,
    /// Individuals × columns. For a random covariate a column per level, usually 0 and 1.
    pub values: Matrix,
}

/// Pseudobulk of many genes, its noise, and what is known of the individuals.
///
/// Genes × individuals × cell types (level `ctp`) or genes × individuals (level `op`), row-major. A pair without a value is NaN
/// in both `values` and `noise`.
#[derive(Debug, Clone)]
pub struct Study {
    /// Names of genes.
    pub genes: Vec<String>,
    /// Names of individuals, each once.
    pub individuals: Vec<String>,
    /// Names of cell types, each once, two or more.
    pub cell_types: Vec<String>,
    /// What the values are.
    pub level: Level,
    /// Mean expression of pairs of individual and cell type, or of individuals.
    pub values: Vec<f64>,
    /// Variance of each value as an estimate of its mean, zero or more.
    pub noise: Vec<f64>,
    /// Proportions of cell types, individuals × cell types; level `op` needs them, `ctp` has them for shares of variance.
    pub proportions: Option<Vec<f64>>,
    /// Fixed covariates, without an intercept; they are used in the order of their names.
    pub fixed: Vec<Covariate>,
    /// Random covariates: effects shared by all cell types, in the order of their names.
    pub random: Vec<Covariate>,
}

impl Study {
    /// The overall pseudobulk of a study per cell type: Σ_c P_c y_c with noise Σ_c P_c² noise_c. An individual that lacks a cell
    /// type has no value.
    pub fn overall(&self) -> Result<Self> {
        if self.level == Level::Op {
            return Ok(self.clone());
        }
        let missing = || Fault::missing("overall pseudobulk needs the proportions of cell types").at("P");
        let share = self.proportions.as_deref().ok_or_else(missing)?;
        self.check_shapes()?;
        let c = self.cell_types.len();
        let rows = self.values.len() / c;
        let weighted = |cells: &[f64], power: i32| {
            let of_row = |row: usize| {
                let p = &share[row % self.individuals.len() * c..][..c];
                cells[row * c..(row + 1) * c].iter().zip(p).map(|(y, p)| y * p.powi(power)).sum()
            };
            (0..rows).map(of_row).collect::<Vec<f64>>()
        };
        let (values, noise) = (weighted(&self.values, 1), weighted(&self.noise, 2));
        Ok(Self { level: Level::Op, values, noise, ..self.clone() })
    }

    /// Values per individual.
    pub(super) fn width(&self) -> usize {
        if self.level == Level::Op { 1 } else { self.cell_types.len() }
    }

    fn array_name(&self) -> (&'static str, &'static str) {
        if self.level == Level::Op { ("OP", "nu") } else { ("CTP", "ctnu") }
    }

    fn check_shapes(&self) -> Result<()> {
        let (value, noise) = self.array_name();
        let (g, n, c) = (self.genes.len(), self.individuals.len(), self.cell_types.len());
        let expected = g * n * self.width();
        for (name, found) in [(value, self.values.len()), (noise, self.noise.len())] {
            if found != expected {
                return Err(Fault::bad_input(format!(
                    "{value} and {noise} must have the same shape, one value for each of {g} genes, {n} individuals{}: \
                     expected {expected} values, found {found}",
                    if self.level == Level::Op { String::new() } else { format!(" and {c} cell types") }
                ))
                .at(name));
            }
        }
        if let Some(p) = self.proportions.as_ref().filter(|p| p.len() != n * c) {
            return Err(Fault::bad_input(format!(
                "P must have the shape individuals x cell types, {n} x {c} = {} values, found {}",
                n * c,
                p.len()
            ))
            .at("P"));
        }
        for covariate in self.fixed.iter().chain(&self.random) {
            if covariate.values.n_rows() != n {
                return Err(Fault::bad_input(format!(
                    "covariate `{}` has {} rows, there are {n} individuals",
                    covariate.name,
                    covariate.values.n_rows()
                ))
                .at(format!("covariate `{}`", covariate.name)));
            }
        }
        Ok(())
    }

    /// Checks everything that does not depend on the model, and sorts the covariates by name.
    pub(super) fn checked(mut self, run: &Run) -> Result<Self> {
        if self.cell_types.len() < 2 {
            return Err(Fault::bad_input(format!(
                "two cell types or more are needed to tell shared from specific variance, found {}",
                self.cell_types.len()
            ))
            .at("cell types"));
        }
        unique("individuals", &self.individuals)?;
        unique("cell types", &self.cell_types)?;
        self.check_shapes()?;
        self.check_proportions(run)?;
        self.check_values()?;
        self.fixed.sort_by(|a, b| a.name.cmp(&b.name));
        self.random.sort_by(|a, b| a.name.cmp(&b.name));
        self.check_covariates()?;
        Ok(self)
    }

    fn check_proportions(&self, run: &Run) -> Result<()> {
        let Some(p) = &self.proportions else {
            if self.level == Level::Op {
                return Err(Fault::missing("overall pseudobulk needs the proportions of cell types").at("P"));
            }
            return Ok(());
        };
        let c = self.cell_types.len();
        if let Some(at) = p.iter().position(|x| !x.is_finite()) {
            return Err(Fault::bad_input(format!(
                "P must be finite, found {} for individual {} (`{}`), cell type {} (`{}`)",
                p[at],
                at / c,
                self.individuals[at / c],
                at % c,
                self.cell_types[at % c]
            ))
            .at("P"));
        }
        let sum = |i: usize| p[i * c..(i + 1) * c].iter().sum::<f64>();
        let off: Vec<usize> = (0..self.individuals.len()).filter(|&i| (sum(i) - 1.0).abs() > SUM_TOLERANCE).collect();
        let Some(&first) = off.first() else { return Ok(()) };
        let message = format!(
            "the rows of P must sum to 1, the sum of individual {first} (`{}`) is {}{}",
            self.individuals[first],
            sum(first),
            if off.len() > 1 { format!(", and {} more differ from 1", off.len() - 1) } else { String::new() }
        );
        if self.level == Level::Op {
            return Err(Fault::bad_input(message).at("P").hint("divide each row by its sum"));
        }
        run.warn(&format!("{message}; shares of variance refer to P as it is"));
        Ok(())
    }

    fn check_values(&self) -> Result<()> {
        let (value, noise) = self.array_name();
        let place = |at: usize| {
            let (width, n) = (self.width(), self.individuals.len());
            let (gene, i) = (at / (width * n), at / width % n);
            let cell_type = at % width;
            let cell_type = if width > 1 {
                format!(", cell type {cell_type} (`{}`)", self.cell_types[cell_type])
            } else {
                String::new()
            };
            format!("gene {gene} (`{}`), individual {i} (`{}`){cell_type}", self.genes[gene], self.individuals[i])
        };
        for (at, (&y, &d)) in self.values.iter().zip(&self.noise).enumerate() {
            if y.is_infinite() || d.is_infinite() {
                let name = if y.is_infinite() { value } else { noise };
                return Err(Fault::bad_input(format!("{name} is infinite at {}", place(at))).at(name));
            }
            if y.is_nan() != d.is_nan() {
                return Err(Fault::bad_input(format!(
                    "{value} and {noise} must be missing together, found {value} = {y} and {noise} = {d} at {}",
                    place(at)
                ))
                .at(value)
                .hint("a pair that was not observed is NaN in both"));
            }
            if d < 0.0 {
                return Err(Fault::bad_input(format!("{noise} is negative ({d}) at {}", place(at)))
                    .at(noise)
                    .hint("noise is a variance; negative values of an imputation become 0 or the largest of their cell type in `standardize`"));
            }
        }
        Ok(())
    }

    fn check_covariates(&self) -> Result<()> {
        let names: Vec<String> = self.fixed.iter().chain(&self.random).map(|c| c.name.clone()).collect();
        unique("covariates", &names)?;
        for covariate in self.fixed.iter().chain(&self.random) {
            let columns = covariate.values.n_cols();
            let bad = covariate.values.entries().iter().position(|x| !x.is_finite());
            if let Some(at) = bad {
                return Err(Fault::bad_input(format!(
                    "covariate `{}` must be finite, found {} for individual {} (`{}`)",
                    covariate.name,
                    covariate.values.entries()[at],
                    at / columns,
                    self.individuals[at / columns]
                ))
                .at(format!("covariate `{}`", covariate.name)));
            }
        }
        for covariate in &self.random {
            if covariate.values.entries().iter().all(|&x| x == 0.0) {
                return Err(Fault::bad_input(format!("random covariate `{}` is zero everywhere", covariate.name))
                    .at(format!("covariate `{}`", covariate.name)));
            }
        }
        Ok(())
    }

    /// Genes by the cell types that they vary in, in a fixed order. A type is silent where a gene has the same value in all
    /// individuals and none has noise: it has no likelihood, and nothing to say about variances.
    pub(super) fn by_types(&self) -> BTreeMap<Vec<bool>, Vec<usize>> {
        let c = self.cell_types.len();
        let mut out: BTreeMap<Vec<bool>, Vec<usize>> = BTreeMap::new();
        for gene in 0..self.genes.len() {
            let varies = if self.level == Level::Op { vec![true; c] } else { self.varies(gene) };
            out.entry(varies).or_default().push(gene);
        }
        out
    }

    /// Whether each cell type varies in a gene; all do where none does, so that constant genes are found as such.
    fn varies(&self, gene: usize) -> Vec<bool> {
        let c = self.cell_types.len();
        let (values, noise) = self.gene(gene);
        let mut first = vec![f64::NAN; c];
        let mut varies = vec![false; c];
        for (at, (&y, &d)) in values.iter().zip(noise).enumerate().filter(|(_, (y, _))| !y.is_nan()) {
            let own = &mut first[at % c];
            varies[at % c] |= d > 0.0 || (!own.is_nan() && y != *own);
            *own = y;
        }
        // A type without any value is no silent one: the design tells that its mean has no estimate.
        varies.iter_mut().zip(&first).for_each(|(varies, first)| *varies |= first.is_nan());
        if varies.contains(&true) { varies } else { vec![true; c] }
    }

    /// The study of some genes and of the cell types marked `kept`, with the proportions that they have.
    pub(super) fn narrowed(&self, genes: &[usize], kept: &[bool]) -> Self {
        let c = self.cell_types.len();
        let types: Vec<usize> = (0..c).filter(|&a| kept[a]).collect();
        let rows = |cells: &[f64]| -> Vec<f64> {
            cells.chunks_exact(c).flat_map(|row| types.iter().map(|&a| row[a]).collect::<Vec<f64>>()).collect()
        };
        let of_genes = |noise: bool| -> Vec<f64> {
            let one = |&g: &usize| rows(if noise { self.gene(g).1 } else { self.gene(g).0 });
            genes.iter().flat_map(one).collect()
        };
        Self {
            genes: genes.iter().map(|&g| self.genes[g].clone()).collect(),
            individuals: self.individuals.clone(),
            cell_types: types.iter().map(|&a| self.cell_types[a].clone()).collect(),
            level: self.level,
            values: of_genes(false),
            noise: of_genes(true),
            proportions: self.proportions.as_deref().map(rows),
            fixed: self.fixed.clone(),
            random: self.random.clone(),
        }
    }

    /// The values and noise of a gene.
    pub(super) fn gene(&self, gene: usize) -> (&[f64], &[f64]) {
        let size = self.individuals.len() * self.width();
        (&self.values[gene * size..(gene + 1) * size], &self.noise[gene * size..(gene + 1) * size])
    }

    /// Genes by their pattern of missing values, in a fixed order: (observed, genes).
    pub(super) fn patterns(&self) -> Vec<(Vec<bool>, Vec<usize>)> {
        let mut genes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut known: HashMap<Vec<bool>, usize> = HashMap::new();
        let mut patterns = Vec::new();
        for gene in 0..self.genes.len() {
            let observed: Vec<bool> = self.gene(gene).0.iter().map(|y| !y.is_nan()).collect();
            let place = *known.entry(observed.clone()).or_insert_with(|| {
                patterns.push(observed);
                patterns.len() - 1
            });
            genes.entry(place).or_default().push(gene);
        }
        patterns.into_iter().zip(genes.into_values()).collect()
    }
}

fn unique(what: &str, names: &[String]) -> Result<()> {
    let mut seen = BTreeSet::new();
    let twice: Vec<&String> = names.iter().filter(|name| !seen.insert(*name)).collect();
    if twice.is_empty() {
        return Ok(());
    }
    Err(Fault::bad_input(format!("the names of {what} must differ, found twice: {}", listing(&twice, 10))).at(what))
}

/// Where each of `wanted` stands in the ids of a table, so that its rows can be brought into their order.
///
/// Fails where the two sets differ, and names the first ten on each side, or where an id is there twice.
pub fn align(wanted: &[String], found: &[String], table: &str) -> Result<Vec<usize>> {
    unique(&format!("rows of {table}"), found)?;
    let places: HashMap<&str, usize> = found.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
    let wanted_set: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let only_wanted: Vec<&str> = wanted.iter().map(String::as_str).filter(|id| !places.contains_key(id)).collect();
    let only_found: Vec<&str> = found.iter().map(String::as_str).filter(|id| !wanted_set.contains(id)).collect();
    if !only_wanted.is_empty() || !only_found.is_empty() {
        return Err(Fault::bad_input(format!(
            "the ids of individuals do not match: only in CTP {}; only in {table} {}",
            listing(&only_wanted, 10),
            listing(&only_found, 10)
        ))
        .at(table.to_owned())
        .hint("every table needs the same individuals; their order does not matter"));
    }
    Ok(wanted.iter().map(|id| places[id.as_str()]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study() -> Study {
        let names = |all: &str| all.split(' ').map(str::to_owned).collect::<Vec<_>>();
        Study {
            genes: names("g h"),
            individuals: names("a b c"),
            cell_types: names("B T"),
            level: Level::Ctp,
            values: (0..12).map(f64::from).collect(),
            noise: vec![0.5; 12],
            proportions: Some(vec![0.25, 0.75, 0.5, 0.5, 1.0, 0.0]),
            fixed: Vec::new(),
            random: Vec::new(),
        }
    }

    fn message(study: Study) -> String {
        study.checked(&Run::new()).err().map(|f| f.to_string()).unwrap_or_default()
    }

    #[test]
    fn faults_name_what_is_wrong() {
        let mut bad = study();
        bad.values[7] = f64::NAN;
        let told = message(bad);
        assert!(told.contains("CTP") && told.contains("ctnu") && told.contains("gene 1 (`h`)"), "{told}");
        assert!(told.contains("individual 0") && told.contains("cell type 1"), "{told}");
        let mut bad = study();
        bad.noise[2] = -0.01;
        assert!(message(bad).contains("ctnu is negative (-0.01) at gene 0"));
        let mut bad = study();
        if let Some(p) = &mut bad.proportions {
            p[5] = f64::NAN;
        }
        assert!(message(bad).contains("individual 2"));
        let mut bad = study();
        bad.noise.truncate(10);
        assert!(message(bad).contains("shape"));
        let mut bad = study();
        bad.individuals[1] = "a".to_owned();
        assert!(message(bad).contains("found twice: `a`"));
    }

    #[test]
    fn silent_types_are_found() {
        let mut silent = study();
        for at in [1, 3, 5] {
            (silent.values[at], silent.noise[at]) = (0.0, 0.0);
        }
        let found = silent.by_types();
        assert_eq!(found[&vec![true, false]], [0]);
        assert_eq!(found[&vec![true, true]], [1]);
        let less = silent.narrowed(&[0], &[true, false]);
        assert_eq!((less.values, less.cell_types), (vec![0.0, 2.0, 4.0], vec!["B".to_owned()]));
        assert_eq!(less.proportions, Some(vec![0.25, 0.5, 1.0]));
        silent.noise[3] = 0.1;
        assert_eq!(silent.by_types().len(), 1);
    }

    #[test]
    fn overall_values_are_weighted_means() -> Result<()> {
        let op = study().overall()?;
        assert_eq!(op.values, [0.75, 2.5, 4.0, 6.75, 8.5, 10.0]);
        assert_eq!(op.noise[0], 0.5 * (0.0625 + 0.5625));
        let mut off = study();
        off.proportions = Some(vec![0.5; 6].into_iter().chain([]).map(|x: f64| x * 0.5).collect());
        assert!(message(off.overall()?).contains("sum of individual 0"));
        Ok(())
    }

    #[test]
    fn ids_decide_not_places() -> Result<()> {
        let ids = |all: &str| all.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(align(&ids("a b c"), &ids("c a b"), "P")?, [1, 2, 0]);
        let told = align(&ids("a b c"), &ids("c a x"), "P").err().map(|f| f.to_string()).unwrap_or_default();
        assert!(told.contains("only in CTP `b`") && told.contains("only in P `x`"), "{told}");
        Ok(())
    }
}
