//! From design rows to strata and points.

use std::collections::HashMap;

use ferrocyte_base::{Fault, Result};
use ferrocyte_design::Design;
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::pivoted_qr::PivotedQr;

use crate::nbmm::layout::Layout;
use crate::nbmm::nodes::OffsetNodes;
use crate::nbmm::options::Path;

/// No point: the cell does not take part.
pub(super) const NONE: u32 = u32::MAX;

/// The layout of a group, and the way from its cells to points.
#[derive(Debug)]
pub(super) struct Strata {
    /// Points without cells.
    pub(super) layout: Layout,
    /// The nodes; none where cells are points.
    pub(super) nodes: Option<OffsetNodes>,
    /// For each cell of the group the stratum (on nodes) or the point (of cells); [`NONE`] for cells left out.
    pub(super) places: Vec<u32>,
}

/// A cell's donor and the bits of its design row.
type Key = (u32, Vec<(u32, u64)>);

/// Sorts the cells of a design into strata. `ln_offset` has a number per bound cell, NaN for cells that are left out;
/// `totals` those of cells, for designs that need them.
pub(super) fn strata(
    design: &Design,
    ln_offset: &[f64],
    totals: impl Fn(usize) -> f64,
    path: Path,
    n_nodes: Option<usize>,
) -> Result<Strata> {
    let (p, n) = (design.n_fixed(), design.n_rows());
    let mut ids: HashMap<Key, u32> = HashMap::new();
    let mut keys: Vec<Key> = Vec::new();
    let mut row = Vec::new();
    let mut stratum_of = Vec::with_capacity(n);
    for i in 0..n {
        if ln_offset[i].is_nan() {
            stratum_of.push(NONE);
            continue;
        }
        design.row(i, totals(i), &mut row);
        let fixed = row.iter().take_while(|(column, _)| (*column as usize) < p).count();
        let donor = match row[fixed..] {
            [(column, 1.0)] => column - p as u32,
            _ => return Err(one_intercept()),
        };
        if row.iter().any(|(_, x)| !x.is_finite()) {
            return Err(Fault::bad_input("a row of the design is not finite").at("formula"));
        }
        let key = (donor, row[..fixed].iter().map(|&(column, x)| (column, x.to_bits())).collect::<Vec<_>>());
        let id = *ids.entry(key).or_insert_with_key(|key| {
            keys.push(key.clone());
            keys.len() as u32 - 1
        });
        stratum_of.push(id);
    }
    if keys.is_empty() {
        return Err(Fault::bad_input("no cell has counts").at("offset"));
    }
    // By donor and row, so that the order of cells does not matter.
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    order.sort_by(|&a, &b| keys[a as usize].cmp(&keys[b as usize]));
    let mut rank = vec![0_u32; keys.len()];
    order.iter().enumerate().for_each(|(new, &old)| rank[old as usize] = new as u32);
    stratum_of.iter_mut().filter(|s| **s != NONE).for_each(|s| *s = rank[*s as usize]);
    let sorted: Vec<&Key> = order.iter().map(|&i| &keys[i as usize]).collect();
    let mut x = Matrix::zeros(sorted.len(), p);
    let mut donors = vec![0];
    for (c, (donor, entries)) in sorted.iter().enumerate() {
        entries.iter().for_each(|&(column, bits)| x[(c, column as usize)] = f64::from_bits(bits));
        while donors.len() <= *donor as usize {
            donors.push(c);
        }
    }
    donors.resize(design.n_random(), sorted.len());
    donors.push(sorted.len());
    refuse_confounded(&x, &donors)?;
    let (low, high) = ln_offset
        .iter()
        .filter(|l| !l.is_nan())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &l| (low.min(l), high.max(l)));
    let nodes = OffsetNodes::new(low, high, n_nodes);
    let taking_part = stratum_of.iter().filter(|s| **s != NONE).count();
    let on_nodes = match path {
        Path::Nodes => true,
        Path::Cells => false,
        Path::Auto => sorted.len() * nodes.len() < taking_part,
    };
    if on_nodes {
        let (m, offsets) = (nodes.len(), nodes.offsets().repeat(sorted.len()));
        let layout = Layout {
            points: (0..=sorted.len()).map(|c| c * m).collect(),
            cells: vec![0.0; offsets.len()],
            x,
            donors,
            offsets,
        };
        return Ok(Strata { layout, nodes: Some(nodes), places: stratum_of });
    }
    Ok(of_cells(x, donors, &stratum_of, ln_offset))
}

/// Every cell a point, those of a stratum side by side.
fn of_cells(x: Matrix, donors: Vec<usize>, stratum_of: &[u32], ln_offset: &[f64]) -> Strata {
    let mut order: Vec<usize> = (0..stratum_of.len()).filter(|&i| stratum_of[i] != NONE).collect();
    order.sort_by_key(|&i| stratum_of[i]);
    let mut points = vec![0; x.n_rows() + 1];
    let mut places = vec![NONE; stratum_of.len()];
    for (k, &i) in order.iter().enumerate() {
        places[i] = k as u32;
        points[stratum_of[i] as usize + 1] = k + 1;
    }
    let offsets: Vec<f64> = order.iter().map(|&i| ln_offset[i].exp()).collect();
    Strata { layout: Layout { x, donors, points, cells: vec![0.0; offsets.len()], offsets }, nodes: None, places }
}

/// The fault for any random term but one intercept.
pub(super) fn one_intercept() -> Fault {
    Fault::unsupported("a count model has one random intercept, such as (1 | donor)")
        .at("random")
        .hint("take other groupings as fixed effects, or use lmm, which has several random terms")
}

/// Refuses fixed effects that tell all donors apart: then no variance between donors is left.
fn refuse_confounded(x: &Matrix, donors: &[usize]) -> Result<()> {
    let (p, d) = (x.n_cols(), donors.len() - 1);
    let n = x.n_rows();
    let mut both = Matrix::zeros(n, p + d);
    for donor in 0..d {
        for c in donors[donor]..donors[donor + 1] {
            both.row_mut(c)[..p].copy_from_slice(x.row(c));
            both[(c, p + donor)] = 1.0;
        }
    }
    // Scaled, so that units of covariates do not matter.
    for j in 0..p {
        let size = (0..n).map(|c| both[(c, j)].abs()).fold(0.0, f64::max);
        if size > 0.0 {
            (0..n).for_each(|c| both[(c, j)] /= size);
        }
    }
    if p < d || PivotedQr::new(&both).rank() > p {
        return Ok(());
    }
    Err(Fault::bad_input(format!(
        "the fixed effects tell all {d} donors apart, so that no variance between them is left"
    ))
    .at("formula")
    .hint("take the donor, or what tells donors apart, out of the fixed effects"))
}
