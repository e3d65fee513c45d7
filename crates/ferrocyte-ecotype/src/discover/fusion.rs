//! Similarity network fusion (B. Wang and others, *Nature Methods* 11:333, 2014): views of the same items become one.
//!
//! A view is symmetric, and what it is passed along is sparse: a round of a view is two products of a sparse with a dense
//! matrix, made by panels of columns. The means of the other views are the sum of all, which is made once, less the view
//! itself. Large matrices are tiles, of which those that the memory does not hold lie in a file.

use std::sync::{Arc, Mutex};

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::wide::{Kernel, widest};

use super::network::Network;
use super::tiles::{AREA, Precision, Room, SIDE, Shared, Symmetric, Tiles, n_symmetric, place, sides, turn, width};

/// Columns whose sums stand in registers together.
const LANES: usize = 32;

/// How views are fused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FusionOptions {
    /// How many entries of a row are its neighbours.
    pub k: usize,
    /// How often views are passed on.
    pub iterations: usize,
    /// In which precision views are kept.
    pub precision: Precision,
}

impl Default for FusionOptions {
    /// Ten neighbours, ten times, in 64 bits.
    fn default() -> Self {
        Self { k: 10, iterations: 10, precision: Precision::Double }
    }
}

/// Views as one: symmetric, items × items.
pub struct Fused(pub(super) Symmetric);

impl std::fmt::Debug for Fused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fused").field("n", &self.0.n).finish_non_exhaustive()
    }
}

impl Fused {
    /// How many items there are.
    pub fn n(&self) -> usize {
        self.0.n
    }

    /// All of it.
    pub fn dense(&self) -> Result<Matrix> {
        let n = self.0.n;
        let mut matrix = Matrix::zeros(n, n);
        let mut panel = vec![0.0; sides(n) * AREA];
        for column in 0..sides(n) {
            self.0.panel(column, &mut panel)?;
            let first = column * SIDE;
            let wide = SIDE.min(n - first);
            for (i, row) in panel.chunks_exact(SIDE).take(n).enumerate() {
                matrix.row_mut(i)[first..first + wide].copy_from_slice(&row[..wide]);
            }
        }
        Ok(matrix)
    }
}

/// Fuses at least two views of the same items.
///
/// In each round every view is passed along the neighbours of its own: `V <- N(P mean(others) P')`, with `N` half a unit
/// on the diagonal and half over the rest of a row. What comes out is the mean of the views that have an entry.
///
/// Memory: four numbers for each pair of items, half of one for each view and pair, and some panels. What does not fit
/// goes to a file that `room` gives.
///
/// # Errors
/// Fewer than two views, views of different sizes, no neighbours; neither memory nor `room` for the matrices, which is
/// found before any work; the wish to stop.
pub fn fuse(run: &Run, views: &[Network], options: &FusionOptions, room: Option<Room<'_>>) -> Result<Fused> {
    let n = views.first().map_or(0, Network::n);
    if views.len() < 2 || n == 0 || views.iter().any(|view| view.n() != n) || options.k == 0 {
        return Err(Fault::bad_input(format!(
            "fusion takes two or more square views of the same items and at least one neighbour, found {} of {n} items",
            views.len()
        )));
    }
    let mut stores = Stores::new(run, n, views.len(), options.precision, room)?;
    let others = (views.len() - 1) as f64;
    let mut links = Vec::with_capacity(views.len());
    for (m, view) in views.iter().enumerate() {
        run.check()?;
        let view = view.normalised();
        stores.begin(run, m, &view)?;
        links.push(view.largest(options.k).normalised());
    }
    let task = run.task("fusing", (options.iterations * views.len()) as u64);
    for _ in 0..options.iterations {
        for (m, links) in links.iter().enumerate() {
            stores.along(run, m, links, others)?;
            let rest = stores.across(run, m, links)?;
            stores.settle(run, m, &rest)?;
            task.advance(1);
        }
        std::mem::swap(&mut stores.total, &mut stores.next);
    }
    drop(task);
    stores.mean(run)?;
    Ok(Fused(stores.total))
}

