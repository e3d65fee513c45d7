//! Nearly all nearest neighbours, by cells of space.
//!
//! Centres found by a few rounds of k-means divide space into cells, each the points nearest to one centre. Between a
//! point p of cell a and all points of cell b stands the plane half way between their centres, at the distance
//! `(|p - b|² - |p - a|²) / (2 |a - b|)` from p. Where that is more than the distance of the k-th neighbour found so
//! far, b holds none nearer: this is exact. Distances in many dimensions lie close together, and most neighbours stand
//! far before the plane says so: a cell is skipped already when its plane is further than `slack` times the k-th
//! distance. The slack is taken from a sample of points whose neighbours are searched for among all, so that it suits
//! the data; another sample tells the recall that came of it, and where this is too low the slack is raised.
//!
//! The points of a cell ask the points of another in one block, whose distances are a matrix product.

use std::collections::HashMap;

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{product_of_rows, product_single};
use ferrocyte_math::random::Stream;
use ferrocyte_math::wide::widest;

use super::KnnOptions;
use super::best::{Best, Offer};
use super::centres::Centres;
use super::exact::{self, ASKING, Rows};
use super::screen::Screen;
use super::settled::{Row, Settled};

/// Points of which the slack is learned, and as many again on which it is checked.
const SAMPLE: usize = 400;

/// Points per centre from which the centres are made.
const PER_CENTRE: usize = 60;

/// Rounds of k-means.
const ROUNDS: usize = 5;

/// The slack grows so much where recall is too low.
const MORE: f32 = 1.25;

/// From this slack on nothing is skipped.
const ALL: f32 = 64.0;

/// What `pack` makes of the nearest `k` of some points at a time, cell after cell, and the recall on a sample.
pub(super) fn nearly<R: Settled, B: Send>(
    run: &Run,
    rows: &Rows<'_>,
    k: usize,
    options: &KnnOptions,
    pack: impl Fn(Vec<R>) -> B + Sync,
) -> Result<(Vec<B>, f64)> {
    let n = rows.n();
    let recall = options.recall;
    let mut draws = Stream::new(options.seed, 0);
    let sample: Vec<usize> = draws.permutation(n).into_iter().take(2 * SAMPLE).collect();
    let natural: Vec<u32> = (0..n as u32).collect();
    let screen = rows.screen(&natural);
    let truth = run.map_quietly(sample.len(), 32, |range| Ok(exact::of::<Row>(rows, &screen, &sample[range], k)))?;
    let truth: Vec<Row> = truth.into_iter().flatten().collect();

    let cells = Cells::new(run, &screen, &mut draws)?;
    drop(screen);
    let screen = rows.screen(&cells.order);
    let learned = sample.len() / 2;
    let mut slack = cells.slack(rows, &screen, &sample[..learned], &truth[..learned], recall + 0.25 * (1.0 - recall));
    let checked = Checked::new(&truth[learned..]);
    let values = rows.ordered(&cells.order);
    let ordered = rows.standing_in(&values);
    loop {
        let found = cells.search(run, &ordered, &screen, k, slack, |found: Vec<R>| {
            let hits = checked.hits(&found);
            (pack(found), hits)
        })?;
        let reached = checked.share(found.iter().map(|(_, hits)| hits).sum());
        if reached >= recall || slack >= ALL {
            run.info(&format!(
                "{k} neighbours of {n} points: recall {reached:.4} on {} of them",
                truth.len() - learned
            ));
            return Ok((found.into_iter().map(|(part, _)| part).collect(), reached));
        }
        slack *= MORE;
    }
}

/// Points whose true neighbours are known. The points themselves are not counted.
struct Checked<'a>(HashMap<u32, &'a [(f64, u32)]>);

impl<'a> Checked<'a> {
    fn new(truth: &'a [Row]) -> Self {
        Self(truth.iter().map(|row| (row[0].1, &row[1..])).collect())
    }

