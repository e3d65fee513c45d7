//! Mixed models over genes, and over traits of people.
//!
//! * [`ctmm`]: which genes vary between people only in some cell types, from pseudobulk with known noise.
//! * [`gxemm`]: heritability of traits by environment, from one kinship.
//! * [`lmm`]: linear mixed models of many genes from additive sums (FLASH-MM's models, any number of cells).
//! * [`nbmm`]: negative-binomial mixed models of counts, exact, from additive sums as well.
//!
//! Everything here starts from sums or from a stream of cells and ends in a [`ferrocyte_base::Table`]; no file is opened.

pub mod ctmm;
pub mod gxemm;
pub mod lmm;
pub mod nbmm;
