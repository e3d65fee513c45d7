//! Scores of cells in the classes of a model.
//!
//! With fixed weights each cell is a problem of its own. In exact mode its optimum is found, which depends on nothing but
//! the cell, the model, and the cells over which genes are standardised. In compat mode cells are updated in chunks
//! until their classes stand still, as the reference does it.

mod poisson;
pub(crate) mod stream;
mod updates;
mod values;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::r_stream::RStream;

pub(crate) use poisson::{Problem, Workspace};
pub(crate) use updates::Updates;
use values::{Active, Shared};

use crate::expression::Expression;
use crate::model::{EPS, Model};
use crate::nmf::stop::{Connectivity, MOST_ITERATIONS};
use crate::scale::Moments;
use crate::train::Mode;

/// Fewer genes in common with a model do not tell.
pub(crate) const FEWEST_GENES: usize = 5;

/// Cells with fewer genes than this are not scored where genes are standardised.
const FEWEST_DETECTED: usize = 3;

/// What counts as detected.
const DETECTED: f64 = 1e-16;

/// The seed of the reference's starts.
const START_SEED: u32 = 39;

/// How many cells a thread takes at once.
const BLOCK: usize = 128;

/// Looks at the classes of all cells of a chunk between which a cell is updated by itself.
const LOOKS: usize = 10;

/// How cells are scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictOptions {
    /// Exact or as the reference.
    pub mode: Mode,
    /// Whether genes are standardised over the cells given.
    pub scale: bool,
    /// Whether the scores of a cell are divided by their sum.
    pub sum_to_one: bool,
    /// In compat mode: the most cells of a chunk, whose cells decide when its updates stop.
    pub cells_per_run: usize,
}

impl Default for PredictOptions {
    /// Exact, not scaled, sums of 1, chunks of 500.
    fn default() -> Self {
        Self { mode: Mode::Exact, scale: false, sum_to_one: true, cells_per_run: 500 }
    }
}

/// Why a cell has the label that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its best class is above the threshold.
    Ok,
    /// Its best class is below the threshold.
    LowScore,
    /// It has fewer than three genes, or none of the model.
    FewGenes,
    /// Its type has too few cells.
    FewCells,
    /// There is no model of its type.
    UnknownType,
    /// The data have fewer than five genes of the model.
    FewModelGenes,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::LowScore, Self::FewGenes, Self::FewCells, Self::UnknownType, Self::FewModelGenes];

    /// The word of a reason, as results show it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::LowScore => "low_score",
            Self::FewGenes => "few_genes",
            Self::FewCells => "few_cells",
            Self::UnknownType => "unknown_type",
            Self::FewModelGenes => "few_model_genes",
        }
    }
}

/// Scores of cells in the classes of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Cells × classes; NaN where a cell is not scored.
    pub values: Matrix,
    /// Why a cell is not scored; [`Reason::Ok`] where it is.
    pub reasons: Vec<Reason>,
    /// Cells whose scores are one of several optima, in exact mode.
    pub not_unique: Vec<bool>,
    /// Updates of each chunk, in compat mode.
    pub iterations: Vec<usize>,
    /// How many genes of the model the data have.
    pub shared_genes: usize,
}

/// Scores all cells of `x`, the cells of one type.
///
/// Fails where values are negative and the model has no signs.
pub fn predict(run: &Run, x: &Expression, model: &Model, options: &PredictOptions) -> Result<Scores> {
    if options.cells_per_run == 0 {
        return Err(Fault::bad_input("a chunk has at least one cell").at("cells_per_run"));
    }
    let (n, k) = (x.n_cells(), model.classes.len());
    let shared = Shared::new(x.genes(), model);
    let mut scores = Scores {
        values: Matrix::from_rows(n, k, vec![f64::NAN; n * k]),
        reasons: vec![Reason::FewModelGenes; n],
        not_unique: vec![false; n],
        iterations: Vec::new(),
        shared_genes: shared.genes.len(),
    };
    warn_of_genes(run, model, shared.genes.len());
    if shared.genes.len() < FEWEST_GENES {
        return Ok(scores);
    }
    let cells: Vec<usize> = (0..n).filter(|&cell| !options.scale || detected(x, cell)).collect();
    scores.reasons.fill(Reason::FewGenes);
    if options.scale {
        warn_of_cells(run, model, n - cells.len());
    }
    let moments = options.scale.then(|| Moments::of(x, &cells));
    let job = Job { x, model, shared: &shared, moments: moments.as_ref() };
    let chunks = if options.mode == Mode::Compat { chunks(cells.len(), options.cells_per_run) } else { Vec::new() };
    let found: Vec<Chunk> = if options.mode == Mode::Compat {
        run.map_blocks("scoring", chunks.len(), 1, |i| job.updated(&cells[chunks[i].clone()]))?
    } else {
        let active = job.active(&cells)?;
        let sums = active.weight_sums(model);
        run.map_ranges("scoring", cells.len(), BLOCK, |range| Ok(job.optimal(&cells[range], &active, &sums)))?
    };
    for chunk in found {
        scores.iterations.extend(chunk.iterations);
        for (i, &cell) in chunk.cells.iter().enumerate().filter(|(i, _)| chunk.scored[*i]) {
            scores.values.row_mut(cell).copy_from_slice(&chunk.h[i * k..(i + 1) * k]);
            scores.reasons[cell] = Reason::Ok;
            scores.not_unique[cell] = chunk.not_unique[i];
        }
    }
    if options.sum_to_one {
        for cell in 0..n {
            let row = scores.values.row_mut(cell);
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|h| *h /= sum);
        }
    }
    Ok(scores)
}