    /// How many true neighbours of known points are in rows that were found.
    fn hits<R: Settled>(&self, found: &[R]) -> usize {
        let known = found.iter().filter_map(|row| Some((row, self.0.get(&row.point())?)));
        known.map(|(row, truth)| truth.iter().filter(|(_, j)| row.has(*j)).count()).sum()
    }

    /// Hits as a share of all true neighbours.
    fn share(&self, hits: usize) -> f64 {
        let all: usize = self.0.values().map(|row| row.len()).sum();
        if all == 0 { 1.0 } else { hits as f64 / all as f64 }
    }
}

/// Points by cell.
struct Cells {
    /// Point numbers, cell after cell, rising within each.
    order: Vec<u32>,
    /// Where each point stands in that order.
    place: Vec<u32>,
    /// Where each cell begins in that order.
    starts: Vec<usize>,
    /// Centres as rows that are asked.
    centres: Vec<f32>,
    /// Distances between centres.
    apart: Vec<f32>,
}

impl Cells {
    fn new(run: &Run, screen: &Screen, draws: &mut Stream) -> Result<Self> {
        let n = screen.n();
        let n_cells = ((n as f64).sqrt() * 2.0).ceil().min(n as f64 / 8.0).max(1.0) as usize;
        let mut centres = Centres::new(screen, n_cells, draws);
        let sample: Vec<u32> = draws.permutation(n).into_iter().take(n_cells * PER_CENTRE).map(|i| i as u32).collect();
        for _ in 0..ROUNDS {
            centres.improve(run, screen, &sample)?;
        }
        let all: Vec<u32> = (0..n as u32).collect();
        let cell = centres.nearest(run, screen, &all)?;
        let mut starts = vec![0; n_cells + 1];
        cell.iter().for_each(|c| starts[*c as usize + 1] += 1);
        for c in 0..n_cells {
            starts[c + 1] += starts[c];
        }
        let mut next = starts.clone();
        let (mut order, mut place) = (vec![0; n], vec![0; n]);
        for (i, c) in cell.iter().enumerate() {
            let at = &mut next[*c as usize];
            order[*at] = i as u32;
            place[i] = *at as u32;
            *at += 1;
        }
        Ok(Self { order, place, starts, apart: centres.apart(), centres: centres.rows().to_vec() })
    }

    fn n_cells(&self) -> usize {
        self.starts.len() - 1
    }

    fn cell_of(&self, place: usize) -> usize {
        self.starts.partition_point(|s| *s <= place) - 1
    }

    /// How far the planes of all cells are from points of cell `own`, in the order of the screen.
    fn planes(&self, screen: &Screen, own: usize, lefts: &[f32], out: &mut [f32]) {
        let n_cells = self.n_cells();
        product_of_rows(lefts, &self.centres, screen.width(), out);
        let apart = &self.apart[own * n_cells..(own + 1) * n_cells];
        for row in out.chunks_exact_mut(n_cells) {
            let to_own = row[own];
            for (x, apart) in row.iter_mut().zip(apart) {
                *x = if *apart > 0.0 { (*x - to_own) / (2.0 * apart) } else { 0.0 };
            }
        }
    }

    /// The slack with which a share of true neighbours is not skipped.
    fn slack(&self, rows: &Rows<'_>, screen: &Screen, points: &[usize], truth: &[Row], share: f64) -> f32 {
        let n_cells = self.n_cells();
        let mut planes = vec![0.0; n_cells];
        let mut needed = Vec::new();
        for (i, row) in points.iter().zip(truth) {
            let place = self.place[*i] as usize;
            self.planes(screen, self.cell_of(place), screen.left(place), &mut planes);
            let far = rows.shrunk(screen, row.last().map_or(0.0, |x| x.0));
            needed.extend(row[1..].iter().map(|(_, j)| {
                let plane = planes[self.cell_of(self.place[*j as usize] as usize)];
                if plane <= 0.0 { 0.0 } else { plane / far }
            }));
        }
        if needed.is_empty() {
            return ALL;
        }
        let rank = ((needed.len() - 1) as f64 * share).ceil() as usize;
        // Never nothing: a slack of 0 cannot grow.
        needed.select_nth_unstable_by(rank, f32::total_cmp).1.clamp(0.05, ALL)
    }

