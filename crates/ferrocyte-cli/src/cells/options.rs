//! The options of the steps, from words to what the steps take.

use ferrocyte_cells::harmony::{HarmonyOptions, Ridge};
use ferrocyte_cells::hvg::{Flavor, HvgOptions};
use ferrocyte_cells::keys::Style;
use ferrocyte_cells::markers::{Correction, MarkerOptions, Method};
use ferrocyte_cells::normalize::{NormalizeOptions, Target};
use ferrocyte_cells::sc3::Sc3Options;
use ferrocyte_cells::scrublet::ScrubletOptions;
use ferrocyte_cells::steps::{ComponentOptions, EmbedOptions, Outliers, QualityOptions, RankOptions, Weights};
use ferrocyte_learn::{KnnOptions, LeidenOptions, Metric, UmapOptions};

use crate::config::Settings;
use crate::faults::Failure;

type Answer<T> = Result<T, Failure>;

/// A number.
pub(super) fn number(settings: &Settings, name: &str) -> Answer<f64> {
    let word = settings.word(name);
    let bad = || Failure::usage(name, format!("expected a number, found `{word}`"), "see --help");
    word.parse::<f64>().ok().filter(|x| !x.is_nan()).ok_or_else(bad)
}

/// A number, or nothing.
fn maybe_number(settings: &Settings, name: &str) -> Answer<Option<f64>> {
    settings.one(name).map(|_| number(settings, name)).transpose()
}

/// A whole number of at least `least`.
pub(super) fn whole(settings: &Settings, name: &str, least: usize) -> Answer<usize> {
    let word = settings.word(name);
    let bad = || Failure::usage(name, format!("expected a whole number from {least} on, found `{word}`"), "see --help");
    word.parse::<usize>().ok().filter(|n| *n >= least).ok_or_else(bad)
}

/// A whole number, or nothing.
fn maybe_whole(settings: &Settings, name: &str, least: usize) -> Answer<Option<usize>> {
    settings.one(name).map(|_| whole(settings, name, least)).transpose()
}

/// Whole numbers between commas.
fn wholes(settings: &Settings, name: &str) -> Answer<Vec<usize>> {
    let bad = |word: &str| {
        Failure::usage(name, format!("expected whole numbers between commas, found `{word}`"), "such as 5,10,20")
    };
    list(settings.word(name)).iter().map(|word| word.parse().map_err(|_| bad(word))).collect()
}