/// Whether a cell has enough genes to be standardised.
fn detected(x: &Expression, cell: usize) -> bool {
    x.cell(cell).1.iter().filter(|v| **v > DETECTED).count() >= FEWEST_DETECTED
}

fn warn_of_cells(run: &Run, model: &Model, left_out: usize) {
    if left_out > 0 {
        run.warn(&format!(
            "{left_out} cells have fewer than {FEWEST_DETECTED} genes and are not scored (model of `{}`)",
            model.cell_type
        ));
    }
}

fn warn_of_genes(run: &Run, model: &Model, shared: usize) {
    let all = model.genes().len();
    if shared < FEWEST_GENES {
        run.warn(&format!(
            "the data have {shared} of the {all} genes of the model of `{}`, {FEWEST_GENES} are needed: no cell is scored",
            model.cell_type
        ));
    } else if 2 * shared < all {
        run.warn(&format!("the data have {shared} of the {all} genes of the model of `{}`", model.cell_type));
    }
}

/// Contiguous chunks of at most `most` cells whose sizes differ by one at most, larger ones first.
fn chunks(n: usize, most: usize) -> Vec<std::ops::Range<usize>> {
    let count = n.div_ceil(most).max(1);
    let (size, larger) = (n / count, n % count);
    let start = |i: usize| i * size + i.min(larger);
    (0..count).map(|i| start(i)..start(i + 1)).filter(|range| !range.is_empty()).collect()
}

/// What all chunks share.
struct Job<'a> {
    x: &'a Expression,
    model: &'a Model,
    shared: &'a Shared,
    moments: Option<&'a Moments>,
}

/// Refuses negative values where the model has no features of such.
fn checked(active: Active, model: &Model) -> Result<Active> {
    if active.negative && !model.is_signed() {
        return Err(Fault::bad_input("values are negative, and the model has no features of negative values")
            .at(format!("model of `{}`", model.cell_type))
            .hint("it was trained on values that were not scaled: score with scale=False"));
    }
    Ok(active)
}

/// Scores of some cells.
struct Chunk {
    cells: Vec<usize>,
    /// Cells × classes.
    h: Vec<f64>,
    scored: Vec<bool>,
    not_unique: Vec<bool>,
    iterations: Option<usize>,
}

