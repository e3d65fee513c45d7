//! What can become of a gene in a cell type-specific mixed model.

use ferrocyte_base::Status;

/// The outcome of one gene in one fit: which [`Status`] its row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An estimate: of moments, or an interior optimum of the likelihood.
    Ok,
    /// The likelihood has no interior optimum: the non-negative fit is reported.
    Boundary,
    /// The moment estimate implies a covariance that is not positive definite.
    Singular,
    /// No degree of freedom is left for a test.
    NoDf,
    /// Some of the fits that leave one individual out have no interior optimum.
    BoundaryRefits,
    /// The iterations were used up.
    NotConverged,
    /// Nothing varies between individuals.
    Constant,
    /// Two values of one individual are without noise, and the model has no other variance of their difference.
    HomSingular,
    /// The gene has no values.
    NoValues,
    /// The likelihood could not be evaluated anywhere.
    NoLikelihood,
    /// The variances cannot be told apart with these individuals.
    NotIdentifiable,
    /// The gene does not vary at all in some cell types; the model has the others.
    SilentTypes,
    /// The gene varies in one cell type only.
    OneType,
    /// Values without noise leave the likelihood without a bound.
    Unbounded,
}

impl Outcome {
    /// All outcomes, in the order of the documentation.
    pub const ALL: [Self; 14] = [
        Self::Ok,
        Self::Boundary,
        Self::Singular,
        Self::NoDf,
        Self::BoundaryRefits,
        Self::NotConverged,
        Self::Constant,
        Self::HomSingular,
        Self::NoValues,
        Self::NoLikelihood,
        Self::NotIdentifiable,
        Self::SilentTypes,
        Self::OneType,
        Self::Unbounded,
    ];

    /// The status that tables carry.
    pub const fn status(self) -> Status {
        match self {
            Self::Ok => Status::OK,
            Self::Boundary => Status::note(
                "boundary",
                "the likelihood has no optimum inside; the estimate is the one with variances of zero or more",
            ),
            Self::Singular => Status::note(
                "singular",
                "the estimated covariance of an individual's values is not positive definite; means are ordinary least squares",
            ),
            Self::NoDf => Status::note(
                "no_df",
                "no degrees of freedom are left for tests: too few individuals for this many parameters",
            ),
            Self::BoundaryRefits => Status::note(
                "boundary_refits",
                "without some of the individuals the likelihood has no optimum inside; their fits have variances of zero or more",
            ),
            Self::NotConverged => {
                Status::note("not_converged", "the iterations were used up before the estimate settled")
            }
            Self::Constant => Status::note(
                "constant",
                "the gene does not vary between individuals beyond the fixed effects; variances are zero, there is no test",
            ),
            Self::HomSingular => Status::no_estimate(
                "hom_singular",
                "two values of one individual have no noise, so that the model gives their difference no variance",
            ),
            Self::NoValues => Status::no_estimate("no_values", "the gene has no values"),
            Self::NoLikelihood => Status::no_estimate(
                "no_likelihood",
                "the covariance is singular at every start, the likelihood has no value",
            ),
            Self::NotIdentifiable => Status::no_estimate(
                "not_identifiable",
                "the variances of the model cannot be told apart with these individuals and covariates",
            ),
            Self::SilentTypes => Status::note(
                "silent_types",
                "the gene has no variation and no noise in some cell types; the model has the others, and these no estimate",
            ),
            Self::OneType => Status::no_estimate(
                "one_type",
                "the gene varies in one cell type only, so that shared and specific variance cannot be told apart",
            ),
            Self::Unbounded => Status::note(
                "unbounded",
                "values without noise leave the likelihood without a bound or a null hypothesis without a fit; pool the noise of \
                 pseudobulk (noise = pooled), or take moments",
            ),
        }
    }

    /// Its place in [`Outcome::ALL`].
    pub fn code(self) -> usize {
        self as usize
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