/// Words between commas.
pub(super) fn list(text: &str) -> Vec<String> {
    text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

/// A truth value.
pub(super) fn truth(settings: &Settings, name: &str) -> bool {
    settings.word(name) == "true"
}

/// The dialect.
pub(super) fn style(settings: &Settings) -> Answer<Style> {
    Ok(Style::from_word(settings.word("style"))?)
}

/// The seed.
fn seed(settings: &Settings) -> Answer<u64> {
    Ok(whole(settings, "seed", 0)? as u64)
}

/// How cells are judged; `single` says whether their counts are 32-bit floats.
pub(super) fn quality(settings: &Settings, single: bool) -> Answer<QualityOptions> {
    let doublets = if truth(settings, "doublets") {
        Some(ScrubletOptions {
            expected_rate: number(settings, "expected_doublet_rate")?,
            se_rate: number(settings, "stdev_doublet_rate")?,
            sim_ratio: number(settings, "sim_doublet_ratio")?,
            n_comps: whole(settings, "n_prin_comps", 1)?,
            threshold: maybe_number(settings, "doublet_threshold")?,
            seed: seed(settings)?,
            ..ScrubletOptions::default()
        })
    } else {
        None
    };
    Ok(QualityOptions {
        min_genes: whole(settings, "min_genes", 0)?,
        max_genes: maybe_whole(settings, "max_genes", 1)?,
        min_counts: maybe_number(settings, "min_counts")?,
        max_counts: maybe_number(settings, "max_counts")?,
        outliers: Outliers::from_word(settings.word("outliers"))?,
        // A share of 100 % is no bound.
        max_mito: maybe_number(settings, "max_mito")?.filter(|&share| share < 100.0),
        max_ribo: maybe_number(settings, "max_ribo")?.filter(|&share| share < 100.0),
        min_cells: whole(settings, "min_cells", 0)?,
        mito_prefix: settings.word("mito_prefix").to_owned(),
        percent_top: wholes(settings, "percent_top")?,
        doublets,
        style: style(settings)?,
        single,
    })
}

/// How coordinates are found.
pub(super) fn embed(settings: &Settings) -> Answer<EmbedOptions> {
    let (style, seed) = (style(settings)?, seed(settings)?);
    let share = number(settings, "max_fraction")?;
    let ridge = match settings.word("lamb") {
        "auto" => Ridge::Expected { alpha: 0.2, least_share: 1e-5 },
        _ => Ridge::Fixed(number(settings, "lamb").map_err(|_| {
            let message = format!("expected a number or auto, found `{}`", settings.word("lamb"));
            Failure::usage("lamb", message, "1 is the published penalty, auto that of later versions of the packages")
        })?),
    };
    let metric = settings.word("metric");
    let metrics = [Metric::Euclidean, Metric::Cosine, Metric::Correlation, Metric::Manhattan];
    Ok(EmbedOptions {
        normalize: NormalizeOptions {
            target: maybe_number(settings, "target_sum")?.map_or(Target::Median, Target::To),
            exclude_highly_expressed: truth(settings, "exclude_highly_expressed").then_some(share),
        },
        hvg: HvgOptions {
            n_top: maybe_whole(settings, "n_top_genes", 1)?,
            min_mean: number(settings, "min_mean")?,
            max_mean: number(settings, "max_mean")?,
            min_disp: number(settings, "min_disp")?,
            max_disp: number(settings, "max_disp")?,
            span: number(settings, "span")?,
            n_bins: whole(settings, "n_bins", 1)?,
            ..HvgOptions::new(Flavor::from_word(settings.word("flavor"))?)
        },
        components: ComponentOptions {
            n_comps: maybe_whole(settings, "n_comps", 1)?,
            scale: truth(settings, "scale"),
            max_value: maybe_number(settings, "max_value")?,
            style,
        },
        harmony: HarmonyOptions {
            n_clusters: maybe_whole(settings, "nclust", 1)?,
            theta: number(settings, "theta")?,
            sigma: number(settings, "sigma")?,
            tau: number(settings, "tau")?,
            ridge,
            max_iter: whole(settings, "max_iter_harmony", 1)?,
            seed,
            ..HarmonyOptions::default()
        },
        knn: KnnOptions {
            k: whole(settings, "n_neighbors", 2)?,
            metric: metrics.into_iter().find(|known| known.word() == metric).unwrap_or(Metric::Euclidean),
            seed,
            ..KnnOptions::default()
        },
        weights: Weights::from_word(settings.word("graph"))?,
        n_pcs: maybe_whole(settings, "n_pcs", 1)?,
        umap: UmapOptions {
            dims: whole(settings, "n_components", 1)?,
            min_dist: number(settings, "min_dist")?,
            spread: number(settings, "spread")?,
            n_epochs: maybe_whole(settings, "maxiter", 1)?,
            seed,
            ..UmapOptions::default()
        },
        spectral: settings.word("init_pos") == "spectral",
        style,
    })
}

/// How clusters are found.
pub(super) fn leiden(settings: &Settings) -> Answer<LeidenOptions> {
    let word = settings.word("n_iterations");
    let bad = || {
        Failure::usage(
            "n_iterations",
            format!("expected a whole number, found `{word}`"),
            "-1 is until nothing is gained",
        )
    };
    let n_iterations: i64 = word.parse().map_err(|_| bad())?;
    Ok(LeidenOptions {
        resolution: number(settings, "resolution")?,
        n_iterations: usize::try_from(n_iterations).ok(),
        n_starts: maybe_whole(settings, "n_starts", 1)?,
        seed: seed(settings)?,
        ..LeidenOptions::default()
    })
}

/// How a consensus is found.
pub(super) fn sc3(settings: &Settings) -> Answer<Sc3Options> {
    let numbers = wholes(settings, "n_clusters")?;
    Ok(Sc3Options { n_runs: whole(settings, "n_runs", 1)?, ..Sc3Options::new(&numbers, seed(settings)?) })
}

/// How markers are found, of the groups of a column.
pub(super) fn rank(settings: &Settings, groupby: &str) -> Answer<RankOptions> {
    let groups = settings.one("groups").filter(|&groups| groups != "all").map(list);
    let reference = settings.one("reference").filter(|&reference| reference != "rest").map(str::to_owned);
    Ok(RankOptions {
        markers: MarkerOptions {
            correction: Correction::from_word(settings.word("corr_method"))?,
            // A reference is not compared with itself.
            groups: groups.map(|groups| groups.into_iter().filter(|g| Some(g) != reference.as_ref()).collect()),
            reference,
            tie_correct: truth(settings, "tie_correct"),
            fold_change_of_means: truth(settings, "fold_change_of_means"),
            ..MarkerOptions::new(Method::from_word(settings.word("marker_method"))?)
        },
        groupby: groupby.to_owned(),
        layer: settings.one("layer").filter(|&layer| layer != "X").map(str::to_owned),
        n_genes: maybe_whole(settings, "n_genes", 1)?,
        by_size: truth(settings, "rankby_abs"),
        pts: truth(settings, "pts"),
        style: style(settings)?,
    })
}
