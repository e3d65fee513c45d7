//! Embeddings.

use ferrocyte_base::Run;
use ferrocyte_learn::{
    Components, Curve, Graph, KnnOptions, Points, Search, Start, UmapOptions, connectivities, curve, nearest,
    neighbour_recall, silhouette, trustworthiness, umap,
};
use ferrocyte_testkit::assert_same_bits_over_runs;

use crate::graph::{from_entries, golden_graph};
use crate::{clusters, npz};

fn cluster_graph(values: &[f64], d: usize, k: usize) -> Graph {
    let run = Run::new();
    let points = Points::new(values, values.len() / d, d).unwrap();
    connectivities(&run, &nearest(&run, points, &KnnOptions { k, ..KnnOptions::default() }).unwrap()).unwrap()
}

fn widen(coordinates: &[f32]) -> Vec<f64> {
    coordinates.iter().map(|x| f64::from(*x)).collect()
}

#[test]
fn golden_curves() {
    let check = |min_dist: f64, spread: f64, expected: &serde_json::Value| {
        let found = curve(min_dist, spread).unwrap();
        for (found, expected) in [found.a, found.b].into_iter().zip(expected.as_array().unwrap()) {
            let expected = expected.as_f64().unwrap();
            assert!((found / expected - 1.0).abs() < 1e-4, "{min_dist}/{spread}: {found}, expected {expected}");
        }
    };
    for case in npz::pipelines() {
        for (name, expected) in npz::json(&case.join("metrics.json"))["umap_ab"].as_object().unwrap() {
            let (min_dist, spread) = name.split_once('/').unwrap();
            check(min_dist.parse().unwrap(), spread.parse().unwrap(), expected);
        }
    }
    let edge = npz::json(&npz::golden().join("edge/edge.json"));
    for (name, expected) in edge["umap_ab"].as_object().unwrap() {
        let (min_dist, spread) = name.split_once(',').unwrap();
        let number = |word: &str| word.split('=').nth(1).unwrap().parse::<f64>().unwrap();
        check(number(min_dist), number(spread), expected);
    }
}

/// The bars of the specification against five seeds of the reference on the same graph.
#[test]
fn golden_embeddings_are_as_good() {
    let run = Run::new();
    for case in npz::pipelines() {
        let metrics = npz::json(&case.join("metrics.json"));
        let params = &metrics["params"];
        let k = params["graph_k"].as_u64().unwrap() as usize;
        let d = params["use_pc"].as_u64().unwrap() as usize;
        let graph = golden_graph(&case, k);
        let n = graph.n();
        let scores = npz::arrays(&case.join("pca.npz"))["scores"].columns(d);
        let points = Points::new(&scores, n, d).unwrap();
        let labels = npz::arrays(&case.join("marker_groups.npz"))["g"].integers();
        let exact = KnnOptions { k, search: Search::Exact, ..KnnOptions::default() };
        let truth = nearest(&run, points, &exact).unwrap();
        let theirs: Vec<_> = metrics["umap"].as_object().unwrap().values().collect();
        let bar = |word: &str| theirs.iter().map(|m| m[word].as_f64().unwrap()).sum::<f64>() / theirs.len() as f64;
        let (mut trust, mut recall, mut width) = (0.0, 0.0, 0.0);
        let seeds = 3;
        for seed in 0..seeds {
            let options = UmapOptions {
                min_dist: params["umap"]["min_dist"].as_f64().unwrap(),
                spread: params["umap"]["spread"].as_f64().unwrap(),
                seed,
                ..UmapOptions::default()
            };
            let found = widen(&umap(&run, &graph, Start::Spectral, &options).unwrap().coordinates);
            let found = Points::new(&found, n, 2).unwrap();
            let share = 1.0 / seeds as f64;
            trust += share * trustworthiness(&run, points, found, 15, n, 0).unwrap();
            recall += share * neighbour_recall(&nearest(&run, found, &exact).unwrap(), &truth).unwrap();
            width += share * silhouette(&run, found, &labels).unwrap();
        }
        let bars = [bar("trustworthiness_k15") - 0.005, bar("knn_recall_2d") - 0.01, bar("silhouette_leiden") - 0.03];
        assert!(trust >= bars[0], "trustworthiness {trust}, bar {}", bars[0]);
        assert!(recall >= bars[1], "recall {recall}, bar {}", bars[1]);
        assert!(width >= bars[2], "silhouette {width}, bar {}", bars[2]);
    }
}

