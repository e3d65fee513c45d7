//! [`Prepared`]: a matrix laid out for factorisation, once for any number of calls, and [`Portions`], which makes one
//! from rows as they are read.

use std::sync::Mutex;

use ferrocyte_base::{Fault, Result, Run};

use super::batch;
use super::input::{Input, Values};
use super::tiles::{Builder, Tiles};
use super::{Factorisation, Job, Options, Precision};

/// A matrix laid out in one precision. Counts, and counts over one number for each column, take about five bytes for each
/// value that is not 0.
#[derive(Debug)]
pub struct Prepared(pub(super) Store);

/// The tiles of either precision.
#[derive(Debug)]
pub(super) enum Store {
    Double(Tiles<f64>),
    Single(Tiles<f32>),
}

/// Runs an expression with the tiles of either precision.
macro_rules! with_tiles {
    ($prepared:expr, $tiles:ident => $body:expr) => {
        match &$prepared.0 {
            $crate::nmf::prepared::Store::Double($tiles) => $body,
            $crate::nmf::prepared::Store::Single($tiles) => $body,
        }
    };
}
pub(super) use with_tiles;

impl Prepared {
    /// Lays a matrix out.
    pub fn new(input: &Input, precision: Precision) -> Self {
        Self(match precision {
            Precision::Double => Store::Double(Tiles::new(input)),
            Precision::Single => Store::Single(Tiles::new(input)),
        })
    }

    /// How many rows there are.
    pub fn n(&self) -> usize {
        with_tiles!(self, tiles => tiles.n)
    }

    /// How many columns there are.
    pub fn g(&self) -> usize {
        with_tiles!(self, tiles => tiles.g)
    }

    /// How many values are not 0.
    pub fn n_values(&self) -> usize {
        with_tiles!(self, tiles => tiles.n_values)
    }

    /// The mean of all entries, zeros too.
    pub fn mean(&self) -> f64 {
        with_tiles!(self, tiles => tiles.mean())
    }

    /// The sum of the squares of all entries.
    pub fn squares(&self) -> f64 {
        with_tiles!(self, tiles => tiles.squares)
    }

    /// In which precision it is laid out.
    pub fn precision(&self) -> Precision {
        match self.0 {
            Store::Double(_) => Precision::Double,
            Store::Single(_) => Precision::Single,
        }
    }

    /// Factorises from each of the given starts, as [`factorise`](super::factorise) does, and hands each result, with the
    /// number of its job, to `done` as soon as it is there: in no certain order, and from any thread of the run.
    ///
    /// A fault of `done` ends the work.
    ///
    /// # Errors
    /// Those of [`factorise`](super::factorise), options of another precision, and those of `done`.
    pub fn factorise_each(
        &self,
        run: &Run,
        options: &Options,
        jobs: &[Job],
        done: impl Fn(usize, Factorisation) -> Result<()> + Sync,
    ) -> Result<()> {
        self.check(options)?;
        if with_tiles!(self, tiles => tiles.rows_only) {
            let message = "the matrix was laid out for refits only";
            return Err(Fault::bad_input(message).hint("lay it out with Portions::new"));
        }
        if let Some(at) = jobs.iter().position(|job| job.components == 0) {
            let message = format!("job {at} has no components, at least 1 is needed");
            return Err(Fault::bad_input(message).at("components"));
        }
        match &self.0 {
            Store::Double(tiles) => batch::all::<f64, 8>(run, tiles, options, jobs, &done),
            Store::Single(tiles) => batch::all::<f32, 16>(run, tiles, options, jobs, &done),
        }
    }

    /// All results of [`Prepared::factorise_each`], in the order of the jobs.
    ///
    /// # Errors
    /// Those of [`Prepared::factorise_each`].
    pub fn factorise(&self, run: &Run, options: &Options, jobs: &[Job]) -> Result<Vec<Factorisation>> {
        let lost = || Fault::internal("a factorisation was lost");
        let found: Vec<Mutex<Option<Factorisation>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
        self.factorise_each(run, options, jobs, |at, one| {
            *found[at].lock().map_err(|_| lost())? = Some(one);
            Ok(())
        })?;
        found.into_iter().map(|one| one.into_inner().ok().flatten().ok_or_else(lost)).collect()
    }

    /// Refuses options that cannot be, for this matrix.
    pub(super) fn check(&self, options: &Options) -> Result<()> {
        if options.precision != self.precision() {
            let (asked, have) = (options.precision.word(), self.precision().word());
            let message = format!("the matrix was prepared in {have} precision, {asked} precision was asked");
            return Err(Fault::bad_input(message).at("precision"));
        }
        options.check(self.n(), self.g(), self.n_values())
    }
}

