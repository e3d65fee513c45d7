//! From coordinates to clusters and a layout, by way of the graph of neighbours.

use ferrocyte_base::{Fault, Result, Run, choice};
use ferrocyte_data::Factor;
use ferrocyte_learn::{
    Communities, Graph, KnnOptions, LeidenOptions, Neighbours, Start, UmapOptions, connectivities, gauss, jaccard,
    leiden, nearest, umap,
};

use super::embed::Basis;
use super::slots::{Additions, Coordinates, Entry, Named, Pairs, Values};
use crate::keys::{Key, Style, of_graph};
use crate::sc3::{Sc3Options, sc3};

choice! {
    /// How neighbours are joined to a graph.
    Weights, "graph" {
        /// Fuzzy sets, as UMAP has them.
        Umap = "umap",
        /// Gaussians of distances.
        Gauss = "gauss",
        /// Shared neighbours.
        Jaccard = "jaccard",
    }
}

/// Finds the nearest neighbours of every cell and joins them to a graph; `n_pcs` are columns that were asked for. What
/// is added lacks the graph itself: [`joined`] puts it into its place when those who look at it have done so.
///
/// # Errors
/// Those of [`nearest`] and of the graphs.
pub fn neighbours(
    run: &Run,
    basis: &Basis,
    options: &KnnOptions,
    weights: Weights,
    n_pcs: Option<usize>,
    style: Style,
) -> Result<(Graph, Additions)> {
    let cut = n_pcs.map(|width| basis.first(width)).transpose()?;
    let found = nearest(run, cut.as_ref().unwrap_or(basis).points()?, options)?;
    if let Some(recall) = found.recall() {
        run.info(&format!("neighbours: {recall:.4} of the true ones were found on a sample"));
    }
    let graph = match weights {
        Weights::Umap => connectivities(run, &found)?,
        Weights::Gauss => gauss(run, &found)?,
        Weights::Jaccard => jaccard(run, &found)?,
    };
    let name = |part: &str| of_graph(style, None, part);
    let mut additions = Additions { obsp: vec![(name("distances"), distances(&found))], ..Additions::default() };
    let mut params = vec![
        ("n_neighbors".to_owned(), Entry::Int(found.k() as i64)),
        ("method".to_owned(), Entry::Text(weights.word().to_owned())),
        ("random_state".to_owned(), Entry::Int(options.seed as i64)),
        ("metric".to_owned(), Entry::Text(options.metric.word().to_owned())),
        ("use_rep".to_owned(), Entry::Text(basis.name.clone())),
    ];
    let mut record: Vec<Named<Entry>> =
        ["connectivities", "distances"].map(|part| (format!("{part}_key"), Entry::Text(name(part)))).to_vec();
    match style {
        Style::Scanpy => {
            params.extend(n_pcs.map(|n| ("n_pcs".to_owned(), Entry::Int(n as i64))));
            record.push(("params".to_owned(), Entry::Dict(params)));
        }
        Style::Exprmat => {
            let indices = found.indices().iter().map(|&i| i64::from(i)).collect();
            let (knn, far) = (name("knn"), name("knn.d"));
            additions.obsm.push((knn.clone(), Coordinates { width: found.k(), values: Values::I64(indices) }));
            let values = Values::F64(found.distances().to_vec());
            additions.obsm.push((far.clone(), Coordinates { width: found.k(), values }));
            record.extend([
                ("knn_key".to_owned(), Entry::Text(knn)),
                ("knn_distances_key".to_owned(), Entry::Text(far)),
                ("knn".to_owned(), Entry::Bool(true)),
                ("metric_kwds".to_owned(), Entry::Dict(Vec::new())),
            ]);
            record.extend(params);
            record.push(("n_comps".to_owned(), Entry::Int(n_pcs.unwrap_or(basis.width) as i64)));
        }
    }
    additions.uns.push((name("neighbors"), Entry::Dict(record)));
    Ok((graph, additions))
}

/// A graph as it is stored, out of the memory in which it is: weights of Gaussians in 64 bits, others in 32.
pub fn joined(graph: Graph, weights: Weights, style: Style) -> Additions {
    let (starts, columns, values) = graph.into_parts();
    let values = match weights {
        Weights::Gauss => Values::F64(values.into_iter().map(f64::from).collect()),
        Weights::Umap | Weights::Jaccard => Values::F32(values),
    };
    let stored = Pairs { starts, columns, values };
    Additions { obsp: vec![(of_graph(style, None, "connectivities"), stored)], ..Additions::default() }
}

