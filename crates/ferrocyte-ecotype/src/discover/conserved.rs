//! Ecotypes that several samples have in common: clusters of each, integrated and divided by votes.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::r_stream::RStream;

use super::fold_changes::fold_changes;
use super::integrate::{IntegrateOptions, integrate};
use super::metacells::preprocess;
use super::tiles::Room;
use super::tissue::{DiscoverOptions, Placed, Tissue, discover};
use crate::collate::{self, Index};
use crate::expression::Expression;
use crate::nmf::{ClusterOptions, Clustering, nmf_clustering};

/// How ecotypes of several samples are found.
#[derive(Debug, Clone, PartialEq)]
pub struct ConserveOptions {
    /// The resolution of the fine clusters of each sample.
    pub subresolution: f64,
    /// How clusters are compared.
    pub integrate: IntegrateOptions,
    /// How they are divided.
    pub nmf: ClusterOptions,
    /// Where there are regions: whether each gives the same number of clusters in a sample.
    pub downsample_by_region: bool,
    /// The seed of the choice of these.
    pub seed: u32,
}

impl Default for ConserveOptions {
    /// As the reference: fine clusters at resolution 30, rank 10, thirty runs, seed 1.
    fn default() -> Self {
        Self {
            subresolution: 30.0,
            integrate: IntegrateOptions::default(),
            nmf: ClusterOptions { seed: 1, ..ClusterOptions::default() },
            downsample_by_region: true,
            seed: 1,
        }
    }
}

/// What is known of each cell of several samples.
#[derive(Debug, Clone, Copy)]
pub struct Placing<'a> {
    /// Its type.
    pub cell_type: &'a [String],
    /// Its sample.
    pub sample: &'a [String],
    /// Its region, such as tumour or margin.
    pub region: Option<&'a [String]>,
}

/// Clusters of several samples, and the ecotypes that they are in.
#[derive(Debug, Clone, PartialEq)]
pub struct Conserved {
    /// The clusters that were compared.
    pub clusters: Vec<String>,
    /// The sample of each.
    pub samples: Vec<String>,
    /// How much alike they are: clusters × clusters.
    pub alike: Matrix,
    /// The factorisations.
    pub clustering: Clustering,
    /// The ecotype of each cluster, from 1.
    pub ecotype: Vec<usize>,
    /// The ecotype of each cell, in the order of the input; `None` for those without.
    pub of_cells: Vec<Option<usize>>,
}

/// The fine clusters of each sample: what [`discover()`] finds in each, samples in the order of their first cells, and for
/// each cell `sample..InitSEn`, where it has one.
///
/// # Errors
/// Those of [`discover()`], with the sample.
pub fn fine_clusters(
    run: &Run,
    x: &Expression,
    coordinates: (&[f64], &[f64]),
    of: &Placing<'_>,
    options: &DiscoverOptions,
    subresolution: f64,
    room: Option<Room<'_>>,
) -> Result<(Vec<(String, Tissue)>, Vec<Option<String>>)> {
    let n = x.n_cells();
    crate::statistics::check_cells(
        n,
        &[("cell_type", of.cell_type.len()), ("sample", of.sample.len())],
        &[coordinates.0, coordinates.1],
    )?;
    let options = DiscoverOptions { resolution: subresolution, ..options.clone() };
    let (mut tissues, mut initial) = (Vec::new(), vec![None; n]);
    for sample in collate::first_seen(of.sample) {
        let cells: Vec<usize> = (0..n).filter(|&cell| of.sample[cell] == sample).collect();
        let types: Vec<String> = cells.iter().map(|&cell| of.cell_type[cell].clone()).collect();
        let (cx, cy): (Vec<f64>, Vec<f64>) =
            cells.iter().map(|&cell| (coordinates.0[cell], coordinates.1[cell])).unzip();
        let tissue = discover(run, &x.take_cells(&cells), (&cx, &cy), &types, &options, room)
            .map_err(|fault| fault.at(format!("sample `{sample}`")))?;
        for (&cell, cluster) in cells.iter().zip(tissue.cluster_of_cells()) {
            initial[cell] = cluster.map(|c| format!("{sample}..InitSE{}", c + 1));
        }
        tissues.push((sample, tissue));
    }
    Ok((tissues, initial))
}

