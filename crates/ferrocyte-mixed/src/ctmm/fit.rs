//! All genes at once.

use ferrocyte_base::{Column, Fault, Kind, Provenance, Result, Run, Table, Task, Value, listing};

use super::data::Study;
use super::design::Design;
use super::gene::{GeneFit, Group, coefficient_names, empty};
use super::kernel::{covariance, kernels};
use super::options::{FitOptions, Jackknife, Level, Method, Model};
use super::shares::Shares;
use super::status::Outcome;
use super::widen::Widening;

/// Cell type-specific mixed models of all genes.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Names of genes.
    pub genes: Vec<String>,
    /// Names of cell types.
    pub cell_types: Vec<String>,
    /// What was modelled.
    pub level: Level,
    /// How it was fitted.
    pub options: FitOptions,
    /// Names of the variances: `hom2`, `V[B]`, .., then random covariates.
    pub variances: Vec<String>,
    /// Names of the fixed effects: `mean[B]`, .., then columns of fixed covariates.
    pub coefficients: Vec<String>,
    /// Names of the fixed covariates.
    pub fixed: Vec<String>,
    /// Names of the random covariates.
    pub random: Vec<String>,
    /// Individuals behind each gene.
    pub n_individuals: Vec<usize>,
    /// What became of each gene.
    pub outcomes: Vec<Outcome>,
    /// Variances, genes × variances.
    pub theta: Vec<f64>,
    /// Their covariance, genes × variances × variances; NaN where it was not asked for.
    pub theta_covariance: Vec<f64>,
    /// Fixed effects, genes × coefficients.
    pub beta: Vec<f64>,
    /// Their covariance, genes × coefficients × coefficients.
    pub beta_covariance: Vec<f64>,
    /// Log-likelihood without (n / 2) ln 2π, and REML's without ln |X'X| / 2: the reference's convention. NaN after moments.
    pub log_likelihood: Vec<f64>,
    /// Log-likelihood with all constants.
    pub log_likelihood_full: Vec<f64>,
    /// Degrees of freedom of the tests: individuals less parameters.
    pub df: Vec<f64>,
    /// ln p of hom2 = 0.
    pub ln_p_hom2: Vec<f64>,
    /// ln p of V = 0.
    pub ln_p_v: Vec<f64>,
    /// ln p of equal means of cell types.
    pub ln_p_mean: Vec<f64>,
    /// ln p of each V_c = 0, genes × cell types.
    pub ln_p_types: Vec<f64>,
    /// Shares of variance.
    pub shares: Vec<Shares>,
    /// Evaluations of the likelihood.
    pub evaluations: Vec<u32>,
    /// Fits without one individual that have no interior optimum.
    pub bad_refits: Vec<u32>,
    /// Names of individuals that have no value in any gene, or (overall pseudobulk) lack a cell type.
    pub dropped: Vec<String>,
    /// What was done.
    pub provenance: Provenance,
}

/// The fit of a gene, with how many individuals and degrees of freedom; `None` where it has no values.
type Found = Option<(GeneFit, usize, f64)>;

/// Fits the model to every gene. Problems of the whole study are errors; those of one gene are its [`Outcome`].
pub fn fit(run: &Run, study: Study, options: FitOptions) -> Result<Fit> {
    let study = study.checked(run)?;
    let by_types = study.by_types();
    let mut dropped = vec![true; study.individuals.len()];
    let task = run.task("fitting", study.genes.len() as u64);
    if by_types.keys().all(|varies| !varies.contains(&false)) {
        let fits = fit_genes(run, &study, &options, &mut dropped, &task)?;
        return finish(run, study, options, fits, &dropped);
    }
    let mut fits: Vec<Found> = vec![None; study.genes.len()];
    for (varies, genes) in by_types {
        if varies.iter().filter(|&&v| v).count() < 2 {
            let blank = Blank::new(&study, options.model);
            genes.iter().for_each(|&g| fits[g] = Some((blank.fit(Outcome::OneType), 0, f64::NAN)));
            task.advance(genes.len() as u64);
            dropped.fill(false);
            continue;
        }
        let part = study.narrowed(&genes, &varies);
        let wide = Widening::new(&study, options.model, &varies);
        for (gene, found) in genes.into_iter().zip(fit_genes(run, &part, &options, &mut dropped, &task)?) {
            fits[gene] = found.map(|(fit, n, df)| (wide.of(fit), n, df));
        }
    }
    finish(run, study, options, fits, &dropped)
}