/// Distances to the others, columns rising in each row.
fn distances(found: &Neighbours) -> Pairs {
    let width = found.k().saturating_sub(1);
    let (mut columns, mut far) = (Vec::with_capacity(found.n() * width), Vec::with_capacity(found.n() * width));
    let mut row: Vec<(u32, f64)> = Vec::with_capacity(width);
    for i in 0..found.n() {
        row.clear();
        row.extend(found.row(i).iter().copied().zip(found.row_distances(i).iter().copied()).skip(1));
        row.sort_by_key(|&(column, _)| column);
        columns.extend(row.iter().map(|&(column, _)| column));
        far.extend(row.iter().map(|&(_, distance)| distance));
    }
    Pairs { starts: (0..=found.n()).map(|i| i * width).collect(), columns, values: Values::F64(far) }
}

/// A graph that stands in a study: cells that are joined to themselves, and weights of 0, are passed over.
///
/// # Errors
/// Weights that are missing, infinite or negative; a matrix that is not symmetric.
pub fn graph_of(pairs: &Pairs) -> Result<Graph> {
    let weights = pairs.values.to_f64();
    let (mut starts, mut columns, mut kept) = (vec![0], Vec::new(), Vec::new());
    for (i, bounds) in pairs.starts.windows(2).enumerate() {
        let mut row: Vec<(u32, f32)> = (bounds[0]..bounds[1])
            .map(|k| (pairs.columns[k], weights[k] as f32))
            .filter(|&(column, weight)| column as usize != i && weight != 0.0)
            .collect();
        row.sort_by_key(|&(column, _)| column);
        columns.extend(row.iter().map(|&(column, _)| column));
        kept.extend(row.iter().map(|&(_, weight)| weight));
        starts.push(columns.len());
    }
    Graph::new(starts, columns, kept).map_err(|fault| fault.at("connectivities"))
}

/// Finds Leiden's clusters and names them by decreasing size; `key` is the column they get.
///
/// # Errors
/// Those of [`leiden`].
pub fn clusters(run: &Run, graph: &Graph, options: &LeidenOptions, key: &str) -> Result<(Factor, Additions)> {
    let found: Communities = leiden(run, graph, options)?;
    let labels = Factor {
        levels: (0..found.n()).map(|i| i.to_string()).collect(),
        codes: found.labels.iter().copied().collect(),
    };
    // As a number of iterations, -1 is until nothing is gained.
    let n_iterations = options.n_iterations.map_or(-1, |n| n as i64);
    let params = Entry::dict([
        ("resolution", Entry::Float(options.resolution)),
        ("random_state", Entry::Int(options.seed as i64)),
        ("n_iterations", Entry::Int(n_iterations)),
    ]);
    let told = Entry::dict([("params", params), ("modularity", Entry::Float(found.modularity))]);
    let additions = Additions {
        obs: vec![(key.to_owned(), Values::Labels(labels.clone()))],
        uns: vec![(key.to_owned(), told)],
        ..Additions::default()
    };
    Ok((labels, additions))
}

/// Finds consensus clusters ([`sc3`]) in the space of a basis, for each number of clusters that is asked for.
///
/// # Errors
/// Those of [`sc3`].
pub fn consensus(run: &Run, basis: &Basis, options: &Sc3Options, style: Style) -> Result<(Vec<Factor>, Additions)> {
    let found = sc3(run, basis.points()?, options)?;
    let asked: Vec<i64> = options.n_clusters.iter().map(|&k| k as i64).collect();
    let params = Entry::dict([
        ("basis", Entry::Text(basis.name.clone())),
        ("n_clusters", Entry::Array(vec![asked.len()], Values::I64(asked))),
        ("n_runs", Entry::Int(options.n_runs as i64)),
        ("random_state", Entry::Int(options.seed as i64)),
    ]);
    let agreement = found.iter().map(|one| (one.k.to_string(), Entry::Float(one.agreement))).collect();
    let told = Entry::dict([("params", params), ("agreement", Entry::Dict(agreement))]);
    let name = |k: usize| Key::Sc3.numbered(style, k);
    let additions = Additions {
        obs: found.iter().map(|one| (name(one.k), Values::Labels(one.labels.clone()))).collect(),
        uns: vec![(Key::Sc3Trials.word(style).to_owned(), told)],
        ..Additions::default()
    };
    Ok((found.into_iter().map(|one| one.labels).collect(), additions))
}

