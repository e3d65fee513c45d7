//! `ferrocyte nmf`: non-negative matrix factorisation. One file per verb.

pub(crate) mod fit;
