//! What an .h5mu file holds, modality by modality.

use ferrocyte_base::{Run, Table};

use crate::element::frame::DataFrame;
use crate::h5ad::describe::{Element, as_table, blank, other_element};
use crate::h5mu::H5mu;

impl H5mu {
    /// The elements of the file: those of each modality (`mod/NAME/...`, as [`crate::H5ad::elements`] has them), then
    /// what stands above them all.
    pub fn elements(&self, run: &Run) -> Vec<Element> {
        let mut elements = Vec::new();
        for name in self.modalities() {
            let path = format!("mod/{name}");
            let whole = blank(self.store(), &path);
            match self.modality(name) {
                Ok(modality) => {
                    let shape = format!("{} x {}", modality.n_obs(), modality.n_var());
                    elements.push(Element { shape, ..whole });
                    let inner = modality.elements(run).into_iter();
                    elements.extend(inner.map(|e| Element { path: format!("{path}/{}", e.path), ..e }));
                }
                Err(fault) => elements.push(Element { note: format!("unreadable: {}", fault.message()), ..whole }),
            }
        }
        for table in ["obs", "var"] {
            let whole = Element { kind: "dataframe".to_owned(), ..blank(self.store(), table) };
            match DataFrame::open(self.store(), table) {
                Ok(frame) => {
                    let shape = format!("{} x {}", frame.n_rows, frame.columns.len());
                    elements.push(Element { shape, ..whole });
                    let columns =
                        frame.kinds(self.store()).into_iter().map(|(name, kind)| (format!("{table}/{name}"), kind));
                    elements.extend(
                        columns.map(|(path, kind)| Element { kind: kind.to_string(), ..blank(self.store(), &path) }),
                    );
                }
                Err(fault) => elements.push(Element { note: format!("unreadable: {}", fault.message()), ..whole }),
            }
        }
        for group in ["obsm", "varm", "obsp", "varp", "obsmap", "varmap", "uns"] {
            if let Ok(names) = self.store().list(group) {
                elements.extend(names.iter().map(|name| other_element(self.store(), &format!("{group}/{name}"))));
            }
        }
        elements
    }

    /// The elements as a table, like [`crate::H5ad::describe`].
    pub fn describe(&self, run: &Run) -> Table {
        as_table(&self.elements(run))
    }
}
