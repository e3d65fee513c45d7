//! What all genes of a fit share: who was observed where, fixed and random covariates, kernels.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::{Matrix, scaled_inverse};

use super::data::{Covariate, Study};
use super::kernel::{Kernel, kernels};
use super::lanes::Lanes;
use super::options::{Level, Model};

/// A diagonal entry of the scaled X'X below this is a column that depends on those before it.
const RANK: f64 = 1e-10;

/// One random covariate: its columns among all columns.
#[derive(Debug, Clone)]
pub(super) struct RandomTerm {
    /// The name of the covariate.
    pub(super) name: String,
    /// Its first column.
    pub(super) first: usize,
    /// How many columns it has.
    pub(super) n_levels: usize,
    /// Mean over individuals of the squared length of their rows.
    pub(super) mean_square: f64,
}

/// The shared structure of a model on the individuals that have values.
///
/// Individual i has observations `start[i]..start[i + 1]`. Columns are [cell types, fixed covariates, levels of random
/// covariates] for pseudobulk per cell type, [proportions, fixed, levels] for overall pseudobulk. A row of
/// an individual is the unit vector of its cell type (not there for overall pseudobulk) plus the individual's `z`.
#[derive(Debug, Clone)]
pub(super) struct Design {
    /// Individuals.
    pub(super) n: usize,
    /// Cell types.
    pub(super) c: usize,
    /// Whether there is one value per individual.
    pub(super) op: bool,
    /// Where the observations of each individual begin.
    pub(super) start: Vec<usize>,
    /// The cell type of each observation.
    pub(super) types: Vec<usize>,
    /// Individuals × (c + 1): the place of each cell type, and of the vector of ones, in the individual's block.
    local: Vec<usize>,
    /// What the variance parameters multiply.
    pub(super) kernels: Vec<Kernel>,
    /// Individuals × kernels; empty where all are 1.
    weights: Vec<f64>,
    z_start: Vec<usize>,
    z_entries: Vec<(usize, f64)>,
    /// Columns that are the same for all rows of an individual: proportions (overall pseudobulk) and fixed covariates.
    pub(super) n_fixed: usize,
    /// How many fixed covariates there are.
    pub(super) n_covariates: usize,
    /// All columns, those of random covariates included.
    pub(super) n_columns: usize,
    /// The random covariates.
    pub(super) random: Vec<RandomTerm>,
    /// (X'X)⁻¹ over the fixed columns.
    pub(super) x_inverse: Matrix,
    /// Individuals side by side, where no random covariate connects them.
    pub(super) lanes: Option<Lanes>,
}

/// A place that is not there.
pub(super) const ABSENT: usize = usize::MAX;

impl Design {
    /// The design of `model` for the individuals `rows` of the study, observed where `observed` (individuals × cell types)
    /// says. Fails where a covariate depends on the columns before it.
    pub(super) fn new(study: &Study, model: Model, rows: &[usize], observed: &[bool]) -> Result<Self> {
        let (n, c) = (rows.len(), study.cell_types.len());
        let op = study.level == Level::Op;
        let kernels = kernels(model, &study.cell_types);
        let proportions = study.proportions.as_deref();
        let mut design = Self {
            n,
            c,
            op,
            start: vec![0],
            types: Vec::new(),
            local: Vec::new(),
            weights: Vec::new(),
            z_start: vec![0],
            z_entries: Vec::new(),
            n_fixed: c + study.fixed.iter().map(|f| f.values.n_cols()).sum::<usize>(),
            n_covariates: study.fixed.len(),
            n_columns: 0,
            random: Vec::new(),
            x_inverse: Matrix::zeros(0, 0),
            lanes: None,
            kernels,
        };
        design.place_random(&study.random, rows);
        for &row in rows {
            let share = proportions.map(|p| &p[row * c..(row + 1) * c]);
            design.add_individual(study, row, share, &observed[row * c..(row + 1) * c])?;
        }
        let x = design.fixed_cross_product(None);
        design.lanes = Lanes::new(&design);
        design.x_inverse = scaled_inverse(&x, RANK).map_err(|column| design.rank_fault(study, column))?;
        Ok(design)
    }

    fn place_random(&mut self, random: &[Covariate], rows: &[usize]) {
        let mut first = self.n_fixed;
        for covariate in random {
            let squares: f64 = rows.iter().flat_map(|&row| covariate.values.row(row)).map(|x| x * x).sum();
            let n_levels = covariate.values.n_cols();
            let mean_square = squares / self.n as f64;
            self.random.push(RandomTerm { name: covariate.name.clone(), first, n_levels, mean_square });
            first += n_levels;
        }
        self.n_columns = first;
    }

    fn add_individual(&mut self, study: &Study, row: usize, share: Option<&[f64]>, observed: &[bool]) -> Result<()> {
        let c = self.c;
        let mut column = 0;
        if self.op {
            let share = share.ok_or_else(|| Fault::missing("overall pseudobulk needs proportions").at("P"))?;
            self.types.push(0);
            self.local.extend(vec![0; c + 1]);
            for kernel in &self.kernels {
                let weight = |&(x, y): &(usize, usize)| if x == c { 1.0 } else { share[x] * share[y] };
                self.weights.push(kernel.terms.iter().map(weight).sum());
            }
            self.z_entries.extend(share.iter().copied().enumerate());
        } else {
            let mut m = 0;
            for (cell_type, &there) in observed.iter().enumerate() {
                self.local.push(if there { m } else { ABSENT });
                if there {
                    self.types.push(cell_type);
                    m += 1;
                }
            }
            self.local.push(m);
        }
        column += c;
        for covariate in &study.fixed {
            self.z_entries.extend(covariate.values.row(row).iter().enumerate().map(|(k, &x)| (column + k, x)));
            column += covariate.values.n_cols();
        }
        for covariate in &study.random {
            let entries = covariate.values.row(row).iter().enumerate().filter(|&(_, &x)| x != 0.0);
            self.z_entries.extend(entries.map(|(k, &x)| (column + k, x)));
            column += covariate.values.n_cols();
        }
        self.start.push(self.types.len());
        self.z_start.push(self.z_entries.len());
        Ok(())
    }

