//! The simulation of the paper: what is known about every individual and what every gene was made of.

use ferrocyte_base::{Fault, Result, Run, choice};
use ferrocyte_math::linalg::{Matrix, cholesky_in_place};
use ferrocyte_math::random::Stream;

use super::data::Study;
use super::options::Level;

choice! {
    /// How expression varies between individuals in a simulated study.
    Truth, "truth" {
        /// Alike in all cell types.
        Hom = "hom",
        /// With a variance of its own in each cell type.
        Free = "free",
        /// With covariances between cell types.
        Full = "full",
    }
}

/// The size and the variances of a simulated study; defaults are the paper's.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulateOptions {
    /// Genes, independent.
    pub n_genes: usize,
    /// Individuals.
    pub n_individuals: usize,
    /// Weights of the Dirichlet distribution of proportions, one per cell type.
    pub concentration: Vec<f64>,
    /// How expression varies.
    pub truth: Truth,
    /// The variance that cell types share.
    pub hom2: f64,
    /// The variance that the means of cell types make in overall expression.
    pub mean_share: f64,
    /// The variance that V makes in overall expression.
    pub specific_share: f64,
    /// Relative sizes of means and of V, one per cell type.
    pub ratios: Vec<f64>,
    /// Mean of the noise of overall expression.
    pub noise: f64,
    /// Its variance over individuals.
    pub noise_variance: f64,
    /// The seed.
    pub seed: u64,
}

impl SimulateOptions {
    /// The paper's design for `truth`: four cell types, hom2 = 0.25, v1 + v2 = 0.5, noise 0.25.
    pub fn paper(truth: Truth, n_genes: usize, n_individuals: usize, seed: u64) -> Self {
        let specific_share = if truth == Truth::Hom { 0.0 } else { 0.25 };
        Self {
            n_genes,
            n_individuals,
            concentration: vec![2.0; 4],
            truth,
            hom2: 0.25,
            mean_share: 0.5 - specific_share,
            specific_share,
            ratios: vec![8.0, 4.0, 2.0, 1.0],
            noise: 0.25,
            noise_variance: 0.02,
            seed,
        }
    }

    fn check(&self) -> Result<()> {
        let c = self.concentration.len();
        let fault = if c < 2 {
            Some(format!("two cell types or more are needed, found {c}"))
        } else if self.ratios.len() != c {
            Some(format!("one ratio per cell type is needed: {c}, found {}", self.ratios.len()))
        } else if self.n_individuals < 2 || self.n_genes == 0 {
            Some("at least one gene and two individuals are needed".to_owned())
        } else if self.ratios.iter().any(|r| !(*r >= 0.0)) || self.ratios.iter().all(|&r| r == 0.0) {
            Some("ratios are zero or more, and not all zero".to_owned())
        } else if !(self.hom2 >= 0.0 && self.mean_share >= 0.0 && self.specific_share >= 0.0) {
            Some("variances are zero or more".to_owned())
        } else if !(self.noise > 0.0 && self.noise_variance > 0.0) {
            Some("the noise and its variance are more than zero".to_owned())
        } else {
            None
        };
        fault.map_or(Ok(()), |message| Err(Fault::bad_input(message).at("simulate ctmm")))
    }

    /// Mean and covariance of the proportions.
    fn proportion_moments(&self) -> (Vec<f64>, Matrix) {
        let total: f64 = self.concentration.iter().sum();
        let pi: Vec<f64> = self.concentration.iter().map(|a| a / total).collect();
        let c = pi.len();
        let mut s = Matrix::zeros(c, c);
        for a in 0..c {
            for b in 0..c {
                s[(a, b)] = (if a == b { pi[a] } else { 0.0 } - pi[a] * pi[b]) / (total + 1.0);
            }
        }
        (pi, s)
    }

    /// The means β with β'Sβ = mean_share.
    pub fn means(&self) -> Vec<f64> {
        let (_, s) = self.proportion_moments();
        let c = self.ratios.len();
        let square: f64 =
            (0..c).map(|a| (0..c).map(|b| self.ratios[a] * s[(a, b)] * self.ratios[b]).sum::<f64>()).sum();
        let factor = if square > 0.0 { (self.mean_share / square).sqrt() } else { 0.0 };
        self.ratios.iter().map(|r| r * factor).collect()
    }

    /// A triangle L with V = LL'; variances may be zero where V is diagonal.
    fn root(&self) -> Result<Matrix> {
        let c = self.ratios.len();
        let mut root = Matrix::from_rows(c, c, self.v());
        if self.truth != Truth::Full {
            root.entries_mut().iter_mut().for_each(|x| *x = x.sqrt());
            return Ok(root);
        }
        cholesky_in_place(&mut root)
            .map_err(|_| Fault::bad_input("the covariance over cell types is not positive definite").at("ratios"))?;
        Ok(root)
    }

