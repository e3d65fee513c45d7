//! Rounds of soft clustering: centres, then memberships, some cells at a time.

#![allow(clippy::inline_always, reason = "kernels are compiled where they run")]

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, cross_product, dot, product};
use ferrocyte_math::random::Stream;
use ferrocyte_math::wide::{self, Kernel};

use super::{Design, HarmonyOptions, unit_rows};

/// Cells that a thread takes at a time.
const CELLS: usize = 256;

/// Cells whose products are added up before they are added to others.
const STRETCH: usize = 2048;

/// Clusters and who belongs to them.
pub(super) struct State<'a> {
    design: &'a Design,
    /// Cells × components, rows of length 1.
    pub(super) unit: Matrix,
    /// Clusters × components, rows of length 1.
    centres: Matrix,
    /// Cells × clusters.
    pub(super) memberships: Matrix,
    /// Clusters × batches.
    pub(super) observed: Matrix,
    /// Clusters × batches.
    pub(super) expected: Matrix,
    thetas: Vec<f64>,
    sigma: f64,
    /// Sums over all cells and clusters of membership × distance, and of membership × its logarithm.
    terms: Terms,
    stream: Stream,
}

#[derive(Debug, Clone, Copy, Default)]
struct Terms {
    distance: f64,
    entropy: f64,
}

/// What some cells were found to belong to.
struct Found {
    /// Cells × clusters.
    memberships: Vec<f64>,
    /// Kinds × clusters.
    sums: Vec<f64>,
    terms: Terms,
}

impl<'a> State<'a> {
    pub(super) fn new(
        run: &Run,
        design: &'a Design,
        unit: Matrix,
        centres: Matrix,
        options: &HarmonyOptions,
    ) -> Result<Self> {
        let (n, k) = (unit.n_rows(), centres.n_rows());
        let mut state = Self {
            design,
            memberships: Matrix::zeros(n, k),
            observed: Matrix::zeros(k, design.n_batches()),
            expected: Matrix::zeros(k, design.n_batches()),
            thetas: design.thetas(options, k),
            sigma: options.sigma,
            terms: Terms::default(),
            stream: Stream::new(options.seed, u64::MAX),
            unit,
            centres,
        };
        let all: Vec<usize> = (0..n).collect();
        state.renew(run, &all, None)?;
        Ok(state)
    }

    /// `2000 / n` × (distances + sigma × (entropy + reward for batches that are mixed)).
    pub(super) fn objective(&self) -> f64 {
        let mut mixing = 0.0;
        for k in 0..self.observed.n_rows() {
            for (b, theta) in self.thetas.iter().enumerate() {
                let (o, e) = (self.observed[(k, b)], self.expected[(k, b)]);
                if o > 0.0 && e > 0.0 {
                    mixing += o * theta * ((o + e) / e).ln();
                }
            }
        }
        let sum = self.terms.distance + self.sigma * self.terms.entropy + self.sigma * mixing;
        2000.0 / self.unit.n_rows() as f64 * sum
    }

    /// Rounds until the objective stays; each is added to `objectives`. The number of rounds.
    pub(super) fn cluster(&mut self, run: &Run, options: &HarmonyOptions, objectives: &mut Vec<f64>) -> Result<usize> {
        // The objective is compared as a sum of three, from the fifth round on.
        const WINDOW: usize = 3;
        for round in 0..options.max_iter_kmeans {
            run.check()?;
            self.centres = unit_rows(&self.weighted_sums(run)?);
            self.terms = Terms::default();
            for cells in self.blocks(options) {
                let penalty = self.remove(run, &cells)?;
                self.renew(run, &cells, Some(&penalty))?;
            }
            objectives.push(self.objective());
            if round > WINDOW {
                let n = objectives.len();
                let before: f64 = objectives[n - 1 - WINDOW..n - 1].iter().sum();
                let now: f64 = objectives[n - WINDOW..].iter().sum();
                if ((before - now) / before).abs() < options.eps_cluster {
                    return Ok(round + 1);
                }
            }
        }
        Ok(options.max_iter_kmeans)
    }

