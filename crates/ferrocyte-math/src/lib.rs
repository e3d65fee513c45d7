//! Numbers without biology: linear algebra, distributions, optimisers, variance priors, random streams.
//!
//! The crate knows arrays and nothing of genes or cells beyond their being many; it allocates little, depends on no
//! environment and gives the same bits for any number of threads.
//!
//! # Distributions
//!
//! [`normal`], [`student_t`], [`chi_squared`] and [`f`] speak the same words: `ln_upper(x, ..)`, `ln_lower`, `upper`,
//! `lower`, `quantile(p, ..)`, `quantile_ln_upper(ln_p, ..)`. Of the two tails the smaller is computed directly, as a
//! logarithm, the other from it, so that both keep about 13 digits from `ln p = -1e6` up; a p-value is never `1 - p`.
//! Degrees of freedom may be fractional or infinite. NaN in gives NaN out, and so do impossible parameters. Underneath
//! are the incomplete beta and gamma functions ([`beta`], [`chi_squared::ln_gamma_tails`]) and the saddle-point helpers
//! of [`gamma`].
//!
//! ```
//! use ferrocyte_math::{f, student_t::StudentT};
//! // Many t on the same degrees of freedom: what depends on these is computed once.
//! let law = StudentT::new(23.7);
//! let ln_p: Vec<f64> = [0.5, 2.0, 80.0].iter().map(|&t| law.ln_two_sided(t)).collect();
//! assert!((ln_p[2] + 68.204_323).abs() < 1e-6);
//! // A tail that underflows as a probability.
//! assert!((f::ln_upper(500.0, 50.0, 1e5) + 10_990.906_205_508_074).abs() < 1e-8);
//! ```
//!
//! # Many tests, few variables, shared variances
//!
//! * [`multiple`]: Benjamini-Hochberg (also of logarithms) and -Yekutieli, Holm, Hochberg, Hommel, Bonferroni; missing tests
//!   are not counted. [`true_null`] estimates how many null hypotheses are true.
//! * [`optimise`]: a projected Newton or BFGS minimiser for a few variables in a box; [`lbfgs`] for many without.
//! * [`variance_prior`]: the distribution of a log variance over genes from their likelihoods on a grid, and the
//!   conjugate prior of residual variances; [`trend`] holds the covariate that both may depend on.
//! * [`squeeze_var`]: residual variances squeezed towards a scaled F distribution, as limma does it, by moments, robustly, or
//!   by maximum likelihood; [`z_score`] and [`gamma_intercept`] belong to the same tests.
//! * [`brent`]: a minimum or a root of a function of one variable. [`spline`]: natural cubic splines.
//!
//! # Smooth curves
//!
//! [`loess`] has local parabolas; [`lowess`] and [`weighted_lowess`] are robust local lines, step by step those of R and
//! limma. [`interpolate`] looks
//! values up between the points of a curve, in constant time. [`moving_average`] smooths what comes in an order.
//!
//! # Draws without replacement
//!
//! [`hypergeometric`] urns, and [`wallenius`] for draws that prefer some items.
//!
//! * [`basis`]: columns that a covariate is expanded to, R's `poly`, `ns` and `bs`.
//!
//! # Sums in any order
//!
//! [`exact`] adds numbers so that the bits of a total depend on what was added, not on the order.
//!
//! # Loops over many numbers
//!
//! [`wide`] runs loops with the widest instructions that the processor has, without changing a bit, and has the
//! elementary functions for them; [`student_t::many`] are the tails that stand on it. [`fused`] runs loops that multiply
//! and add in one step, with the same bits wherever the processor can.
//!
//! # Random streams
//!
//! [`random::Stream`] depends on a seed and a task number, not on who runs the task when. [`mersenne_twister`] is the
//! generator of other programs, for where their numbers must be met; [`r_stream`] draws from it as R does.
//!
//! # Linear algebra
//!
//! [`linalg`] is the only file that calls the linear-algebra library. [`pivoted_qr`] finds which columns of a design
//! depend on others, and least squares without them; [`spectrum`] has the eigenvalues of many small matrices, [`spd`]
//! factors and inverts one large symmetric matrix in its place, on all threads.

pub mod basis;
pub mod beta;
pub mod brent;
pub mod chi_squared;
pub mod exact;
pub mod f;
pub mod fused;
pub mod gamma;
pub mod gamma_intercept;
pub mod hypergeometric;
pub mod interpolate;
pub mod lbfgs;
pub mod linalg;
pub mod loess;
pub mod lowess;
pub mod mersenne_twister;
pub mod moving_average;
pub mod multiple;
pub mod normal;
pub mod optimise;
pub mod pivoted_qr;
pub mod quadrature;
pub mod r_stream;
pub mod random;
pub mod ranks;
mod residual_prior;
mod root;
pub mod selection;
pub mod spd;
pub mod spectrum;
pub mod spline;
pub mod squeeze_var;
pub mod student_t;
pub mod trend;
pub mod true_null;
pub mod variance_prior;
pub mod wallenius;
pub mod weighted_lowess;
pub mod wide;
pub mod z_score;
