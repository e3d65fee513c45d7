//! Meta-analysis of co-localisation over samples.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::normal;

use super::{BlockTest, States};
use crate::collate::{self, Index};

/// Keeps the division away from 0 where nothing is known.
const SOFT: f64 = 1e-7;

/// Co-localisation over samples.
#[derive(Debug, Clone, PartialEq)]
pub struct MetaAnalysis {
    /// Combined z of pairs of states.
    pub index: States,
    /// The ecotypes, sorted.
    pub ecotypes: Vec<String>,
    /// Combined z of each ecotype's test.
    pub z: Vec<f64>,
    /// Two-sided p-values of these.
    pub p: Vec<f64>,
}

/// Combines the z-values of samples: their sum divided by the square root of how many there are.
///
/// Those of pairs of states are cut at ± `cap` first, those of tests are not. States in fewer than `min_samples` samples
/// are left out; fewer than three states are a fault.
pub fn colocalization_meta(z: &[States], tests: &[BlockTest], cap: f64, min_samples: usize) -> Result<MetaAnalysis> {
    if z.is_empty() || z.len() != tests.len() {
        return Err(Fault::bad_input(format!("{} samples and {} tests", z.len(), tests.len())));
    }
    let enough = |name: &String| z.iter().filter(|states| states.names.contains(name)).count() >= min_samples;
    let names: Vec<String> =
        collate::sorted(z.iter().flat_map(|states| &states.names)).into_iter().filter(enough).collect();
    let n = names.len();
    if n < 3 {
        return Err(Fault::bad_input(format!("{n} states are in at least {min_samples} samples, 3 are needed"))
            .at("min_samples"));
    }
    let (mut sum, mut known) = (Matrix::zeros(n, n), Matrix::zeros(n, n));
    for states in z {
        let index = Index::of(&states.names);
        let places: Vec<Option<usize>> = names.iter().map(|name| index.get(name)).collect();
        for (i, a) in places.iter().enumerate() {
            for (j, b) in places.iter().enumerate() {
                let value = a.zip(*b).map_or(f64::NAN, |pair| states.values[pair]);
                if !value.is_nan() {
                    sum[(i, j)] += value.clamp(-cap, cap);
                    known[(i, j)] += 1.0;
                }
            }
        }
    }
    let combined = |sum: f64, n: f64| sum / (n.sqrt() + SOFT);
    sum.entries_mut().iter_mut().zip(known.entries()).for_each(|(sum, &n)| *sum = combined(*sum, n));
    let ecotypes = collate::sorted(tests.iter().flat_map(|test| &test.ecotypes));
    let of_ecotype = |name: &String| {
        let found = tests.iter().filter_map(|test| test.ecotypes.iter().position(|e| e == name).map(|i| test.z[i]));
        let found: Vec<f64> = found.filter(|z| !z.is_nan()).collect();
        combined(found.iter().sum(), found.len() as f64)
    };
    let z_of: Vec<f64> = ecotypes.iter().map(of_ecotype).collect();
    let owner = |name: &String| {
        let found = z.iter().find_map(|s| s.names.iter().position(|n| n == name).map(|i| s.ecotypes[i].clone()));
        found.unwrap_or_default()
    };
    Ok(MetaAnalysis {
        index: States { ecotypes: names.iter().map(owner).collect(), names, values: sum },
        p: z_of.iter().map(|z| normal::two_sided(*z)).collect(),
        z: z_of,
        ecotypes,
    })
}