    /// The cells in blocks, in random order or their own.
    fn blocks(&mut self, options: &HarmonyOptions) -> Vec<Vec<usize>> {
        let n = self.unit.n_rows();
        let order = if options.shuffle { self.stream.permutation(n) } else { (0..n).collect() };
        let n_blocks = (1.0 / options.block_size).ceil().clamp(1.0, n as f64) as usize;
        let size = ((n as f64 * options.block_size) as usize).max(1);
        let range = |b: usize| (b * size).min(n)..if b + 1 == n_blocks { n } else { ((b + 1) * size).min(n) };
        (0..n_blocks).map(|b| order[range(b)].to_vec()).filter(|cells| !cells.is_empty()).collect()
    }

    /// Clusters × components: sums of cells by membership.
    fn weighted_sums(&self, run: &Run) -> Result<Matrix> {
        let (k, d) = (self.memberships.n_cols(), self.unit.n_cols());
        let parts = run.map_quietly(self.unit.n_rows(), STRETCH, |cells| {
            let mut part = Matrix::zeros(k, d);
            cross_product(
                &self.memberships.entries()[cells.start * k..cells.end * k],
                &self.unit.entries()[cells.start * d..cells.end * d],
                &mut part,
            );
            Ok(part)
        })?;
        let mut sums = Matrix::zeros(k, d);
        for part in &parts {
            sums.entries_mut().iter_mut().zip(part.entries()).for_each(|(s, x)| *s += x);
        }
        Ok(sums)
    }

    /// Adds sums of memberships, kinds × clusters, to what is observed and expected.
    fn count(&mut self, sums: &[f64], sign: f64) {
        let k = self.observed.n_rows();
        for (kind, sums) in sums.chunks_exact(k).enumerate() {
            for (cluster, sum) in sums.iter().enumerate() {
                for &batch in &self.design.batches[kind] {
                    self.observed[(cluster, batch)] += sign * sum;
                }
                for (batch, share) in self.design.shares.iter().enumerate() {
                    self.expected[(cluster, batch)] += sign * sum * share;
                }
            }
        }
    }

    /// Takes cells out of what is observed and expected. Kinds × clusters: how welcome a cell of a kind is then in a
    /// cluster, the sum over its batches of `(E / (O + E))^theta`.
    fn remove(&mut self, run: &Run, cells: &[usize]) -> Result<Vec<f64>> {
        let k = self.observed.n_rows();
        let n_kinds = self.design.n_kinds();
        let parts = run.map_quietly(cells.len(), CELLS, |part| {
            let mut sums = vec![0.0; n_kinds * k];
            for &cell in &cells[part] {
                let kind = self.design.kinds[cell] as usize;
                let sums = &mut sums[kind * k..(kind + 1) * k];
                sums.iter_mut().zip(self.memberships.row(cell)).for_each(|(s, r)| *s += r);
            }
            Ok(sums)
        })?;
        parts.iter().for_each(|sums| self.count(sums, -1.0));
        let mut welcome = vec![0.0; n_kinds * k];
        for (kind, batches) in self.design.batches.iter().enumerate() {
            for cluster in 0..k {
                for &batch in batches {
                    let (o, e) = (self.observed[(cluster, batch)], self.expected[(cluster, batch)]);
                    welcome[kind * k + cluster] += (e / (o + e)).powf(self.thetas[batch]);
                }
            }
        }
        Ok(welcome)
    }