/// Makes a [`Prepared`] matrix from portions of its rows.
#[derive(Debug)]
pub struct Portions(Growing);

#[derive(Debug)]
enum Growing {
    Double(Builder<f64>),
    Single(Builder<f32>),
}

impl Portions {
    /// For a matrix of `g` columns.
    pub fn new(g: usize, precision: Precision) -> Self {
        Self(match precision {
            Precision::Double => Growing::Double(Builder::new(g, false)),
            Precision::Single => Growing::Single(Builder::new(g, false)),
        })
    }

    /// For a matrix of `g` columns of which only usages of fixed spectra are wanted ([`Prepared::refit`]): half the
    /// memory.
    pub fn for_refits(g: usize, precision: Precision) -> Self {
        Self(match precision {
            Precision::Double => Growing::Double(Builder::new(g, true)),
            Precision::Single => Growing::Single(Builder::new(g, true)),
        })
    }

    /// Adds compressed rows: the values of row `i` of the portion and their columns stand at `starts[i]..starts[i + 1]`.
    ///
    /// # Errors
    /// Those of [`Input::rows`]; rows are counted from the first of all portions.
    pub fn add(&mut self, starts: &[usize], columns: &[u32], values: Values) -> Result<()> {
        match &mut self.0 {
            Growing::Double(builder) => builder.rows(starts, columns, values),
            Growing::Single(builder) => builder.rows(starts, columns, values),
        }
    }

    /// Adds the rows of a matrix of as many columns, in whatever layout.
    ///
    /// # Errors
    /// Another number of columns.
    pub fn add_rows_of(&mut self, input: &Input) -> Result<()> {
        let g = match &self.0 {
            Growing::Double(builder) => builder.g(),
            Growing::Single(builder) => builder.g(),
        };
        if input.g() != g {
            return Err(Fault::bad_input(format!("rows of {g} columns were expected, found {}", input.g())));
        }
        input.each_row(|columns, values| match &mut self.0 {
            Growing::Double(builder) => builder.row(columns, values),
            Growing::Single(builder) => builder.row(columns, values),
        });
        Ok(())
    }

    /// The matrix of all rows that were added.
    pub fn finish(self) -> Prepared {
        Prepared(match self.0 {
            Growing::Double(builder) => Store::Double(builder.finish()),
            Growing::Single(builder) => Store::Single(builder.finish()),
        })
    }
}

/// [`factorise`], handing each factorisation on as it ends, with the number of its job, from any thread and in any order.
///
/// For many jobs on a large matrix, whose W would not all fit the memory. What `each` cannot do ends the work.
///
/// # Errors
/// As [`factorise`], and those of `each`.
pub fn factorise_each(
    run: &Run,
    input: &Input,
    options: &Options,
    jobs: &[Job],
    each: &(dyn Fn(usize, Factorisation) -> Result<()> + Sync),
) -> Result<()> {
    Prepared::new(input, options.precision).factorise_each(run, options, jobs, each)
}

