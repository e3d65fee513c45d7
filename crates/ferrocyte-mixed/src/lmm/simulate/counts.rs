//! The counts of a [`Cohort`], drawn piece by piece of its cells and tile by tile of its genes.
//!
//! A piece is up to 1,024 cells of one sample, a tile 2,048 genes; each pair draws from its own stream, so that counts
//! depend on neither threads nor on the ranges in which rows are read.
//!
//! Zeros are not visited where counts are rare. A negative binomial count of mean m and size r is a Poisson number of
//! clusters, r ln(1 + m/r) in the mean, whose sizes follow the logarithmic law (Quenouille, 1949). Clusters of all cells
//! of a type are therefore a thinned Poisson process: points of rate m_i per cell, each kept, with size k, with
//! probability qᵏ/(k x), where x = m_i/r and q = x/(1 + x). These add up to ln(1 + x)/x ≤ 1; the first, 1/(1 + x), is all
//! that most points need. So the cost is one exponential and one uniform number per count, and hardly
//! ever a logarithm.

use std::borrow::Cow;
use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{RowBlock, RowChunks, Values};
use ferrocyte_math::random::Stream;

use super::cohort::{Cohort, CohortSample, Draws, stream};

/// Most cells of a piece. Part of the results: counts depend on it.
const PIECE: usize = 1024;

/// Genes of a tile. Part of the results.
const TILE: usize = 2048;

/// Above these means, and means divided by the size, every cell is visited: a visit costs about as much as two points.
const RARE: (f64, f64) = (4.0, 3.0);

/// Counts to read at once. Larger blocks gain nothing: their memory must be fetched from the system anew.
const MOST_COUNTS: u64 = 1 << 22;

/// Above this mean a count is drawn as Poisson of a gamma mean rather than by adding up probabilities.
const COMMON: f64 = 12.0;

/// The samples in pieces, in the order of their cells.
pub(super) fn pieces(samples: &[CohortSample]) -> Vec<(usize, Range<usize>)> {
    let cut = |(index, sample): (usize, &CohortSample)| {
        let cells = sample.cells.clone();
        let starts = cells.clone().step_by(PIECE);
        starts.map(move |start| (index, start..(start + PIECE).min(cells.end))).collect::<Vec<_>>()
    };
    samples.iter().enumerate().flat_map(cut).collect()
}

/// The cells of a piece in the order of their types.
struct Cells {
    /// Where each cell stands in the piece.
    row: Vec<u16>,
    depth: Vec<f64>,
    /// Depths added up within a type, each cell's included.
    reach: Vec<f64>,
    /// The first cell that reaches beyond each of as many equal steps as a type has cells.
    guess: Vec<u16>,
    types: Vec<CellsOfType>,
}

struct CellsOfType {
    cell_type: usize,
    cells: Range<usize>,
    total: f64,
    /// Steps of the guess for a unit of depth.
    steps: f64,
    deepest: f64,
}

impl Cells {
    fn new(types: &[u32], depth: &[f64], n_types: usize) -> Self {
        let mut row: Vec<u16> = (0..types.len() as u16).collect();
        row.sort_by_key(|&i| types[i as usize]);
        let depth: Vec<f64> = row.iter().map(|&i| depth[i as usize]).collect();
        let (mut reach, mut guess, mut found) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for cell_type in 0..n_types {
            let n = row[start..].iter().take_while(|&&i| types[i as usize] as usize == cell_type).count();
            if n == 0 {
                continue;
            }
            let cells = start..start + n;
            let mut total = 0.0;
            for &d in &depth[cells.clone()] {
                total += d;
                reach.push(total);
            }
            let mut first = start;
            for step in 0..n {
                while first + 1 < cells.end && reach[first] <= total * (step as f64 / n as f64) {
                    first += 1;
                }
                guess.push(first as u16);
            }
            let deepest = depth[cells.clone()].iter().fold(0.0_f64, |most, &d| most.max(d));
            start = cells.end;
            found.push(CellsOfType { cell_type, cells, total, steps: n as f64 / total, deepest });
        }
        Self { row, depth, reach, guess, types: found }
    }

    /// The cell of a type at a position along its added depths.
    #[inline]
    fn at(&self, kind: &CellsOfType, position: f64) -> usize {
        let step = ((position * kind.steps) as usize).min(kind.cells.len() - 1);
        let mut cell = self.guess[kind.cells.start + step] as usize;
        // Rounding may put the guess one too far.
        while cell > kind.cells.start && self.reach[cell - 1] > position {
            cell -= 1;
        }
        while cell + 1 < kind.cells.end && self.reach[cell] <= position {
            cell += 1;
        }
        cell
    }
}

/// Counts of some genes in a piece, gene after gene.
struct Drawn {
    /// Rows and counts.
    entries: Vec<(u16, f32)>,
    /// Stored counts of each row.
    per_row: Vec<u32>,
    /// Where each gene ends.
    ends: Vec<usize>,
}