/// Finds the ecotypes that the clusters of several samples are in.
///
/// `cluster` names the cluster of each cell, `None` where it has none. Cells with too few genes and genes that some
/// sample lacks take no part.
///
/// # Errors
/// Columns of other lengths than the cells, one sample only, too few clusters for the ranks; the wish to stop.
pub fn conserve(
    run: &Run,
    x: &Expression,
    of: &Placing<'_>,
    cluster: &[Option<String>],
    options: &ConserveOptions,
    room: Option<Room<'_>>,
) -> Result<Conserved> {
    let n = x.n_cells();
    let lengths = [of.cell_type.len(), of.sample.len(), cluster.len(), of.region.map_or(n, <[String]>::len)];
    if let Some(found) = lengths.iter().find(|found| **found != n) {
        return Err(Fault::bad_input(format!("{found} values for {n} cells")).at("columns of cells"));
    }
    let genes = common_genes(x, of.sample, options.integrate.min_features)?;
    let x = x.take_genes(&genes);
    let chosen =
        of.region.filter(|_| options.downsample_by_region).map(|region| balanced(of, cluster, region, options.seed));
    let taken = |cell: &usize| {
        let found = x.cell(*cell).1.iter().filter(|v| **v > 0.0).count();
        let in_chosen = |name: &String| chosen.as_ref().is_none_or(|chosen| chosen.contains(name));
        found >= options.integrate.min_features && cluster[*cell].as_ref().is_some_and(in_chosen)
    };
    let cells: Vec<usize> = (0..n).filter(taken).collect();
    let pick = |values: &[String]| cells.iter().map(|&cell| values[cell].clone()).collect::<Vec<_>>();
    let names: Vec<String> = cells.iter().filter_map(|&cell| cluster[cell].clone()).collect();
    let (types, samples, regions) = (pick(of.cell_type), pick(of.sample), of.region.map(pick));
    let changes = fold_changes(run, &x.take_cells(&cells), &types, &samples, &names, regions.as_deref(), true)?;
    let of_clusters = regions.as_deref().map(|regions| most_frequent(&names, &changes.clusters, regions));
    let weighed = of_clusters.as_deref().filter(|_| !options.downsample_by_region);
    let alike = integrate(run, &changes, weighed, &options.integrate, room)?;
    let known: Vec<usize> =
        (0..alike.n_rows()).filter(|&i| alike.row(i).iter().any(|x| *x != alike.row(i)[0])).collect();
    let most = options.nmf.ranks.iter().copied().max().unwrap_or(0);
    if known.len() <= most {
        return Err(Fault::bad_input(format!("{} clusters cannot be divided into {most}", known.len()))
            .at("nmf_ranks")
            .hint("try smaller ranks, or a higher sub-resolution"));
    }
    let mut matrix = Matrix::zeros(known.len(), known.len());
    for (row, &i) in known.iter().enumerate() {
        known.iter().enumerate().for_each(|(column, &j)| matrix[(row, column)] = alike[(i, j)]);
    }
    let clustering = nmf_clustering(run, &matrix, &options.nmf)?;
    let ecotype = clustering.best().map(|best| best.labels.clone()).unwrap_or_default();
    let clusters: Vec<String> = known.iter().map(|&i| changes.clusters[i].clone()).collect();
    let index = Index::of(&clusters);
    let of_cells = cluster.iter().map(|name| Some(ecotype[index.get(name.as_ref()?)?])).collect();
    Ok(Conserved {
        samples: known.iter().map(|&i| changes.samples[i].clone()).collect(),
        clusters,
        alike: matrix,
        clustering,
        ecotype,
        of_cells,
    })
}

impl Conserved {
    /// Why each cell has an ecotype or none, where `before` says why it has a cluster.
    pub fn reasons(&self, before: &[Placed]) -> Vec<Placed> {
        let why = |(ecotype, before): (&Option<usize>, &Placed)| match (ecotype, before) {
            (None, Placed::Ok) => Placed::NoEcotype,
            _ => *before,
        };
        self.of_cells.iter().zip(before).map(why).collect()
    }
}