/// Factorises a matrix from each of the given starts; results stand in the order of the jobs.
///
/// Replicas are iterated together, in the lanes of vector registers; one that has stopped leaves its lane to the next, of
/// its rank or a lower one. Batches go to the threads of the run.
///
/// # Errors
/// Options, ranks or starts that cannot be, a matrix without rows or columns, factors that do not fit the memory of the
/// run, and the wish to stop.
pub fn factorise(run: &Run, input: &Input, options: &Options, jobs: &[Job]) -> Result<Vec<Factorisation>> {
    Prepared::new(input, options.precision).factorise(run, options, jobs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nmf::{Loss, Rule, Start};

    #[test]
    fn portions_are_the_matrix_and_name_their_rows() -> Result<()> {
        let values: Vec<f64> = (0..30).map(|x| f64::from(x % 4)).collect();
        let columns: Vec<u32> = (0..30).map(|at| at % 3).collect();
        let starts = [0, 3, 6, 9, 12, 15];
        let mut portions = Portions::new(3, Precision::Double);
        portions.add(&starts, &columns[..15], Values::Double(&values[..15]))?;
        portions.add(&starts, &columns[15..], Values::Double(&values[15..]))?;
        let bad = portions.add(&[0, 1], &[2], Values::Double(&[-1.0]));
        assert!(bad.is_err_and(|f| f.message().contains("row 10, column 2")));
        let prepared = portions.finish();
        let whole = Prepared::new(&Input::dense(Values::Double(&values), 10, 3)?, Precision::Double);
        assert_eq!((prepared.n(), prepared.g(), prepared.n_values()), (10, 3, whole.n_values()));
        let (jobs, options) = ([Job { components: 2, start: Start::Random(3) }], Options::default());
        let fit = |p: &Prepared| p.factorise(&Run::new(), &options, &jobs);
        assert_eq!(fit(&prepared)?, fit(&whole)?);
        let single = Options { precision: Precision::Single, ..options };
        assert!(prepared.factorise(&Run::new(), &single, &jobs).is_err_and(|f| f.place() == Some("precision")));
        Ok(())
    }

    #[test]
    fn a_layout_for_refits_gives_the_same_usages() -> Result<()> {
        let values: Vec<f64> = (0..3000).map(|x| f64::from(x * 7 % 5) / f64::from(1 + x % 10)).collect();
        let input = Input::dense(Values::Double(&values), 300, 10)?;
        let mut half = Portions::for_refits(10, Precision::Double);
        half.add_rows_of(&input)?;
        assert!(half.add_rows_of(&input.transposed()).is_err());
        let (half, whole) = (half.finish(), Prepared::new(&input, Precision::Double));
        let h: Vec<f64> = (0..30).map(|t| f64::from(t * 13 % 7)).collect();
        for loss in [Loss::FROBENIUS, Loss::KULLBACK_LEIBLER, Loss::from_word("1.5")?] {
            let solver = super::super::solver_of("auto", loss)?;
            let options = Options { loss, solver, ..Options::default() };
            for rule in [Rule::Peer, Rule::Exact] {
                let fit = |p: &Prepared| p.refit(&Run::new(), &h, 3, &options, rule);
                let (a, b) = (fit(&half)?, fit(&whole)?);
                assert_eq!((&a.w, a.iterations, a.stop), (&b.w, b.iterations, b.stop));
                assert!((a.objective - b.objective).abs() < 1e-12 * b.objective);
            }
        }
        let jobs = [Job { components: 2, start: Start::Random(3) }];
        assert!(half.factorise(&Run::new(), &Options::default(), &jobs).is_err());
        Ok(())
    }

    #[test]
    fn results_are_handed_out_and_a_fault_of_the_taker_ends_the_work() -> Result<()> {
        let values: Vec<f64> = (0..60).map(|x| f64::from(x * 7 % 11)).collect();
        let prepared = Prepared::new(&Input::dense(Values::Double(&values), 12, 5)?, Precision::Double);
        let jobs: Vec<Job> =
            (0..40).map(|s| Job { components: 1 + s % 3, start: Start::Random(s as u32 + 1) }).collect();
        let (run, options) = (Run::new().threads(2), Options::default());
        let all = prepared.factorise(&run, &options, &jobs)?;
        let seen = Mutex::new(vec![0; jobs.len()]);
        prepared.factorise_each(&run, &options, &jobs, |at, one| {
            assert_eq!(one, all[at]);
            if let Ok(mut seen) = seen.lock() {
                seen[at] += 1;
            }
            Ok(())
        })?;
        assert!(seen.into_inner().is_ok_and(|seen| seen.iter().all(|n| *n == 1)));
        let full = |at: usize, _| if at == 7 { Err(Fault::bad_file("the disk is full")) } else { Ok(()) };
        let ended = prepared.factorise_each(&run, &options, &jobs, full);
        assert!(ended.is_err_and(|f| f.message().contains("disk")));
        Ok(())
    }

    #[test]
    fn scarce_memory_changes_no_bits() -> Result<()> {
        let values: Vec<f64> = (0..4000).map(|x| f64::from(x * 7 % 11)).collect();
        let input = Input::dense(Values::Double(&values), 400, 10)?;
        let jobs: Vec<Job> = (0..12).map(|s| Job { components: 3, start: Start::Random(s + 1) }).collect();
        let options = Options { max_iterations: 20, ..Options::default() };
        let fit = |bytes: u64| factorise(&Run::new().memory(bytes), &input, &options, &jobs);
        let whole = fit(1 << 30)?;
        assert_eq!(whole, fit(150_000)?);
        assert_eq!(whole, fit(20_000)?);
        assert!(fit(1000).is_err_and(|f| f.kind() == ferrocyte_base::Kind::TooLarge));
        Ok(())
    }
}
