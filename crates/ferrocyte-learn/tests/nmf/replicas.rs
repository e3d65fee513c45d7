//! A replica has the same bits beside any others, in any lane, on any number of threads.

use ferrocyte_base::Run;
use ferrocyte_learn::nmf::{
    Factorisation, Input, Job, Loss, Options, Precision, Rule, Solver, Start, Stop, Values, factorise, refit,
};
use ferrocyte_math::random::Stream;

use crate::golden::compressed;

/// Counts with planted programs, so that replicas stop at different iterations.
fn counts(n: usize, g: usize, programs: usize) -> Vec<f64> {
    let mut draws = Stream::new(11, 0);
    let spectra: Vec<f64> = (0..programs * g).map(|_| draws.exponential().powi(3)).collect();
    (0..n)
        .flat_map(|_| {
            let usage: Vec<f64> = (0..programs).map(|_| draws.exponential()).collect();
            (0..g)
                .map(|j| draws.poisson((0..programs).map(|t| 0.1 * usage[t] * spectra[t * g + j]).sum()).unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn same(a: &Factorisation, b: &Factorisation) {
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!((a.iterations, a.stop, a.objective.to_bits()), (b.iterations, b.stop, b.objective.to_bits()));
    assert_eq!((bits(&a.w), bits(&a.h)), (bits(&b.w), bits(&b.h)));
}

fn jobs(ks: &[usize], n: u32) -> Vec<Job<'static>> {
    let seeds = move |&components: &usize| (0..n).map(move |s| Job { components, start: Start::Random(s + 1) });
    ks.iter().flat_map(seeds).collect()
}

#[test]
fn bits_depend_neither_on_batch_nor_lane_nor_threads_nor_other_ranks() {
    let (n, g) = (300, 60);
    let dense = counts(n, g, 4);
    let x = Input::dense(Values::Double(&dense), n, g).unwrap();
    let losses = [
        Options { tolerance: 1e-3, max_iterations: 300, ..Options::default() },
        Options { tolerance: 1e-3, max_iterations: 300, precision: Precision::Single, ..Options::default() },
        Options { tolerance: 1e-3, max_iterations: 300, solver: Solver::Accelerated, ..Options::default() },
        Options {
            tolerance: 1e-3,
            max_iterations: 300,
            loss: Loss::KULLBACK_LEIBLER,
            solver: Solver::Multiplicative,
            ..Options::default()
        },
    ];
    for options in losses {
        let all = jobs(&[4, 3], 21);
        let run = Run::new().threads(1);
        let reference = factorise(&run, &x, &options, &all).unwrap();
        assert!(reference.iter().any(|f| f.iterations != reference[0].iterations), "all stop together");
        for threads in [2, 4] {
            let found = factorise(&Run::new().threads(threads), &x, &options, &all).unwrap();
            reference.iter().zip(&found).for_each(|(a, b)| same(a, b));
        }
        // Alone, as a pair, and in another order.
        for at in [0, 20, 25] {
            same(&reference[at], &factorise(&run, &x, &options, &all[at..=at]).unwrap()[0]);
        }
        same(&reference[1], &factorise(&run, &x, &options, &all[..2]).unwrap()[1]);
        let mut turned = all.clone();
        turned.reverse();
        let found = factorise(&run, &x, &options, &turned).unwrap();
        reference.iter().zip(found.iter().rev()).for_each(|(a, b)| same(a, b));
    }
}

#[test]
fn several_shares_of_rows_give_the_same_bits_on_any_threads() {
    let (n, g) = (20_000, 12);
    let dense = counts(n, g, 3);
    let x = Input::dense(Values::Double(&dense), n, g).unwrap();
    let options = Options { max_iterations: 12, ..Options::default() };
    let reference = factorise(&Run::new().threads(1), &x, &options, &jobs(&[3], 2)).unwrap();
    let found = factorise(&Run::new().threads(4), &x, &options, &jobs(&[3], 5)).unwrap();
    reference.iter().zip(&found).for_each(|(a, b)| same(a, b));
    assert_eq!(reference[0].stop, Stop::Limit);
}

#[test]
fn several_sweeps_need_fewer_passes_and_end_as_low() {
    let (n, g) = (400, 60);
    let dense = counts(n, g, 4);
    let x = Input::dense(Values::Double(&dense), n, g).unwrap();
    let fit = |solver| {
        let options = Options { solver, tolerance: 1e-5, ..Options::default() };
        factorise(&Run::new(), &x, &options, &jobs(&[4], 8)).unwrap()
    };
    let (plain, quick) = (fit(Solver::CoordinateDescent), fit(Solver::Accelerated));
    let passes = |found: &[Factorisation]| found.iter().map(|f| f.iterations).sum::<usize>();
    let best = |found: &[Factorisation]| found.iter().map(|f| f.objective).fold(f64::INFINITY, f64::min);
    assert!(passes(&quick) * 5 < passes(&plain) * 4, "{} and {}", passes(&quick), passes(&plain));
    assert!((best(&quick) / best(&plain) - 1.0).abs() < 1e-4);
}

#[test]
fn a_fixed_w_is_the_transposed_problem() {
    let (n, g, k) = (50, 30, 3);
    let dense = counts(n, g, k);
    let x = Input::dense(Values::Double(&dense), n, g).unwrap();
    let found = factorise(&Run::new(), &x, &Options::default(), &jobs(&[k], 1)).unwrap().remove(0);
    let turned: Vec<f64> = (0..k * n).map(|at| found.w[at % n * k + at / n]).collect();
    let refitted = refit(&Run::new(), &x.transposed(), &turned, k, &Options::default(), Rule::Exact).unwrap();
    assert!(refitted.w.len() == g * k && refitted.objective <= found.objective);
    assert!(refitted.objective > 0.999 * found.objective);
}

#[test]
fn layouts_give_the_same_bits() {
    let (n, g) = (60, 40);
    let dense = counts(n, g, 3);
    let (starts, indices, values) = compressed(&dense, g);
    let turned: Vec<f64> = (0..n * g).map(|at| dense[at % n * g + at / n]).collect();
    let (column_starts, rows, by_columns) = compressed(&turned, n);
    let inputs = [
        Input::dense(Values::Double(&dense), n, g),
        Input::rows(&starts, &indices, Values::Double(&values), n, g),
        Input::columns(&column_starts, &rows, Values::Double(&by_columns), n, g),
    ];
    let found: Vec<Factorisation> = inputs
        .iter()
        .map(|x| factorise(&Run::new(), x.as_ref().unwrap(), &Options::default(), &jobs(&[3], 1)).unwrap().remove(0))
        .collect();
    same(&found[0], &found[1]);
    same(&found[0], &found[2]);
}

#[test]
fn what_has_no_factors_is_refused() {
    let x = Input::dense(Values::Double(&[1.0, 2.0, 3.0, 4.0]), 2, 2).unwrap();
    let run = Run::new();
    let attempt = |start, components| factorise(&run, &x, &Options::default(), &[Job { components, start }]);
    assert!(attempt(Start::Random(1), 0).is_err_and(|f| f.message().contains("no components")));
    assert!(attempt(Start::Nndsvd, 3).is_err_and(|f| f.way_out().is_some_and(|h| h.contains("random"))));
    assert!(attempt(Start::Given { w: &[1.0; 3], h: &[1.0; 2] }, 1).is_err());
    assert!(attempt(Start::Given { w: &[f64::NAN; 2], h: &[1.0; 2] }, 1).is_err());
}

#[test]
fn a_matrix_of_zeros_ends_at_once_with_zeros() {
    let x = Input::dense(Values::Double(&[0.0; 12]), 4, 3).unwrap();
    for solver in [Solver::CoordinateDescent, Solver::Multiplicative] {
        let options = Options { solver, ..Options::default() };
        let found = factorise(&Run::new(), &x, &options, &jobs(&[2], 1)).unwrap();
        assert!(found[0].w.iter().chain(&found[0].h).all(|x| *x == 0.0));
        assert_eq!(found[0].objective, 0.0);
        assert_eq!(found[0].stop, Stop::Stationary);
    }
}
