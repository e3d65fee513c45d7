//! [`Below`]: a group of a store, as a store of its own.

use std::sync::Arc;

use ferrocyte_base::Result;

use crate::store::{Attr, Node, Store, StoredArray};

/// A group of a store as the root of a store of its own: a modality of an .h5mu file.
pub(crate) struct Below {
    store: Arc<dyn Store>,
    prefix: String,
    place: String,
}

impl Below {
    /// The group at a path, which is called `name` in messages.
    pub(crate) fn new(store: Arc<dyn Store>, prefix: String, name: &str) -> Self {
        let place = format!("{}: {name}", store.place());
        Self { store, prefix, place }
    }

    /// The store around the group, and a path of the group in it.
    pub(crate) fn around(&self, path: &str) -> (&dyn Store, String) {
        (&*self.store, self.path(path))
    }

    fn path(&self, path: &str) -> String {
        if path.is_empty() { self.prefix.clone() } else { format!("{}/{path}", self.prefix) }
    }
}

impl Store for Below {
    fn place(&self) -> &str {
        &self.place
    }

    fn node(&self, path: &str) -> Result<Option<Node>> {
        self.store.node(&self.path(path))
    }

    fn list(&self, group: &str) -> Result<Vec<String>> {
        self.store.list(&self.path(group))
    }

    fn attr(&self, path: &str, name: &str) -> Result<Option<Attr>> {
        let found = self.store.attr(&self.path(path), name)?;
        Ok(match found {
            Some(Attr::Reference(target)) => Some(match target.strip_prefix(&format!("{}/", self.prefix)) {
                Some(inner) => Attr::Reference(inner.to_owned()),
                None => Attr::Other(format!("a reference to {target}, which is outside of {}", self.prefix)),
            }),
            found => found,
        })
    }

    fn array(&self, path: &str) -> Result<Box<dyn StoredArray>> {
        self.store.array(&self.path(path))
    }

    fn bytes(&self) -> Option<u64> {
        self.store.bytes()
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}