impl Drawn {
    /// Adds to the count of a row of the gene in hand, whose entries begin at `begun`; rows of one type rise.
    #[inline]
    fn add(&mut self, begun: usize, row: u16, count: u32) {
        if self.entries.len() > begun
            && let Some((last, sum)) = self.entries.last_mut()
            && *last == row
        {
            *sum += count as f32;
            return;
        }
        self.entries.push((row, count as f32));
        self.per_row[row as usize] += 1;
    }
}

/// Compressed rows of a tile.
#[derive(Debug)]
pub(super) struct TileRows {
    pointers: Vec<usize>,
    genes: Vec<u32>,
    counts: Vec<f32>,
}

impl TileRows {
    /// From counts gene after gene; within a row genes come out in order.
    fn new(drawn: &Drawn, first_gene: usize) -> Self {
        let mut pointers = vec![0; drawn.per_row.len() + 1];
        for (i, &n) in drawn.per_row.iter().enumerate() {
            pointers[i + 1] = pointers[i] + n as usize;
        }
        let mut next = pointers.clone();
        let stored = drawn.entries.len();
        let (mut genes, mut counts) = (vec![0; stored], vec![0.0; stored]);
        let mut start = 0;
        for (gene, &end) in drawn.ends.iter().enumerate() {
            for &(row, count) in &drawn.entries[start..end] {
                let slot = &mut next[row as usize];
                genes[*slot] = (first_gene + gene) as u32;
                counts[*slot] = count;
                *slot += 1;
            }
            start = end;
        }
        Self { pointers, genes, counts }
    }
}

impl Cohort {
    /// How many rows to read at once: some millions of counts, but no more than fill an eighth of the memory of a run.
    /// Changes time, never the counts.
    pub fn rows_at_once(&self, run: &Run) -> usize {
        let n_types = self.options.n_cell_types;
        let per_row: f64 = self.genes.iter().zip(self.means[0].chunks(n_types)).fold(0.0, |sum, (gene, means)| {
            let mean = means.iter().sum::<f64>() / n_types as f64;
            sum + 1.0 - (-gene.size * (mean / gene.size).ln_1p()).exp()
        });
        let counts = (run.memory_bytes() / 8 / 24).min(MOST_COUNTS) as f64;
        ((counts / per_row.max(1.0)) as usize / PIECE).clamp(1, 64) * PIECE
    }

    /// Draws some pieces, all tiles of all of them side by side.
    fn draw(&self, run: &Run, wanted: Range<usize>) -> Result<Vec<Vec<TileRows>>> {
        let n_types = self.options.n_cell_types;
        let cells = run.map_quietly(wanted.len(), 4, |range| {
            Ok(range
                .map(|i| {
                    let rows = self.pieces[wanted.start + i].1.clone();
                    Cells::new(&self.type_of[rows.clone()], &self.depth[rows], n_types)
                })
                .collect::<Vec<_>>())
        })?;
        let cells: Vec<Cells> = cells.into_iter().flatten().collect();
        let n_tiles = self.genes.len().div_ceil(TILE);
        let tiles = run.map_quietly(wanted.len() * n_tiles, 1, |task| {
            let (i, tile) = (task.start / n_tiles, task.start % n_tiles);
            self.draw_tile(&cells[i], wanted.start + i, tile)
        })?;
        let mut tiles = tiles.into_iter();
        Ok(cells.iter().map(|_| tiles.by_ref().take(n_tiles).collect()).collect())
    }

    /// Counts of a tile of genes in a piece.
    fn draw_tile(&self, cells: &Cells, piece: usize, tile: usize) -> Result<TileRows> {
        let (sample_index, _) = self.pieces[piece];
        let sample = &self.samples[sample_index];
        let genes = tile * TILE..((tile + 1) * TILE).min(self.genes.len());
        let (seed, n_types) = (self.options.seed, self.options.n_cell_types);
        // A unit has one effect on each gene, whatever the piece in which it is met.
        let unit = |draws: Draws, unit: usize| stream(seed, draws, (unit << 16) | tile);
        let mut donor = unit(Draws::Donors, sample.donor);
        let mut own = unit(Draws::Samples, sample_index);
        let mut batch = unit(Draws::Batches, sample.batch);
        let mut stream = stream(seed, Draws::Counts, (piece << 16) | tile);
        let n = cells.row.len();
        let mut drawn =
            Drawn { entries: Vec::with_capacity(n * genes.len() / 8), per_row: vec![0; n], ends: Vec::new() };
        for g in genes.clone() {
            let gene = &self.genes[g];
            let effect = gene.donor_variance.sqrt() * donor.normal()
                + gene.sample_variance.sqrt() * own.normal()
                + gene.batch_variance.sqrt() * batch.normal();
            let means = &self.means[sample.arm][g * n_types..(g + 1) * n_types];
            draw_gene(&mut stream, cells, means, effect.exp(), gene.size, &mut drawn)?;
            drawn.ends.push(drawn.entries.len());
        }
        Ok(TileRows::new(&drawn, genes.start))
    }
}

