//! One pass over genotypes: products with KX without K.
//!
//! With s_j the scaled counts of marker j, a block of markers J adds Σ_J s_j (s_j'X) to KX, Σ_J (s_j'y)² to y'Ky and Σ_J s_ij² to
//! the diagonal of K, all before they are divided by the number of markers. Nothing as large as people × markers is held.

use std::ops::Range;

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Block, Matrix, add_block_product, product};

use super::genotypes::{Markers, standardised};
use super::kinship::ROWS;
use super::options::Standardize;

/// Markers that are held at a time.
const MARKERS: usize = 128;

/// Markers whose products one thread makes at a time.
const PRODUCTS: usize = 8;

/// What is read, and how.
pub(super) struct Source<'a> {
    pub(super) markers: &'a mut dyn Markers,
    /// Which of the markers count.
    pub(super) chosen: &'a dyn Fn(usize) -> bool,
    pub(super) standardize: Standardize,
    /// Where each of the people stands among those of the markers.
    pub(super) people: &'a [usize],
}

/// Sums over a block of markers.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    /// Σ s (s'X), people × columns.
    pub(super) products: Matrix,
    /// Σ s_i², people.
    pub(super) diagonal: Vec<f64>,
    /// Σ (s'y)² of every column of Y.
    pub(super) squares: Vec<f64>,
    /// Markers that vary.
    pub(super) used: usize,
}

impl Sums {
    /// None yet: for `n` people, `width` columns of X and `traits` columns of Y.
    pub(super) fn new(n: usize, width: usize, traits: usize) -> Self {
        Self { products: Matrix::zeros(n, width), diagonal: vec![0.0; n], squares: vec![0.0; traits], used: 0 }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.products.entries_mut().fill(0.0);
        self.diagonal.fill(0.0);
        self.squares.fill(0.0);
        self.used = 0;
    }

    /// Adds a block of markers.
    pub(super) fn add(
        &mut self,
        run: &Run,
        source: &mut Source,
        range: Range<usize>,
        x: &Matrix,
        y: &Matrix,
    ) -> Result<()> {
        for first in range.clone().step_by(MARKERS) {
            run.check()?;
            let last = (first + MARKERS).min(range.end);
            let scaled = source.scaled(run, first..last)?;
            let n = source.people.len();
            let m = scaled.len() / n.max(1);
            self.used += m;
            let along = along(run, &scaled, m, x)?;
            for row in along_rows(run, &scaled, m, y)? {
                self.squares.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * x);
            }
            let width = x.n_cols();
            let rows = &along;
            run.for_each_chunk(self.products.entries_mut(), (ROWS * width).max(1), |k, part| {
                let (at, height) = (k * ROWS, part.len() / width);
                let own = Block::new(&scaled[at.min(scaled.len())..], m, height, n);
                add_block_product(part, width, 1.0, own.transpose(), Block::new(rows, m, width, width));
            })?;
            run.for_each_chunk(&mut self.diagonal, ROWS, |k, part| {
                for row in scaled.chunks_exact(n) {
                    part.iter_mut().zip(&row[k * ROWS..]).for_each(|(d, s)| *d += s * s);
                }
            })?;
        }
        Ok(())
    }
}

impl Source<'_> {
    /// Scaled counts of those markers that count and vary, markers × people.
    fn scaled(&mut self, run: &Run, range: Range<usize>) -> Result<Vec<f64>> {
        let all = self.markers.n_individuals();
        let counts = self.markers.read(range.clone())?;
        let rows: Vec<&[i8]> =
            range.zip(counts.chunks_exact(all)).filter(|(j, _)| (self.chosen)(*j)).map(|(_, row)| row).collect();
        let everyone = self.people.len() == all && self.people.iter().enumerate().all(|(i, &place)| i == place);
        let (people, how) = (self.people, self.standardize);
        let parts = run.map_quietly(rows.len(), PRODUCTS, |some| {
            let mut out = Vec::new();
            for row in &rows[some] {
                let own: Vec<i8> = if everyone { Vec::new() } else { people.iter().map(|&i| row[i]).collect() };
                out.extend(standardised(if everyone { row } else { &own }, how).into_iter().flatten());
            }
            Ok(out)
        })?;
        Ok(parts.concat())
    }
}

/// s'X of `m` markers, row by row.
fn along_rows(run: &Run, scaled: &[f64], m: usize, x: &Matrix) -> Result<Vec<Vec<f64>>> {
    let (n, width) = (x.n_rows(), x.n_cols());
    let parts = run.map_quietly(m, PRODUCTS, |rows| {
        let mut out = vec![0.0; rows.len() * width];
        product(&scaled[rows.start * n..rows.end * n], n, x, &mut out);
        Ok(out)
    })?;
    Ok(parts.iter().flat_map(|part| part.chunks(width.max(1)).map(<[f64]>::to_vec)).collect())
}

/// The same, one after the other.
fn along(run: &Run, scaled: &[f64], m: usize, x: &Matrix) -> Result<Vec<f64>> {
    Ok(along_rows(run, scaled, m, x)?.concat())
}
