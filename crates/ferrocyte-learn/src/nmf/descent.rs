//! Frobenius loss by cyclic coordinate descent, all lanes together (A. Cichocki and A.-H. Phan, *Fast local algorithms
//! for large scale nonnegative matrix and tensor factorizations*, 2009, there HALS).
//!
//! One iteration moves every component of every row of W in turn to its optimum, then those of H. The matrix is passed
//! once: while a block of rows is in the cache, its products with H are formed, its rows swept, and its part of the
//! products with the new W added. The accelerated solver sweeps the rows several times with the same products
//! (N. Gillis and F. Glineur, *Accelerated multiplicative updates and hierarchical ALS algorithms for nonnegative matrix
//! factorization*, 2012): sweeps cost little beside the passes over the matrix, so that fewer of these are needed.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::fused::{Level, Real};

use super::kernels::{Gram, Product, Sweep, Work};
use super::packs::Packs;
use super::replicas::{Replicas, Share, Wide, inner};
use super::tiles::{BLOCK, Block, Tiles};
use super::{Options, Solver, Step};

/// The solver and what it remembers between iterations.
pub(super) struct Descent<'a, T, const L: usize> {
    tiles: &'a Tiles<T>,
    level: Level,
    /// Penalties on sums and on squares, of W and of H.
    penalties: [(f64, f64); 2],
    /// How often the rows are swept with the same products.
    sweeps: usize,
    /// The Gram matrix of H.
    gram_h: Wide<L>,
    /// H stays as it is; then the products with it are formed once, share by share.
    fixed: Option<Vec<Vec<[T; L]>>>,
}

impl<'a, T: Real, const L: usize> Descent<'a, T, L> {
    pub(super) fn new(tiles: &'a Tiles<T>, options: &Options, level: Level) -> Self {
        let (a, l1) = ([options.alpha_w * tiles.g as f64, options.alpha_h * tiles.n as f64], options.l1_ratio);
        let penalties = a.map(|a| (a * l1, a * (1.0 - l1)));
        let sweeps = if options.solver == Solver::Accelerated { options.sweeps } else { 1 };
        Self { tiles, level, penalties, sweeps, gram_h: Vec::new(), fixed: None }
    }

    /// Looks at factors that were changed from outside.
    pub(super) fn look(&mut self, replicas: &Replicas<T, L>) {
        self.gram_h = replicas.gram_of_columns(self.level);
    }

    /// Holds H.
    pub(super) fn fix(&mut self, run: &Run, replicas: &Replicas<T, L>) -> Result<()> {
        self.look(replicas);
        let shares: Vec<&[Block<T>]> = self.tiles.shares().collect();
        let k = replicas.k;
        let products = run.map_quietly(shares.len(), 1, |range| {
            let mut all = Vec::new();
            let mut part = Packs::default();
            let mut work = Work::default();
            for block in range.flat_map(|s| shares[s]) {
                self.products(block, &replicas.h, k, &mut part, &mut work);
                all.extend_from_slice(&part);
            }
            Ok(all)
        })?;
        self.fixed = Some(products);
        Ok(())
    }

    /// The products of a block with H, less the penalty on sums.
    fn products(&self, block: &Block<T>, h: &[[T; L]], k: usize, products: &mut Packs<T, L>, work: &mut Work<T, L>) {
        products.reset(block.rows * k, T::from_f64(-self.penalties[0].0));
        let units = Some(&self.tiles.units[..]);
        for piece in &block.to_rows {
            self.level.run(Product { piece, sources: h, units, targets: products, work, k });
        }
    }

