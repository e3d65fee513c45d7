//! Runs mixed models of other crates on a problem that `benches/lmm.py` wrote, through their public functions.
//!
//! `rivals NAME FOLDER REPEATS` with NAME one of
//!
//! * `bixverse`: random-intercept model by REML with Satterthwaite degrees of freedom, from cells, gene by gene;
//! * `bixverse-sums`: the same from sums that are made before the clock starts;
//! * `edge`: NEBULA's negative binomial mixed model of the counts (another model: only its time compares).
//!
//! Prints a line `seconds S genes M` (the best of the repeats, after one run on the first gene), then a line
//! `gene coefficient estimate se df` for each estimate, with `NaN` for what the model does not have.

use std::time::Instant;

use bixverse_core::core::math::mixed_model::{RandomInterceptFit, RandomInterceptStats, fit_random_intercept};
use edge_rs::sc::nebula::nebula;
use edge_rs::sc::test::{ScTested, glm_sc_test};
use faer::MatRef;
use rivals::Result;
use rivals::problem::Problem;

/// An estimate of one coefficient of one gene.
struct Estimate {
    gene: usize,
    coefficient: usize,
    value: f64,
    se: f64,
    df: f64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, folder, repeats] = arguments.as_slice() else {
        return Err("usage: rivals bixverse|bixverse-sums|edge FOLDER REPEATS".into());
    };
    let problem = Problem::read(folder.as_ref())?;
    let repeats: usize = repeats.parse()?;
    let design = problem.design_matrix();
    let (seconds, genes, estimates) = match name.as_str() {
        "bixverse" => best(&problem, repeats, |genes| bixverse(&problem, design.as_ref(), genes))?,
        "bixverse-sums" => {
            let sums = (0..problem.n_genes)
                .map(|gene| sums_of(&problem, design.as_ref(), gene))
                .collect::<Result<Vec<_>>>()?;
            best(&problem, repeats, |genes| bixverse_sums(&sums[..genes]))?
        }
        "edge" => best(&problem, repeats, |genes| edge(&problem, genes))?,
        other => return Err(format!("unknown model `{other}`").into()),
    };
    println!("seconds {seconds} genes {genes}");
    for Estimate { gene, coefficient, value, se, df } in estimates {
        println!("{gene} {coefficient} {value} {se} {df}");
    }
    Ok(())
}

/// The least seconds of several runs over all genes, how many genes were fitted, and the estimates of the last run.
fn best(
    problem: &Problem,
    repeats: usize,
    run: impl Fn(usize) -> Result<Vec<Estimate>>,
) -> Result<(f64, usize, Vec<Estimate>)> {
    run(1)?;
    let mut seconds = f64::INFINITY;
    let mut estimates = Vec::new();
    for _ in 0..repeats.max(1) {
        let start = Instant::now();
        estimates = run(problem.n_genes)?;
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    Ok((seconds, estimates.len() / problem.n_coefficients, estimates))
}

/// The sums of one gene, one pass over its cells.
fn sums_of(problem: &Problem, design: MatRef<'_, f64>, gene: usize) -> Result<RandomInterceptStats> {
    Ok(RandomInterceptStats::from_design(design, problem.response(gene), &problem.samples, problem.n_samples)?)
}

fn bixverse(problem: &Problem, design: MatRef<'_, f64>, genes: usize) -> Result<Vec<Estimate>> {
    let mut out = Vec::new();
    for gene in 0..genes {
        let sums = sums_of(problem, design, gene)?;
        out.extend(estimates_of(gene, &fit_random_intercept(&sums, None)?));
    }
    Ok(out)
}

fn bixverse_sums(sums: &[RandomInterceptStats]) -> Result<Vec<Estimate>> {
    let mut out = Vec::new();
    for (gene, sums) in sums.iter().enumerate() {
        out.extend(estimates_of(gene, &fit_random_intercept(sums, None)?));
    }
    Ok(out)
}

fn estimates_of(gene: usize, fit: &RandomInterceptFit) -> impl Iterator<Item = Estimate> {
    (0..fit.beta.len()).map(move |coefficient| Estimate {
        gene,
        coefficient,
        value: fit.beta[coefficient],
        se: fit.se[coefficient],
        df: fit.df[coefficient],
    })
}

/// NEBULA-LN with its own settings, and the test of every coefficient. Genes that its filter drops are left out.
fn edge(problem: &Problem, genes: usize) -> Result<Vec<Estimate>> {
    let (n, p) = (problem.n_cells, problem.n_coefficients);
    let fit = nebula(&problem.counts[..genes * n], genes, n, &problem.samples, &problem.design, p, None, None)?;
    let kept = fit.gene_index.len();
    for coefficient in 0..p {
        glm_sc_test(&fit.coefficients, &fit.covariance, kept, p, &ScTested::Coef(coefficient))?;
    }
    let mut out = Vec::new();
    for (row, &gene) in fit.gene_index.iter().enumerate() {
        out.extend((0..p).map(|coefficient| Estimate {
            gene,
            coefficient,
            value: fit.coefficients[row * p + coefficient],
            se: fit.se[row * p + coefficient],
            df: f64::NAN,
        }));
    }
    Ok(out)
}
