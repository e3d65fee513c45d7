//! Genes on one scale: overall expression of mean 0 and variance 1 between individuals.

use ferrocyte_base::{Fault, Result};

use super::data::Study;

/// A study on the scale of its overall expression, gene by gene.
#[derive(Debug, Clone)]
pub struct Standardized {
    /// Values (y - mean(OP)) / sd(OP) with noise / var(OP); negative noise became the largest of its cell type.
    pub study: Study,
    /// Overall expression, genes × individuals; NaN for individuals that lack a cell type.
    pub op: Vec<f64>,
    /// Its noise Σ P² noise, from noise in which negative entries became 0.
    pub op_noise: Vec<f64>,
    /// Σ P² noise of `study`.
    pub noise: Vec<f64>,
    /// Noise per pair in which negative entries became 0.
    pub noise_for_op: Vec<f64>,
    /// Genes whose overall expression does not vary: they are NaN everywhere.
    pub constant: Vec<String>,
}

/// Puts every gene on the scale of its overall expression, sd with N - 1 over the individuals that have every cell type.
/// Negative noise, as imputation leaves it, is mended as the fields say.
pub fn standardize(study: &Study) -> Result<Standardized> {
    let share =
        study.proportions.as_deref().ok_or_else(|| Fault::missing("standardisation needs proportions").at("P"))?;
    let (n, c) = (study.individuals.len(), study.cell_types.len());
    let size = n * c;
    if study.values.len() != study.genes.len() * size || study.noise.len() != study.values.len() || share.len() != size
    {
        return Err(Fault::bad_input(
            "CTP and ctnu must have the shape genes x individuals x cell types, P individuals x cell types",
        ));
    }
    let total = study.values.len();
    let mut out = Standardized {
        study: study.clone(),
        op: Vec::with_capacity(total / c),
        op_noise: Vec::with_capacity(total / c),
        noise: Vec::with_capacity(total / c),
        noise_for_op: Vec::with_capacity(total),
        constant: Vec::new(),
    };
    for (gene, name) in study.genes.iter().enumerate() {
        let cells = gene * size..(gene + 1) * size;
        let op = over_types(&study.values[cells.clone()], share, c, 1);
        let (mean, sd) = mean_and_sd(&op);
        let constant = !(sd > 1e-12 * mean.abs());
        if constant {
            out.constant.push(name.clone());
        }
        let (mean, sd) = if constant { (f64::NAN, f64::NAN) } else { (mean, sd) };
        out.study.values[cells.clone()].iter_mut().for_each(|y| *y = (*y - mean) / sd);
        let scaled: Vec<f64> = study.noise[cells.clone()].iter().map(|d| d / (sd * sd)).collect();
        let zeroed: Vec<f64> = scaled.iter().map(|&d| if d < 0.0 { 0.0 } else { d }).collect();
        let raised = raise_negative(&scaled, c);
        out.op.extend(op.iter().map(|y| (y - mean) / sd));
        out.op_noise.extend(over_types(&zeroed, share, c, 2));
        out.noise.extend(over_types(&raised, share, c, 2));
        out.noise_for_op.extend(zeroed);
        out.study.noise[cells].copy_from_slice(&raised);
    }
    Ok(out)
}

/// Σ_c P_c^power x_c of every individual.
fn over_types(x: &[f64], share: &[f64], c: usize, power: i32) -> Vec<f64> {
    x.chunks_exact(c)
        .zip(share.chunks_exact(c))
        .map(|(x, p)| x.iter().zip(p).map(|(x, p)| x * p.powi(power)).sum())
        .collect()
}

fn mean_and_sd(x: &[f64]) -> (f64, f64) {
    let kept: Vec<f64> = x.iter().copied().filter(|v| !v.is_nan()).collect();
    let n = kept.len() as f64;
    let mean = kept.iter().sum::<f64>() / n;
    (mean, (kept.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}

/// Negative entries become the largest of their column.
fn raise_negative(x: &[f64], c: usize) -> Vec<f64> {
    let most: Vec<f64> =
        (0..c).map(|a| x.iter().skip(a).step_by(c).copied().fold(f64::NEG_INFINITY, f64::max)).collect();
    x.iter().enumerate().map(|(at, &d)| if d < 0.0 { most[at % c] } else { d }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::options::Level;
    use super::*;

    #[test]
    fn constant_genes_are_named_and_others_have_unit_variance() -> Result<()> {
        let names = |all: &str| all.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let study = Study {
            genes: names("g flat"),
            individuals: names("a b c"),
            cell_types: names("B T"),
            level: Level::Ctp,
            values: vec![1.0, 2.0, 3.0, 5.0, 8.0, 1.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0],
            noise: vec![0.1, -0.2, 0.3, 0.4, 0.5, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            proportions: Some(vec![0.5; 6]),
            fixed: Vec::new(),
            random: Vec::new(),
        };
        let made = standardize(&study)?;
        assert_eq!(made.constant, ["flat"]);
        let (mean, sd) = mean_and_sd(&made.op[..3]);
        assert!(mean.abs() < 1e-15 && (sd - 1.0).abs() < 1e-15);
        assert_eq!(made.study.noise[1], made.study.noise[5], "the largest of its cell type");
        assert_eq!(made.noise_for_op[1], 0.0);
        assert!(made.study.values[6].is_nan());
        Ok(())
    }
}
