//! Training: weights of features in classes, for each cell type, from labelled cells.
//!
//! With labels for coefficients, Kullback-Leibler factorisation separates into one problem for each feature and class,
//! whose solution is the mean of the class. What depends on the seed is which cells are taken; all that comes before is
//! done once for all runs of an ensemble.

mod ensemble;
mod fit;
mod origin;
mod prepare;
mod runs;
mod runs_part;
mod select;

use std::fmt;

use ferrocyte_base::{Fault, Result, Run};

pub use ensemble::{Aggregate, Ensemble, EnsembleOptions, aggregate, train_ensemble};
pub use runs::{Runs, share, train_runs};
pub use select::select;

use crate::collate;
use crate::draws::Rng;
use crate::expression::Expression;
use crate::model::Model;
use prepare::Prepared;

ferrocyte_base::choice! {
    /// Whether the answer is the best one, or that of the reference program.
    Mode, "mode" {
        /// The optimum, found directly.
        Exact = "exact",
        /// The arithmetic of the reference, its random numbers and its stopping rule included.
        Compat = "compat",
    }
}

ferrocyte_base::choice! {
    /// What becomes of cells whose class has two cells or fewer after sampling, and so no column.
    SmallClasses, "small_classes" {
        /// They are taken out.
        Cells = "cells",
        /// They stay, and count for the classes that are like them.
        Leak = "leak",
    }
}

/// How models are trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainOptions {
    /// Exact or as the reference.
    pub mode: Mode,
    /// Whether genes are standardised, within each sample where there are samples.
    pub scale: bool,
    /// Whether samples give the same number of cells.
    pub balance_sample: bool,
    /// How many genes, those that vary most.
    pub nfeature: usize,
    /// How many features mark a class; `None` is all.
    pub nfeature_per_se: Option<usize>,
    /// Labels of a type, and samples of it, need more cells than this.
    pub min_cells: usize,
    /// The most cells of a type.
    pub downsample: usize,
    /// The seed of the choice of cells.
    pub seed: u64,
    /// Which generator chooses; `None` is R's in compat mode, else ferrocyte's own.
    pub rng: Option<Rng>,
    /// What becomes of the cells of tiny classes; `None` is that they leak in compat mode, else go.
    pub small_classes: Option<SmallClasses>,
}

impl Default for TrainOptions {
    /// Exact; scaled and balanced, 300 genes, 50 features a class, more than 20 cells, at most 2,500, seed 2024.
    fn default() -> Self {
        Self {
            mode: Mode::Exact,
            scale: true,
            balance_sample: true,
            nfeature: 300,
            nfeature_per_se: Some(50),
            min_cells: 20,
            downsample: 2500,
            seed: 2024,
            rng: None,
            small_classes: None,
        }
    }
}

impl TrainOptions {
    pub(crate) fn rng(&self) -> Rng {
        self.rng.unwrap_or(if self.mode == Mode::Compat { Rng::R } else { Rng::Native })
    }

    fn small_classes(&self) -> SmallClasses {
        let usual = if self.mode == Mode::Compat { SmallClasses::Leak } else { SmallClasses::Cells };
        self.small_classes.unwrap_or(usual)
    }

    fn check(&self) -> Result<()> {
        for (name, value) in [
            ("nfeature", self.nfeature),
            ("downsample", self.downsample),
            ("nfeature_per_se", self.nfeature_per_se.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(Fault::bad_input(format!("{name} is at least 1, found 0")).at(name));
            }
        }
        Ok(())
    }
}

/// What is known of each cell.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// The type of each cell.
    pub cell_type: &'a [String],
    /// The ecotype of each cell.
    pub label: &'a [String],
    /// The sample of each cell, if there are several.
    pub sample: Option<&'a [String]>,
}

impl Labels<'_> {
    fn check(&self, n_cells: usize) -> Result<()> {
        let columns = [("cell_type", Some(self.cell_type)), ("label", Some(self.label)), ("sample", self.sample)];
        for (name, column) in columns {
            if let Some(n) = column.map(<[String]>::len).filter(|n| *n != n_cells) {
                return Err(Fault::bad_input(format!("{n} values for {n_cells} cells")).at(name));
            }
        }
        Ok(())
    }
}

/// A cell type without a model, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The cell type.
    pub cell_type: String,
    /// The reason, a sentence.
    pub reason: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` has no model: {}", self.cell_type, self.reason)
    }
}

/// Which genes and cells a model was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// The genes, those that vary most first (where there was a choice).
    pub genes: Vec<String>,
    /// The cells, in the order in which they were drawn.
    pub cells: Vec<String>,
    /// How many cells of each class there are, classes in the order of the model, those without a column left out.
    pub class_sizes: Vec<usize>,
    /// Genes without any spread in the cells taken.
    pub dropped_genes: Vec<String>,
}

/// Models of the cell types that have enough labelled cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// One model for each type, types sorted.
    pub models: Vec<Model>,
    /// What each was made of.
    pub bases: Vec<Basis>,
    /// Types without a model.
    pub skipped: Vec<Skipped>,
    /// What to know before believing the result.
    pub warnings: Vec<String>,
    /// Whether values were taken for counts, and logarithms taken.
    pub logged: bool,
}

/// Trains one model for each cell type.
///
/// `x` is cells × genes. Values that look like counts (none negative, one above 80) become `log2(x + 1)` first if
/// `auto_log` says so. A type needs two labels with more than `min_cells` cells each; types without are among
/// [`Trained::skipped`]. Fails where no sample has enough cells of a type that has enough altogether.
pub fn train(
    run: &Run,
    x: &mut Expression,
    labels: &Labels<'_>,
    auto_log: bool,
    options: &TrainOptions,
) -> Result<Trained> {
    options.check()?;
    labels.check(x.n_cells())?;
    let logged = auto_log && x.auto_log();
    let (types, skipped) = eligible(labels, options.min_cells);
    let mut trained = Trained { models: Vec::new(), bases: Vec::new(), skipped, warnings: Vec::new(), logged };
    let task = run.task("training", types.len() as u64);
    for cell_type in types {
        run.check()?;
        let prepared = Prepared::new(x, labels, &cell_type, options)?;
        match prepared.fit(options.seed) {
            Ok(fit) => {
                if let Some(warning) = fit.warning(&cell_type) {
                    trained.warnings.push(warning);
                }
                trained.bases.push(prepared.basis(x, &fit));
                let full = prepared.model(x, &fit);
                trained.models.push(full.take(&select(&full, options.nfeature_per_se)));
            }
            Err(reason) => trained.skipped.push(Skipped { cell_type, reason }),
        }
        task.advance(1);
    }
    Ok(trained)
}

/// The types with at least two labels of more than `min_cells` cells each, sorted, and why the others are not.
fn eligible(labels: &Labels<'_>, min_cells: usize) -> (Vec<String>, Vec<Skipped>) {
    let (mut kept, mut skipped) = (Vec::new(), Vec::new());
    for cell_type in collate::sorted(labels.cell_type) {
        let mut counts = std::collections::BTreeMap::<&str, usize>::new();
        for (_, label) in labels.cell_type.iter().zip(labels.label).filter(|(of, _)| **of == cell_type) {
            *counts.entry(label).or_default() += 1;
        }
        let enough = counts.values().filter(|n| **n > min_cells).count();
        if enough >= 2 {
            kept.push(cell_type);
        } else {
            let reason =
                format!("{enough} of its {} labels have more than {min_cells} cells, 2 are needed", counts.len());
            skipped.push(Skipped { cell_type, reason });
        }
    }
    (kept, skipped)
}