    fn rank_fault(&self, study: &Study, column: usize) -> Fault {
        let mut first = self.c;
        if column < first {
            let name = &study.cell_types[column];
            return Fault::bad_input(format!(
                "the mean of cell type `{name}` cannot be estimated: the rank of the design falls short at its column"
            ))
            .at(if self.op { "P" } else { "CTP" })
            .hint("leave out the cell type, or have more individuals with it");
        }
        for covariate in &study.fixed {
            first += covariate.values.n_cols();
            if column < first {
                return Fault::bad_input(format!(
                    "column {} of fixed covariate `{}` depends on the columns before it (rank {column} of {}): it is \
                     constant, or a combination of the means of cell types and other covariates",
                    column + covariate.values.n_cols() - first,
                    covariate.name,
                    self.n_fixed
                ))
                .at(format!("fixed covariate `{}`", covariate.name))
                .hint("leave it out; an intercept is in the model already");
            }
        }
        Fault::internal("a column beyond the design")
    }

    /// Number of observations.
    pub(super) fn n_observations(&self) -> usize {
        self.types.len()
    }

    /// Number of variance parameters, those of random covariates included.
    pub(super) fn n_variances(&self) -> usize {
        self.kernels.len() + self.random.len()
    }

    /// Residual degrees of freedom of the tests: individuals less parameters.
    pub(super) fn df(&self) -> f64 {
        self.n as f64 - (self.n_variances() + self.n_fixed) as f64
    }

    /// The observations of an individual.
    pub(super) fn rows(&self, i: usize) -> std::ops::Range<usize> {
        self.start[i]..self.start[i + 1]
    }

    /// The entries of z of an individual: columns and values.
    pub(super) fn z(&self, i: usize) -> &[(usize, f64)] {
        &self.z_entries[self.z_start[i]..self.z_start[i + 1]]
    }

    /// The entries of z among the fixed columns.
    pub(super) fn z_fixed(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.z(i).iter().copied().filter(|&(column, _)| column < self.n_fixed)
    }

    /// Where a cell type stands in the individual's block, or [`ABSENT`]; cell type `c` stands for the vector of ones.
    pub(super) fn local(&self, i: usize, cell_type: usize) -> usize {
        self.local[i * (self.c + 1) + cell_type]
    }

    /// The factor of a kernel for an individual.
    pub(super) fn weight(&self, i: usize, kernel: usize) -> f64 {
        if self.weights.is_empty() { 1.0 } else { self.weights[i * self.kernels.len() + kernel] }
    }

    /// X'X over the fixed columns, without the individual `skip`.
    pub(super) fn fixed_cross_product(&self, skip: Option<usize>) -> Matrix {
        let p = self.n_fixed;
        let mut x = Matrix::zeros(p, p);
        for i in (0..self.n).filter(|&i| Some(i) != skip) {
            let rows = self.rows(i);
            for (j, zj) in self.z_fixed(i) {
                for (k, zk) in self.z_fixed(i) {
                    x[(j, k)] += rows.len() as f64 * zj * zk;
                }
                if !self.op {
                    for &cell_type in &self.types[rows.clone()] {
                        x[(cell_type, j)] += zj;
                        x[(j, cell_type)] += zj;
                    }
                }
            }
            if !self.op {
                self.types[rows].iter().for_each(|&t| x[(t, t)] += 1.0);
            }
        }
        x
    }

    /// X'v over the fixed columns, without the individual `skip`.
    pub(super) fn fixed_product(&self, v: &[f64], skip: Option<usize>) -> Vec<f64> {
        let mut out = vec![0.0; self.n_fixed];
        for i in (0..self.n).filter(|&i| Some(i) != skip) {
            let rows = self.rows(i);
            let total: f64 = v[rows.clone()].iter().sum();
            self.z_fixed(i).for_each(|(j, z)| out[j] += z * total);
            if !self.op {
                rows.for_each(|row| out[self.types[row]] += v[row]);
            }
        }
        out
    }

    /// Ordinary least squares: coefficients, and residuals (zero for `skip`).
    pub(super) fn least_squares(&self, x_inverse: &Matrix, y: &[f64], skip: Option<usize>) -> (Vec<f64>, Vec<f64>) {
        let p = self.n_fixed;
        let xy = self.fixed_product(y, skip);
        let b: Vec<f64> = (0..p).map(|j| x_inverse.row(j).iter().zip(&xy).map(|(a, b)| a * b).sum()).collect();
        let mut r = vec![0.0; y.len()];
        for i in (0..self.n).filter(|&i| Some(i) != skip) {
            let rows = self.rows(i);
            let z: f64 = self.z_fixed(i).map(|(j, z)| z * b[j]).sum();
            for row in rows {
                r[row] = y[row] - z - if self.op { 0.0 } else { b[self.types[row]] };
            }
        }
        (b, r)
    }
}
