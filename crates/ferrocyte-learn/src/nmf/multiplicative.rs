//! Any beta divergence by multiplicative updates, all lanes together (C. Fevotte and J. Idier, *Algorithms for
//! nonnegative matrix factorization with the beta-divergence*, 2011).
//!
//! As with coordinate descent the matrix is passed once: the rows of a block are updated while it is in the cache, and
//! their part of the update of H is added with the new rows.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::fused::{Level, Real};

use super::divergence::{
    Beta, Denominators, Frobenius, ItakuraSaito, KullbackLeibler, Law, LogFits, Losses, Quotients, Units, Update,
    Weights,
};
use super::kernels::{Gram, Product};
use super::packs::Packs;
use super::replicas::{Replicas, Share, Wide, inner};
use super::tiles::{Block, Tiles};
use super::{Options, Step};

/// Factors below this become 0 where beta <= 1.
const SMALLEST: f64 = f64::EPSILON;

/// The solver.
pub(super) struct Multiplicative<'a, T, const L: usize> {
    tiles: &'a Tiles<T>,
    level: Level,
    beta: f64,
    /// Penalties on sums and on squares, of W and of H.
    penalties: [(f64, f64); 2],
    /// The power of the updates, with which the loss never rises.
    gamma: f64,
    /// H stays as it is.
    fixed: bool,
    /// For each share the denominators of H, where they are sums over all entries.
    weights: Vec<Vec<[T; L]>>,
}

impl<'a, T: Real, const L: usize> Multiplicative<'a, T, L> {
    pub(super) fn new(tiles: &'a Tiles<T>, options: &Options, level: Level) -> Self {
        let beta = options.loss.value();
        let (a, l1) = ([options.alpha_w * tiles.g as f64, options.alpha_h * tiles.n as f64], options.l1_ratio);
        let gamma = if beta < 1.0 {
            1.0 / (2.0 - beta)
        } else if beta > 2.0 {
            1.0 / (beta - 1.0)
        } else {
            1.0
        };
        let penalties = a.map(|a| (a * l1, a * (1.0 - l1)));
        Self { tiles, level, beta, penalties, gamma, fixed: false, weights: Vec::new() }
    }

    /// Holds H.
    pub(super) fn fix(&mut self) {
        self.fixed = true;
    }

    /// One iteration over all lanes; the losses after it, if asked for.
    pub(super) fn iterate(&mut self, run: &Run, replicas: &mut Replicas<T, L>, look: bool) -> Result<Step<L>> {
        match self.beta {
            2.0 => self.improve(run, replicas, Frobenius),
            1.0 => self.improve(run, replicas, KullbackLeibler),
            0.0 => self.improve(run, replicas, ItakuraSaito),
            beta => self.improve(run, replicas, Beta(beta)),
        }?;
        let objective = if look { Some(self.loss(run, replicas)?) } else { None };
        Ok(Step { violation_w: [0.0; L], violation_h: [0.0; L], objective })
    }

    /// Whether denominators are sums over all entries, zeros too.
    fn sums_all(&self) -> bool {
        self.beta != 1.0 && self.beta != 2.0
    }

    /// One iteration.
    fn improve(&mut self, run: &Run, replicas: &mut Replicas<T, L>, law: impl Law) -> Result<()> {
        let k = replicas.k;
        let below: Vec<[T; L]> = if self.beta == 1.0 {
            narrow(&column_sums(&replicas.h, k))
        } else if self.beta == 2.0 {
            narrow(&replicas.gram_of_columns(self.level))
        } else {
            Vec::new()
        };
        let shares: Vec<&[Block<T>]> = self.tiles.shares().collect();
        let mut weights = std::mem::take(&mut self.weights);
        let n_weights = if self.sums_all() { replicas.h.len() } else { 0 };
        weights.resize(shares.len(), Vec::new());
        let (h, this) = (&replicas.h, &*self);
        let mut work: Vec<(&mut Share<T, L>, &mut Vec<[T; L]>)> =
            replicas.shares.iter_mut().zip(&mut weights).collect();
        run.for_each_chunk(&mut work, 1, |s, chunk| {
            for (share, weights) in chunk {
                share.clear();
                weights.clear();
                weights.resize(n_weights, [T::ZERO; L]);
                let mut done = 0;
                for block in shares[s] {
                    let packs = done..done + block.rows * k;
                    done = packs.end;
                    this.rows(block, packs, share, h, &below, law);
                    if !this.fixed {
                        this.gather(block, done - block.rows * k, share, weights, h, law);
                    }
                }
            }
        })?;
        self.weights = weights;
        if !self.fixed {
            self.columns(replicas);
        }
        Ok(())
    }

