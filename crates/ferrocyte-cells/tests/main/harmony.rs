//! Harmony from given start centres, cells in their own order, against the reference.

use ferrocyte_base::{Result, Run};
use ferrocyte_cells::harmony::{Harmony, HarmonyOptions, Ridge, harmony, lisi};
use ferrocyte_data::Factor;
use ferrocyte_learn::Points;
use ferrocyte_math::linalg::Matrix;

use crate::files::{Array, Case, assert_near, number, numbers};

fn start(case: &Case) -> (Array, Factor, Matrix) {
    let input = case.npz("harmony_input.npz");
    let batches = input.get("batch").indices();
    let factor = Factor::from_texts(batches.iter().map(|b| Some(b.to_string())));
    let y = input.get("Y0");
    let centres = Matrix::from_rows(y.shape[0], y.shape[1], y.values.clone()).transpose();
    (input.get("Z").clone(), factor, centres)
}

fn options(case: &Case, setting: &str, dynamic: bool, centres: Matrix) -> HarmonyOptions {
    let params = &case.json("metrics.json")["harmony_params"];
    let of = |name: &str| number(&params[setting][name]);
    let ridge =
        if dynamic { Ridge::Expected { alpha: number(&params["alpha"]), least_share: 0.0 } } else { Ridge::Fixed(1.0) };
    HarmonyOptions {
        theta: of("theta"),
        tau: of("tau"),
        max_iter: of("max_iter") as usize,
        max_iter_kmeans: of("max_iter_kmeans") as usize,
        sigma: number(&params["sigma"]),
        block_size: number(&params["block_size"]),
        eps_cluster: number(&params["eps_cluster"]),
        eps_harmony: number(&params["eps_harmony"]),
        ridge,
        shuffle: false,
        start: Some(centres),
        ..HarmonyOptions::default()
    }
}

/// Fails unless each column differs by at most `tolerance` of its largest size.
fn assert_columns(what: &str, found: &Matrix, expected: &Array, tolerance: f64) {
    for j in 0..found.n_cols() {
        let theirs = expected.column(j);
        let size = theirs.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        let ours: Vec<f64> = (0..found.n_rows()).map(|i| found[(i, j)]).collect();
        assert_near(&format!("{what}, column {j}"), &ours, &theirs, tolerance, tolerance * size);
    }
}

#[test]
fn from_given_centres_in_the_order_of_cells() -> Result<()> {
    for case in Case::with("harmony_input.npz") {
        let (z, batches, centres) = start(&case);
        let points = Points::new(&z.values, z.shape[0], z.shape[1])?;
        let metrics = case.json("metrics.json");
        for kind in ["fixed", "dynamic"] {
            for setting in ["1round", "1iter", "full", "theta1_tau5"] {
                let file = format!("harmony_{kind}_{setting}.npz");
                if !case.has(&file) {
                    continue;
                }
                let options = options(&case, setting, kind == "dynamic", centres.clone());
                let found = harmony(&Run::new(), points, &[&batches], &options)?;
                let expected = case.npz(&file);
                assert_columns(&format!("{file}: O"), &found.observed, expected.get("O"), 1e-6);
                assert_columns(&format!("{file}: E"), &found.expected, expected.get("E"), 1e-6);
                assert_columns(&format!("{file}: Z"), &found.corrected, expected.get("Z"), 1e-6);
                if let Some(r) = expected.find("R") {
                    let rows = r.shape[0] * r.shape[1];
                    assert_near("R", &found.memberships.entries()[..rows], &r.values, 1e-5, 1e-7);
                }
                let told = &metrics[format!("harmony_{kind}_{setting}")];
                assert_near("objective", &found.objective, &numbers(&told["objective_harmony"]), 1e-6, 0.0);
                let of_rounds = numbers(&told["objective_cluster"]);
                let shown = of_rounds.len().min(found.objective_of_rounds.len());
                assert_near("rounds", &found.objective_of_rounds[..shown], &of_rounds[..shown], 1e-6, 0.0);
                let rounds: Vec<f64> = found.rounds.iter().map(|&r| r as f64).collect();
                assert_eq!(rounds, numbers(&told["rounds"]), "{file}");
            }
        }
    }
    Ok(())
}

