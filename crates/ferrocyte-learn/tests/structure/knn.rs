//! Nearest neighbours.

use std::sync::{Arc, Mutex};

use ferrocyte_base::{Level, Monitor, Run};
use ferrocyte_learn::{KnnOptions, Metric, Neighbours, Points, Search, nearest, of_nearest};
use ferrocyte_math::random::Stream;
use ferrocyte_testkit::assert_same_bits_over_runs;

use crate::{clusters, npz};

/// All distances, sorted: the definition.
fn brute(values: &[f64], d: usize, k: usize, metric: Metric) -> Neighbours {
    let n = values.len() / d;
    let row = |i: usize| &values[i * d..(i + 1) * d];
    let mean = |x: &[f64]| x.iter().sum::<f64>() / d as f64;
    let cosine = |x: &[f64], y: &[f64]| {
        let sum = |f: &dyn Fn(usize) -> f64| (0..d).map(f).sum::<f64>();
        1.0 - sum(&|t| x[t] * y[t]) / (sum(&|t| x[t] * x[t]) * sum(&|t| y[t] * y[t])).sqrt()
    };
    let centred = |x: &[f64]| x.iter().map(|v| v - mean(x)).collect::<Vec<f64>>();
    let distance = |x: &[f64], y: &[f64]| match metric {
        Metric::Euclidean => x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
        Metric::Manhattan => x.iter().zip(y).map(|(a, b)| (a - b).abs()).sum(),
        Metric::Cosine => cosine(x, y).max(0.0),
        Metric::Correlation => cosine(&centred(x), &centred(y)).max(0.0),
    };
    let (mut indices, mut distances) = (Vec::new(), Vec::new());
    for i in 0..n {
        let mut all: Vec<(f64, usize)> = (0..n).filter(|j| *j != i).map(|j| (distance(row(i), row(j)), j)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        indices.push(i as u32);
        distances.push(0.0);
        indices.extend(all[..k - 1].iter().map(|x| x.1 as u32));
        distances.extend(all[..k - 1].iter().map(|x| x.0));
    }
    Neighbours::new(indices, distances, k).unwrap()
}

fn options(k: usize, metric: Metric, search: Search) -> KnnOptions {
    KnnOptions { k, metric, search, ..KnnOptions::default() }
}

/// The share of `truth` that is in `found`, the points themselves not counted.
fn recall(found: &Neighbours, truth: &Neighbours) -> f64 {
    let hits: usize =
        (0..truth.n()).map(|i| truth.row(i)[1..].iter().filter(|j| found.row(i).contains(j)).count()).sum();
    hits as f64 / (truth.n() * (truth.k() - 1)) as f64
}

#[test]
fn exact_neighbours_are_those_of_brute_force_by_every_metric() {
    let run = Run::new().threads(2);
    for (n, d, k) in [(1, 3, 1), (2, 1, 2), (40, 1, 7), (150, 3, 150), (300, 9, 15), (1300, 17, 30)] {
        let values = clusters(n as u64, n, d, 4);
        for metric in [Metric::Euclidean, Metric::Manhattan, Metric::Cosine, Metric::Correlation] {
            // The angles of rows of one or two numbers all tie.
            if d < 3 && matches!(metric, Metric::Cosine | Metric::Correlation) {
                continue;
            }
            let found = nearest(&run, Points::new(&values, n, d).unwrap(), &options(k, metric, Search::Exact)).unwrap();
            let truth = brute(&values, d, k, metric);
            assert_eq!(found.indices(), truth.indices(), "{metric:?}, {n} points");
            for (a, b) in found.distances().iter().zip(truth.distances()) {
                assert!((a - b).abs() <= 1e-12 * b + 1e-15, "{metric:?}: {a} {b}");
            }
        }
    }
}

#[test]
fn duplicates_come_by_index_and_never_before_the_point_itself() {
    // Whole numbers: many equal distances, which single precision must not decide.
    let mut draws = Stream::new(3, 0);
    let values: Vec<f64> = (0..700 * 2).map(|_| 1e6 + draws.below(6) as f64).collect();
    for search in [Search::Exact, Search::Approximate] {
        let points = Points::new(&values, 700, 2).unwrap();
        let wanted = KnnOptions { recall: 1.0, ..options(25, Metric::Euclidean, search) };
        let found = nearest(&Run::new().threads(1), points, &wanted).unwrap();
        let truth = brute(&values, 2, 25, Metric::Euclidean);
        assert_eq!(found.distances(), truth.distances(), "{search:?}");
        if search == Search::Exact {
            assert_eq!(found.indices(), truth.indices());
        }
        assert!((0..700).all(|i| found.row(i)[0] == i as u32));
    }
}

#[test]
fn points_far_from_the_origin_keep_their_neighbours() {
    let near = clusters(5, 500, 6, 3);
    let far: Vec<f64> = near.iter().map(|x| x + 1e9).collect();
    let points = Points::new(&far, 500, 6).unwrap();
    let found = nearest(&Run::new().threads(1), points, &options(10, Metric::Euclidean, Search::Exact)).unwrap();
    assert_eq!(found.indices(), brute(&far, 6, 10, Metric::Euclidean).indices());
}

#[test]
fn the_approximate_search_finds_what_it_promises() {
    let run = Run::new().threads(2);
    for (n, d, k, seed) in [(4000, 20, 15, 1), (4000, 40, 100, 2), (6000, 5, 15, 3)] {
        let values = clusters(seed, n, d, 12);
        let points = Points::new(&values, n, d).unwrap();
        let truth = nearest(&run, points, &options(k, Metric::Euclidean, Search::Exact)).unwrap();
        let found = nearest(&run, points, &options(k, Metric::Euclidean, Search::Approximate)).unwrap();
        let (reached, told) = (recall(&found, &truth), found.recall().unwrap());
        assert!(reached >= 0.99, "{n} x {d}, k = {k}: recall {reached}");
        assert!((reached - told).abs() < 0.005, "recall {reached}, told {told}");
        assert!(truth.recall().is_none());
    }
    for n in [1, 2, 9, 40] {
        let values = clusters(4, n, 3, 2);
        let points = Points::new(&values, n, 3).unwrap();
        let k = n.div_ceil(2);
        let truth = nearest(&run, points, &options(k, Metric::Euclidean, Search::Exact)).unwrap();
        let found = nearest(&run, points, &options(k, Metric::Euclidean, Search::Approximate)).unwrap();
        assert_eq!(found.indices().len(), truth.indices().len());
        assert!(k == 1 || recall(&found, &truth) >= 0.99);
    }
    // Angles, and distances that have no cells.
    let values = clusters(9, 3000, 12, 6);
    let points = Points::new(&values, 3000, 12).unwrap();
    for metric in [Metric::Cosine, Metric::Correlation, Metric::Manhattan] {
        let truth = nearest(&run, points, &options(15, metric, Search::Exact)).unwrap();
        let found = nearest(&run, points, &options(15, metric, Search::Approximate)).unwrap();
        assert!(recall(&found, &truth) >= 0.99, "{metric:?}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_neighbours() {
    let values = clusters(7, 2500, 10, 8);
    for search in [Search::Exact, Search::Approximate] {
        assert_same_bits_over_runs(
            |run| nearest(run, Points::new(&values, 2500, 10)?, &options(15, Metric::Euclidean, search)),
            |found| found.indices().iter().map(|i| f64::from(*i)).chain(found.distances().iter().copied()).collect(),
        )
        .unwrap();
    }
}

#[test]
fn sets_of_neighbours_are_those_of_the_rows() {
    // Points of clusters, and points on a grid, among which many distances are equal.
    let grid: Vec<f64> = (0..2500).flat_map(|i| [f64::from(i % 50), f64::from(i / 50)]).collect();
    for (values, d) in [(clusters(8, 2500, 10, 8), 10), (grid, 2)] {
        let points = Points::new(&values, 2500, d).unwrap();
        for (search, k) in [(Search::Exact, 15), (Search::Approximate, 15), (Search::Exact, 200), (Search::Exact, 1)] {
            let wanted = options(k, Metric::Euclidean, search);
            let run = Run::new().threads(2);
            let found = nearest(&run, points, &wanted).unwrap();
            let sets = of_nearest(&run, points, &wanted, |point, others| (point, others.to_vec())).unwrap();
            assert_eq!(sets.len(), 2500);
            for (i, (point, mut others)) in sets.into_iter().enumerate() {
                let mut expected = found.row(i)[1..].to_vec();
                expected.sort_unstable();
                others.sort_unstable();
                assert_eq!((point as usize, others), (i, expected), "{search:?}, k = {k}");
            }
        }
    }
    // The rows of so many neighbours are more than the memory, what is made of them is not.
    let values = clusters(8, 2500, 10, 8);
    let points = Points::new(&values, 2500, 10).unwrap();
    let little = Run::new().memory(1 << 20);
    let wanted = options(600, Metric::Euclidean, Search::Approximate);
    assert!(nearest(&little, points, &wanted).is_err());
    assert!(of_nearest(&little, points, &wanted, |_, others| others.len()).unwrap().iter().all(|&k| k == 599));
}

#[derive(Default)]
struct Listener(Mutex<Vec<String>>);

impl Monitor for Listener {
    fn say(&self, level: Level, message: &str) {
        if level == Level::Warning {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }
}

#[test]
fn more_neighbours_than_points_become_half_of_them_with_a_warning() {
    let listener = Arc::new(Listener::default());
    let run = Run::new().threads(1).monitor(listener.clone());
    let values = clusters(1, 9, 2, 2);
    let points = Points::new(&values, 9, 2).unwrap();
    assert_eq!(nearest(&run, points, &options(9, Metric::Euclidean, Search::Automatic)).unwrap().k(), 9);
    assert!(listener.0.lock().unwrap().is_empty());
    assert_eq!(nearest(&run, points, &options(10, Metric::Euclidean, Search::Automatic)).unwrap().k(), 5);
    assert!(listener.0.lock().unwrap()[0].contains("10 neighbours were asked for among 9 points: 5 are taken"));
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let run = Run::new().threads(1);
    let refused = |values: &[f64], n: usize, d: usize, options: KnnOptions, word: &str| {
        let fault = nearest(&run, Points::new(values, n, d).unwrap(), &options).unwrap_err();
        assert!(fault.to_string().contains(word), "{fault}");
    };
    let plain = options(2, Metric::Euclidean, Search::Automatic);
    refused(&[], 0, 2, plain, "at least one point");
    refused(&[1.0, 2.0], 2, 1, KnnOptions { k: 0, ..plain }, "k >= 1");
    refused(&[1.0, 2.0], 2, 1, KnnOptions { recall: 1.5, ..plain }, "recall");
    refused(&[1.0, 1e200], 2, 1, plain, "1e200");
    let rows = [1.0, 2.0, 0.0, 0.0, 0.0, 0.0];
    refused(&rows, 3, 2, KnnOptions { metric: Metric::Cosine, ..plain }, "2 of 3 rows are zero throughout");
    let rows = [1.0, 2.0, 3.0, 3.0, 5.0, 1.0];
    refused(&rows, 3, 2, KnnOptions { metric: Metric::Correlation, ..plain }, "the first is row 1");
}

/// Index sets must agree but where distances tie within 1e-6; distances to 1e-5 (the reference keeps 32 bits).
#[test]
fn golden_exact_neighbours() {
    for case in npz::pipelines() {
        let params = npz::json(&case.join("metrics.json"))["params"].clone();
        let d = params["use_pc"].as_u64().unwrap() as usize;
        let pca = npz::arrays(&case.join("pca.npz"));
        let golden = npz::arrays(&case.join("knn_exact.npz"));
        let (n, k) = (golden["indices"].shape[0], golden["indices"].shape[1]);
        let values = pca["scores"].columns(d);
        let points = Points::new(&values, n, d).unwrap();
        let found = nearest(&Run::new(), points, &options(k, Metric::Euclidean, Search::Exact)).unwrap();
        let indices = golden["indices"].integers();
        for i in 0..n {
            let (row, far) = (found.row(i), found.row_distances(i));
            let expected = &indices[i * k..(i + 1) * k];
            let edge = far[k - 1];
            for (t, j) in row.iter().enumerate() {
                assert!(expected.contains(j) || far[t] >= edge * (1.0 - 1e-6), "point {i}, neighbour {j}");
            }
            for (a, b) in far.iter().zip(&golden["distances"].values[i * k..(i + 1) * k]) {
                assert!((a - b).abs() <= 1e-5 * b, "point {i}: distance {a}, expected {b}");
            }
        }
    }
}
