//! Rounds of soft clustering: centres, then memberships, some cells at a time.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::fused::fused;
use ferrocyte_math::linalg::{Matrix, cross_product, product};
use ferrocyte_math::random::Stream;

use super::soften::{AddRows, LANES, Pack, Soften, Terms, packs};
use super::{Design, HarmonyOptions, unit_rows};

/// Cells that a thread takes at a time.
const CELLS: usize = 256;

/// How often it does so before what was found is stored.
const FEW: usize = 3;

/// Cells whose products are added up before they are added to others.
const STRETCH: usize = 2048;

/// Clusters and who belongs to them.
pub(super) struct State<'a> {
    design: &'a Design,
    /// Cells × components, rows of length 1.
    unit: Matrix,
    /// Clusters × components, rows of length 1.
    centres: Matrix,
    /// Clusters × components: sums of cells by membership, the next centres but for their length.
    sums: Matrix,
    /// Cells × clusters.
    pub(super) memberships: Matrix,
    /// Clusters × batches.
    pub(super) observed: Matrix,
    /// Clusters × batches.
    pub(super) expected: Matrix,
    thetas: Vec<f64>,
    sigma: f64,
    /// Of all cells.
    terms: Terms,
    stream: Stream,
}

/// What some cells were found to belong to.
struct Found {
    /// Cells × packs of clusters.
    memberships: Vec<Pack>,
    /// Kinds × packs of clusters: sums of memberships.
    counts: Vec<Pack>,
    /// Clusters, filled up to whole packs, × components: sums of the cells by membership.
    sums: Matrix,
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
            sums: Matrix::zeros(k, unit.n_cols()),
            unit,
            centres,
        };
        let all: Vec<u32> = (0..n as u32).collect();
        state.renew(run, &all, None)?;
        Ok(state)
    }

    /// Cells that have moved, rows of length 1: they belong to what they belonged to.
    pub(super) fn move_to(&mut self, run: &Run, unit: Matrix) -> Result<()> {
        self.unit = unit;
        self.sums = self.weighted_sums(run)?;
        Ok(())
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
            let (k, d) = (self.sums.n_rows(), self.sums.n_cols());
            self.centres = unit_rows(run, std::mem::replace(&mut self.sums, Matrix::zeros(k, d)))?;
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

    /// The cells in blocks, at random or in their own order. Those of a block rise: so they are read from memory faster.
    fn blocks(&mut self, options: &HarmonyOptions) -> Vec<Vec<u32>> {
        let n = self.unit.n_rows();
        let order = if options.shuffle { self.stream.permutation(n) } else { (0..n).collect() };
        let n_blocks = (1.0 / options.block_size).ceil().clamp(1.0, n as f64) as usize;
        let size = ((n as f64 * options.block_size) as usize).max(1);
        // The last takes the rest.
        let mut block_of = vec![0; n];
        order.iter().enumerate().for_each(|(place, &cell)| block_of[cell] = (place / size).min(n_blocks - 1));
        let mut blocks: Vec<Vec<u32>> = (0..n_blocks).map(|_| Vec::with_capacity(size)).collect();
        block_of.iter().enumerate().for_each(|(cell, &block)| blocks[block].push(cell as u32));
        blocks.retain(|cells| !cells.is_empty());
        blocks
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

    /// Adds sums of memberships, those of each kind, to what is observed and expected.
    fn count<'s>(&mut self, sums: impl Iterator<Item = &'s [f64]>, sign: f64) {
        let k = self.observed.n_rows();
        for (kind, sums) in sums.enumerate() {
            for (cluster, sum) in sums[..k].iter().enumerate() {
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
    fn remove(&mut self, run: &Run, cells: &[u32]) -> Result<Vec<f64>> {
        let k = self.observed.n_rows();
        let n_kinds = self.design.n_kinds();
        let parts = run.map_quietly(cells.len(), CELLS, |part| {
            let mut sums = vec![0.0; n_kinds * k];
            fused(AddRows {
                memberships: self.memberships.entries(),
                k,
                cells: &cells[part],
                kinds: &self.design.kinds,
                sums: &mut sums,
            });
            Ok(sums)
        })?;
        parts.iter().for_each(|sums| self.count(sums.chunks_exact(k), -1.0));
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

    /// Finds anew what cells belong to, and counts them again. `welcome` is that of [`State::remove`]; `None` is 1.
    fn renew(&mut self, run: &Run, cells: &[u32], welcome: Option<&[f64]>) -> Result<()> {
        let k = self.centres.n_rows();
        let width = packs(k);
        let welcome = match welcome {
            Some(welcome) => in_packs(welcome, k),
            None => in_packs(&vec![1.0; self.design.n_kinds() * k], k),
        };
        let ln = |w: f64| if w > 0.0 { w.ln() } else { 0.0 };
        let ln_welcome: Vec<Pack> = welcome.iter().map(|pack| pack.map(ln)).collect();
        let mut columns = Matrix::zeros(self.centres.n_cols(), width * LANES);
        for cluster in 0..k {
            self.centres.row(cluster).iter().enumerate().for_each(|(j, &x)| columns[(j, cluster)] = x);
        }
        // So few at a time that what is found is stored before it leaves the processor's memory.
        for cells in cells.chunks(FEW * CELLS * run.n_threads()) {
            let find = |part| Ok(self.find(&cells[part], &columns, &welcome, &ln_welcome));
            let parts = run.map_quietly(cells.len(), CELLS, find)?;
            for (found, cells) in parts.iter().zip(cells.chunks(CELLS)) {
                for (row, &cell) in found.memberships.chunks_exact(width).zip(cells) {
                    self.memberships.row_mut(cell as usize).copy_from_slice(&row.as_flattened()[..k]);
                }
                self.terms.distance += found.terms.distance;
                self.terms.entropy += found.terms.entropy;
                self.sums.entries_mut().iter_mut().zip(found.sums.entries()).for_each(|(s, x)| *s += x);
                self.count(found.counts.chunks_exact(width).map(<[Pack]>::as_flattened), 1.0);
            }
        }
        Ok(())
    }

    /// What some cells belong to: `columns` are the centres, components × clusters filled up to whole packs.
    fn find(&self, cells: &[u32], columns: &Matrix, welcome: &[Pack], ln_welcome: &[Pack]) -> Found {
        let (d, k) = (columns.n_rows(), self.centres.n_rows());
        let width = packs(k);
        let mut rows = Vec::with_capacity(cells.len() * d);
        cells.iter().for_each(|&cell| rows.extend_from_slice(self.unit.row(cell as usize)));
        let kinds: Vec<u32> = cells.iter().map(|&cell| self.design.kinds[cell as usize]).collect();
        let mut memberships = vec![[0.0; LANES]; cells.len() * width];
        product(&rows, d, columns, memberships.as_flattened_mut());
        let mut counts = vec![[0.0; LANES]; self.design.n_kinds() * width];
        let terms = fused(Soften {
            rows: &mut memberships,
            k,
            kinds: &kinds,
            welcome,
            ln_welcome,
            sums: &mut counts,
            scale: 2.0 / self.sigma,
        });
        let mut sums = Matrix::zeros(width * LANES, d);
        cross_product(memberships.as_flattened(), &rows, &mut sums);
        Found { memberships, counts, sums, terms }
    }
}

/// Rows of `k` numbers, each filled up with zeros to whole packs.
fn in_packs(rows: &[f64], k: usize) -> Vec<Pack> {
    let width = packs(k);
    let mut out = vec![[0.0; LANES]; rows.len() / k.max(1) * width];
    for (packs, row) in out.chunks_exact_mut(width).zip(rows.chunks_exact(k)) {
        packs.as_flattened_mut()[..k].copy_from_slice(row);
    }
    out
}
