//! [`Names`]: what cells and genes are called in messages.

/// Names of cells and genes, for messages only. Either may be empty: then rows and columns are numbered from 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a> {
    /// One name per row.
    pub cells: &'a [String],
    /// One name per column.
    pub genes: &'a [String],
}

impl Names<'_> {
    /// How a message names a row.
    pub fn cell(&self, row: usize) -> String {
        self.cells.get(row).map_or_else(|| format!("cell {row}"), |name| format!("cell `{name}`"))
    }

    /// How a message names a column.
    pub fn gene(&self, column: usize) -> String {
        self.genes.get(column).map_or_else(|| format!("gene {column}"), |name| format!("gene `{name}`"))
    }

    /// The first few of some columns, for a message.
    pub(crate) fn genes(&self, columns: &[usize]) -> String {
        const MOST: usize = 5;
        let shown: Vec<String> = columns.iter().take(MOST).map(|&column| self.gene(column)).collect();
        let rest = columns.len() - shown.len();
        if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_names_are_numbered() {
        let genes = ["CD3D".to_owned()];
        let names = Names { cells: &[], genes: &genes };
        assert_eq!(
            (names.cell(3), names.gene(0), names.gene(1)),
            ("cell 3".into(), "gene `CD3D`".into(), "gene 1".into())
        );
        assert_eq!(names.genes(&[0, 1, 2, 3, 4, 5, 6]), "gene `CD3D`, gene 1, gene 2, gene 3, gene 4 and 2 more");
    }
}