/// Genes that are found in cells of every sample.
fn common_genes(x: &Expression, sample: &[String], min_features: usize) -> Result<Vec<usize>> {
    let samples = collate::first_seen(sample);
    if samples.len() < 2 {
        return Err(
            Fault::bad_input(format!("at least two samples are compared, found {}", samples.len())).at("sample")
        );
    }
    let mut count = vec![0; x.n_genes()];
    for name in &samples {
        let cells: Vec<usize> = (0..x.n_cells()).filter(|&cell| sample[cell] == *name).collect();
        preprocess(&x.take_cells(&cells), 1, min_features).0.into_iter().for_each(|gene| count[gene] += 1);
    }
    Ok((0..x.n_genes()).filter(|&gene| count[gene] == samples.len()).collect())
}

/// The most frequent value among the members of each cluster; of equally frequent ones the first in sorted order.
fn most_frequent(member: &[String], clusters: &[String], values: &[String]) -> Vec<String> {
    let (index, levels) = (Index::of(clusters), collate::sorted(values));
    let mut counts = vec![vec![0_usize; levels.len()]; clusters.len()];
    for (name, code) in member.iter().zip(collate::codes(values, &levels)) {
        if let (Some(cluster), Some(code)) = (index.get(name), code) {
            counts[cluster][code] += 1;
        }
    }
    let best = |of: &Vec<usize>| (0..of.len()).fold(0, |best, i| if of[i] > of[best] { i } else { best });
    counts.iter().map(|of| levels[best(of)].clone()).collect()
}

/// Clusters of which every region of a sample gives as many as its smallest has.
fn balanced(
    of: &Placing<'_>,
    cluster: &[Option<String>],
    region: &[String],
    seed: u32,
) -> std::collections::HashSet<String> {
    let with: Vec<usize> = (0..cluster.len()).filter(|&cell| cluster[cell].is_some()).collect();
    let names: Vec<String> = with.iter().filter_map(|&cell| cluster[cell].clone()).collect();
    let regions: Vec<String> = with.iter().map(|&cell| region[cell].clone()).collect();
    let samples: Vec<String> = with.iter().map(|&cell| of.sample[cell].clone()).collect();
    let clusters = collate::first_seen(&names);
    let (of_region, of_sample) =
        (most_frequent(&names, &clusters, &regions), most_frequent(&names, &clusters, &samples));
    let mut draws = RStream::new(seed);
    let mut chosen = std::collections::HashSet::new();
    for sample in collate::first_seen(&of_sample) {
        let mine: Vec<usize> = (0..clusters.len()).filter(|&i| of_sample[i] == sample).collect();
        let by_region: Vec<Vec<usize>> = collate::sorted(mine.iter().map(|&i| &of_region[i]))
            .iter()
            .map(|region| mine.iter().copied().filter(|&i| of_region[i] == *region).collect())
            .collect();
        let least = by_region.iter().map(Vec::len).min().unwrap_or(0);
        for members in by_region {
            chosen.extend(draws.sample(members.len(), least).into_iter().map(|i| clusters[members[i]].clone()));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn regions_give_the_same_number_of_clusters() {
        let cluster: Vec<Option<String>> = (0..12).map(|i| (i != 11).then(|| format!("c{i}"))).collect();
        let region: Vec<String> = (0..12).map(|i| if i % 4 == 0 { "margin" } else { "inner" }.to_owned()).collect();
        let (sample, types) = (texts(&["S"; 12]), texts(&["B"; 12]));
        let of = Placing { cell_type: &types, sample: &sample, region: Some(&region) };
        let chosen = balanced(&of, &cluster, &region, 1);
        // Clusters 0, 4 and 8 are in the margin.
        assert_eq!(chosen.len(), 6);
        assert!(["c0", "c4", "c8"].iter().all(|name| chosen.contains(*name)));
    }

    #[test]
    fn the_first_of_equally_frequent_values_counts() {
        let found = most_frequent(&texts(&["a", "a", "b"]), &texts(&["a", "b"]), &texts(&["y", "x", "z"]));
        assert_eq!(found, ["x", "z"]);
    }

    #[test]
    fn one_sample_has_nothing_in_common() -> Result<()> {
        let x = Expression::from_rows(texts(&["a"]), texts(&["g"]), &[vec![1.0]])?;
        let (one, cluster) = (texts(&["S"]), [Some("c".to_owned())]);
        let of = Placing { cell_type: &one, sample: &one, region: None };
        let fault = conserve(&Run::new(), &x, &of, &cluster, &ConserveOptions::default(), None);
        assert!(fault.is_err_and(|f| f.place() == Some("sample")));
        Ok(())
    }
}