    /// Updates the rows of a block.
    fn rows(
        &self,
        block: &Block<T>,
        packs: std::ops::Range<usize>,
        share: &mut Share<T, L>,
        h: &[[T; L]],
        below: &[[T; L]],
        law: impl Law,
    ) {
        let k = below_rank(h, self.tiles.g);
        let Share { w, work, .. } = share;
        let rows = &mut w[packs];
        let mut numerators = Packs::zeros(rows.len());
        for piece in &block.to_rows {
            let (sources, targets, units) = (h, &mut numerators[..], &self.tiles.units[..]);
            if self.beta == 2.0 {
                self.level.run(Product { piece, sources, units: Some(units), targets, work, k });
            } else {
                let units = Units::Sources(units);
                self.level.run(Quotients { law, piece, units, sources, own: rows, targets, work, k });
            }
        }
        let mut each = Vec::new();
        let denominators = if self.beta == 1.0 {
            Denominators::Same(below)
        } else if self.beta == 2.0 {
            Denominators::Gram(below)
        } else {
            each.resize(rows.len(), [T::ZERO; L]);
            self.level.run(Weights { law, sources: h, own: rows, targets: &mut each, k });
            Denominators::Each(&each)
        };
        let smallest = if self.beta < 1.0 { SMALLEST } else { 0.0 };
        let (penalty, gamma, numerators) = (self.penalties[0], self.gamma, &numerators[..]);
        self.level.run(Update { rows, numerators, denominators, penalty, gamma, smallest, k });
    }

    /// Adds what the new rows of a block, from pack `from` of their share, give to the update of H.
    fn gather(
        &self,
        block: &Block<T>,
        from: usize,
        share: &mut Share<T, L>,
        weights: &mut [[T; L]],
        h: &[[T; L]],
        law: impl Law,
    ) {
        let k = below_rank(h, self.tiles.g);
        let Share { w, work, by_column, gram, .. } = share;
        let sources = &w[from..from + block.rows * k];
        for piece in &block.to_columns {
            let targets = &mut by_column[..];
            if self.beta == 2.0 {
                self.level.run(Product { piece, sources, units: None, targets, work, k });
            } else {
                let units = Units::Targets(&self.tiles.units);
                self.level.run(Quotients { law, piece, units, sources, own: h, targets, work, k });
            }
        }
        let rows = sources;
        if self.beta == 2.0 {
            self.level.run(Gram { rows, total: gram, k });
        }
        if self.sums_all() {
            self.level.run(Weights { law, sources: rows, own: h, targets: weights, k });
        }
    }

    /// Updates H from what was gathered.
    fn columns(&mut self, replicas: &mut Replicas<T, L>) {
        let k = replicas.k;
        // Products are in units of the columns, quotients are not.
        let ones = [T::ONE];
        let units = if self.beta == 2.0 { &self.tiles.units[..] } else { &ones.repeat(self.tiles.g) };
        let numerators: Vec<[T; L]> = narrow(&replicas.by_column(units));
        let below: Vec<[T; L]> = if self.beta == 1.0 {
            let sums = sums_of_rows(replicas);
            // A component that no row uses: its sum counts as 1.
            narrow(&sums.iter().map(|s| s.map(|x| if x == 0.0 { 1.0 } else { x })).collect::<Wide<L>>())
        } else if self.beta == 2.0 {
            narrow(&replicas.gram_of_rows())
        } else {
            let mut total = vec![[0.0; L]; replicas.h.len()];
            for part in &self.weights {
                for (total, part) in total.iter_mut().zip(part) {
                    (0..L).for_each(|l| total[l] += part[l].to_f64());
                }
            }
            narrow(&total)
        };
        let denominators = if self.beta == 1.0 {
            Denominators::Same(&below)
        } else if self.beta == 2.0 {
            Denominators::Gram(&below)
        } else {
            Denominators::Each(&below)
        };
        let smallest = if self.beta <= 1.0 { SMALLEST } else { 0.0 };
        let (penalty, gamma, rows) = (self.penalties[1], self.gamma, &mut replicas.h[..]);
        self.level.run(Update { rows, numerators: &numerators, denominators, penalty, gamma, smallest, k });
    }