    /// V with tr(VS) + π'Vπ = specific_share, C × C row-major.
    pub fn v(&self) -> Vec<f64> {
        let (pi, s) = self.proportion_moments();
        let c = pi.len();
        // The paper's correlations, in the order of pairs (1,2), (1,3), (1,4), (2,3), (2,4), (3,4); repeated for more types.
        let pattern = [0.9, 0.7, 0.9, 0.5, 0.7, 0.9];
        let mut v = Matrix::zeros(c, c);
        let mut pair = 0;
        for a in 0..c {
            v[(a, a)] = self.ratios[a];
            for b in a + 1..c {
                let correlation = if self.truth == Truth::Full { pattern[pair % pattern.len()] } else { 0.0 };
                pair += 1;
                let entry = correlation * (self.ratios[a] * self.ratios[b]).sqrt();
                v[(a, b)] = entry;
                v[(b, a)] = entry;
            }
        }
        let made: f64 = (0..c).map(|a| (0..c).map(|b| v[(a, b)] * (s[(a, b)] + pi[a] * pi[b])).sum::<f64>()).sum();
        let factor = if self.truth == Truth::Hom { 0.0 } else { self.specific_share / made };
        v.entries().iter().map(|x| x * factor).collect()
    }
}

/// Draws a study: proportions and noise of the individuals once, values for every gene. Each gene has its own
/// stream of random numbers, so that neither threads nor the number of genes change it.
pub fn simulate(run: &Run, options: &SimulateOptions) -> Result<Study> {
    options.check()?;
    let (n, c) = (options.n_individuals, options.concentration.len());
    let mut people = Stream::new(options.seed, u64::MAX);
    let shape = options.noise * options.noise / options.noise_variance;
    let (mut proportions, mut variances) = (Vec::with_capacity(n * c), Vec::with_capacity(n * c));
    for _ in 0..n {
        let share = people.dirichlet(&options.concentration)?;
        let noise = people.gamma(shape, options.noise / shape)?;
        variances.extend(share.iter().map(|p| noise / p));
        proportions.extend(share);
    }
    let (means, root) = (options.means(), options.root()?);
    let drawn = run.map_blocks("simulating", options.n_genes, 64, |gene| {
        let mut stream = Stream::new(options.seed, gene as u64);
        let mut y = Vec::with_capacity(n * c);
        for i in 0..n {
            let shared = options.hom2.sqrt() * stream.normal();
            let own: Vec<f64> = (0..c).map(|_| stream.normal()).collect();
            for a in 0..c {
                let specific: f64 = (0..=a).map(|b| root[(a, b)] * own[b]).sum();
                y.push(shared + means[a] + specific + variances[i * c + a].sqrt() * stream.normal());
            }
        }
        Ok(y)
    })?;
    let named = |prefix: &str, count: usize| {
        let width = count.to_string().len();
        (1..=count).map(|i| format!("{prefix}{i:0width$}")).collect()
    };
    Ok(Study {
        genes: named("gene", options.n_genes),
        individuals: named("donor", n),
        cell_types: named("type", c),
        level: Level::Ctp,
        values: drawn.concat(),
        noise: (0..options.n_genes).flat_map(|_| variances.iter().copied()).collect(),
        proportions: Some(proportions),
        fixed: Vec::new(),
        random: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variances_are_those_of_the_paper() {
        let free = SimulateOptions::paper(Truth::Free, 1, 10, 1);
        for (v, expected) in free.v().iter().step_by(5).zip([1.6, 0.8, 0.4, 0.2]) {
            assert!((v - expected).abs() < 1e-12, "{v}");
        }
        let (_, s) = free.proportion_moments();
        let b = free.means();
        let share: f64 = (0..4).map(|a| (0..4).map(|d| b[a] * s[(a, d)] * b[d]).sum::<f64>()).sum();
        assert!((share - 0.25).abs() < 1e-12);
        assert!(SimulateOptions::paper(Truth::Hom, 1, 10, 1).v().iter().all(|&v| v == 0.0));
    }

    #[test]
    fn a_gene_does_not_depend_on_the_others() -> Result<()> {
        let few = simulate(&Run::new().threads(1), &SimulateOptions::paper(Truth::Full, 2, 12, 5))?;
        let many = simulate(&Run::new().threads(2), &SimulateOptions::paper(Truth::Full, 150, 12, 5))?;
        assert_eq!(few.values, many.values[..few.values.len()]);
        assert!(
            simulate(&Run::new(), &SimulateOptions { hom2: -1.0, ..SimulateOptions::paper(Truth::Hom, 1, 5, 1) })
                .is_err()
        );
        Ok(())
    }
}