#[test]
fn every_start_and_number_of_dimensions_separates_clusters() {
    let run = Run::new();
    let (n, d) = (400, 6);
    let values = clusters(1, n, d, 4);
    let graph = cluster_graph(&values, d, 15);
    let points = Points::new(&values, n, d).unwrap();
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 4).collect();
    for dims in [1, 2, 3, 5, 9] {
        let given: Vec<f64> = values.chunks_exact(d).flat_map(|row| (0..dims).map(|t| row[t % d])).collect();
        let given = Start::Given(Points::new(&given, n, dims).unwrap());
        for start in [Start::Spectral, Start::SpectralOf(points), given] {
            let found = umap(&run, &graph, start, &UmapOptions { dims, ..UmapOptions::default() }).unwrap();
            assert_eq!((found.coordinates.len(), found.dims, found.n_epochs), (n * dims, dims, 500));
            let found = widen(&found.coordinates);
            let width = silhouette(&run, Points::new(&found, n, dims).unwrap(), &labels).unwrap();
            assert!(width > 0.5, "{dims} dimensions from {start:?}: silhouette {width}");
        }
    }
    let found = umap(&run, &graph, Start::Random, &UmapOptions::default()).unwrap();
    let found = widen(&found.coordinates);
    let trust = trustworthiness(&run, points, Points::new(&found, n, 2).unwrap(), 10, n, 0).unwrap();
    assert!(trust > 0.85, "from anywhere: trustworthiness {trust}");
}

#[test]
fn many_components_stay_apart() {
    // Twelve rings of 30 points, and a point that nothing is joined to.
    let mut entries = Vec::new();
    for ring in 0..12_u32 {
        for t in 0..30_u32 {
            let (i, j) = (ring * 30 + t, ring * 30 + (t + 1) % 30);
            entries.extend([(i, j, 1.0), (j, i, 1.0)]);
        }
    }
    let graph = from_entries(361, entries);
    assert_eq!(Components::of(&graph).n(), 13);
    let run = Run::new();
    let labels: Vec<u32> = (0..361).map(|i| i / 30).collect();
    let points: Vec<f64> = labels.iter().flat_map(|l| [f64::from(*l), f64::from(l * l % 7), 1.0]).collect();
    for start in [Start::Spectral, Start::SpectralOf(Points::new(&points, 361, 3).unwrap())] {
        for n_epochs in [Some(0), Some(200)] {
            let found = umap(&run, &graph, start, &UmapOptions { n_epochs, ..UmapOptions::default() }).unwrap();
            let found = widen(&found.coordinates);
            assert!(found.iter().all(|x| x.is_finite()));
            let width = silhouette(&run, Points::new(&found, 361, 2).unwrap(), &labels).unwrap();
            assert!(width > 0.2, "{start:?} after {n_epochs:?} epochs: silhouette {width}");
        }
    }
    // Few components: on the axes.
    let pair = from_entries(4, vec![(0, 1, 1.0), (1, 0, 1.0), (2, 3, 1.0), (3, 2, 1.0)]);
    let found = umap(&run, &pair, Start::Spectral, &UmapOptions::default()).unwrap().coordinates;
    let apart = |i: usize, j: usize| (found[2 * i] - found[2 * j]).hypot(found[2 * i + 1] - found[2 * j + 1]);
    assert!(apart(0, 1) < apart(0, 2) && apart(2, 3) < apart(1, 2));
}

#[test]
fn small_graphs_have_embeddings() {
    let run = Run::new();
    for n in 0..6_usize {
        let entries = (1..n as u32).flat_map(|i| [(i, i - 1, 1.0), (i - 1, i, 1.0)]).collect();
        let graph = from_entries(n, entries);
        let found = umap(&run, &graph, Start::Spectral, &UmapOptions::default()).unwrap();
        assert!(found.coordinates.len() == 2 * n && found.coordinates.iter().all(|x| x.is_finite()));
    }
}

#[test]
fn any_number_of_threads_gives_the_same_embedding() {
    let values = clusters(2, 1500, 5, 6);
    let graph = cluster_graph(&values, 5, 15);
    let of = |run: &Run, seed| {
        umap(run, &graph, Start::Spectral, &UmapOptions { seed, n_epochs: Some(60), ..UmapOptions::default() })
    };
    assert_same_bits_over_runs(|run| of(run, 0), |found| widen(&found.coordinates)).unwrap();
    let run = Run::new();
    assert_ne!(of(&run, 0).unwrap().coordinates, of(&run, 1).unwrap().coordinates);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let graph = from_entries(3, vec![(0, 1, 1.0), (1, 0, 1.0)]);
    let refused = |start: Start<'_>, options: UmapOptions, word: &str| {
        let fault = umap(&Run::new(), &graph, start, &options).unwrap_err();
        assert!(fault.to_string().contains(word), "{fault}");
    };
    let good = UmapOptions::default();
    refused(Start::Spectral, UmapOptions { dims: 0, ..good }, "1 to 16 dimensions");
    refused(Start::Spectral, UmapOptions { dims: 17, ..good }, "1 to 16 dimensions");
    refused(Start::Spectral, UmapOptions { min_dist: 2.0, ..good }, "min_dist <= spread");
    refused(Start::Spectral, UmapOptions { spread: 0.0, min_dist: 0.0, ..good }, "spread > 0");
    refused(Start::Spectral, UmapOptions { learning_rate: f64::NAN, ..good }, "learning_rate");
    let curve = Some(Curve { a: -1.0, b: 1.0 });
    refused(Start::Spectral, UmapOptions { curve, ..good }, "above 0, found -1 and 1");
    let two = Points::new(&[0.0; 4], 2, 2).unwrap();
    refused(Start::Given(two), good, "a start of 3 x 2");
    refused(Start::SpectralOf(two), good, "3 points were expected");
}