/// The matrices of a fusion.
struct Stores {
    n: usize,
    /// The sum of all views of the last round, and of those of this round so far.
    total: Symmetric,
    next: Symmetric,
    /// One view, passed along once: its columns are the panels of the second time.
    half: Tiles,
    /// The views themselves.
    views: Vec<Symmetric>,
}

impl Stores {
    /// Finds room for all of them, those used most in memory first.
    fn new(run: &Run, n: usize, n_views: usize, precision: Precision, room: Option<Room<'_>>) -> Result<Self> {
        let triangle = n_symmetric(n);
        let mut wanted =
            vec![(triangle, Precision::Double), (triangle, Precision::Double), (sides(n).pow(2), precision)];
        wanted.extend(std::iter::repeat_n((triangle, precision), n_views));
        let size = |(tiles, precision): (usize, Precision)| (tiles * AREA) as u64 * width(precision);
        // A thread has three panels at a time.
        let panels = (run.n_threads() * 3 * sides(n) * AREA * 8) as u64;
        let all = panels + wanted.iter().copied().map(size).sum::<u64>();
        let (mut left, mut outside) = (run.memory_bytes().saturating_sub(panels), 0);
        let places: Vec<Option<u64>> = wanted
            .iter()
            .map(|&one| {
                if size(one) <= left {
                    left -= size(one);
                    return None;
                }
                outside += size(one);
                Some(outside - size(one))
            })
            .collect();
        let storage: Option<Shared> = match room {
            _ if outside == 0 && panels <= run.memory_bytes() => None,
            Some(room) if panels <= run.memory_bytes() => {
                run.info(&format!("{} of {} MiB of the fusion are in a file", outside >> 20, all >> 20));
                let found = room(outside).map_err(|fault| too_large(run, n, panels, all).because(fault))?;
                Some(Arc::new(Mutex::new(found)))
            }
            _ => return Err(too_large(run, n, panels, all)),
        };
        let mut found = wanted.into_iter().zip(places).map(|((tiles, precision), at)| match (at, &storage) {
            (Some(at), Some(storage)) => Tiles::elsewhere(storage, at, precision),
            _ => Tiles::in_memory(tiles, precision),
        });
        let mut next = || found.next().ok_or_else(|| Fault::internal("a matrix of the fusion has no room"));
        let (total, following, half) = (next()?, next()?, next()?);
        Ok(Self {
            n,
            total: Symmetric { n, tiles: total },
            next: Symmetric { n, tiles: following },
            half,
            views: found.map(|tiles| Symmetric { n, tiles }).collect(),
        })
    }