fn finish(run: &Run, study: Study, options: FitOptions, fits: Vec<Found>, dropped: &[bool]) -> Result<Fit> {
    if !dropped.contains(&false) {
        return Err(Fault::bad_input("no individual has a value in any gene").at("CTP"));
    }
    Ok(gather(run, study, options, fits, dropped))
}

/// Fits the genes of a checked study, and marks the individuals that any of them has as not dropped.
fn fit_genes(
    run: &Run,
    study: &Study,
    options: &FitOptions,
    dropped: &mut [bool],
    task: &Task<'_>,
) -> Result<Vec<Found>> {
    let n = study.individuals.len();
    let mut fits: Vec<Found> = vec![None; study.genes.len()];
    for (observed, genes) in study.patterns() {
        let width = study.width();
        let rows: Vec<usize> = (0..n).filter(|&i| observed[i * width..(i + 1) * width].iter().any(|&o| o)).collect();
        rows.iter().for_each(|&i| dropped[i] = false);
        if rows.is_empty() {
            task.advance(genes.len() as u64);
            continue;
        }
        let all = vec![true; n * study.cell_types.len()];
        let pairs = if study.level == Level::Op { &all } else { &observed };
        let design = Design::new(study, options.model, &rows, pairs)?;
        reserve(run, &design, options)?;
        let group = match Group::new(study, &design, rows, *options) {
            Ok(group) => group,
            Err(fault) if fault.kind() == Kind::BadInput => {
                run.warn(&format!("{} genes are not fitted: {fault}", genes.len()));
                for gene in genes {
                    fits[gene] = Some((empty(&design, Outcome::NotIdentifiable), design.n, design.df()));
                }
                continue;
            }
            Err(fault) => return Err(fault),
        };
        let block = if options.method == Method::He { 16 } else { 1 };
        let found = run.map_quietly(genes.len(), block, |range| {
            let length = range.len() as u64;
            let found = range.map(|k| group.fit(study, genes[k])).collect::<Result<Vec<_>>>()?;
            task.advance(length);
            Ok(found)
        })?;
        for (gene, fit) in genes.into_iter().zip(found.into_iter().flatten()) {
            fits[gene] = Some((fit, design.n, design.df()));
        }
    }
    Ok(fits)
}

/// What the regressions without one individual hold must fit.
fn reserve(run: &Run, design: &Design, options: &FitOptions) -> Result<()> {
    let complete = !design.op && design.random.is_empty() && design.n_observations() == design.n * design.c;
    if options.method != Method::He || options.jackknife == Jackknife::None || complete {
        return Ok(());
    }
    let bytes = 8 * design.n * design.n_observations() * design.n_variances();
    run.reserve("the regressions without one individual", bytes as u64)
}

fn gather(run: &Run, study: Study, options: FitOptions, fits: Vec<Found>, dropped: &[bool]) -> Fit {
    let everyone: Vec<usize> = (0..study.individuals.len()).collect();
    let blank = Blank::new(&study, options.model);
    let names = kernels(options.model, &study.cell_types).into_iter().map(|k| k.name);
    let mut out = Fit {
        variances: names.chain(study.random.iter().map(|r| format!("r2[{}]", r.name))).collect(),
        coefficients: coefficient_names(&study),
        fixed: study.fixed.iter().map(|f| f.name.clone()).collect(),
        random: study.random.iter().map(|r| r.name.clone()).collect(),
        dropped: everyone.iter().filter(|&&i| dropped[i]).map(|&i| study.individuals[i].clone()).collect(),
        provenance: provenance(&study, &options),
        level: study.level,
        options,
        n_individuals: Vec::new(),
        outcomes: Vec::new(),
        theta: Vec::new(),
        theta_covariance: Vec::new(),
        beta: Vec::new(),
        beta_covariance: Vec::new(),
        log_likelihood: Vec::new(),
        log_likelihood_full: Vec::new(),
        df: Vec::new(),
        ln_p_hom2: Vec::new(),
        ln_p_v: Vec::new(),
        ln_p_mean: Vec::new(),
        ln_p_types: Vec::new(),
        shares: Vec::new(),
        evaluations: Vec::new(),
        bad_refits: Vec::new(),
        genes: study.genes,
        cell_types: study.cell_types,
    };
    if !out.dropped.is_empty() {
        let places: Vec<String> = everyone
            .iter()
            .filter(|&&i| dropped[i])
            .map(|&i| format!("individual {i} ({})", study.individuals[i]))
            .collect();
        let why = if out.level == Level::Op { "lack the value of a cell type" } else { "have no value in any pair" };
        let message = format!("{} individuals are left out, they {why}: {}", places.len(), listing(&places, 10));
        run.warn(&message);
        out.provenance.warnings.push(message);
    }
    for fit in fits {
        let (fit, n, df) = fit.unwrap_or_else(|| (blank.fit(Outcome::NoValues), 0, f64::NAN));
        out.push(fit, n, df);
    }
    out
}

