//! Traits of the design by which GxEMM was published: people in environments that are a partition, genotypes that act in all
//! environments and in each.

use ferrocyte_base::{Fault, OptionInfo, Result, Run};
use ferrocyte_math::random::Stream;

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulateOptions {
    /// People.
    pub n_individuals: usize,
    /// Independent markers.
    pub n_snps: usize,
    /// Frequency of the counted allele, of all markers.
    pub frequency: f64,
    /// Genetic variance that environments share.
    pub hom: f64,
    /// Genetic variance of each environment besides.
    pub specific: Vec<f64>,
    /// Noise of each environment.
    pub noise: Vec<f64>,
    /// Mean of the first environment less that of the last, others between.
    pub effect: f64,
    /// Seed.
    pub seed: u64,
}

impl Default for SimulateOptions {
    fn default() -> Self {
        Self {
            n_individuals: 1000,
            n_snps: 100,
            frequency: 0.3,
            hom: 0.2,
            specific: vec![0.1, 0.4],
            noise: vec![0.7, 0.4],
            effect: 0.5,
            seed: 0,
        }
    }
}

/// The options as fronts show them.
pub const SIMULATE_OPTIONS: &[OptionInfo] = &[
    option("n_individuals", "1000", "individuals"),
    option("n_snps", "100", "independent markers"),
    option("frequency", "0.3", "frequency of the counted allele"),
    option("hom", "0.2", "genetic variance that environments share"),
    option("specific", "0.1,0.4", "genetic variance of each environment besides, between commas"),
    option("noise", "0.7,0.4", "noise of each environment, between commas"),
    option("effect", "0.5", "mean of the first environment less that of the last"),
    option("seed", "0", "seed of all draws"),
];

const fn option(name: &'static str, default: &'static str, meaning: &'static str) -> OptionInfo {
    OptionInfo { name, verbs: &["gxemm"], default, choices: &[], meaning }
}

/// A simulated study.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// Names of people: `i1`, `i2`, ..
    pub individuals: Vec<String>,
    /// Counted alleles, people × markers.
    pub genotypes: Vec<i8>,
    /// The environment of each person, from 0 on.
    pub environment: Vec<usize>,
    /// The trait.
    pub values: Vec<f64>,
}

/// Draws a study. Each person has a stream of random numbers of its own, and the markers' effects another.
///
/// y = main effect + S b / √M + S b_e / √M + noise, with S the genotypes standardised by their frequency: the covariance of
/// GxEMM with K = SS'/M.
pub fn simulate(run: &Run, options: &SimulateOptions) -> Result<Simulated> {
    let (n, m, e) = (options.n_individuals, options.n_snps, options.specific.len());
    check(options)?;
    run.reserve("the genotypes", (n * m) as u64)?;
    let mut effects = Stream::new(options.seed, 0);
    let scale = 1.0 / (m as f64).sqrt();
    let mut of = |variance: f64| (0..m).map(|_| variance.sqrt() * scale * effects.normal()).collect::<Vec<f64>>();
    let shared = of(options.hom);
    let own: Vec<Vec<f64>> = options.specific.iter().map(|&v| of(v)).collect();
    let (mean, sd) = (2.0 * options.frequency, (2.0 * options.frequency * (1.0 - options.frequency)).sqrt());
    let people = run.map_blocks("drawing", n, 64, |i| {
        let mut stream = Stream::new(options.seed, 1 + i as u64);
        let environment = stream.below(e);
        let mut genotypes = Vec::with_capacity(m);
        let mut value = options.effect * (1.0 - environment as f64 / (e - 1).max(1) as f64);
        for j in 0..m {
            let alleles = i8::from(stream.chance(options.frequency)) + i8::from(stream.chance(options.frequency));
            genotypes.push(alleles);
            value += (f64::from(alleles) - mean) / sd * (shared[j] + own[environment][j]);
        }
        value += options.noise[environment].sqrt() * stream.normal();
        Ok((environment, genotypes, value))
    })?;
    let mut out = Simulated {
        individuals: (1..=n).map(|i| format!("i{i}")).collect(),
        genotypes: Vec::with_capacity(n * m),
        environment: Vec::with_capacity(n),
        values: Vec::with_capacity(n),
    };
    for (environment, genotypes, value) in people {
        out.environment.push(environment);
        out.genotypes.extend(genotypes);
        out.values.push(value);
    }
    Ok(out)
}

fn check(options: &SimulateOptions) -> Result<()> {
    let bad = |message: String, place: &str| Err(Fault::bad_input(message).at(place));
    let e = options.specific.len();
    if e == 0 || options.noise.len() != e {
        let found = options.noise.len();
        return bad(format!("a noise and a genetic variance for each environment, found {found} and {e}"), "noise");
    }
    if options.n_individuals < 2 || options.n_snps == 0 {
        return bad(format!("expected 2 individuals and a marker, found {}", options.n_individuals), "n_individuals");
    }
    if !(options.frequency > 0.0 && options.frequency < 1.0) {
        return bad(format!("expected a frequency between 0 and 1, found {}", options.frequency), "frequency");
    }
    let variances = options.specific.iter().chain(&options.noise).chain(std::iter::once(&options.hom));
    match variances.copied().find(|v| !(v.is_finite() && *v >= 0.0)) {
        Some(v) => bad(format!("expected variances of zero or more, found {v}"), "specific"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variances_are_those_that_were_asked_for() -> Result<()> {
        let options = SimulateOptions { n_individuals: 4000, n_snps: 400, ..SimulateOptions::default() };
        let made = simulate(&Run::new().threads(2), &options)?;
        assert_eq!(made, simulate(&Run::new().threads(1), &options)?);
        for (e, total) in [(0, 1.0), (1, 1.0)] {
            let own: Vec<f64> =
                made.values.iter().zip(&made.environment).filter(|(_, k)| **k == e).map(|(y, _)| *y).collect();
            let mean = own.iter().sum::<f64>() / own.len() as f64;
            let variance = own.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / own.len() as f64;
            assert!((variance - total).abs() < 0.15, "{e}: {variance}");
        }
        Ok(())
    }

    #[test]
    fn defaults_are_those_of_the_struct() {
        let of = SimulateOptions::default();
        let list = |v: &[f64]| v.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        let expected = [
            of.n_individuals.to_string(),
            of.n_snps.to_string(),
            of.frequency.to_string(),
            of.hom.to_string(),
            list(&of.specific),
            list(&of.noise),
            of.effect.to_string(),
            of.seed.to_string(),
        ];
        assert_eq!(SIMULATE_OPTIONS.iter().map(|o| o.default).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let run = Run::new();
        let refused = |options: SimulateOptions| simulate(&run, &options).is_err();
        assert!(refused(SimulateOptions { noise: vec![1.0], ..SimulateOptions::default() }));
        assert!(refused(SimulateOptions { frequency: 0.0, ..SimulateOptions::default() }));
        assert!(refused(SimulateOptions { hom: -1.0, ..SimulateOptions::default() }));
    }
}
