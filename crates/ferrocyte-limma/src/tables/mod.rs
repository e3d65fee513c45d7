//! Tables of genes and calls: [`top_table`], [`top_table_f`], [`decide_tests`].

mod decide;
mod top;

pub use decide::{DecideMethod, DecideOptions, call_p_values, counts, decide_tests};
pub use top::{Order, Top, TopOptions, top_table, top_table_f};
