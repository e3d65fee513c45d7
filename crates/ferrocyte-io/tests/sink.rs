//! What goes through the door of HDF5 comes back through the other, byte-stable, complete or absent.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::borrow::Cow;
use std::path::Path;

use ferrocyte_base::Run;
use ferrocyte_io::{
    ArraySpec, Attr, Dtype, Entries, Field, Hdf5, NewHdf5, Node, Numbers, Packing, Records, Sink, Storage, Store,
};
use hdf5_metno as hdf5;

const LZF: Storage = Storage { packing: Packing::Lzf, shuffle: true };

fn written(path: &Path, write: impl FnOnce(&dyn Sink)) -> Hdf5 {
    let sink = NewHdf5::create(path, None).unwrap();
    write(&sink);
    Box::new(sink).finish().unwrap();
    Hdf5::open(path).unwrap()
}

fn fill(sink: &dyn Sink, path: &str, spec: &ArraySpec, bytes: &[u8]) {
    let array = sink.array(path, spec).unwrap();
    let size = array.spec().chunk_bytes();
    let rows = bytes.len() / (spec.width() * spec.dtype.size()).max(1);
    for (k, chunk) in bytes.chunks(size.max(1)).enumerate() {
        let mut raw = chunk.to_vec();
        raw.resize(size, 0);
        array.write(k, &array.encode(Cow::Owned(raw)).unwrap()).unwrap();
    }
    array.finish(rows).unwrap();
}

#[test]
fn attributes_of_every_type_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let texts = |texts: &[&str]| Attr::Texts(texts.iter().map(|&t| t.to_owned()).collect());
    let kept = [
        ("text", Attr::Text("Zellen mit Ü 🧬".into())),
        ("empty text", Attr::Text(String::new())),
        ("texts", texts(&["a", "", "c"])),
        ("one text", texts(&["a"])),
        ("no texts", texts(&[])),
        ("many texts", Attr::Texts((0..20_000).map(|i| format!("a column with a long name {i}")).collect())),
        ("bool", Attr::Numbers(Numbers::Bool(vec![true]))),
        ("i64", Attr::Numbers(Numbers::I64(vec![-7]))),
        ("shape", Attr::Numbers(Numbers::I64(vec![3, 4]))),
        ("f64", Attr::Numbers(Numbers::F64(vec![0.1, f64::INFINITY]))),
        ("nothing", Attr::Empty),
    ];
    let file = written(&folder.path().join("a.h5"), |sink| {
        sink.group("g").unwrap();
        for (name, value) in &kept {
            sink.set("g", name, value).unwrap();
            sink.set("", name, value).unwrap();
        }
        assert!(sink.set("g", "other", &Attr::Other("a reference".into())).is_err());
        assert!(sink.set("g", "nul", &Attr::Text("a\0b".into())).unwrap_err().to_string().contains("NUL"));
    });
    for (name, value) in &kept {
        assert_eq!(file.attr("g", name).unwrap().as_ref(), Some(value), "{name}");
        assert_eq!(file.attr("", name).unwrap().as_ref(), Some(value), "{name}");
    }
}

#[test]
fn arrays_of_any_rank_come_back_in_every_storage() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::new();
    for storage in [Storage::NONE, Storage::gzip(4), LZF, Storage { packing: Packing::Gzip(1), shuffle: false }] {
        for shape in [vec![], vec![0], vec![1], vec![70_000], vec![0, 3], vec![3, 0], vec![500, 333], vec![2, 90_000]] {
            let n: usize = shape.iter().product();
            let values: Vec<i32> = (0..n as i32).map(|i| i % 1000 * (i % 7)).collect();
            let file = written(&folder.path().join("a.h5"), |sink| {
                fill(sink, "x", &ArraySpec::new(Dtype::I32, &shape, storage), bytemuck::cast_slice(&values));
            });
            let array = file.array("x").unwrap();
            assert_eq!(array.info().shape, shape);
            let rows = 0..array.info().n_rows();
            assert_eq!(array.numbers_with(&run, rows).unwrap(), Numbers::I32(values), "{shape:?} {storage:?}");
        }
    }
}

#[test]
fn arrays_grow_to_their_length() {
    let folder = tempfile::tempdir().unwrap();
    for storage in [Storage::NONE, LZF] {
        for n in [0_usize, 1, 65_536, 65_537, 200_000] {
            let values: Vec<f64> = (0..n).map(|i| (i % 911) as f64).collect();
            let file = written(&folder.path().join("a.h5"), |sink| {
                fill(sink, "x", &ArraySpec::growing(Dtype::F64, storage), bytemuck::cast_slice(&values));
            });
            let array = file.array("x").unwrap();
            assert_eq!(array.numbers(0..n).unwrap(), Numbers::F64(values));
        }
    }
}

