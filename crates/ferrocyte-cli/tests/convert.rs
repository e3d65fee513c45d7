//! `ferrocyte convert`: what comes in comes out, in the storage that was asked for.

use ferrocyte_io::{H5ad, H5mu, Hdf5, Store};

use crate::support::{Folder, golden};

#[test]
fn a_study_is_stored_again() {
    let folder = Folder::new();
    let input = golden("cells/io/full_gzip_ad013.h5ad");
    let input = input.to_str().unwrap();
    for (compression, filters) in [("gzip", "shuffle+gzip"), ("lzf", "shuffle+lzf"), ("none", "none")] {
        let done = folder.done(&["convert", input, "out.h5ad", "--compression", compression]);
        assert!(done.err.contains("bytes out\nwrote out.h5ad"), "{}", done.err);
        let store = Hdf5::open(&folder.path("out.h5ad")).unwrap();
        assert_eq!(store.array("X/data").unwrap().info().compression(), filters);
        let (before, after) = (H5ad::open(input).unwrap(), H5ad::open(folder.path("out.h5ad")).unwrap());
        assert_eq!(after.layers(), before.layers());
        assert_eq!(after.obs_columns(), before.obs_columns());
    }
    folder.done(&["convert", "--config", "out.h5ad.config.toml", input, "again.h5ad", "--threads", "1"]);
    assert!(folder.bytes("out.h5ad") == folder.bytes("again.h5ad"), "the config file asks for the same again");
}

#[test]
fn zarr_is_a_format_like_another() {
    let folder = Folder::new();
    let zipped = golden("cells/io/full_zarr_v2_ad012.zip");
    let zipped = zipped.to_str().unwrap();
    folder.done(&["convert", zipped, "out.zarr"]);
    let (before, after) = (H5ad::open(zipped).unwrap(), H5ad::open(folder.path("out.zarr")).unwrap());
    assert_eq!(after.layers(), before.layers());
    assert_eq!(after.obs_columns(), before.obs_columns());
    let run = ferrocyte_base::Run::new();
    assert_eq!(after.fingerprint(&run, "X").unwrap(), before.fingerprint(&run, "X").unwrap());
    for store in [zipped, "out.zarr"] {
        let told = folder.done(&["info", store]).out;
        assert!(told.contains("64 cells x 46 genes"), "{told}");
    }
    let failed = folder.run(&["convert", zipped, "out.h5ad", "--compression", "zstd"]);
    assert!(failed.err.contains("not compressed with zstd"), "{}", failed.err);
}

#[test]
fn a_modality_becomes_a_study_and_modalities_stay_together() {
    let folder = Folder::new();
    let input = golden("cells/io/two_modalities_ad013.h5mu");
    let input = input.to_str().unwrap();
    folder.done(&["convert", input, "atac.h5ad", "--modality", "atac"]);
    assert_eq!(H5ad::open(folder.path("atac.h5ad")).unwrap().n_var(), 30);
    folder.done(&["convert", input, "all.h5mu", "--compression", "lzf"]);
    assert!(folder.bytes("all.h5mu").starts_with(b"MuData (format-version=0.1.0;creator=ferrocyte;"));
    assert_eq!(H5mu::open(folder.path("all.h5mu")).unwrap().modalities(), ["rna", "atac"]);
    let failed = folder.run(&["convert", input, "both.h5ad"]);
    assert!(failed.err.contains("it has several modalities: rna, atac"), "{}", failed.err);
}

#[test]
fn what_cannot_be_converted_is_said() {
    let folder = Folder::new();
    let input = golden("cells/io/full_gzip_ad013.h5ad");
    let input = input.to_str().unwrap();
    for (arguments, words) in [
        (vec!["convert", input, "out.loom"], "does not end in .h5ad or .h5mu"),
        (vec!["convert", input, input], "is an input"),
        (vec!["convert", input, "out.h5mu"], "does not become one"),
        (vec!["convert", "none.h5ad", "out.h5ad"], "there is no such file"),
        (vec!["convert", input, "out.h5ad", "--compression-level", "10"], "expected a level from 1 to 9"),
    ] {
        let failed = folder.run(&arguments);
        assert_ne!(failed.code, 0, "{words}");
        assert!(failed.err.contains(words), "{words}: {}", failed.err);
    }
    assert!(!folder.path("out.h5ad").exists());
}
