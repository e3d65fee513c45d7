//! Fold changes of clusters: what the cells of each type are like inside and outside of them.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;

use crate::collate::{self, Index};
use crate::expression::Expression;
use crate::scale::{Moments, scale_by_groups};

/// Types with fewer cells in a sample say nothing about its clusters.
const FEWEST: usize = 10;

/// Differences of means of clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldChanges {
    /// The cell type of each row.
    pub cell_type: Vec<String>,
    /// The gene of each row.
    pub gene: Vec<String>,
    /// The clusters.
    pub clusters: Vec<String>,
    /// The sample of each cluster.
    pub samples: Vec<String>,
    /// Rows × clusters: mean inside less mean outside, among the cells of a type and sample; 0 where there are none.
    pub values: Matrix,
}

/// Fold changes of clusters, each of which belongs to one sample. With `scale` genes are standardised within the cells of
/// a type and sample first; with `region`, the same weight is given to every region that these cells are in.
pub fn fold_changes(
    run: &Run,
    x: &Expression,
    cell_type: &[String],
    sample: &[String],
    cluster: &[String],
    region: Option<&[String]>,
    scale: bool,
) -> Result<FoldChanges> {
    let n = x.n_cells();
    let regions = region.map_or(n, <[String]>::len);
    let lengths = [("cell_type", cell_type.len()), ("sample", sample.len()), ("cluster", cluster.len())];
    for (name, found) in lengths.into_iter().chain([("region", regions)]) {
        if found != n {
            return Err(Fault::bad_input(format!("{found} values for {n} cells")).at(name));
        }
    }
    let (types, index) = (collate::first_seen(cell_type), Index::of(cluster));
    let clusters = index.0.clone();
    let g = x.n_genes();
    let mut owner = vec![String::new(); clusters.len()];
    for cell in 0..n {
        let owner = &mut owner[index.get(&cluster[cell]).unwrap_or(0)];
        if owner.is_empty() {
            owner.clone_from(&sample[cell]);
        } else if *owner != sample[cell] {
            let message = format!("cluster `{}` is in samples `{owner}` and `{}`", cluster[cell], sample[cell]);
            return Err(Fault::bad_input(message).at("cluster").hint("name clusters by their sample"));
        }
    }
    let mut values = Matrix::zeros(types.len() * g, clusters.len());
    let samples = collate::first_seen(sample);
    let jobs: Vec<(usize, &String)> = (0..types.len()).flat_map(|t| samples.iter().map(move |s| (t, s))).collect();
    let found = run.map_blocks("fold changes", jobs.len(), 1, |job| {
        let (of_type, of_sample) = (&types[jobs[job].0], jobs[job].1);
        let cells: Vec<usize> = (0..n).filter(|&c| cell_type[c] == *of_type && sample[c] == *of_sample).collect();
        differences(x, &cells, cluster, region, scale)
    })?;
    for ((of_type, _), changes) in jobs.iter().zip(found) {
        for (name, change) in changes {
            let column = index.get(&name).unwrap_or(0);
            change.into_iter().enumerate().for_each(|(gene, change)| values[(of_type * g + gene, column)] = change);
        }
    }
    Ok(FoldChanges {
        cell_type: types.iter().flat_map(|of| std::iter::repeat_n(of.clone(), g)).collect(),
        gene: types.iter().flat_map(|_| x.genes().iter().cloned()).collect(),
        clusters,
        samples: owner,
        values,
    })
}

/// Mean inside less mean outside of each cluster, gene by gene.
fn differences(
    x: &Expression,
    cells: &[usize],
    cluster: &[String],
    region: Option<&[String]>,
    scale: bool,
) -> Result<Vec<(String, Vec<f64>)>> {
    let names = collate::first_seen(cells.iter().map(|&cell| &cluster[cell]));
    if cells.len() < FEWEST || names.len() < 2 {
        return Ok(Vec::new());
    }
    let regions: Vec<String> = region.iter().flat_map(|of| cells.iter().map(|&cell| of[cell].clone())).collect();
    // One region has no others to weigh against.
    let weighted = (scale && collate::first_seen(&regions).len() > 1)
        .then(|| scale_by_groups(&x.take_cells(cells), &regions))
        .transpose()?;
    let g = x.n_genes();
    let moments = scale.then(|| Moments::of(x, cells));
    let z = |gene: usize, value: f64| moments.as_ref().map_or(value, |moments| moments.z(gene, value));
    let index = Index::of(&names);
    let (mut sums, mut counts) = (vec![vec![0.0; g]; names.len()], vec![0.0; names.len()]);
    let zeros: Vec<f64> = (0..g).map(|gene| z(gene, 0.0)).collect();
    for (place, &cell) in cells.iter().enumerate() {
        let of = index.get(&cluster[cell]).unwrap_or(0);
        counts[of] += 1.0;
        let mut row = zeros.clone();
        if let Some(weighted) = &weighted {
            row.copy_from_slice(weighted.row(place));
        } else {
            let (genes, values) = x.cell(cell);
            genes.iter().zip(values).for_each(|(&gene, &value)| row[gene as usize] = z(gene as usize, value));
        }
        sums[of].iter_mut().zip(row).for_each(|(sum, z)| *sum += z);
    }
    let total: Vec<f64> = (0..g).map(|gene| sums.iter().map(|of| of[gene]).sum()).collect();
    let all = cells.len() as f64;
    let difference =
        |of: usize, gene: usize| sums[of][gene] / counts[of] - (total[gene] - sums[of][gene]) / (all - counts[of]);
    let changes = |of: usize| (0..g).map(|gene| difference(of, gene)).collect();
    Ok(names.iter().enumerate().map(|(of, name)| (name.clone(), changes(of))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_weigh_the_same() -> Result<()> {
        let texts = |of: &dyn Fn(usize) -> &'static str| (0..12).map(|i| of(i).to_owned()).collect::<Vec<_>>();
        let rows: Vec<Vec<f64>> = (0..12).map(|i| vec![(i % 5) as f64, f64::from(u8::from(i < 9))]).collect();
        let cells = (0..12).map(|i| format!("c{i}")).collect();
        let x = Expression::from_rows(cells, vec!["a".into(), "b".into()], &rows)?;
        let (types, samples, clusters) =
            (texts(&|_| "B"), texts(&|_| "S"), texts(&|i| if i % 2 == 0 { "1" } else { "2" }));
        let region = texts(&|i| if i < 9 { "inner" } else { "margin" });
        let found = fold_changes(&Run::new(), &x, &types, &samples, &clusters, Some(&region), true)?;
        let z = scale_by_groups(&x, &region)?;
        let mean = |odd: usize| (0..6).map(|i| z[(2 * i + odd, 0)]).sum::<f64>() / 6.0;
        assert!((found.values[(0, 0)] - (mean(0) - mean(1))).abs() < 1e-14);
        // All cells of one region: as without.
        let one = fold_changes(&Run::new(), &x, &types, &samples, &clusters, Some(&types), true)?;
        assert_eq!(one, fold_changes(&Run::new(), &x, &types, &samples, &clusters, None, true)?);
        assert!(fold_changes(&Run::new(), &x, &types, &samples, &clusters, Some(&region[..3]), true).is_err());
        Ok(())
    }
}