    /// The losses of all lanes, without penalties.
    pub(super) fn loss(&self, run: &Run, replicas: &mut Replicas<T, L>) -> Result<[f64; L]> {
        match self.beta {
            2.0 => self.loss_by(run, replicas, Frobenius),
            1.0 => self.loss_by(run, replicas, KullbackLeibler),
            0.0 => self.loss_by(run, replicas, ItakuraSaito),
            beta => self.loss_by(run, replicas, Beta(beta)),
        }
    }

    fn loss_by(&self, run: &Run, replicas: &mut Replicas<T, L>, law: impl Law) -> Result<[f64; L]> {
        let k = replicas.k;
        let shares: Vec<&[Block<T>]> = self.tiles.shares().collect();
        let (h, beta, level, units) = (&replicas.h, self.beta, self.level, &self.tiles.units[..]);
        let all = self.sums_all() && beta != 0.0;
        // Logarithms of fits alone, many at once, are quicker; they go along columns.
        let logs = beta == 1.0 && !self.tiles.rows_only;
        run.for_each_chunk(&mut replicas.shares, 1, |s, chunk| {
            for share in chunk {
                share.clear();
                let mut done = 0;
                for block in shares[s] {
                    let own = &share.w[done..done + block.rows * k];
                    done += own.len();
                    let mut add = |by: f64, part: [f64; L]| (0..L).for_each(|l| share.sum[l] += by * part[l]);
                    if logs {
                        for piece in &block.to_columns {
                            add(-1.0, level.run(LogFits { piece, units, sources: own, own: h, k }));
                        }
                        continue;
                    }
                    for piece in &block.to_rows {
                        add(1.0, level.run(Losses { law, piece, units, sources: h, own, k }));
                    }
                    if all {
                        let targets = &mut Packs::zeros(own.len())[..];
                        add(beta - 1.0, level.run(Weights { law, sources: h, own, targets, k }));
                    }
                    if beta == 2.0 {
                        level.run(Gram { rows: own, total: &mut share.gram, k });
                    }
                }
            }
        })?;
        let sums = replicas.sum();
        let rest = if beta == 2.0 {
            inner(&replicas.gram_of_rows(), &replicas.gram_of_columns(level))
        } else if beta == 1.0 {
            let constant = if logs { self.tiles.logs } else { 0.0 };
            inner(&column_sums(&replicas.h, k), &sums_of_rows(replicas)).map(|sum| constant + sum)
        } else if beta == 0.0 {
            [-(self.tiles.n as f64) * self.tiles.g as f64; L]
        } else {
            [0.0; L]
        };
        let scale = if beta == 2.0 {
            0.5
        } else if beta == 1.0 || beta == 0.0 {
            1.0
        } else {
            1.0 / (beta * (beta - 1.0))
        };
        Ok(std::array::from_fn(|l| scale * (sums[l] + rest[l])))
    }
}

/// The rank, from packs for each column.
fn below_rank<P>(h: &[P], g: usize) -> usize {
    h.len() / g
}

/// The sums of rows of `k` packs.
fn column_sums<T: Real, const L: usize>(rows: &[[T; L]], k: usize) -> Wide<L> {
    let mut sums = vec![[0.0; L]; k];
    for row in rows.chunks_exact(k) {
        for (sum, pack) in sums.iter_mut().zip(row) {
            (0..L).for_each(|l| sum[l] += pack[l].to_f64());
        }
    }
    sums
}

/// The sums of W, share by share.
fn sums_of_rows<T: Real, const L: usize>(replicas: &Replicas<T, L>) -> Wide<L> {
    let mut sums = vec![[0.0; L]; replicas.k];
    for share in &replicas.shares {
        super::replicas::add(&mut sums, &column_sums(&share.w, replicas.k));
    }
    sums
}

/// In the precision of the iterations.
fn narrow<T: Real, const L: usize>(wide: &[[f64; L]]) -> Vec<[T; L]> {
    wide.iter().map(|pack| pack.map(T::from_f64)).collect()
}
