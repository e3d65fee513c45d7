//! [`Scorer`]: the cells of one type, scored as they pass.
//!
//! What [`super::predict`] does with all cells in memory, by the same arithmetic: cells pass twice for the moments of
//! genes, then once for their scores. In exact mode a cell is scored as it comes; in compat mode it waits until its chunk
//! is complete.

use std::collections::VecDeque;

use ferrocyte_base::{Result, Run};

use super::values::{Active, Shared};
use super::{BLOCK, Chunk, FEWEST_GENES, Job, PredictOptions, checked, chunks, detected, warn_of_cells, warn_of_genes};
use crate::expression::Expression;
use crate::model::Model;
use crate::scale::{MomentSums, Moments};
use crate::train::Mode;

/// The scores of a cell.
pub(crate) struct Scored {
    /// Its number in the study.
    pub(crate) cell: usize,
    /// Its score in each class of the model, with sum 1; nothing where it has none of the model's genes.
    pub(crate) scores: Option<Vec<f64>>,
    /// Whether they are one of several optima.
    pub(crate) not_unique: bool,
}

/// A chunk of compat mode that is complete: its cells, and their numbers in the study.
pub(crate) struct Complete {
    x: Expression,
    cells: Vec<usize>,
}

/// Scores of the cells of one type in the classes of a model.
pub(crate) struct Scorer<'a> {
    pub(crate) model: &'a Model,
    options: PredictOptions,
    shared: Shared,
    sums: MomentSums,
    left_out: usize,
    moments: Option<Moments>,
    active: Option<(Active, Vec<f64>)>,
    /// In compat mode: sizes of the chunks to come, and the cells of the next that are there.
    sizes: VecDeque<usize>,
    waiting: Expression,
    numbers: Vec<usize>,
}

impl<'a> Scorer<'a> {
    /// Of cells with these genes; `None` where too few of them are the model's, of which a warning tells.
    pub(crate) fn new(run: &Run, genes: &[String], model: &'a Model, options: PredictOptions) -> Option<Self> {
        let shared = Shared::new(genes, model);
        warn_of_genes(run, model, shared.genes.len());
        (shared.genes.len() >= FEWEST_GENES).then(|| Self {
            model,
            options,
            shared,
            sums: MomentSums::new(genes.len()),
            left_out: 0,
            moments: None,
            active: None,
            sizes: VecDeque::new(),
            waiting: Expression::of_genes(genes.to_vec()),
            numbers: Vec::new(),
        })
    }

    fn takes_part(&self, x: &Expression, cell: usize) -> bool {
        !self.options.scale || detected(x, cell)
    }

    /// A cell of the first pass.
    pub(crate) fn add(&mut self, x: &Expression, cell: usize) {
        if self.takes_part(x, cell) {
            self.sums.add(x.cell(cell));
        } else {
            self.left_out += 1;
        }
    }

    /// After the first pass.
    pub(crate) fn turn(&mut self) {
        self.sums.turn();
    }

    /// A cell of the second pass, which only standardised genes need.
    pub(crate) fn add_squares(&mut self, x: &Expression, cell: usize) {
        if self.takes_part(x, cell) {
            self.sums.add_squares(x.cell(cell));
        }
    }

    /// Before the last pass.
    pub(crate) fn ready(&mut self, run: &Run) -> Result<()> {
        warn_of_cells(run, self.model, self.left_out);
        self.moments = self.options.scale.then(|| self.sums.moments());
        if self.options.mode == Mode::Compat {
            self.sizes = chunks(self.sums.n, self.options.cells_per_run).into_iter().map(|range| range.len()).collect();
            return Ok(());
        }
        // Standardising keeps the order of values, so that extremes stay extremes.
        let value = |gene: usize, x: f64| self.moments.as_ref().map_or(x, |moments| moments.z(gene, x));
        let ranges = || self.shared.genes.iter().map(|&gene| (gene, self.sums.range(gene)));
        let least: Vec<f64> = ranges().map(|(gene, (least, _))| value(gene, least)).collect();
        let most: Vec<f64> = ranges().map(|(gene, (_, most))| value(gene, most)).collect();
        let active = checked(Active::between(&self.shared, &least, &most), self.model)?;
        let sums = active.weight_sums(self.model);
        self.active = Some((active, sums));
        Ok(())
    }

    /// Scores of some cells of a block in exact mode; `first` is the number of its first cell in the study.
    pub(crate) fn optimal(&self, run: &Run, x: &Expression, first: usize, cells: &[usize]) -> Result<Vec<Scored>> {
        let Some((active, sums)) = &self.active else { return Ok(Vec::new()) };
        let cells: Vec<usize> = cells.iter().copied().filter(|&cell| self.takes_part(x, cell)).collect();
        let job = self.job(x);
        let found = run.map_quietly(cells.len().div_ceil(BLOCK), 1, |blocks| {
            let range = blocks.start * BLOCK..(blocks.end * BLOCK).min(cells.len());
            Ok(self.scored(&job.optimal(&cells[range], active, sums), |cell| first + cell))
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Lets some cells of a block wait for the rest of their chunks, in compat mode; gives the chunks that are complete.
    pub(crate) fn wait(&mut self, x: &Expression, first: usize, cells: &[usize]) -> Vec<Complete> {
        let mut complete = Vec::new();
        for &cell in cells {
            if !self.takes_part(x, cell) {
                continue;
            }
            self.waiting.push(x, cell);
            self.numbers.push(first + cell);
            if self.sizes.front() == Some(&self.numbers.len()) {
                self.sizes.pop_front();
                let empty = Expression::of_genes(self.waiting.genes().to_vec());
                let x = std::mem::replace(&mut self.waiting, empty);
                complete.push(Complete { x, cells: std::mem::take(&mut self.numbers) });
            }
        }
        complete
    }

    /// Scores of a complete chunk, and its updates.
    pub(crate) fn updated(&self, chunk: &Complete) -> Result<(Vec<Scored>, usize)> {
        let all: Vec<usize> = (0..chunk.cells.len()).collect();
        let found = self.job(&chunk.x).updated(&all)?;
        Ok((self.scored(&found, |cell| chunk.cells[cell]), found.iterations.unwrap_or(0)))
    }

    fn job<'b>(&'b self, x: &'b Expression) -> Job<'b> {
        Job { x, model: self.model, shared: &self.shared, moments: self.moments.as_ref() }
    }

    fn scored(&self, chunk: &Chunk, number: impl Fn(usize) -> usize) -> Vec<Scored> {
        let k = self.model.classes.len();
        let of = |(i, &cell): (usize, &usize)| {
            let h = &chunk.h[i * k..(i + 1) * k];
            let sum: f64 = h.iter().sum();
            Scored {
                cell: number(cell),
                scores: chunk.scored[i].then(|| h.iter().map(|h| h / sum).collect()),
                not_unique: chunk.not_unique[i],
            }
        };
        chunk.cells.iter().enumerate().map(of).collect()
    }
}