    /// Writes a view, and adds it to the sum.
    fn begin(&self, run: &Run, m: usize, view: &Network) -> Result<()> {
        run.map_quietly(sides(self.n), 1, |range| {
            let row = range.start;
            let mut tiles = vec![0.0; (row + 1) * AREA];
            for i in row * SIDE..((row + 1) * SIDE).min(self.n) {
                let (columns, values) = view.row(i);
                for (&j, &x) in columns.iter().zip(values).filter(|(j, _)| (**j as usize) < (row + 1) * SIDE) {
                    let j = j as usize;
                    tiles[j / SIDE * AREA + i % SIDE * SIDE + j % SIDE] = x;
                }
            }
            for (column, tile) in tiles.chunks_exact_mut(AREA).enumerate() {
                self.views[m].tiles.write(place(row, column), tile)?;
                add(&self.total, place(row, column), tile, m == 0)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// `half <- (P mean(others))'`, panel after panel.
    fn along(&self, run: &Run, m: usize, links: &Network, others: f64) -> Result<()> {
        let n_sides = sides(self.n);
        run.map_quietly(n_sides, 1, |range| {
            let column = range.start;
            let (mut panel, mut own) = (vec![0.0; n_sides * AREA], vec![0.0; n_sides * AREA]);
            self.total.panel(column, &mut panel)?;
            self.views[m].panel(column, &mut own)?;
            panel.iter_mut().zip(&own).for_each(|(sum, own)| *sum = (*sum - own) / others);
            let (mut tile, mut turned) = (vec![0.0; AREA], vec![0.0; AREA]);
            for row in 0..n_sides {
                widest(Passed { panel: &panel, links, first: row * SIDE, out: &mut tile });
                turn(&tile, &mut turned);
                self.half.write(row * n_sides + column, &mut turned)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// `V <- P half`, and what the rows of it sum to beside their diagonals.
    fn across(&self, run: &Run, m: usize, links: &Network) -> Result<Vec<f64>> {
        let n_sides = sides(self.n);
        let sums = run.map_quietly(n_sides, 1, |range| {
            let column = range.start;
            let mut panel = vec![0.0; n_sides * AREA];
            for (row, tile) in panel.chunks_exact_mut(AREA).enumerate() {
                self.half.read(column * n_sides + row, tile)?;
            }
            let mut tile = vec![0.0; AREA];
            let (mut along_rows, mut along_columns) = (Vec::with_capacity((n_sides - column) * SIDE), [0.0; SIDE]);
            for row in column..n_sides {
                widest(Passed { panel: &panel, links, first: row * SIDE, out: &mut tile });
                self.views[m].tiles.write(place(row, column), &mut tile)?;
                for (i, values) in tile.chunks_exact(SIDE).enumerate() {
                    let own = if row == column { values[i] } else { 0.0 };
                    along_rows.push(values.iter().sum::<f64>() - own);
                    if row > column {
                        along_columns.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
                    }
                }
            }
            Ok((along_rows, along_columns))
        })?;
        let mut rest = vec![0.0; n_sides * SIDE];
        for (column, (along_rows, along_columns)) in sums.iter().enumerate() {
            let rest = &mut rest[column * SIDE..];
            rest.iter_mut().zip(along_rows).for_each(|(sum, x)| *sum += x);
            rest.iter_mut().zip(along_columns).for_each(|(sum, x)| *sum += x);
        }
        Ok(rest.into_iter().map(|sum| if sum == 0.0 { 1.0 } else { sum }).collect())
    }

    /// Normalises a view, and adds it to the sum of this round.
    fn settle(&self, run: &Run, m: usize, rest: &[f64]) -> Result<()> {
        let view = &self.views[m];
        run.map_quietly(sides(self.n), 1, |range| {
            let row = range.start;
            let mut tile = vec![0.0; AREA];
            for column in 0..=row {
                view.tiles.read(place(row, column), &mut tile)?;
                if row == column {
                    settle_diagonal(&mut tile, &rest[row * SIDE..], self.n - row * SIDE);
                } else {
                    for (values, of_row) in tile.chunks_exact_mut(SIDE).zip(&rest[row * SIDE..]) {
                        for (x, of_column) in values.iter_mut().zip(&rest[column * SIDE..]) {
                            *x = 0.5 * (*x / (2.0 * of_row) + *x / (2.0 * of_column));
                        }
                    }
                }
                view.tiles.write(place(row, column), &mut tile)?;
                add(&self.next, place(row, column), &tile, m == 0)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// The mean of the views that have an entry, in the place of the sum.
    fn mean(&self, run: &Run) -> Result<()> {
        run.map_quietly(n_symmetric(self.n), SIDE, |range| {
            let (mut tile, mut sum, mut known) = (vec![0.0; AREA], vec![0.0; AREA], vec![0_u32; AREA]);
            for at in range {
                sum.fill(0.0);
                known.fill(0);
                for view in &self.views {
                    view.tiles.read(at, &mut tile)?;
                    for ((sum, known), &x) in sum.iter_mut().zip(&mut known).zip(&tile) {
                        *sum += x;
                        *known += u32::from(x > 0.0);
                    }
                }
                for (sum, &known) in sum.iter_mut().zip(&known) {
                    *sum = if known > 0 { *sum / f64::from(known) } else { 0.0 };
                }
                self.total.tiles.write(at, &mut sum)?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// Adds a tile to one of a sum, or begins the sum with it.
fn add(sum: &Symmetric, at: usize, tile: &[f64], begins: bool) -> Result<()> {
    let mut new = tile.to_vec();
    if !begins {
        let mut before = vec![0.0; AREA];
        sum.tiles.read(at, &mut before)?;
        new.iter_mut().zip(&before).for_each(|(x, before)| *x += before);
    }
    sum.tiles.write(at, &mut new)
}

/// Normalises a tile on the diagonal, of which `n` rows are there.
fn settle_diagonal(tile: &mut [f64], rest: &[f64], n: usize) {
    for i in 0..SIDE {
        for j in 0..i {
            let (below, above) = (tile[i * SIDE + j], tile[j * SIDE + i]);
            let mean = 0.5 * (below / (2.0 * rest[i]) + above / (2.0 * rest[j]));
            tile[i * SIDE + j] = mean;
            tile[j * SIDE + i] = mean;
        }
        tile[i * SIDE + i] = if i < n { 0.5 } else { 0.0 };
    }
}

/// A tile of a sparse matrix times a panel: rows from `first` on.
struct Passed<'a> {
    panel: &'a [f64],
    links: &'a Network,
    first: usize,
    out: &'a mut [f64],
}

impl Kernel for Passed<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn run(self) {
        let n = self.links.n();
        for (r, out) in self.out.chunks_exact_mut(SIDE).enumerate() {
            let i = self.first + r;
            if i >= n {
                out.fill(0.0);
                continue;
            }
            let (columns, values) = self.links.row(i);
            for (lane, out) in out.chunks_exact_mut(LANES).enumerate() {
                let mut sums = [0.0; LANES];
                for (&j, &p) in columns.iter().zip(values) {
                    let from = j as usize * SIDE + lane * LANES;
                    let source = &self.panel[from..from + LANES];
                    for c in 0..LANES {
                        sums[c] += p * source[c];
                    }
                }
                out.copy_from_slice(&sums);
            }
        }
    }
}

/// Neither memory nor room beside it.
fn too_large(run: &Run, n: usize, panels: u64, all: u64) -> Fault {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    Fault::too_large(format!(
        "the fusion of {n} items needs {} MiB, of which {} in memory and the rest there or in a file; the budget is {} MiB",
        mib(all),
        mib(panels),
        mib(run.memory_bytes())
    ))
    .hint("allow more memory (max_memory), give a folder for the file, take precision=\"single\", or a coarser grid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_base::Kind;
    use std::error::Error;
    use std::io::Cursor;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::tiles::Storage;

    /// Links of `n` items to some before and after them, other ones in each view.
    fn views(n: usize, n_views: usize) -> Vec<Network> {
        (1..=n_views)
            .map(|m| {
                Network::from_rows((0..n).map(|i| {
                    let near = (0..n).filter(|j| i.abs_diff(*j) <= 6 * m && (i * m + j) % 3 < 2);
                    near.map(|j| (j as u32, 1.0 / (2.0 + (i.abs_diff(j) * m) as f64))).collect()
                }))
            })
            .collect()
    }

    /// The same by the formulas, on whole matrices.
    fn plainly(views: &[Network], options: &FusionOptions) -> Matrix {
        let links: Vec<Matrix> = views.iter().map(|v| v.normalised().largest(options.k).normalised().dense()).collect();
        let mut current: Vec<Matrix> = views.iter().map(|v| v.normalised().dense()).collect();
        let n = current[0].n_rows();
        for _ in 0..options.iterations {
            let next = (0..current.len()).map(|m| {
                let mut mean = Matrix::zeros(n, n);
                for (l, other) in current.iter().enumerate().filter(|(l, _)| *l != m) {
                    assert_ne!(l, m);
                    let share = 1.0 / (current.len() - 1) as f64;
                    mean.entries_mut().iter_mut().zip(other.entries()).for_each(|(sum, x)| *sum += share * x);
                }
                links[m].times(&mean).times(&links[m].transpose())
            });
            let next: Vec<Matrix> = next.collect();
            current =
                next.iter().map(|x| Network::of(x).map(|x| x.normalised().dense())).collect::<Result<_>>().unwrap();
        }
        let mut fused = Matrix::zeros(n, n);
        for at in 0..n * n {
            let known = current.iter().filter(|v| v.entries()[at] > 0.0).count();
            let sum: f64 = current.iter().map(|v| v.entries()[at]).sum();
            fused.entries_mut()[at] = if known > 0 { sum / known as f64 } else { 0.0 };
        }
        fused
    }

    #[test]
    fn tiles_give_what_whole_matrices_give() -> Result<()> {
        let (views, options) = (views(150, 3), FusionOptions { k: 5, iterations: 4, ..FusionOptions::default() });
        let fused = fuse(&Run::new(), &views, &options, None)?.dense()?;
        let expected = plainly(&views, &options);
        for (found, wanted) in fused.entries().iter().zip(expected.entries()) {
            assert!((found - wanted).abs() <= 1e-13 * wanted.abs().max(1e-3), "{found} {wanted}");
        }
        Ok(())
    }

    #[test]
    fn bits_do_not_depend_on_threads_or_where_tiles_are() -> Result<()> {
        let options = FusionOptions { k: 5, iterations: 2, ..FusionOptions::default() };
        let views = views(150, 3);
        let asked = AtomicU64::new(0);
        let room = |bytes: u64| -> Result<Box<dyn Storage>> {
            asked.store(bytes, Ordering::Relaxed);
            Ok(Box::new(Cursor::new(vec![0; bytes as usize])))
        };
        for precision in [Precision::Double, Precision::Single] {
            let options = FusionOptions { precision, ..options };
            let expected = fuse(&Run::new().threads(1), &views, &options, None)?.dense()?;
            // Panels of 3 tiles, 3 for each thread; then the sums; then some of the views.
            for (threads, tiles) in [(1, 9), (2, 18), (3, 27 + 13), (1, 9 + 25)] {
                asked.store(0, Ordering::Relaxed);
                let run = Run::new().threads(threads).memory(tiles * 8 * AREA as u64);
                assert_eq!(fuse(&run, &views, &options, Some(&room))?.dense()?, expected);
                assert!(asked.load(Ordering::Relaxed) > 0);
            }
        }
        Ok(())
    }

    #[test]
    fn what_fits_nowhere_is_refused_before_work() {
        let views = views(150, 3);
        let small = Run::new().threads(1).memory(20 * 8 * AREA as u64);
        let fault = fuse(&small, &views, &FusionOptions::default(), None).map(|_| ());
        assert!(fault.is_err_and(|f| f.kind() == Kind::TooLarge && f.way_out().is_some_and(|h| h.contains("single"))));
        let full = |_: u64| -> Result<Box<dyn Storage>> { Err(Fault::bad_file("the disk is full")) };
        let fault = fuse(&small, &views, &FusionOptions::default(), Some(&full)).map(|_| ());
        assert!(fault.is_err_and(|f| f.kind() == Kind::TooLarge
            && f.source().is_some_and(|why| why.to_string().contains("the disk is full"))));
        assert!(fuse(&Run::new(), &views[..1], &FusionOptions::default(), None).is_err());
    }

    #[test]
    fn equal_views_of_two_groups_stay_two_groups() -> Result<()> {
        let n = 20;
        let mut view = Matrix::zeros(n, n);
        for i in 0..n {
            for j in 0..n {
                view[(i, j)] = if (i < 10) == (j < 10) { 0.5 / (1.0 + i.abs_diff(j) as f64) } else { 0.001 };
            }
        }
        let view = Network::of(&view)?;
        let options = FusionOptions { k: 4, iterations: 5, ..FusionOptions::default() };
        let fused = fuse(&Run::new(), &[view.clone(), view], &options, None)?.dense()?;
        assert!((fused[(0, 1)] - fused[(1, 0)]).abs() < 1e-15 && fused[(0, 1)] > 10.0 * fused[(0, 15)]);
        Ok(())
    }
}