impl Job<'_> {
    fn active(&self, cells: &[usize]) -> Result<Active> {
        checked(Active::over(self.shared, self.x, self.moments, cells), self.model)
    }

    /// The features of a cell that are not 0 and have weights: values and rows of the model. None at all fit no value.
    fn features(&self, active: &Active, cell: usize, room: &mut Rooms) {
        self.shared.values(self.x, self.moments, cell, &mut room.values);
        active.features(&room.values, &mut room.features);
        let weights = &self.model.weights;
        room.features.retain(|&(_, row)| weights.row(row).iter().any(|w| *w > 0.0));
    }

    /// Features with their weights.
    fn weighted<'b>(&'b self, features: &'b [(f64, usize)]) -> impl Iterator<Item = (f64, &'b [f64])> + Clone {
        features.iter().map(|&(v, row)| (v, self.model.weights.row(row)))
    }

    /// The optimum of each cell.
    fn optimal(&self, cells: &[usize], active: &Active, sums: &[f64]) -> Chunk {
        let (k, n) = (self.model.classes.len(), cells.len());
        let mut chunk = Chunk::new(cells, k);
        let mut problem = Problem::new(sums.to_vec());
        let (mut room, mut rooms) = (Workspace::default(), Rooms::default());
        for i in 0..n {
            self.features(active, cells[i], &mut rooms);
            if !rooms.features.is_empty() {
                problem.set(self.weighted(&rooms.features));
                let found = problem.solve(&mut room, &mut chunk.h[i * k..(i + 1) * k]);
                (chunk.scored[i], chunk.not_unique[i]) = (true, !found.unique);
            }
        }
        chunk
    }

    /// Updates of the cells of a chunk in step, until their best classes stand still.
    fn updated(&self, cells: &[usize]) -> Result<Chunk> {
        let (k, n) = (self.model.classes.len(), cells.len());
        let active = self.active(cells)?;
        let mut chunk = Chunk::new(cells, k);
        let (least, mut draws) = (active.most.max(1.0), RStream::new(START_SEED));
        (0..active.n * k).for_each(|_| {
            draws.uniform();
        });
        chunk.h.iter_mut().for_each(|h| *h = (draws.uniform() * least).min(active.most));
        let features = self.all_features(&active, cells, &mut chunk.scored);
        let mut updates = Updates::new(active.weight_sums(self.model));
        let (mut stop, mut iterations, mut looks) = (Connectivity::default(), 0, Vec::new());
        while iterations < MOST_ITERATIONS {
            // The cells of some looks are updated one after the other, so that what is packed of a cell is used for all.
            let left = (MOST_ITERATIONS - iterations) / Connectivity::EVERY;
            let n_looks = if iterations == 0 { Connectivity::FEWEST } else { LOOKS }.min(left);
            looks.resize(n_looks * n * k, 0.0);
            for i in 0..n {
                updates.set(self.weighted(&features[i]));
                let mut h = chunk.h[i * k..(i + 1) * k].to_vec();
                for look in looks.chunks_exact_mut(n * k) {
                    if chunk.scored[i] {
                        updates.update(&mut h, Connectivity::EVERY);
                        h.iter_mut().for_each(|h| *h = h.max(EPS));
                    }
                    look[i * k..(i + 1) * k].copy_from_slice(&h);
                }
            }
            let stopped =
                looks.chunks_exact(n * k).position(|look| stop.met(look.chunks_exact(k).map(crate::model::arg_max)));
            let last = stopped.unwrap_or(n_looks - 1);
            chunk.h.copy_from_slice(&looks[last * n * k..(last + 1) * n * k]);
            iterations += (last + 1) * Connectivity::EVERY;
            if stopped.is_some() {
                break;
            }
        }
        chunk.iterations = Some(iterations);
        Ok(chunk)
    }

    /// The features of all cells of a chunk, and which cells have any.
    fn all_features(&self, active: &Active, cells: &[usize], scored: &mut [bool]) -> Vec<Vec<(f64, usize)>> {
        let mut room = Rooms::default();
        let of_cell = |(&cell, scored): (&usize, &mut bool)| {
            self.features(active, cell, &mut room);
            *scored = !room.features.is_empty();
            room.features.clone()
        };
        cells.iter().zip(scored).map(of_cell).collect()
    }
}

impl Chunk {
    fn new(cells: &[usize], k: usize) -> Self {
        let n = cells.len();
        Self {
            cells: cells.to_vec(),
            h: vec![0.0; n * k],
            scored: vec![false; n],
            not_unique: vec![false; n],
            iterations: None,
        }
    }
}

#[derive(Default)]
struct Rooms {
    values: Vec<f64>,
    features: Vec<(f64, usize)>,
}

/// Scores of the reference's start for a chunk of all cells: what its updates begin with.
pub fn start(x: &Expression, model: &Model, scale: bool) -> Matrix {
    let cells: Vec<usize> = (0..x.n_cells()).collect();
    let shared = Shared::new(x.genes(), model);
    let moments = scale.then(|| Moments::of(x, &cells));
    let active = Active::over(&shared, x, moments.as_ref(), &cells);
    let (least, mut draws, k) = (active.most.max(1.0), RStream::new(START_SEED), model.classes.len());
    (0..active.n * k).for_each(|_| {
        draws.uniform();
    });
    let h = (0..cells.len() * k).map(|_| (draws.uniform() * least).min(active.most)).collect();
    Matrix::from_rows(cells.len(), k, h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_differ_by_one_at_most() {
        assert_eq!(chunks(10, 4), [0..4, 4..7, 7..10]);
        assert_eq!(chunks(4, 4).len(), 1);
        assert!(chunks(0, 4).is_empty());
    }
}
