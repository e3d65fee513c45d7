//! Type I error on simulated null data, straight from the canonical distribution of the sums.
