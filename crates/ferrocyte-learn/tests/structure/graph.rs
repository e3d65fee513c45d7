//! Graphs of neighbours.

use std::path::Path;

use ferrocyte_base::Run;
use ferrocyte_learn::{
    Graph, KnnOptions, Neighbours, Points, Search, connectivities, gauss, jaccard, nearest, smooth_distances,
};
use ferrocyte_testkit::assert_same_bits_over_runs;

use crate::{clusters, npz};

/// The first `k` of the stored neighbours of a pipeline case.
pub(crate) fn golden_neighbours(case: &Path, k: usize) -> Neighbours {
    let golden = npz::arrays(&case.join("knn_exact.npz"));
    let stored = golden["indices"].shape[1];
    Neighbours::new(golden["indices"].integers(), golden["distances"].values.clone(), stored).unwrap().nearest(k)
}

/// The stored connectivities of a pipeline case.
pub(crate) fn golden_graph(case: &Path, k: usize) -> Graph {
    let golden = npz::arrays(&case.join(format!("connectivities_k{k}.npz")));
    let n = npz::arrays(&case.join("knn_exact.npz"))["indices"].shape[0];
    let (rows, columns) = (golden["row"].integers(), golden["col"].integers());
    let mut entries: Vec<(u32, u32, f32)> = Vec::new();
    for ((i, j), w) in rows.iter().zip(&columns).zip(&golden["weight"].values) {
        entries.push((*i, *j, *w as f32));
        entries.push((*j, *i, *w as f32));
    }
    from_entries(n, entries)
}

/// A graph from entries (row, column, weight) in any order.
pub(crate) fn from_entries(n: usize, mut entries: Vec<(u32, u32, f32)>) -> Graph {
    entries.sort_unstable_by_key(|e| (e.0, e.1));
    let mut starts = vec![0; n + 1];
    entries.iter().for_each(|e| starts[e.0 as usize + 1] += 1);
    (0..n).for_each(|i| starts[i + 1] += starts[i]);
    Graph::new(starts, entries.iter().map(|e| e.1).collect(), entries.iter().map(|e| e.2).collect()).unwrap()
}

/// Weights within 2e-5; an edge that one of the two lacks is lighter than 1e-7.
fn assert_same_weights(found: &Graph, expected: &Graph) {
    assert_eq!(found.n(), expected.n());
    for i in 0..found.n() {
        let dense = |g: &Graph| {
            let mut row = vec![0.0_f32; g.n()];
            g.row(i).0.iter().zip(g.row(i).1).for_each(|(j, w)| row[*j as usize] = *w);
            row
        };
        for (j, (a, b)) in dense(found).into_iter().zip(dense(expected)).enumerate() {
            assert!((a - b).abs() <= 2e-5, "weight of {i} and {j}: {a}, expected {b}");
            assert!((a == 0.0) == (b == 0.0) || a.max(b) < 1e-7, "edge of {i} and {j}: {a}, expected {b}");
        }
    }
}

#[test]
fn golden_connectivities() {
    for case in npz::pipelines() {
        for k in npz::json(&case.join("metrics.json"))["params"]["ks"].as_array().unwrap() {
            let k = k.as_u64().unwrap() as usize;
            let neighbours = golden_neighbours(&case, k);
            let smooth = smooth_distances(&Run::new(), &neighbours).unwrap();
            let golden = npz::arrays(&case.join(format!("smooth_knn_k{k}.npz")));
            for (found, expected) in [(&smooth.sigma, "sigma"), (&smooth.rho, "rho")] {
                for (i, (a, b)) in found.iter().zip(&golden[expected].values).enumerate() {
                    assert!((a - b).abs() <= 1e-4 * b, "{expected} of point {i}, k = {k}: {a}, expected {b}");
                }
            }
            assert_same_weights(&connectivities(&Run::new(), &neighbours).unwrap(), &golden_graph(&case, k));
        }
    }
}

#[test]
fn golden_fuzzy_graph_with_duplicate_points() {
    let edge = npz::json(&npz::golden().join("edge/edge.json"))["fuzzy"].clone();
    let numbers = |name: &str| -> Vec<Vec<f64>> {
        let rows = edge[name].as_array().unwrap();
        rows.iter().map(|row| row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()).collect()
    };
    let points = numbers("points");
    let (n, d) = (points.len(), points[0].len());
    let values: Vec<f64> = points.into_iter().flatten().collect();
    let knn = numbers("knn");
    let k = knn[0].len();
    let options = KnnOptions { k, search: Search::Exact, ..KnnOptions::default() };
    let found = nearest(&Run::new(), Points::new(&values, n, d).unwrap(), &options).unwrap();
    for (i, row) in knn.iter().enumerate() {
        let sorted = |mut row: Vec<u32>| {
            row.sort_unstable();
            row
        };
        assert_eq!(sorted(found.row(i).to_vec()), sorted(row.iter().map(|j| *j as u32).collect()), "point {i}");
    }
    let smooth = smooth_distances(&Run::new(), &found).unwrap();
    for (values, name) in [(&smooth.sigma, "sigma"), (&smooth.rho, "rho")] {
        for (a, b) in values.iter().zip(edge[name].as_array().unwrap()) {
            let b = b.as_f64().unwrap();
            assert!((a - b).abs() <= 1e-4 * b, "{name}: {a}, expected {b}");
        }
    }
    let expected = numbers("connectivities");
    let entries = expected.iter().enumerate().flat_map(|(i, row)| {
        row.iter().enumerate().filter(|(_, w)| **w > 0.0).map(move |(j, w)| (i as u32, j as u32, *w as f32))
    });
    assert_same_weights(&connectivities(&Run::new(), &found).unwrap(), &from_entries(n, entries.collect()));
}

#[test]
fn graphs_are_what_their_own_checks_ask_for_and_the_same_for_any_number_of_threads() {
    let values = clusters(4, 1500, 8, 5);
    let neighbours = nearest(&Run::new(), Points::new(&values, 1500, 8).unwrap(), &KnnOptions::default()).unwrap();
    for make in [connectivities, gauss, jaccard] {
        assert_same_bits_over_runs(
            |run| {
                let g = make(run, &neighbours)?;
                Graph::new(g.starts().to_vec(), g.neighbours().to_vec(), g.weights().to_vec())
            },
            |graph| {
                let ends = graph.neighbours().iter().map(|j| f64::from(*j));
                ends.chain(graph.weights().iter().map(|w| f64::from(*w))).collect()
            },
        )
        .unwrap();
    }
}
