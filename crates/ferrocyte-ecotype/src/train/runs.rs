//! [`Runs`]: the models of the draws of an ensemble, all of them or the share of one machine.
//!
//! A share knows the seeds of the whole ensemble, its options, and a fingerprint of cells and labels. Shares of one
//! ensemble are put together by [`Runs::merge_all`], which refuses gaps, runs that are there twice, and strangers, by
//! name; what comes out agrees to the bit with runs that were all made in one place.

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_data::Part;

use super::ensemble::{Ensemble, EnsembleOptions, OfType};
use super::origin::origin;
use super::runs_part;
use super::{Labels, Mode, Skipped, TrainOptions, eligible};
use crate::expression::Expression;

/// Models of draws of the same cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Runs {
    /// The seeds of all runs of the ensemble, those elsewhere included.
    pub seeds: Vec<u64>,
    /// Which of them are here, rising, counted from 0.
    pub numbers: Vec<usize>,
    /// Whose arithmetic it is.
    pub mode: Mode,
    /// What decides the models, by name: options, and fingerprints of cells and labels.
    pub origin: Vec<(String, String)>,
    /// Types that have too few labelled cells.
    pub skipped: Vec<Skipped>,
    /// Whether values were taken for counts, and logarithms taken.
    pub logged: bool,
    /// The runs of each type, types sorted.
    pub(super) types: Vec<OfType>,
}

/// The share of one of several machines: every `of`-th run from its own number on.
///
/// # Errors
/// A number that is not from 1 to `of`.
pub fn share(n_runs: usize, number: usize, of: usize) -> Result<Vec<usize>> {
    if number == 0 || number > of {
        let message = format!("shares are numbered from 1 to {of}, found {number}");
        return Err(Fault::bad_input(message).at("run"));
    }
    Ok((number - 1..n_runs).step_by(of).collect())
}

/// Trains a model of each cell type for some of the seeds of an ensemble, given by their places.
///
/// # Errors
/// As [`super::train_ensemble`], and a place beyond the seeds.
pub fn train_runs(
    run: &Run,
    x: &mut Expression,
    labels: &Labels<'_>,
    auto_log: bool,
    options: &TrainOptions,
    seeds: Vec<u64>,
    numbers: Vec<usize>,
) -> Result<Runs> {
    options.check()?;
    labels.check(x.n_cells())?;
    let logged = auto_log && x.auto_log();
    let (types, skipped) = eligible(labels, options.min_cells);
    let mut here = Vec::with_capacity(numbers.len());
    for &number in &numbers {
        let seed = seeds.get(number).ok_or_else(|| {
            Fault::bad_input(format!("there are {} runs, number {} was asked for", seeds.len(), number + 1)).at("run")
        })?;
        here.push(*seed);
    }
    let types = types.iter().map(|of| OfType::train(run, x, labels, of, options, &here)).collect::<Result<Vec<_>>>()?;
    let origin = origin(x, labels, options, logged);
    Ok(Runs { seeds, numbers, mode: options.mode, origin, skipped, logged, types })
}

impl Runs {
    /// Shares of one ensemble, with their places (files) for messages, as a whole.
    ///
    /// # Errors
    /// No share; shares of other cells, labels, options or seeds; a run that is in two shares; runs that are in none.
    pub fn merge_all(shares: Vec<(String, Self)>) -> Result<Self> {
        let mut shares = shares.into_iter();
        let Some((first, mut whole)) = shares.next() else {
            return Err(Fault::bad_input("there is no share to merge").at("merge"));
        };
        // The place of each run. A share of more than there are runs has none.
        let mut places = vec![first.clone(); whole.numbers.len()];
        for (place, share) in shares {
            whole.check_alike(&share, &first).map_err(|fault| fault.at(place.clone()))?;
            if let Some(twice) = share.numbers.iter().find_map(|n| whole.numbers.iter().position(|m| m == n)) {
                let message = format!("run {} is in `{}` too", whole.numbers[twice] + 1, places[twice]);
                return Err(Fault::bad_input(message).at(place).hint("give every share once"));
            }
            places.extend(std::iter::repeat_n(place, share.numbers.len()));
            whole.numbers.extend(share.numbers);
            for (of, more) in whole.types.iter_mut().zip(share.types) {
                of.made.extend(more.made);
            }
        }
        whole.refuse_gaps()?;
        whole.sort();
        Ok(whole)
    }

    /// What all runs agree on.
    ///
    /// # Errors
    /// Runs that are missing, and what [`super::train_ensemble`] refuses.
    pub fn agree(self, options: &EnsembleOptions) -> Result<Ensemble> {
        self.refuse_gaps()?;
        let mut out = Ensemble::begin(self.skipped, self.logged, self.seeds.len(), options)?;
        self.types.into_iter().try_for_each(|of| out.add(of, self.mode, options))?;
        Ok(out)
    }

    /// What to know before believing the models.
    pub fn warnings(&self) -> Vec<String> {
        self.types.iter().flat_map(OfType::warnings).collect()
    }

    /// As a part, for a file or the way to another machine.
    pub fn to_part(&self) -> Part {
        runs_part::to_part(self)
    }

    /// From a part.
    ///
    /// # Errors
    /// A part of another kind, of a later layout, or damaged.
    pub fn from_part(part: &Part) -> Result<Self> {
        runs_part::from_part(part)
    }