    /// Finds anew what cells belong to, and counts them again.
    fn renew(&mut self, run: &Run, cells: &[usize], welcome: Option<&[f64]>) -> Result<()> {
        let k = self.observed.n_rows();
        let columns = self.centres.transpose();
        let parts = run.map_quietly(cells.len(), CELLS, |part| Ok(self.find(&cells[part], &columns, welcome)))?;
        for (found, cells) in parts.iter().zip(cells.chunks(CELLS)) {
            for (row, &cell) in found.memberships.chunks_exact(k).zip(cells) {
                self.memberships.row_mut(cell).copy_from_slice(row);
            }
            self.terms.distance += found.terms.distance;
            self.terms.entropy += found.terms.entropy;
        }
        parts.iter().for_each(|found| self.count(&found.sums, 1.0));
        Ok(())
    }

    fn find(&self, cells: &[usize], columns: &Matrix, welcome: Option<&[f64]>) -> Found {
        let (d, k) = (columns.n_rows(), columns.n_cols());
        let mut rows = Vec::with_capacity(cells.len() * d);
        cells.iter().for_each(|&cell| rows.extend_from_slice(self.unit.row(cell)));
        let mut cosines = vec![0.0; cells.len() * k];
        product(&rows, d, columns, &mut cosines);
        let n_kinds = self.design.n_kinds();
        let welcome = welcome.map_or_else(|| vec![1.0; n_kinds * k], <[f64]>::to_vec);
        // What no cell is welcome to has no member, and no part in the entropy.
        let ln_welcome: Vec<f64> = welcome.iter().map(|&w| if w > 0.0 { w.ln() } else { 0.0 }).collect();
        let mut memberships = vec![0.0; cells.len() * k];
        let mut sums = vec![0.0; n_kinds * k];
        let mut terms = Terms::default();
        let rows = memberships.chunks_exact_mut(k).zip(cosines.chunks_exact(k));
        for ((row, cosines), &cell) in rows.zip(cells) {
            let kind = self.design.kinds[cell] as usize;
            let of_kind = kind * k..(kind + 1) * k;
            let part = wide::widest(Soften {
                row,
                cosines,
                welcome: &welcome[of_kind.clone()],
                ln_welcome: &ln_welcome[of_kind.clone()],
                sums: &mut sums[of_kind],
                scale: 2.0 / self.sigma,
            });
            terms.distance += part.distance;
            terms.entropy += part.entropy;
        }
        Found { memberships, sums, terms }
    }
}

/// Cosines of one cell to its memberships `r`: `w exp(-distance / sigma)`, with squared distance `2 (1 - cosine)` and `w`
/// how welcome the cell is, brought to the sum 1. They are added to `sums`.
///
/// As `ln r = scale (cosine - largest) + ln w - ln (sum before)`, the entropy needs no logarithm of each.
struct Soften<'a> {
    row: &'a mut [f64],
    cosines: &'a [f64],
    welcome: &'a [f64],
    ln_welcome: &'a [f64],
    sums: &'a mut [f64],
    /// 2 / sigma.
    scale: f64,
}

impl Kernel for Soften<'_> {
    type Output = Terms;
    #[inline(always)]
    fn run(self) -> Terms {
        let largest = largest(self.cosines);
        for ((r, &c), &w) in self.row.iter_mut().zip(self.cosines).zip(self.welcome) {
            *r = w * wide::exp((c - largest) * self.scale);
        }
        let total = wide::sum(self.row);
        let over = 1.0 / total;
        for (r, sum) in self.row.iter_mut().zip(self.sums) {
            *r *= over;
            *sum += *r;
        }
        let cosine = dot(self.row, self.cosines);
        let entropy = self.scale * (cosine - largest) + dot(self.row, self.ln_welcome) - total.ln();
        Terms { distance: 2.0 * (1.0 - cosine), entropy }
    }
}

/// The largest of some numbers, several at a time.
#[inline(always)]
fn largest(values: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [f64::MIN; LANES];
    let (chunks, tail) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = if v > *lane { v } else { *lane };
        }
    }
    lanes.iter().chain(tail).fold(f64::MIN, |m, &v| if v > m { v } else { m })
}