/// The sizes of a gene without values.
struct Blank {
    k: usize,
    p: usize,
    c: usize,
    fixed: usize,
    random: usize,
}

impl Blank {
    fn new(study: &Study, model: Model) -> Self {
        Self {
            k: kernels(model, &study.cell_types).len() + study.random.len(),
            p: coefficient_names(study).len(),
            c: study.cell_types.len(),
            fixed: study.fixed.len(),
            random: study.random.len(),
        }
    }

    fn fit(&self, outcome: Outcome) -> GeneFit {
        let nan = |n: usize| vec![f64::NAN; n];
        GeneFit {
            outcome,
            theta: nan(self.k),
            theta_covariance: nan(self.k * self.k),
            beta: nan(self.p),
            beta_covariance: nan(self.p * self.p),
            log_likelihood: f64::NAN,
            log_likelihood_full: f64::NAN,
            evaluations: 0,
            bad_refits: 0,
            ln_p_hom2: f64::NAN,
            ln_p_v: f64::NAN,
            ln_p_mean: f64::NAN,
            ln_p_types: nan(self.c),
            shares: Shares {
                fixed: nan(1 + self.fixed),
                random: nan(self.random),
                specific: f64::NAN,
                by_cell_type: nan(self.c),
            },
        }
    }
}

fn provenance(study: &Study, options: &FitOptions) -> Provenance {
    let names = |covariates: &[super::Covariate]| Value::list(covariates.iter().map(|c| c.name.as_str()));
    Provenance::new("ctmm.fit")
        .option("level", study.level.word())
        .option("model", options.model.word())
        .option("method", options.method.word())
        .option("variance", options.variance.word())
        .option("jackknife", options.jackknife.word())
        .option("mean_test", options.mean_test.word())
        .option("fixed", names(&study.fixed))
        .option("random", names(&study.random))
}

impl Fit {
    fn push(&mut self, fit: GeneFit, n: usize, df: f64) {
        self.n_individuals.push(n);
        self.outcomes.push(fit.outcome);
        self.theta.extend(fit.theta);
        self.theta_covariance.extend(fit.theta_covariance);
        self.beta.extend(fit.beta);
        self.beta_covariance.extend(fit.beta_covariance);
        self.log_likelihood.push(fit.log_likelihood);
        self.log_likelihood_full.push(fit.log_likelihood_full);
        self.df.push(df);
        self.ln_p_hom2.push(fit.ln_p_hom2);
        self.ln_p_v.push(fit.ln_p_v);
        self.ln_p_mean.push(fit.ln_p_mean);
        self.ln_p_types.extend(fit.ln_p_types);
        self.shares.push(fit.shares);
        self.evaluations.push(fit.evaluations);
        self.bad_refits.push(fit.bad_refits);
    }

    /// The covariance V over cell types of a gene, C × C row-major.
    pub fn v(&self, gene: usize) -> Vec<f64> {
        let k = self.variances.len();
        covariance(self.options.model, &self.theta[gene * k..(gene + 1) * k], self.cell_types.len())
    }

    /// How many genes have each outcome, in the order of [`Outcome::ALL`], those without genes left out.
    pub fn outcome_counts(&self) -> Vec<(Outcome, usize)> {
        Outcome::ALL
            .into_iter()
            .map(|o| (o, self.outcomes.iter().filter(|&&x| x == o).count()))
            .filter(|&(_, n)| n > 0)
            .collect()
    }