    fn check_alike(&self, other: &Self, here: &str) -> Result<()> {
        let stranger = |message: String| {
            Fault::bad_input(message).hint("shares of one ensemble have the same cells, labels, options and seeds")
        };
        for ((name, mine), (_, theirs)) in self.origin.iter().zip(&other.origin) {
            if mine != theirs {
                return Err(stranger(format!("{name} differs: `{theirs}`, but `{mine}` in `{here}`")));
            }
        }
        let names = |of: &Self| of.types.iter().map(|of| of.cell_type.clone()).collect::<Vec<_>>();
        if self.seeds != other.seeds {
            let told = |of: &Self| format!("{} seeds from {}", of.seeds.len(), of.seeds.first().unwrap_or(&0));
            return Err(stranger(format!("the seeds differ: {}, but {} in `{here}`", told(other), told(self))));
        }
        if names(self) != names(other) {
            return Err(stranger(format!("cell types differ: {}", listing(&names(other), 5))));
        }
        Ok(())
    }

    fn refuse_gaps(&self) -> Result<()> {
        let missing: Vec<String> =
            (0..self.seeds.len()).filter(|n| !self.numbers.contains(n)).map(|n| (n + 1).to_string()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message =
            format!("{} of {} runs are in no share: {}", missing.len(), self.seeds.len(), listing(&missing, 10));
        Err(Fault::missing(message).at("merge").hint("give the shares that have them too"))
    }

    /// Brings runs into the order of their numbers.
    fn sort(&mut self) {
        let mut order: Vec<usize> = (0..self.numbers.len()).collect();
        order.sort_by_key(|&at| self.numbers[at]);
        self.numbers.sort_unstable();
        for of in &mut self.types {
            let mut made: Vec<_> = std::mem::take(&mut of.made).into_iter().map(Some).collect();
            of.made = order.iter().filter_map(|&at| made[at].take()).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::train_ensemble;

    /// Two types in two ecotypes.
    fn cells() -> Result<(Expression, Vec<String>, Vec<String>)> {
        let names = |prefix: &str, n: usize| (0..n).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>();
        let value =
            |i: usize, g: usize| ((i * 31 + g * 17 + i * g) % 11) as f64 + if g % 4 == i % 4 { 6.0 } else { 0.0 };
        let rows: Vec<Vec<f64>> = (0..240).map(|i| (0..16).map(|g| value(i, g)).collect()).collect();
        let x = Expression::from_rows(names("c", 240), names("g", 16), &rows)?;
        let cell_type = (0..240).map(|i| if i % 2 == 0 { "B" } else { "T" }.to_owned()).collect();
        let label = (0..240).map(|i| if i % 4 < 2 { "SE1" } else { "SE2" }.to_owned()).collect();
        Ok((x, cell_type, label))
    }

    fn made(seed: u64, numbers: Vec<usize>) -> Result<Runs> {
        let (mut x, cell_type, label) = cells()?;
        let labels = Labels { cell_type: &cell_type, label: &label, sample: None };
        let options = TrainOptions { downsample: 80, seed, ..TrainOptions::default() };
        train_runs(&Run::new(), &mut x, &labels, true, &options, (seed..seed + 6).collect(), numbers)
    }

    fn named(shares: Vec<Runs>) -> Vec<(String, Runs)> {
        shares.into_iter().enumerate().map(|(i, share)| (format!("share{i}.npz"), share)).collect()
    }

    #[test]
    fn shares_are_disjoint_and_complete() -> Result<()> {
        let mut all: Vec<usize> = (1..=4).map(|i| share(6, i, 4)).collect::<Result<Vec<_>>>()?.concat();
        all.sort_unstable();
        assert_eq!(all, (0..6).collect::<Vec<_>>());
        assert!(share(6, 0, 4).is_err() && share(6, 5, 4).is_err());
        Ok(())
    }

    #[test]
    fn shares_on_their_way_through_files_make_the_ensemble_of_one_machine() -> Result<()> {
        let (mut x, cell_type, label) = cells()?;
        let labels = Labels { cell_type: &cell_type, label: &label, sample: None };
        let options = TrainOptions { downsample: 80, seed: 5, ..TrainOptions::default() };
        let ensemble = EnsembleOptions { seeds: (5..11).collect(), keep_runs: true, ..EnsembleOptions::default() };
        let expected = train_ensemble(&Run::new(), &mut x, &labels, true, &options, &ensemble)?;
        let shares =
            (1..=4).rev().map(|i| Runs::from_part(&made(5, share(6, i, 4)?)?.to_part())).collect::<Result<Vec<_>>>()?;
        assert_eq!(Runs::merge_all(named(shares))?.agree(&ensemble)?, expected);
        Ok(())
    }

    #[test]
    fn gaps_repeats_and_strangers_are_refused_by_name() -> Result<()> {
        let of = |i| made(5, share(6, i, 3)?);
        let refused =
            |shares: Vec<Runs>| Runs::merge_all(named(shares)).err().map(|f| f.to_string()).unwrap_or_default();
        let gap = refused(vec![of(1)?, of(3)?]);
        assert!(gap.contains("2 of 6 runs are in no share: `2`, `5`"), "{gap}");
        let twice = refused(vec![of(1)?, of(2)?, of(2)?, of(3)?]);
        assert!(twice.contains("run 2 is in `share1.npz` too"), "{twice}");
        let stranger = refused(vec![of(1)?, made(6, share(6, 2, 3)?)?]);
        assert!(stranger.starts_with("share1.npz: the seeds differ"), "{stranger}");
        let mut other = of(2)?;
        other.origin[0].1 = "compat".to_owned();
        assert!(refused(vec![of(1)?, other]).contains("mode differs: `compat`, but `exact` in `share0.npz`"));
        assert!(of(1)?.agree(&EnsembleOptions::default()).is_err() && Runs::merge_all(Vec::new()).is_err());
        Ok(())
    }
}
