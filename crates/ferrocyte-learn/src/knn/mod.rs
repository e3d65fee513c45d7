//! The nearest neighbours of every point among all others: exactly, or nearly so where there are many points.
//!
//! Both ways look at blocks of distances in single precision ([`screen`]), keep what may be among the nearest
//! ([`best`]) and measure that again in double precision, so that the bits of the result depend neither on threads nor
//! on the processor. The exact way ([`exact`]) looks at all pairs. The approximate way ([`cells`]) skips cells of space
//! that are unlikely to hold a neighbour, and checks on a sample of points that it finds what it promises.

mod best;
mod cells;
mod centres;
mod exact;
mod metric;
mod neighbours;
mod screen;
mod settled;

use ferrocyte_base::{Fault, Result, Run};

use crate::Points;

pub use metric::Metric;
pub use neighbours::Neighbours;

use exact::Rows;
use neighbours::Part;
use settled::{Row, Set, Settled};

/// Up to so many points all pairs are looked at: measured, this takes less than a second of one processor, where the
/// other way, faster from about 10,000 points on, takes half of that.
const EXACT_UP_TO: usize = 30_000;

/// How neighbours are searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// Exactly up to 30,000 points, approximately beyond.
    #[default]
    Automatic,
    /// All pairs are looked at.
    Exact,
    /// Cells that are unlikely to hold a neighbour are skipped. Manhattan distances have no such cells: all pairs are
    /// looked at.
    Approximate,
}

/// What neighbours are asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnnOptions {
    /// Neighbours of each point, itself included, at least 1. More than there are points become `1 + n / 2`, with a
    /// warning.
    pub k: usize,
    /// What near means.
    pub metric: Metric,
    /// How they are searched for.
    pub search: Search,
    /// For the approximate search: the least share of the true neighbours that is found on a sample of points.
    pub recall: f64,
    /// For the approximate search: from what its random choices follow.
    pub seed: u64,
}

impl Default for KnnOptions {
    /// 15 neighbours, Euclidean, automatic choice, recall 0.99, seed 0.
    fn default() -> Self {
        Self { k: 15, metric: Metric::Euclidean, search: Search::Automatic, recall: 0.99, seed: 0 }
    }
}

/// The `k` nearest neighbours of every point, itself first, the others by distance and, where distances are equal, by
/// index.
///
/// # Errors
///
/// There are no points, `k` is 0, the recall asked for is not in (0, 1], or the metric does not apply to some row.
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_learn::{KnnOptions, Points, nearest};
/// let values = [0.0, 1.0, 3.0, 7.0];
/// let found = nearest(&Run::new(), Points::new(&values, 4, 1)?, &KnnOptions { k: 2, ..KnnOptions::default() })?;
/// assert_eq!(found.indices(), [0, 1, 1, 0, 2, 1, 3, 2]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn nearest(run: &Run, points: Points<'_>, options: &KnnOptions) -> Result<Neighbours> {
    let (n, k) = (points.n(), checked(run, points, options)?);
    // Rows of neighbours before and after they are joined.
    run.reserve("the neighbours", (n * k * 24) as u64)?;
    let (parts, recall) = search(run, points, k, options, |rows: Vec<Row>| Part::new(&rows))?;
    Ok(Neighbours::from_parts(n, k, parts, recall))
}

/// What `of` makes of every point and the others among its `k` nearest, point after point; these come in no order.
///
/// They are those of [`nearest`]. They are neither kept nor, as a rule, measured twice or sorted, which takes much less
/// memory and time where little is made of many neighbours.
///
/// # Errors
///
/// Those of [`nearest`].
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_learn::{KnnOptions, Points, of_nearest};
/// let values = [0.0, 1.0, 3.0, 7.0];
/// let options = KnnOptions { k: 2, ..KnnOptions::default() };
/// let ends = of_nearest(&Run::new(), Points::new(&values, 4, 1)?, &options, |point, others| (point, others[0]))?;
/// assert_eq!(ends, [(0, 1), (1, 0), (2, 1), (3, 2)]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn of_nearest<T: Send>(
    run: &Run,
    points: Points<'_>,
    options: &KnnOptions,
    of: impl Fn(u32, &[u32]) -> T + Sync,
) -> Result<Vec<T>> {
    let k = checked(run, points, options)?;
    let made = |sets: Vec<Set>| sets.iter().map(|set| (set.point(), of(set.point(), &set.0[1..]))).collect::<Vec<_>>();
    let mut found: Vec<(u32, T)> = search(run, points, k, options, made)?.0.into_iter().flatten().collect();
    found.sort_unstable_by_key(|(point, _)| *point);
    Ok(found.into_iter().map(|(_, made)| made).collect())
}

/// How many neighbours each point gets.
fn checked(run: &Run, points: Points<'_>, options: &KnnOptions) -> Result<usize> {
    let n = points.n();
    if n == 0 || options.k == 0 {
        let message = format!("neighbours need at least one point and k >= 1, found {n} points and k = {}", options.k);
        return Err(Fault::bad_input(message));
    }
    if !(options.recall > 0.0 && options.recall <= 1.0) {
        return Err(Fault::bad_input(format!("a recall is in (0, 1], found {}", options.recall)));
    }
    if u32::try_from(n).is_err() {
        return Err(Fault::unsupported(format!("at most {} points have neighbours here, found {n}", u32::MAX)));
    }
    if options.k <= n {
        return Ok(options.k);
    }
    let fewer = 1 + n / 2;
    run.warn(&format!("{} neighbours were asked for among {n} points: {fewer} are taken", options.k));
    Ok(fewer)
}

/// What `pack` makes of the rows of some points at a time, in any order of points; and the recall on a sample.
fn search<R: Settled, B: Send>(
    run: &Run,
    points: Points<'_>,
    k: usize,
    options: &KnnOptions,
    pack: impl Fn(Vec<R>) -> B + Sync,
) -> Result<(Vec<B>, Option<f64>)> {
    let n = points.n();
    // The points in single precision, twice two times.
    run.reserve("the points", (n * (points.d() + 2) * 16) as u64)?;
    let prepared = options.metric.prepare(points)?;
    let rows = Rows::new(&prepared, n, points.d(), options.metric);
    let exact = match options.search {
        Search::Automatic => n <= EXACT_UP_TO,
        Search::Exact => true,
        Search::Approximate => false,
    };
    if exact || options.metric == Metric::Manhattan {
        Ok((exact::all(run, &rows, k, pack)?, None))
    } else {
        let (parts, recall) = cells::nearly(run, &rows, k, options, pack)?;
        Ok((parts, Some(recall)))
    }
}