    /// One iteration over all lanes.
    pub(super) fn iterate(&mut self, run: &Run, replicas: &mut Replicas<T, L>) -> Result<Step<L>> {
        let k = replicas.k;
        let (gram, inverse) = curvature(&self.gram_h, self.penalties[0].1, k);
        let shares: Vec<&[Block<T>]> = self.tiles.shares().collect();
        let (h, this) = (&replicas.h, &*self);
        run.for_each_chunk(&mut replicas.shares, 1, |s, chunk| {
            for share in chunk {
                share.clear();
                let Share { w, by_column, gram: gram_w, sum, products, work } = share;
                let mut done = 0;
                for block in shares[s] {
                    let packs = done..done + block.rows * k;
                    done = packs.end;
                    let rows = &mut w[packs.clone()];
                    let products = match &this.fixed {
                        Some(kept) => &kept[s][packs],
                        None => {
                            this.products(block, h, k, products, work);
                            &products[..]
                        }
                    };
                    let violation = this.sweep(rows, products, &gram, &inverse, k);
                    (0..L).for_each(|l| sum[l] += violation[l].to_f64());
                    this.level.run(Gram { rows, total: gram_w, k });
                    if this.fixed.is_none() {
                        for piece in &block.to_columns {
                            let targets = &mut by_column[..];
                            this.level.run(Product { piece, sources: rows, units: None, targets, work, k });
                        }
                    }
                }
            }
        })?;
        let gram_w = replicas.gram_of_rows();
        let violation_w = replicas.sum();
        let (violation_h, along) = match &self.fixed {
            Some(products) => ([0.0; L], self.along_rows(replicas, products)),
            None => self.columns(replicas, &gram_w),
        };
        let squares = inner(&gram_w, &self.gram_h);
        let objective = std::array::from_fn(|l| 0.5 * self.tiles.squares - along[l] + 0.5 * squares[l]);
        Ok(Step { violation_w, violation_h, objective: Some(objective) })
    }

    /// As many sweeps over rows as the solver makes; what the first of them met.
    fn sweep(&self, rows: &mut [[T; L]], products: &[[T; L]], gram: &[[T; L]], inverse: &[[T; L]], k: usize) -> [T; L] {
        let mut once = || self.level.run(Sweep { rows: &mut *rows, products, gram, inverse, k });
        let met = once();
        (1..self.sweeps).for_each(|_| {
            once();
        });
        met
    }

    /// The half of an iteration that moves H: its violation, and the inner product of the matrix with the new fit.
    fn columns(&mut self, replicas: &mut Replicas<T, L>, gram_w: &[[f64; L]]) -> ([f64; L], [f64; L]) {
        let k = replicas.k;
        let (gram, inverse) = curvature(gram_w, self.penalties[1].1, k);
        let by_column = replicas.by_column(&self.tiles.units);
        let l1 = self.penalties[1].0;
        let mut violation = [0.0; L];
        for (rows, part) in replicas.h.chunks_mut(BLOCK * k).zip(by_column.chunks(BLOCK * k)) {
            let products: Packs<T, L> = part.iter().map(|pack| pack.map(|x| T::from_f64(x - l1))).collect();
            let met = self.sweep(rows, &products, &gram, &inverse, k);
            (0..L).for_each(|l| violation[l] += met[l].to_f64());
        }
        self.gram_h = replicas.gram_of_columns(self.level);
        (violation, inner(&by_column, &replicas.h))
    }

    /// The inner product of the matrix with the fit, from products with a fixed H.
    fn along_rows(&self, replicas: &Replicas<T, L>, products: &[Vec<[T; L]>]) -> [f64; L] {
        let mut along = [0.0; L];
        let l1 = self.penalties[0].0;
        for (share, products) in replicas.shares.iter().zip(products) {
            for (w, p) in share.w.iter().zip(products) {
                (0..L).for_each(|l| along[l] += w[l].to_f64() * (p[l].to_f64() + l1));
            }
        }
        along
    }
}

/// A Gram matrix with a penalty on its diagonal, and one over that diagonal, 0 where it is 0.
fn curvature<T: Real, const L: usize>(gram: &[[f64; L]], l2: f64, k: usize) -> (Packs<T, L>, Packs<T, L>) {
    let mut gram = gram.to_vec();
    (0..k).for_each(|t| gram[t * k + t].iter_mut().for_each(|q| *q += l2));
    let inverse = |q: f64| {
        let inverse = T::ONE / T::from_f64(q);
        // A diagonal so small that one over it overflows moves nothing either.
        if q > 0.0 && inverse < T::from_f64(f64::INFINITY) { inverse } else { T::ZERO }
    };
    let inverses = (0..k).map(|t| gram[t * k + t].map(inverse)).collect();
    (gram.iter().map(|pack| pack.map(T::from_f64)).collect(), inverses)
}