/// Lays the graph out; it starts from its spectrum (`basis` places components that hang apart), or at random without
/// a basis.
///
/// # Errors
/// Those of [`umap`].
pub fn layout(
    run: &Run,
    graph: &Graph,
    basis: Option<&Basis>,
    options: &UmapOptions,
    style: Style,
) -> Result<Additions> {
    let start = match basis {
        Some(basis) => Start::SpectralOf(basis.points()?),
        None => Start::Random,
    };
    let found = umap(run, graph, start, options)?;
    let mut params = vec![("a".to_owned(), Entry::Float(found.curve.a)), ("b".to_owned(), Entry::Float(found.curve.b))];
    if options.seed != 0 {
        params.push(("random_state".to_owned(), Entry::Int(options.seed as i64)));
    }
    let placed = Coordinates { width: found.dims, values: Values::F32(found.coordinates) };
    Ok(Additions {
        obsm: vec![(Key::Umap.word(style).to_owned(), placed)],
        uns: vec![("umap".to_owned(), Entry::dict([("params", Entry::Dict(params))]))],
        ..Additions::default()
    })
}

/// Refuses a graph whose cells lack neighbours because these were left out after it was made: `stored` is its matrix of
/// distances, `k` its number of neighbours.
///
/// # Errors
/// More than a twentieth of the cells lack neighbours.
pub fn refuse_stale(stored: &Pairs, k: usize) -> Result<()> {
    const LACKING: f64 = 0.05;
    let n = stored.starts.len().saturating_sub(1);
    let wanted = k.min(n).saturating_sub(1);
    let lacking = stored.starts.windows(2).filter(|w| w[1] - w[0] < wanted).count();
    if lacking as f64 > LACKING * n as f64 {
        return Err(stale());
    }
    Ok(())
}

/// The fault of a graph that is that of more cells.
pub fn stale() -> Fault {
    Fault::bad_input("the graph is that of more cells: neighbours of these cells were left out after it was made")
        .at("uns['neighbors']")
        .hint("find neighbours again: ferrocyte cells embed")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two far apart groups of ten cells each on a line.
    fn line() -> Basis {
        let values = (0..20).map(|i| f64::from(i) + if i < 10 { 0.0 } else { 100.0 }).collect();
        Basis { name: "X_pca".into(), width: 1, values }
    }

    #[test]
    fn a_graph_goes_to_its_place_and_back() -> Result<()> {
        let run = Run::new();
        let options = KnnOptions { k: 4, ..KnnOptions::default() };
        let (graph, _) = neighbours(&run, &line(), &options, Weights::Umap, None, Style::Scanpy)?;
        let stored = joined(graph.clone(), Weights::Umap, Style::Scanpy).obsp;
        assert_eq!(stored[0].0, "connectivities");
        assert_eq!(graph_of(&stored[0].1)?, graph);
        let (labels, added) =
            clusters(&run, &graph, &LeidenOptions { resolution: 0.1, ..LeidenOptions::default() }, "leiden")?;
        assert_eq!(labels.counts(), [10, 10]);
        assert_eq!(added.uns[0].0, "leiden");
        let far = &added.obsp;
        assert!(far.is_empty());
        Ok(())
    }

    #[test]
    fn the_other_dialect_keeps_neighbours_too() -> Result<()> {
        let options = KnnOptions { k: 4, ..KnnOptions::default() };
        let (_, added) = neighbours(&Run::new(), &line(), &options, Weights::Jaccard, None, Style::Exprmat)?;
        assert_eq!(added.obsm.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["knn", "knn.d"]);
        assert!(neighbours(&Run::new(), &line(), &options, Weights::Umap, Some(2), Style::Scanpy).is_err());
        Ok(())
    }

    #[test]
    fn a_graph_of_more_cells_is_told() -> Result<()> {
        let options = KnnOptions { k: 4, ..KnnOptions::default() };
        let (_, added) = neighbours(&Run::new(), &line(), &options, Weights::Umap, None, Style::Scanpy)?;
        let far = &added.obsp[0].1;
        assert!(refuse_stale(far, 4).is_ok());
        let fewer = Pairs { starts: far.starts.iter().map(|s| s / 3).collect(), ..far.clone() };
        assert!(refuse_stale(&fewer, 4).is_err());
        Ok(())
    }

    #[test]
    fn loops_and_zeros_are_passed_over_and_halves_refused() {
        let pairs =
            |columns: Vec<u32>, values: Vec<f32>| Pairs { starts: vec![0, 2, 3], columns, values: Values::F32(values) };
        assert!(graph_of(&pairs(vec![0, 1, 0], vec![5.0, 1.0, 1.0])).is_ok_and(|graph| graph.n_stored() == 2));
        assert!(graph_of(&pairs(vec![0, 1, 0], vec![0.0, 1.0, 0.5])).is_err());
    }
}