    fn search<R: Settled, B: Send>(
        &self,
        run: &Run,
        ordered: &Rows<'_>,
        screen: &Screen,
        k: usize,
        slack: f32,
        pack: impl Fn(Vec<R>) -> B + Sync,
    ) -> Result<Vec<B>> {
        let mut jobs = Vec::new();
        for c in 0..self.n_cells() {
            for start in (self.starts[c]..self.starts[c + 1]).step_by(ASKING) {
                jobs.push((c, start..(start + ASKING).min(self.starts[c + 1])));
            }
        }
        let asked = self.asked(run, screen)?;
        run.map_blocks("neighbours", jobs.len(), 1, |job| {
            let (cell, range) = &jobs[job];
            let mut bests = self.ask(screen, &asked, *cell, range.clone(), k, slack);
            let point = |place: u32| self.order[place as usize];
            let settle = |(best, place): (&mut Best, usize)| R::settle(best, ordered, screen, place as u32, k, point);
            Ok(pack(bests.iter_mut().zip(range.clone()).map(settle).collect()))
        })
    }

    /// The points of each cell as those who are asked, number after number instead of point after point: cell after cell.
    fn asked(&self, run: &Run, screen: &Screen) -> Result<Vec<f32>> {
        let width = screen.width();
        let parts = run.map_quietly(self.n_cells(), 16, |cells| {
            let mut part = Vec::new();
            for cell in cells {
                let points = self.starts[cell]..self.starts[cell + 1];
                for t in 0..width {
                    part.extend(points.clone().map(|place| screen.right(place)[t]));
                }
            }
            Ok(part)
        })?;
        Ok(parts.concat())
    }

    /// The candidates of points of one cell; `asked` are those of [`Cells::asked`].
    fn ask(
        &self,
        screen: &Screen,
        asked: &[f32],
        own: usize,
        range: std::ops::Range<usize>,
        k: usize,
        slack: f32,
    ) -> Vec<Best> {
        let n_cells = self.n_cells();
        let width = screen.width();
        let lefts = screen.lefts(range.clone());
        let mut bests: Vec<Best> = range.clone().map(|place| Best::new(place, k - 1)).collect();
        let mut planes = vec![0.0; bests.len() * n_cells];
        self.planes(screen, own, lefts, &mut planes);
        let apart = &self.apart[own * n_cells..(own + 1) * n_cells];
        let mut turn: Vec<usize> = (0..n_cells).filter(|c| self.starts[*c] < self.starts[*c + 1]).collect();
        turn.sort_unstable_by(|a, b| apart[*a].total_cmp(&apart[*b]).then(a.cmp(b)));
        let (mut asking, mut chosen, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
        // How far each point must look.
        let mut reach = vec![f32::INFINITY; bests.len()];
        for cell in turn {
            let columns = self.starts[cell]..self.starts[cell + 1];
            asking.clear();
            chosen.clear();
            for (l, reach) in reach.iter().enumerate() {
                if cell == own || planes[l * n_cells + cell] <= *reach {
                    asking.push(l as u32);
                    chosen.extend_from_slice(&lefts[l * width..(l + 1) * width]);
                }
            }
            if asking.is_empty() {
                continue;
            }
            gaps.resize(asking.len() * columns.len(), 0.0);
            product_single(&chosen, &asked[columns.start * width..columns.end * width], width, &mut gaps);
            let (first, width) = (columns.start, columns.len());
            widest(Offer { gaps: &gaps, bests: &mut bests, rows: &asking, first, width, screen });
            for l in &asking {
                let best = &mut bests[*l as usize];
                best.tighten_now_and_then(screen);
                reach[*l as usize] = slack * best.limit().max(0.0).sqrt();
            }
        }
        bests
    }
}