#[test]
fn texts_have_any_shape() {
    let folder = tempfile::tempdir().unwrap();
    let many: Vec<String> = (0..150_000).map(|i| format!("é{i}")).collect();
    let file = written(&folder.path().join("a.h5"), |sink| {
        sink.texts("one", &[], &mut ["a scalar"].into_iter()).unwrap();
        sink.texts("none", &[0], &mut std::iter::empty()).unwrap();
        sink.texts("many", &[many.len()], &mut many.iter().map(String::as_str)).unwrap();
        sink.texts("table", &[2, 3], &mut ["a", "", "c", "d", "e", "ü"].into_iter()).unwrap();
        assert!(sink.texts("few", &[3], &mut ["a"].into_iter()).is_err());
        let fault = sink.texts("nul", &[1], &mut ["a\0b"].into_iter()).unwrap_err().to_string();
        assert!(fault.contains("nul: ") && fault.contains("`a\\0b` contains a NUL"), "{fault}");
    });
    assert_eq!(file.array("one").unwrap().texts(0..1).unwrap(), ["a scalar"]);
    assert_eq!(file.array("none").unwrap().texts(0..0).unwrap(), [""; 0]);
    assert_eq!(file.array("many").unwrap().texts(0..many.len()).unwrap(), many);
    assert_eq!(file.array("table").unwrap().texts(0..2).unwrap(), ["a", "", "c", "d", "e", "ü"]);
}

#[test]
fn nothing_and_records_are_stored_as_h5py_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5");
    let field = |shape: &[usize], cells| Field { shape: shape.to_vec(), cells };
    let texts = ["a", "", "ö"].map(ToOwned::to_owned).to_vec();
    let records = Records {
        n_rows: 3,
        fields: vec![
            ("name".into(), field(&[], Entries::Texts(texts))),
            ("flag".into(), field(&[], Entries::Numbers(Numbers::Bool(vec![true, false, true])))),
            ("place".into(), field(&[2], Entries::Numbers(Numbers::F32(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])))),
        ],
    };
    drop(written(&path, |sink| {
        sink.null("nothing").unwrap();
        sink.records("table", &records).unwrap();
        sink.records("empty", &Records { n_rows: 0, fields: vec![("a".into(), field(&[], Entries::Texts(vec![])))] })
            .unwrap();
        let short = Records { n_rows: 4, ..records.clone() };
        assert!(sink.records("short", &short).unwrap_err().to_string().contains("field `name` has 3 values"));
    }));
    let file = hdf5::File::open(&path).unwrap();
    assert!(file.dataset("nothing").unwrap().space().unwrap().is_null());
    let described = file.dataset("table").unwrap().dtype().unwrap().to_descriptor().unwrap();
    let hdf5::types::TypeDescriptor::Compound(compound) = described else { panic!("{described}") };
    let fields: Vec<(&str, usize)> = compound.fields.iter().map(|f| (f.name.as_str(), f.offset)).collect();
    assert_eq!(fields, [("name", 0), ("flag", 8), ("place", 9)]);
    assert_eq!(file.dataset("empty").unwrap().shape(), [0]);
}

#[test]
fn nodes_are_taken_over_with_all_below_them() {
    let folder = tempfile::tempdir().unwrap();
    let source = written(&folder.path().join("a.h5"), |sink| {
        sink.group("uns").unwrap();
        sink.group("uns/deep").unwrap();
        sink.set("uns/deep", "what", &Attr::Text("unknown".into())).unwrap();
        fill(sink, "uns/deep/x", &ArraySpec::new(Dtype::U8, &[9], LZF), &[7; 9]);
    });
    let path = folder.path().join("b.h5");
    let copy = written(&path, |sink| {
        sink.group("uns").unwrap();
        assert!(sink.adopt(&source, "uns/deep", "uns/other").unwrap());
        assert!(sink.adopt(&source, "uns/none", "uns/none").is_err());
    });
    assert_eq!(copy.attr("uns/other", "what").unwrap(), Some(Attr::Text("unknown".into())));
    let array = copy.array("uns/other/x").unwrap();
    assert_eq!(
        (array.numbers(0..9).unwrap(), array.info().filters.join("+")),
        (Numbers::U8(vec![7; 9]), "shuffle+lzf".into())
    );
    assert_eq!(copy.node("uns/deep").unwrap(), None);
}

#[test]
fn a_file_may_begin_with_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5mu");
    let sink = NewHdf5::create(&path, Some("MuData (format-version=0.1.0)")).unwrap();
    sink.group("mod").unwrap();
    fill(&sink, "mod/x", &ArraySpec::new(Dtype::U8, &[90_000], LZF), &vec![3; 90_000]);
    Box::new(sink).finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.starts_with(b"MuData (format-version=0.1.0)\0") && bytes[512..].starts_with(b"\x89HDF"));
    let file = Hdf5::open(&path).unwrap();
    assert_eq!(file.node("mod").unwrap(), Some(Node::Group));
    assert_eq!(file.array("mod/x").unwrap().numbers_with(&Run::new(), 0..2).unwrap(), Numbers::U8(vec![3, 3]));
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5ad");
    std::fs::write(&path, b"old").unwrap();
    let sink = NewHdf5::create(&path, None).unwrap();
    sink.group("obs").unwrap();
    drop(sink);
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
