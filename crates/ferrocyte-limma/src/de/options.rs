//! Options of [`de`](super::de): their words, defaults and meanings, for all three fronts.

use ferrocyte_base::{OptionInfo, choice};

use crate::counts::NormMethod;

choice! {
    /// From counts or values to a fit.
    DeMethod, "method" {
        /// voom and the fit in one, with residual degrees of freedom that know of exact zeros.
        VoomLmFit = "voom_lm_fit",
        /// voom, then the weighted fit.
        Voom = "voom",
        /// log2 counts per million, or the values as they are, and a prior variance that depends on their mean.
        Trend = "trend",
    }
}

choice! {
    /// Over which p-values the false discovery rate is controlled.
    Adjust, "adjust" {
        /// Over the genes of each contrast and group.
        Group = "group",
        /// Over all rows of the table.
        All = "all",
    }
}

/// How genes are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct DeOptions {
    /// The method.
    pub method: DeMethod,
    /// The column of samples whose levels are blocks of correlated samples.
    pub block: Option<String>,
    /// Whether outlying variances get a prior of their own.
    pub robust: bool,
    /// Whether samples get weights, estimated from the data.
    pub sample_weights: bool,
    /// The log2 fold change that a gene must exceed (`treat`); 0: any.
    pub lfc: f64,
    /// How library sizes are made comparable.
    pub normalize: NormMethod,
    /// Counts that a gene must reach in enough samples (at the median library size).
    pub min_count: f64,
    /// Counts that a gene must reach over all samples.
    pub min_total_count: f64,
    /// Over which p-values to adjust.
    pub adjust: Adjust,
}

impl Default for DeOptions {
    fn default() -> Self {
        Self {
            method: DeMethod::VoomLmFit,
            block: None,
            robust: false,
            sample_weights: false,
            lfc: 0.0,
            normalize: NormMethod::Tmm,
            min_count: 10.0,
            min_total_count: 15.0,
            adjust: Adjust::Group,
        }
    }
}

/// A verb's option, all but its choices.
const fn free(
    name: &'static str,
    verbs: &'static [&'static str],
    default: &'static str,
    meaning: &'static str,
) -> OptionInfo {
    OptionInfo { name, verbs, default, choices: &[], meaning }
}

/// All options of the family, in the order of the documentation.
pub const OPTIONS: &[OptionInfo] = &[
    free("formula", &["de"], "-", "the design: ~ 0 + group, ~ donor + condition, ~ group * sex + age"),
    free("contrast", &["de"], "", "[NAME=]EXPRESSION of coefficients or levels, such as stim - ctrl [repeatable]"),
    free(
        "by",
        &["de", "pseudobulk"],
        "",
        "obs columns whose combinations make the samples of a study of cells: donor,condition",
    ),
    free("groups", &["de", "pseudobulk"], "", "obs column whose levels are analysed apart, such as the cell type"),
    free("layer", &["de", "pseudobulk"], "", "matrix to use: X, a layer, or raw/X"),
    OptionInfo {
        name: "mode",
        verbs: &["de", "pseudobulk"],
        default: "sum",
        choices: ferrocyte_data::Aggregate::WORDS,
        meaning: "how the cells of a sample become one value: sum of counts, mean of values",
    },
    free("min_cells", &["de", "pseudobulk"], "10", "samples with fewer cells are left out"),
    OptionInfo {
        name: "method",
        verbs: &["de"],
        default: "voom_lm_fit",
        choices: DeMethod::WORDS,
        meaning: "from counts to a fit; trend is for values that are no counts",
    },
    free("block", &["de"], "", "column of samples whose levels are blocks of correlated samples"),
    OptionInfo {
        name: "robust",
        verbs: &["de"],
        default: "false",
        choices: &["true", "false"],
        meaning: "whether outlying variances get a prior of their own",
    },
    OptionInfo {
        name: "sample_weights",
        verbs: &["de"],
        default: "false",
        choices: &["true", "false"],
        meaning: "whether samples get weights, estimated from the data",
    },
    free("lfc", &["de"], "0", "log2 fold change that a gene must exceed; 0 tests for any difference"),
    OptionInfo {
        name: "normalize",
        verbs: &["de"],
        default: "TMM",
        choices: NormMethod::WORDS,
        meaning: "how library sizes are made comparable",
    },
    free("min_count", &["de"], "10", "counts that a gene must reach in enough samples; 0 keeps all genes"),
    free("min_total_count", &["de"], "15", "counts that a gene must reach over all samples"),
    OptionInfo {
        name: "adjust",
        verbs: &["de"],
        default: "group",
        choices: Adjust::WORDS,
        meaning: "over which p-values the false discovery rate is controlled",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_struct() {
        let default = |name: &str| OPTIONS.iter().find(|o| o.name == name).map_or("", |o| o.default);
        let options = DeOptions::default();
        assert_eq!(options.method.word(), default("method"));
        assert_eq!(options.block.unwrap_or_default(), default("block"));
        assert_eq!(options.robust.to_string(), default("robust"));
        assert_eq!(options.sample_weights.to_string(), default("sample_weights"));
        assert_eq!(options.lfc.to_string(), default("lfc"));
        assert_eq!(options.normalize.word(), default("normalize"));
        assert_eq!(options.min_count.to_string(), default("min_count"));
        assert_eq!(options.min_total_count.to_string(), default("min_total_count"));
        assert_eq!(options.adjust.word(), default("adjust"));
    }
}
