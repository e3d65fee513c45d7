//! [`Centres`]: a few rounds of k-means on a sample, for cells of about equal use.

#![allow(clippy::inline_always)]

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::product_of_rows;
use ferrocyte_math::random::Stream;
use ferrocyte_math::wide::{Kernel, widest};

use super::screen::Screen;

/// Points that look for their centre together.
const BLOCK: usize = 256;

/// Centres of cells, as rows that are asked.
pub(super) struct Centres {
    rows: Vec<f32>,
    width: usize,
}

impl Centres {
    /// Points drawn at random.
    pub(super) fn new(screen: &Screen, n_centres: usize, draws: &mut Stream) -> Self {
        let chosen = draws.permutation(screen.n()).into_iter().take(n_centres);
        Self { rows: chosen.flat_map(|i| screen.right(i)).copied().collect(), width: screen.width() }
    }

    /// The centres, rows of the screen's width.
    pub(super) fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// The nearest centre of each of some points.
    pub(super) fn nearest(&self, run: &Run, screen: &Screen, points: &[u32]) -> Result<Vec<u32>> {
        let n_centres = self.rows.len() / self.width;
        let parts = run.map_quietly(points.len(), BLOCK, |range| {
            let lefts: Vec<f32> =
                points[range.clone()].iter().flat_map(|i| screen.left(*i as usize)).copied().collect();
            let mut gaps = vec![0.0; range.len() * n_centres];
            product_of_rows(&lefts, &self.rows, self.width, &mut gaps);
            Ok(widest(Smallest { gaps: &gaps, width: n_centres }))
        })?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Moves each centre to the mean of the points that it is the nearest of; one without points stays.
    pub(super) fn improve(&mut self, run: &Run, screen: &Screen, points: &[u32]) -> Result<()> {
        let (width, d) = (self.width, self.width - 2);
        let nearest = self.nearest(run, screen, points)?;
        let mut sums = vec![0.0_f64; self.rows.len() / width * d];
        let mut counts = vec![0_u32; self.rows.len() / width];
        for (i, c) in points.iter().zip(nearest) {
            let c = c as usize;
            counts[c] += 1;
            let row = &screen.right(*i as usize)[..d];
            sums[c * d..(c + 1) * d].iter_mut().zip(row).for_each(|(s, x)| *s += f64::from(*x));
        }
        for (c, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let row = &mut self.rows[c * width..(c + 1) * width];
            let mut squares = 0.0;
            for (x, sum) in row.iter_mut().zip(&sums[c * d..(c + 1) * d]) {
                let mean = sum / f64::from(*count);
                squares += mean * mean;
                *x = mean as f32;
            }
            row[d] = squares as f32;
        }
        Ok(())
    }

    /// Distances between all centres, row after row.
    pub(super) fn apart(&self) -> Vec<f32> {
        let (width, d) = (self.width, self.width - 2);
        let mut lefts = self.rows.clone();
        for row in lefts.chunks_exact_mut(width) {
            row[..d].iter_mut().for_each(|x| *x *= -2.0);
            row.swap(d, d + 1);
        }
        let n = self.rows.len() / width;
        let mut gaps = vec![0.0; n * n];
        product_of_rows(&lefts, &self.rows, width, &mut gaps);
        gaps.iter_mut().for_each(|gap| *gap = gap.max(0.0).sqrt());
        gaps
    }
}

/// Where the smallest number of each row stands, the first of equal ones.
struct Smallest<'a> {
    gaps: &'a [f32],
    width: usize,
}

impl Kernel for Smallest<'_> {
    type Output = Vec<u32>;

    #[inline(always)]
    fn run(self) -> Vec<u32> {
        const LANES: usize = 16;
        let mut out = Vec::with_capacity(self.gaps.len() / self.width);
        for row in self.gaps.chunks_exact(self.width) {
            // The smallest itself first: that is found many at a time.
            let (chunks, tail) = row.as_chunks::<LANES>();
            let mut lanes = [f32::INFINITY; LANES];
            for chunk in chunks {
                for l in 0..LANES {
                    lanes[l] = if chunk[l] < lanes[l] { chunk[l] } else { lanes[l] };
                }
            }
            let mut least = f32::INFINITY;
            for &gap in lanes.iter().chain(tail) {
                least = if gap < least { gap } else { least };
            }
            out.push(row.iter().position(|gap| *gap == least).unwrap_or(0) as u32);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_smallest_is_found_in_every_row() {
        for width in [1, 5, 16, 37] {
            let gaps: Vec<f32> = (0..4 * width).map(|i| ((i * 7919) % 23) as f32 - 3.0).collect();
            let found = Smallest { gaps: &gaps, width }.run();
            for (row, at) in gaps.chunks_exact(width).zip(found) {
                let at = at as usize;
                assert!(row.iter().all(|gap| *gap >= row[at]) && row[..at].iter().all(|gap| *gap > row[at]));
            }
        }
    }
}
