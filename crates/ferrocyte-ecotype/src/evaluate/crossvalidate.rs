//! Cross-validation: cells labelled by models that have not seen their sample.

use ferrocyte_base::{Fault, Result, Run};

use crate::collate::{self, collate};
use crate::draws::Draws;
use crate::expression::Expression;
use crate::recover::{RecoverOptions, recover};
use crate::train::{Labels, TrainOptions, train};

ferrocyte_base::choice! {
    /// Which cells train, and which are labelled.
    Scheme, "scheme" {
        /// All samples but one train, that one is labelled.
        LeaveOneOut = "leave_one_out",
        /// One sample trains, all others are labelled: what the reference does.
        TrainOnOne = "train_on_one",
    }
}

/// The most a seed of a repeat can be.
const SEEDS: usize = 10_000;

/// Labels by models that have not seen the sample of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossValidated {
    /// The label with most votes of each cell; where votes tie the one that sorts first.
    pub label: Vec<String>,
    /// The share of the votes that it has.
    pub votes: Vec<f64>,
    /// The seeds of the repeats.
    pub seeds: Vec<u64>,
}

/// How often and by which scheme.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossValidation {
    /// Which cells train.
    pub scheme: Scheme,
    /// How often each split is trained, with another seed.
    pub repeats: usize,
    /// How cells are labelled.
    pub recover: RecoverOptions,
}

impl Default for CrossValidation {
    /// One sample left out, 30 repeats.
    fn default() -> Self {
        let recover = RecoverOptions { cells_per_run: 5000, ..RecoverOptions::default() };
        Self { scheme: Scheme::LeaveOneOut, repeats: 30, recover }
    }
}

/// Labels every cell by models that have not seen its sample; seeds of repeats come from `draws`.
///
/// Without samples, or with one, cells of each type and label are split into random halves, of which each is labelled
/// by the other.
pub fn cross_validate(
    run: &Run,
    x: &Expression,
    labels: &Labels<'_>,
    auto_log: bool,
    training: &TrainOptions,
    validation: &CrossValidation,
    draws: &mut Draws,
) -> Result<CrossValidated> {
    if validation.repeats == 0 {
        return Err(Fault::bad_input("at least one repeat is needed").at("repeats"));
    }
    if labels.cell_type.len() != x.n_cells() || labels.label.len() != x.n_cells() {
        return Err(Fault::bad_input(format!(
            "{} cells, {} types and {} labels",
            x.n_cells(),
            labels.cell_type.len(),
            labels.label.len()
        )));
    }
    let seeds: Vec<u64> = draws.sample(SEEDS, validation.repeats).into_iter().map(|i| i as u64 + 1).collect();
    let samples = labels.sample.map(collate::first_seen).filter(|names| names.len() > 1);
    let mut votes: Vec<Vec<(String, usize)>> = vec![Vec::new(); x.n_cells()];
    for &seed in &seeds {
        let splits = match (&samples, labels.sample) {
            (Some(names), Some(of)) => names.iter().map(|name| split(of, name, validation.scheme)).collect(),
            _ => halves(labels, draws),
        };
        for (train_on, test_on) in splits {
            run.check()?;
            let found = label(run, x, labels, auto_log, training, validation, seed, &train_on, &test_on)?;
            for (&cell, label) in test_on.iter().zip(found) {
                match votes[cell].iter_mut().find(|(known, _)| *known == label) {
                    Some(vote) => vote.1 += 1,
                    None => votes[cell].push((label, 1)),
                }
            }
        }
    }
    let (mut label, mut share) = (Vec::new(), Vec::new());
    for mut of_cell in votes {
        let all: usize = of_cell.iter().map(|(_, n)| n).sum();
        of_cell.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| collate(&a.0, &b.0)));
        let (first, n) = of_cell.into_iter().next().unwrap_or_default();
        label.push(first);
        share.push(n as f64 / all.max(1) as f64);
    }
    Ok(CrossValidated { label, votes: share, seeds })
}

/// The cells that train and those that are labelled, for one sample.
fn split(of: &[String], name: &str, scheme: Scheme) -> (Vec<usize>, Vec<usize>) {
    let (inside, outside): (Vec<usize>, Vec<usize>) = (0..of.len()).partition(|&cell| of[cell] == name);
    match scheme {
        Scheme::LeaveOneOut => (outside, inside),
        Scheme::TrainOnOne => (inside, outside),
    }
}

/// Random halves of the cells of each type and label, either way round.
fn halves(labels: &Labels<'_>, draws: &mut Draws) -> Vec<(Vec<usize>, Vec<usize>)> {
    let pairs: Vec<String> =
        labels.cell_type.iter().zip(labels.label).map(|(of, label)| format!("{of}\u{1f}{label}")).collect();
    let mut first = vec![false; pairs.len()];
    for pair in collate::sorted(&pairs) {
        let cells: Vec<usize> = (0..pairs.len()).filter(|&cell| pairs[cell] == pair).collect();
        draws.sample(cells.len(), cells.len() / 2).into_iter().for_each(|i| first[cells[i]] = true);
    }
    let (a, b): (Vec<usize>, Vec<usize>) = (0..pairs.len()).partition(|&cell| first[cell]);
    vec![(a.clone(), b.clone()), (b, a)]
}

#[expect(clippy::too_many_arguments, reason = "a split is what it is")]
fn label(
    run: &Run,
    x: &Expression,
    labels: &Labels<'_>,
    auto_log: bool,
    training: &TrainOptions,
    validation: &CrossValidation,
    seed: u64,
    train_on: &[usize],
    test_on: &[usize],
) -> Result<Vec<String>> {
    let pick =
        |column: &[String], cells: &[usize]| -> Vec<String> { cells.iter().map(|&c| column[c].clone()).collect() };
    let (types, names) = (pick(labels.cell_type, train_on), pick(labels.label, train_on));
    let samples = labels.sample.map(|of| pick(of, train_on));
    let part = Labels { cell_type: &types, label: &names, sample: samples.as_deref() };
    let options = TrainOptions { seed, ..*training };
    let trained = train(run, &mut x.take_cells(train_on), &part, auto_log, &options)?;
    let types = pick(labels.cell_type, test_on);
    Ok(recover(run, &x.take_cells(test_on), &types, &trained.models, auto_log, &validation.recover)?.label)
}
