//! What can become of a trait.

use ferrocyte_base::Status;

/// The outcome of one trait in one fit: which [`Status`] its row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An estimate: of moments, or an interior optimum of the likelihood.
    Ok,
    /// The likelihood has no optimum inside: the non-negative fit is reported.
    Boundary,
    /// A variance of the non-negative fit is zero.
    Zero,
    /// A moment estimate of a total variance is not positive.
    Outside,
    /// The iterations were used up.
    NotConverged,
    /// Nothing varies beyond the fixed effects.
    Constant,
    /// Too few people have a value.
    TooFew,
    /// Neither cases nor controls are missing for `pcgc`, or the logistic regression does not end.
    OneClass,
    /// The likelihood could not be evaluated anywhere.
    NoLikelihood,
    /// The variances cannot be told apart with these people.
    NotIdentifiable,
}

impl Outcome {
    /// All outcomes, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Boundary,
        Self::Zero,
        Self::Outside,
        Self::NotConverged,
        Self::Constant,
        Self::TooFew,
        Self::OneClass,
        Self::NoLikelihood,
        Self::NotIdentifiable,
    ];

    /// The status that tables carry.
    pub const fn status(self) -> Status {
        match self {
            Self::Ok => Status::OK,
            Self::Boundary => Status::note(
                "boundary",
                "the likelihood has no optimum inside; the estimate is the one with variances of zero or more",
            ),
            Self::Zero => Status::note(
                "zero",
                "a variance is estimated as zero and held there; standard errors are those of the others",
            ),
            Self::Outside => Status::note(
                "outside",
                "moments know no bounds: the total variance of an environment is estimated as zero or less, or its noise is",
            ),
            Self::NotConverged => {
                Status::note("not_converged", "the iterations were used up before the estimate settled")
            }
            Self::Constant => Status::no_estimate("constant", "the trait does not vary beyond the fixed effects"),
            Self::TooFew => Status::no_estimate("too_few", "fewer people have a value than the model has parameters"),
            Self::OneClass => Status::no_estimate(
                "one_class",
                "cases and controls cannot be modelled: one of them is missing, or covariates tell them apart entirely",
            ),
            Self::NoLikelihood => Status::no_estimate(
                "no_likelihood",
                "the covariance is not positive definite at any start, the likelihood has no value",
            ),
            Self::NotIdentifiable => Status::no_estimate(
                "not_identifiable",
                "the variances of the model cannot be told apart among the people who have a value",
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