/// The nearest others of every row, by looking at all.
fn neighbours(z: &[f64], n: usize, m: usize) -> (Vec<u32>, Vec<f64>) {
    let d = z.len() / n;
    let (mut indices, mut distances) = (Vec::new(), Vec::new());
    for i in 0..n {
        let mut all: Vec<(f64, u32)> = (0..n)
            .filter(|&j| j != i)
            .map(|j| {
                let squares = (0..d).map(|c| (z[i * d + c] - z[j * d + c]).powi(2)).sum::<f64>();
                (squares.sqrt(), j as u32)
            })
            .collect();
        all.select_nth_unstable_by(m - 1, |a, b| a.0.total_cmp(&b.0));
        all.truncate(m);
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        indices.extend(all.iter().map(|a| a.1));
        distances.extend(all.iter().map(|a| a.0));
    }
    (indices, distances)
}

fn mean_lisi(z: &[f64], batches: &Factor) -> Result<(f64, Vec<f64>)> {
    const PERPLEXITY: f64 = 30.0;
    let m = 3 * PERPLEXITY as usize;
    let (indices, distances) = neighbours(z, batches.codes.len(), m);
    let values = lisi(&Run::new(), &indices, &distances, m, batches, PERPLEXITY)?;
    Ok((values.iter().sum::<f64>() / values.len() as f64, values))
}

#[test]
fn lisi_of_the_points_as_they_came() -> Result<()> {
    for case in Case::with("harmony_input.npz") {
        let (z, batches, _) = start(&case);
        let metrics = case.json("metrics.json");
        let (mean, values) = mean_lisi(&z.values, &batches)?;
        let some: Vec<f64> = values.iter().copied().step_by(20).collect();
        assert_near("lisi", &some, &numbers(&metrics["lisi_every_20th_before"]), 1e-4, 0.0);
        assert_near("ilisi", &[mean], &[number(&metrics["ilisi_before"])], 1e-5, 0.0);
    }
    Ok(())
}

fn correlations(found: &Harmony, expected: &Array) -> Vec<f64> {
    (0..found.corrected.n_cols())
        .map(|j| {
            let a: Vec<f64> = (0..found.corrected.n_rows()).map(|i| found.corrected[(i, j)]).collect();
            let b = expected.column(j);
            let n = a.len() as f64;
            let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
            let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(&b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
            sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
        })
        .collect()
}

#[test]
fn from_its_own_start_the_same_integration() -> Result<()> {
    for case in Case::with("harmony_input.npz") {
        let (z, batches, _) = start(&case);
        let points = Points::new(&z.values, z.shape[0], z.shape[1])?;
        let metrics = case.json("metrics.json");
        let clusters = number(&metrics["harmony_params"]["K"]) as usize;
        for (kind, ridge) in
            [("fixed", Ridge::Fixed(1.0)), ("dynamic", Ridge::Expected { alpha: 0.2, least_share: 1e-5 })]
        {
            let file = format!("harmony_{kind}_full.npz");
            if !case.has(&file) {
                continue;
            }
            for seed in 0..2 {
                let options = HarmonyOptions { n_clusters: Some(clusters), ridge, seed, ..HarmonyOptions::default() };
                let found = harmony(&Run::new(), points, &[&batches], &options)?;
                let least = correlations(&found, case.npz(&file).get("Z")).into_iter().fold(f64::INFINITY, f64::min);
                assert!(least >= 0.985, "{file}, seed {seed}: {least}");
                let (mixed, _) = mean_lisi(found.corrected.entries(), &batches)?;
                let theirs = number(&metrics["ilisi_reference"][kind]);
                assert!((mixed - theirs).abs() <= 0.03, "{file}, seed {seed}: iLISI {mixed}, expected {theirs}");
            }
        }
    }
    Ok(())
}
