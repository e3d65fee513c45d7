//! What Cell Ranger and its like write: features × barcodes, in HDF5 or as a folder of text files.

pub(crate) mod features;
pub(crate) mod folder;
pub(crate) mod h5;