    /// One row per gene: estimates, standard errors, p-values with their false discovery rates, shares, status.
    pub fn table(&self) -> Table {
        let mut table = Table::new("ctmm").with(Column::text("gene", "name of the gene", self.genes.clone()));
        let (k, p) = (self.variances.len(), self.coefficients.len());
        let column = |cells: &[f64], width: usize, j: usize| cells.iter().skip(j).step_by(width).copied().collect();
        for (j, name) in self.variances.iter().enumerate() {
            table =
                table.with(Column::float(name, "value²", "variance between individuals", column(&self.theta, k, j)));
        }
        for (j, name) in self.variances.iter().enumerate() {
            let variance: Vec<f64> = column(&self.theta_covariance, k * k, j * k + j);
            let se = variance.into_iter().map(f64::sqrt).collect();
            table = table.with(Column::float(&format!("se[{name}]"), "value²", "standard error of the variance", se));
        }
        for (j, name) in self.coefficients.iter().enumerate() {
            table = table.with(Column::float(name, "value", "fixed effect", column(&self.beta, p, j)));
        }
        table = self.with_tests(table);
        let share = |of: fn(&Shares) -> f64| self.shares.iter().map(of).collect::<Vec<f64>>();
        table = table.with(Column::float(
            "share[means]",
            "value²",
            "variance of means over proportions",
            share(|s| s.fixed[0]),
        ));
        for (j, name) in self.fixed.iter().enumerate() {
            let cells = self.shares.iter().map(|s| s.fixed[1 + j]).collect();
            table = table.with(Column::float(
                &format!("share[{name}]"),
                "value²",
                "variance of the covariate's effect",
                cells,
            ));
        }
        for (j, name) in self.random.iter().enumerate() {
            let cells = self.shares.iter().map(|s| s.random[j]).collect();
            table = table.with(Column::float(
                &format!("share[{name}]"),
                "value²",
                "variance of the random covariate",
                cells,
            ));
        }
        table = table.with(Column::float(
            "share[V]",
            "value²",
            "cell type-specific variance of overall expression",
            share(|s| s.specific),
        ));
        for (j, name) in self.cell_types.iter().enumerate() {
            let cells = self.shares.iter().map(|s| s.by_cell_type[j]).collect();
            table =
                table.with(Column::float(&format!("share[V[{name}]]"), "value²", "the part of one cell type", cells));
        }
        self.with_status(table)
    }

    fn with_tests(&self, mut table: Table) -> Table {
        let c = self.cell_types.len();
        let mut tests = vec![
            ("hom2".to_owned(), "no shared variance", self.ln_p_hom2.clone()),
            ("V".to_owned(), "no cell type-specific variance", self.ln_p_v.clone()),
            ("mean".to_owned(), "equal means of cell types", self.ln_p_mean.clone()),
        ];
        if self.options.model == Model::Free {
            for (j, name) in self.cell_types.iter().enumerate() {
                let cells = self.ln_p_types.iter().skip(j).step_by(c).copied().collect();
                tests.push((format!("V[{name}]"), "no variance specific to the cell type", cells));
            }
        }
        for (name, null, ln_p) in tests {
            let adjusted = ferrocyte_math::multiple::benjamini_hochberg_ln(&ln_p).into_iter().map(f64::exp).collect();
            let p = ln_p.iter().map(|x| x.exp()).collect();
            let log10 = ln_p.iter().map(|x| x / std::f64::consts::LN_10).collect();
            table = table
                .with(Column::float(&format!("p[{name}]"), "", &format!("p-value of {null}"), p))
                .with(Column::float(
                    &format!("adj_p[{name}]"),
                    "",
                    "the same, false discovery rate over genes",
                    adjusted,
                ))
                .with(Column::float(
                    &format!("log10_p[{name}]"),
                    "",
                    "the same as a logarithm, finite where p underflows",
                    log10,
                ));
        }
        table
    }

    fn with_status(&self, mut table: Table) -> Table {
        let texts =
            |of: fn(Outcome) -> &'static str| self.outcomes.iter().map(|&o| of(o).to_owned()).collect::<Vec<_>>();
        if self.options.method != Method::He {
            table = table
                .with(Column::float("log_likelihood", "", "without constants", self.log_likelihood.clone()))
                .with(Column::float("log_likelihood_full", "", "with all constants", self.log_likelihood_full.clone()))
                .with(Column::int(
                    "evaluations",
                    "",
                    "evaluations of the likelihood",
                    self.evaluations.iter().map(|&n| i64::from(n)).collect(),
                ));
        }
        table
            .with(Column::float("df", "", "degrees of freedom of the tests", self.df.clone()))
            .with(Column::int(
                "n_individuals",
                "",
                "individuals with values",
                self.n_individuals.iter().map(|&n| n as i64).collect(),
            ))
            .with(Column::text("status", "what became of the gene", texts(|o| o.status().word)))
            .with(Column::text("reason", "the same as a sentence", texts(|o| o.status().sentence)))
    }
}
