//! What can become of a gene in `de`.

use ferrocyte_base::Status;

/// The outcome of one gene for one contrast: which [`Status`] its row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An estimate and a test.
    Ok,
    /// The gene was filtered out before the fit.
    FewCounts,
    /// The contrast needs a coefficient that this gene's samples cannot estimate.
    NotEstimable,
    /// The gene has no residual degrees of freedom of its own: its variance is that of the other genes.
    PriorOnly,
    /// The gene does not vary around its fit: its variance is that of the other genes.
    NoVariance,
    /// The whole group was not fitted; the reason stands in the table.
    GroupNotFitted,
}

impl Outcome {
    /// All outcomes, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::FewCounts, Self::NotEstimable, Self::PriorOnly, Self::NoVariance, Self::GroupNotFitted];

    /// The status that tables carry.
    pub const fn status(self) -> Status {
        match self {
            Self::Ok => Status::OK,
            Self::FewCounts => Status::no_estimate(
                "few_counts",
                "too few samples have enough counts to see a difference; the gene was filtered out",
            ),
            Self::NotEstimable => Status::no_estimate(
                "not_estimable",
                "the samples with a value of this gene do not determine the contrast",
            ),
            Self::PriorOnly => Status::note(
                "prior_only",
                "the gene has no residual degrees of freedom; its variance is learnt from the other genes",
            ),
            Self::NoVariance => Status::note(
                "no_variance",
                "the gene does not vary around its fit; its variance is learnt from the other genes",
            ),
            Self::GroupNotFitted => Status::no_estimate("group_not_fitted", "the group was not fitted"),
        }
    }
}
