//! What can become of a gene in a linear mixed model.

use ferrocyte_base::Status;

/// The outcome of one gene in one fit: which [`Status`] its row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An interior stationary point with all variance components positive (or zero under `negative = "zero"`).
    Ok,
    /// A variance component is negative, the covariance of the cells still positive definite.
    Negative,
    /// The restricted likelihood has a stationary point, but the covariance of the cells there is not positive definite.
    VNotPd,
    /// No stationary point between zero and the boundary on the side of the gradient.
    NoStationary,
    /// A component was held at zero on request (`negative = "zero"`).
    Boundary,
    /// No cell has a value.
    AllZero,
    /// Fewer cells have a value than were asked for.
    FewCells,
    /// The fixed effects explain the gene exactly.
    ConstantGivenX,
    /// The random effects leave no residual.
    NoResidual,
    /// The random effects lie in the span of the fixed effects.
    NotIdentifiable,
    /// The iterations were used up.
    MaxIter,
    /// The whole group was not fitted; the reason stands with the group.
    GroupNotFitted,
    /// The contrast cannot be formed in this group; the reason stands in the table.
    NotEstimable,
}

impl Outcome {
    /// All outcomes, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::Negative,
        Self::VNotPd,
        Self::NoStationary,
        Self::Boundary,
        Self::AllZero,
        Self::FewCells,
        Self::ConstantGivenX,
        Self::NoResidual,
        Self::NotIdentifiable,
        Self::MaxIter,
        Self::GroupNotFitted,
        Self::NotEstimable,
    ];

    /// The status that tables carry.
    pub const fn status(self) -> Status {
        match self {
            Self::Ok => Status::OK,
            Self::Negative => Status::note(
                "negative",
                "a variance component is estimated below zero: its variation is smaller than chance would give",
            ),
            Self::VNotPd => Status::note(
                "V_not_pd",
                "the variance component is so negative that the covariance of the cells is not positive definite; tests do not use it",
            ),
            Self::NoStationary => Status::note(
                "no_stationary",
                "no estimate of the variance components exists below zero; they are held at zero",
            ),
            Self::Boundary => Status::note("boundary", "a variance component is held at zero, as asked for"),
            Self::AllZero => Status::no_estimate("all_zero", "no cell has a count"),
            Self::FewCells => Status::no_estimate("few_cells", "fewer cells have a count than `min_cells` asks for"),
            Self::ConstantGivenX => {
                Status::no_estimate("constant_given_X", "the fixed effects explain all values, nothing is left to vary")
            }
            Self::NoResidual => Status::no_estimate(
                "no_residual",
                "the random effects explain all that the fixed effects leave, e.g. one expressing cell in a sample of one cell",
            ),
            Self::NotIdentifiable => Status::note(
                "not_identifiable",
                "the random term lies in the span of the fixed effects; coefficients are ordinary least squares",
            ),
            Self::MaxIter => Status::note("max_iter", "the iterations were used up before the estimate settled"),
            Self::GroupNotFitted => Status::no_estimate("group_not_fitted", "the model cannot be fitted to this group"),
            Self::NotEstimable => Status::no_estimate("not_estimable", "the contrast cannot be formed in this group"),
        }
    }

    /// Its place in [`Outcome::ALL`].
    pub fn code(self) -> usize {
        self as usize
    }

    /// Whether there are variance estimates at all.
    pub fn has_estimate(self) -> bool {
        !matches!(
            self,
            Self::AllZero
                | Self::FewCells
                | Self::ConstantGivenX
                | Self::NoResidual
                | Self::GroupNotFitted
                | Self::NotEstimable
        )
    }

    /// Whether tests take the estimates at zero components instead of those of the fit, with the expected information.
    pub fn tested_at_zero(self) -> bool {
        matches!(self, Self::VNotPd | Self::NoStationary | Self::Boundary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_differ_and_codes_count_them() {
        let mut words: Vec<&str> = Outcome::ALL.iter().map(|o| o.status().word).collect();
        for (i, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome.code(), i);
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Outcome::ALL.len());
    }
}