/// Counts of one gene in a piece: its means of the types at depth 1 are `means * factor`.
fn draw_gene(
    stream: &mut Stream,
    cells: &Cells,
    means: &[f64],
    factor: f64,
    size: f64,
    drawn: &mut Drawn,
) -> Result<()> {
    let begun = drawn.entries.len();
    // How far it is to the next point, in expected points; what is left at the end of a type goes on in the next.
    let mut left = stream.exponential();
    for kind in &cells.types {
        let mean = means[kind.cell_type] * factor;
        let highest = mean * kind.deepest;
        if highest > RARE.0 || highest > RARE.1 * size {
            for cell in kind.cells.clone() {
                let count = visit(stream, mean * cells.depth[cell], size)?;
                if count > 0 {
                    drawn.add(begun, cells.row[cell], count);
                }
            }
            continue;
        }
        // Positions are in units of depth.
        let (step, ratio) = (1.0 / mean, mean / size);
        let mut position = left * step;
        while position < kind.total {
            let cell = cells.at(kind, position);
            let count = cluster(stream, ratio * cells.depth[cell]);
            if count > 0 {
                drawn.add(begun, cells.row[cell], count);
            }
            position += stream.exponential() * step;
        }
        left = (position - kind.total) * mean;
    }
    Ok(())
}

/// The size of the cluster at a point, 0 where the point is not kept; `x` is the mean divided by the size.
#[inline]
fn cluster(stream: &mut Stream, x: f64) -> u32 {
    let u = stream.uniform();
    let mut term = 1.0 / (1.0 + x);
    if u < term {
        return 1;
    }
    // ln(1 + x) <= x (6 + x) / (6 + 4 x) spares most of the points that are not kept the logarithm.
    if u * (6.0 + 4.0 * x) >= 6.0 + x || u * x >= x.ln_1p() {
        return 0;
    }
    let q = x * term;
    let (mut sum, mut k) = (term, 1);
    while term > 1e-18 {
        // Terms are qᵏ/(k x).
        term *= q * f64::from(k) / f64::from(k + 1);
        sum += term;
        k += 1;
        if u < sum {
            return k;
        }
    }
    0
}

/// One negative binomial count.
fn visit(stream: &mut Stream, mean: f64, size: f64) -> Result<u32> {
    if mean > COMMON {
        let count = stream.negative_binomial(mean, size)?;
        return if count < f64::from(1 << 24) {
            Ok(count as u32)
        } else {
            Err(Fault::too_large(format!("a count of {count}, at most 16,777,215 are exact"))
                .hint("lower log_mean, log_mean_sd or the variances"))
        };
    }
    let x = mean / size;
    let q = x / (1.0 + x);
    let mut p = (-size * x.ln_1p()).exp();
    let (mut sum, mut k) = (p, 0_u32);
    let u = stream.uniform();
    while u >= sum && (p > 1e-18 || f64::from(k) < mean) {
        p *= q * (size + f64::from(k)) / f64::from(k + 1);
        sum += p;
        k += 1;
    }
    Ok(k)
}

/// Rows as they are collected.
struct Collected {
    pointers: Vec<usize>,
    genes: Vec<u32>,
    counts: Vec<f32>,
}

impl Collected {
    /// Adds rows of a piece, each from the tiles in turn.
    fn add(&mut self, tiles: &[TileRows], rows: Range<usize>) {
        let stored: usize = tiles.iter().map(|t| t.pointers[rows.end] - t.pointers[rows.start]).sum();
        self.genes.reserve(stored);
        self.counts.reserve(stored);
        for row in rows {
            for tile in tiles {
                let range = tile.pointers[row]..tile.pointers[row + 1];
                self.genes.extend_from_slice(&tile.genes[range.clone()]);
                self.counts.extend_from_slice(&tile.counts[range]);
            }
            self.pointers.push(self.genes.len());
        }
    }
}

impl RowChunks for Cohort {
    fn n_rows(&self) -> usize {
        self.type_of.len()
    }
    fn n_cols(&self) -> usize {
        self.genes.len()
    }
    fn n_stored(&self) -> Option<u64> {
        None
    }
    fn name(&self) -> String {
        "a simulated cohort".to_owned()
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        if rows.start >= rows.end {
            return Ok(RowBlock::empty(rows.start, self.genes.len()));
        }
        let first = self.pieces.partition_point(|(_, cells)| cells.end <= rows.start);
        let end = self.pieces.partition_point(|(_, cells)| cells.start < rows.end);
        let mut drawn = Vec::with_capacity(end - first);
        // Ranges that rise meet a piece again where the one before ended.
        drawn.extend(self.last.take().filter(|(piece, _)| *piece == first).map(|(_, tiles)| tiles));
        drawn.extend(self.draw(run, first + drawn.len()..end)?);
        let mut collected = Collected { pointers: vec![0], genes: Vec::new(), counts: Vec::new() };
        for ((_, cells), tiles) in self.pieces[first..end].iter().zip(&drawn) {
            let (from, to) = (rows.start.max(cells.start), rows.end.min(cells.end));
            collected.add(tiles, from - cells.start..to - cells.start);
        }
        self.last = drawn.pop().map(|tiles| (end - 1, tiles));
        let Collected { pointers, genes, counts } = collected;
        RowBlock::new(rows.start, self.genes.len(), pointers, Cow::Owned(genes), Values::F32(Cow::Owned(counts)))
    }
}
