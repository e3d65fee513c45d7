"""What ``fe.io`` writes, anndata and mudata read as it was; what cannot be written is refused by its name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import anndata as ad
import h5py
import mudata as md
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

import ferrocyte as fe

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

ODD = ["T cells (CD4+)", "naïve 🧬", "a\tb", "x.y", " ", 'q"uote']


def study(n_obs: int = 30, n_var: int = 12, seed: int = 0) -> ad.AnnData:
    """An AnnData with something of every kind everywhere."""
    rng = np.random.default_rng(seed)
    counts = sparse.random(n_obs, n_var, 0.3, "csr", dtype=np.float32, random_state=seed)
    obs = pd.DataFrame(
        {
            "few": pd.Categorical.from_codes(rng.integers(-1, 2, n_obs), [*["b", "a", "unused"][:2], "unused"]),
            "ordered": pd.Categorical(rng.integers(0, 3, n_obs), categories=[2, 0, 1, 7], ordered=True),
            "levels of floats": pd.Categorical(rng.integers(0, 3, n_obs) / 4),
            "truths": pd.Categorical(rng.integers(0, 2, n_obs).astype(bool)),
            "int8": rng.integers(-5, 5, n_obs).astype(np.int8),
            "uint64": rng.integers(0, 5, n_obs).astype(np.uint64),
            "float32": rng.normal(size=n_obs).astype(np.float32),
            "with nan": np.where(rng.random(n_obs) < 0.3, np.nan, 1.5),
            "bool": rng.integers(0, 2, n_obs).astype(bool),
            "Int16": pd.array(rng.integers(0, 9, n_obs), dtype="Int16"),
            "boolean": pd.array(rng.integers(0, 2, n_obs).astype(bool), dtype="boolean"),
            "text": [f"text {i % 7} é" for i in range(n_obs)],
        },
        index=[f"cell {i}" for i in range(n_obs)],
    )
    if n_obs:
        obs.loc[obs.index[::3], ["Int16", "boolean"]] = pd.NA
    for odd in ODD:
        obs[odd] = np.arange(n_obs)
    obs.index.name = "barcode"
    var = pd.DataFrame(index=[f"gene {j}" for j in range(n_var)])
    records = np.array([("a", 1.5, (1, 2)), ("ö", 2.5, (3, 4))], dtype=[("name", object), ("x", "f4"), ("ij", "i8", 2)])
    adata = ad.AnnData(counts, obs=obs, var=var)
    adata.layers["csc"] = sparse.csc_matrix(counts).astype(np.int64)
    adata.layers["dense"] = np.asfortranarray(rng.normal(size=(n_obs, n_var)))
    adata.layers["csr_array"] = sparse.csr_array(counts.astype(np.int32))
    adata.obsm["X_pca"] = rng.normal(size=(n_obs, 5)).astype(np.float32)[:, ::-1]
    adata.obsm["frame"] = pd.DataFrame({"u": np.arange(n_obs), "w": ["x"] * n_obs}, index=obs.index)
    adata.obsm["sparse"] = sparse.random(n_obs, 4, 0.5, "csr", random_state=1)
    adata.obsm["cube"] = rng.normal(size=(n_obs, 2, 3))
    adata.varm["loadings"] = rng.normal(size=(n_var, 2))
    adata.obsp["graph"] = sparse.random(n_obs, n_obs, 0.1, "csr", random_state=2)
    adata.varp["none"] = np.zeros((n_var, n_var), dtype=bool)
    adata.uns = {
        "nested": {"deeper": {"still": np.arange(3), "empty": {}}, "none": None},
        "scalars": {
            "int": 3,
            "float": 2.5,
            "bool": True,
            "np": np.float32(1.5),
            "text": "ein Text mit ü",
            "zero-d": np.array(7),
        },
        "texts": np.array([["a", "b"], ["", "naïve"]], dtype=object),
        "list": ["x", "yy"],
        "numbers": [1, 2, 3],
        "records": records,
        "markers": np.array([("g1", "g2")], dtype=[("0", "U9"), ("1", "U9")]),
        "frame": pd.DataFrame({"p": [0.1, 0.2]}, index=["m", "n"]),
        "categories": pd.Categorical(["u", "v", "u"]),
        "no rows": pd.DataFrame({"a": np.array([], dtype=float)}),
        "nothing": np.array([], dtype=np.float64),
        "big": 2**63,
        "leiden_colors": np.array(["#ff0000", "#00ff00"]),
    }
    return adata


def same(a, b, place: str = "") -> None:
    """Equal, types included; NaN equals itself."""
    if hasattr(a, "keys") and not isinstance(a, (pd.DataFrame, pd.Series)):
        assert sorted(a) == sorted(b), place
        for name in a:
            same(a[name], b[name], f"{place}/{name}")
    elif isinstance(a, pd.DataFrame):
        assert (list(a.columns), list(a.index)) == (list(b.columns), list(b.index)), place
        assert a.index.name == b.index.name, place
        for name in a:
            same(a[name].array, b[name].array, f"{place}/{name}")
    elif sparse.issparse(a):
        assert (a.format, a.shape, a.dtype) == (b.format, b.shape, b.dtype), place
        np.testing.assert_array_equal(a.toarray(), b.toarray(), err_msg=place)
    elif isinstance(a, pd.Categorical):
        assert (list(a.categories), a.ordered) == (list(b.categories), b.ordered), place
        np.testing.assert_array_equal(a.codes, b.codes, err_msg=place)
    elif isinstance(a, pd.api.extensions.ExtensionArray) and not isinstance(a, pd.arrays.NumpyExtensionArray):
        assert a.dtype == b.dtype, place
        assert a.equals(b), place
    elif a is None:
        assert b is None, place
    else:
        a, b = np.asarray(a), np.asarray(b)
        if a.dtype.names is not None:
            assert a.dtype.names == b.dtype.names, place
            for name in a.dtype.names:
                same(a[name], b[name], f"{place}/{name}")
            return
        # anndata gives scalars of any width as those of Python.
        kinds = [
            "text" if it.dtype.kind in "UO" else it.dtype if it.ndim else it.dtype.kind.replace("u", "i")
            for it in (a, b)
        ]
        assert (a.shape, kinds[0]) == (b.shape, kinds[1]), place
        if kinds[0] == "text":
            a, b = ([None if pd.isna(text) else text for text in it.ravel()] for it in (a, b))
            assert a == b, place
        else:
            np.testing.assert_array_equal(a, b, err_msg=place)


def same_studies(a: ad.AnnData, b: ad.AnnData) -> None:
    assert a.shape == b.shape
    for name in ("obs", "var", "X", "layers", "obsm", "varm", "obsp", "varp", "uns"):
        same(getattr(a, name), getattr(b, name), name)
    assert (a.raw is None) == (b.raw is None)
    if a.raw is not None:
        for name in ("X", "var", "varm"):
            same(getattr(a.raw, name), getattr(b.raw, name), f"raw/{name}")


def with_raw(adata: ad.AnnData) -> ad.AnnData:
    adata.raw = adata.copy()
    return adata[:, 2:9].copy()


def written(adata: ad.AnnData, path, **options) -> ad.AnnData:
    fe.io.write_h5ad(adata, path, **options)
    return ad.read_h5ad(path)


def in_memory(adata: ad.AnnData) -> ad.AnnData:
    """What anndata itself gives back of an object: the measure of what can come back."""
    return adata.to_memory().copy()


@pytest.mark.parametrize("compression", ["gzip", "lzf", None])
@pytest.mark.parametrize("shape", [(30, 12), (0, 12), (30, 0), (0, 0), (1, 1)])
def test_anndata_reads_what_was_written(tmp_path, compression, shape):
    adata = with_raw(study(*shape)) if shape[1] > 9 else study(*shape)
    # anndata lets go of categories that a view does not use.
    adata.obs["few"] = adata.obs["few"].cat.set_categories(["b", "a", "unused"])
    back = written(adata, tmp_path / "a.h5ad", compression=compression)
    expected = in_memory(adata)
    # Lists come back as arrays, as they do from anndata.
    expected.uns["list"], expected.uns["numbers"] = np.array(["x", "yy"], dtype=object), np.array([1, 2, 3])
    same_studies(expected, back)
    for name, column in adata.obs.items():
        assert back.obs[name].dtype == column.dtype, name
    assert back.obs.index.name == "barcode"
    assert back.layers["csc"].dtype == np.int64
    assert back.layers["csr_array"].dtype == np.int32
    assert back.uns["nested"]["none"] is None
    if shape[0] > 1:
        assert list(back.obs["few"].cat.categories) == ["b", "a", "unused"]
        assert back.obs["ordered"].cat.ordered


def test_we_read_what_we_wrote_as_anndata_does(tmp_path):
    adata = with_raw(study())
    theirs = written(adata, tmp_path / "a.h5ad")
    same_studies(theirs, fe.io.read_h5ad(tmp_path / "a.h5ad"))


def test_we_read_what_anndata_wrote(tmp_path):
    adata = with_raw(study())
    adata.write_h5ad(tmp_path / "a.h5ad")
    same_studies(ad.read_h5ad(tmp_path / "a.h5ad"), fe.io.read_h5ad(tmp_path / "a.h5ad"))


def test_views_are_written_as_what_they_show(tmp_path):
    adata = with_raw(study())
    view = adata[[5, 3, 8], [4, 0, 6]]
    same(written(view, tmp_path / "a.h5ad").layers["csc"], view.layers["csc"])
    assert view.is_view
    same(written(view, tmp_path / "a.h5ad").obs["ordered"], view.obs["ordered"])
    same(written(view, tmp_path / "a.h5ad").raw.X, view.raw.X)


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_backed_matrices_pass_through(tmp_path, mode):
    adata = with_raw(study())
    fe.io.write_h5ad(adata, tmp_path / "a.h5ad", compression="lzf")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed=mode)
    backed.obs["new"] = 1
    back = written(backed, tmp_path / "b.h5ad")
    same(back.X, adata.X)
    same(back.raw.X, adata.raw.X)
    assert "new" in back.obs
    assert backed.file.is_open
    part = backed[3:9]
    same(written(part, tmp_path / "c.h5ad").X, adata.X[3:9])
    # Onto the file that it shows: replaced, and open again.
    assert "new" in written(backed, tmp_path / "a.h5ad").obs
    same(backed[:4].to_memory().X, adata.X[:4])
    backed.file.close()


def test_a_matrix_without_values_is_absent(tmp_path):
    adata = ad.AnnData(obs=pd.DataFrame(index=["a", "b"]))
    assert written(adata, tmp_path / "a.h5ad").X is None


def test_missing_texts_keep_their_type(tmp_path):
    index = ["a", "b", "c"]
    obs = pd.DataFrame(
        {"na": pd.array(["x", None, ""], dtype="string"), "all": pd.array(["x", "y", "z"], dtype="string")}, index=index
    )
    obs["object"] = np.array(["x", None, ""], dtype=object)
    path = tmp_path / "a.h5ad"
    fe.io.write_h5ad(ad.AnnData(np.zeros((3, 1)), obs=obs), path)
    with h5py.File(path) as file:
        node = file["obs"]
        assert node["na"].attrs["na-value"] == "NA"
        assert node["all"].attrs["encoding-type"] == "nullable-string-array"
        assert node["object"].attrs["na-value"] == "NaN"
        assert list(node["object/mask"]) == [False, True, False]
        assert node["_index"].attrs["encoding-type"] == "string-array"
    for back in (ad.read_h5ad(path), fe.io.read_h5ad(path)):
        assert list(back.obs["na"].isna()) == [False, True, False]
        assert isinstance(back.obs["na"].dtype, pd.StringDtype)
        assert isinstance(back.obs["all"].dtype, pd.StringDtype)
        assert list(back.obs["object"].isna()) == [False, True, False]
        assert back.obs["object"].iloc[2] == ""


def test_more_columns_than_a_header_holds(tmp_path):
    names = [f"column {i}" for i in range(6000)]
    frame = pd.DataFrame(np.zeros((2, 6000), dtype=np.int8), index=["a", "b"], columns=names)
    adata = ad.AnnData(np.zeros((2, 1)), obs=frame[[]], obsm={"wide": frame})
    assert list(written(adata, tmp_path / "a.h5ad").obsm["wide"].columns) == names


def test_two_modalities_come_back(tmp_path):
    one, two = study(30, 12), study(25, 8, seed=1)
    two.obs_names = [f"cell {i}" for i in range(10, 35)]
    two.var_names = [f"peak {i}" for i in range(8)]
    for axis in (0, 1):
        parts = {"rna": one.copy(), "atac": two.copy()}
        if axis == 1:
            parts["atac"].obs_names = [f"other {i}" for i in range(25)]
            parts["atac"].var_names = [f"gene {i}" for i in range(4, 12)]
        mdata = md.MuData(parts, axis=axis)
        mdata.uns["note"] = "two"
        mdata.obs["joint"] = np.arange(mdata.n_obs)
        mdata.obsm["X"] = np.arange(2.0 * mdata.n_obs).reshape(-1, 2)
        path = tmp_path / "a.h5mu"
        fe.io.write_h5mu(mdata, path)
        mdata.write(tmp_path / "theirs.h5mu")
        back, theirs = md.read_h5mu(path), md.read_h5mu(tmp_path / "theirs.h5mu")
        assert list(back.mod) == ["rna", "atac"]
        assert back.axis == axis
        for name in ("obs", "var"):
            same(getattr(back, name), getattr(theirs, name))
        for group in ("obsm", "varm", "obsmap", "varmap"):
            ours, other = getattr(back, group), getattr(theirs, group)
            assert set(ours) == set(other)
            for name in other:
                np.testing.assert_array_equal(np.asarray(ours[name]), np.asarray(other[name]))
        for name in parts:
            same(back.mod[name].X, theirs.mod[name].X)
            same(back.mod[name].obs, theirs.mod[name].obs)
        assert path.read_bytes().startswith(b"MuData (format-version=0.1.0;creator=ferrocyte;")
        assert list(fe.io.read_h5mu(path).mod) == ["rna", "atac"]


def test_the_ending_tells_what_is_written(tmp_path):
    fe.io.write(study(), tmp_path / "a.h5ad", compression="lzf", n_threads=1)
    fe.io.write(md.MuData({"rna": study()}), tmp_path / "a.h5mu")
    for name, data in [("a.h5mu", study()), ("a.h5ad", md.MuData({"rna": study()})), ("a.loom", study())]:
        with pytest.raises(fe.errors.BadInputError):
            fe.io.write(data, tmp_path / name)
    for options in ({"compression": "zip"}, {"compression_level": 10}, {"compression": "lzf", "compression_level": 1}):
        with pytest.raises(fe.errors.BadInputError, match="compression"):
            fe.io.write(study(), tmp_path / "b.h5ad", **options)
    assert sorted(os.listdir(tmp_path)) == ["a.h5ad", "a.h5mu"]


def _set(adata: ad.AnnData, where: str, value) -> None:
    group, name = where.split("/", 1)
    holder = getattr(adata, group)
    holder[name] = value


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ("uns/a", {1, 2}, r"uns/a: set cannot be stored"),
        ("uns/a", object(), r"uns/a: object cannot be stored"),
        ("uns/a", {"b": {"c": 1 + 2j}}, r"uns/a/b/c: complex"),
        ("uns/a", [1, "b"], r"uns/a: list cannot be stored"),
        ("uns/a", [[1], [2, 3]], r"uns/a: list cannot be stored"),
        ("uns/a", b"bytes", r"uns/a: bytes"),
        ("uns/a", pd.Series([1]), r"uns/a: Series"),
        ("uns/a", {"b/c": 1}, r"uns/a: `b/c` cannot be the name"),
        ("uns/a", {3: 1}, r"uns/a: the name 3 is of type int"),
        ("uns/a", "a\0b", r"uns/a: it contains a NUL"),
        ("uns/a", "\ud800", r"uns/a: it is no Unicode"),
        ("uns/a", 2**70, r"uns/a: int cannot be stored"),
        ("uns/a", np.float16(1), r"uns/a: float16 of type float16"),
        ("uns/a", np.ma.masked_array([1.0], [True]), r"uns/a: MaskedArray"),
        ("obs/a", pd.array([0.5, None] * 15, dtype="Float64"), r"obs/a: FloatingArray"),
        ("obs/a", pd.to_datetime(["2020-01-01"] * 30), r"obs/a: DatetimeArray"),
        ("obs/a", np.array([1, "b"] * 15, dtype=object), r"obs/a: entry 0 is 1 of type int, expected text"),
        ("obs/a/b", np.zeros(30), r"obs: `a/b` cannot be the name"),
        ("layers/a", np.zeros((30, 12), dtype=complex), r"layers/a: ndarray of type complex128"),
        ("obsm/a", pd.DataFrame({"x": [1j] * 30}, index=[f"cell {i}" for i in range(30)]), r"obsm/a/x"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(tmp_path, where, value, words):
    path = tmp_path / "a.h5ad"
    path.write_bytes(b"old")
    adata = study()
    _set(adata, where, value)
    with pytest.raises(fe.errors.FerrocyteError, match=words) as caught:
        fe.io.write_h5ad(adata, path)
    assert caught.value.hint
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.h5ad"]


def test_names_that_stand_twice_are_refused(tmp_path):
    adata = study()
    adata.obs.index.name = "int8"
    with pytest.raises(fe.errors.BadInputError, match="obs: its index is called `int8`"):
        fe.io.write_h5ad(adata, tmp_path / "a.h5ad")
    adata.uns["frame"] = pd.DataFrame([[1, 2]], columns=["a", "a"])
    adata.obs.index.name = None
    with pytest.raises(fe.errors.BadInputError, match="uns/frame: there are two columns `a`"):
        fe.io.write_h5ad(adata, tmp_path / "a.h5ad")
    assert os.listdir(tmp_path) == []


def test_places_that_cannot_be_written_are_told(tmp_path):
    with pytest.raises(fe.errors.BadFileError, match="its folder does not exist"):
        fe.io.write_h5ad(study(), tmp_path / "no" / "a.h5ad")
    (tmp_path / "folder.h5ad").mkdir()
    with pytest.raises(fe.errors.BadFileError, match="a folder"):
        fe.io.write_h5ad(study(), tmp_path / "folder.h5ad")


def test_the_same_content_has_the_same_bytes(tmp_path):
    for threads in (1, 3):
        fe.io.write_h5ad(study(300, 200), tmp_path / f"{threads}.h5ad", n_threads=threads)
    time.sleep(1.1)
    fe.io.write_h5ad(study(300, 200), tmp_path / "later.h5ad")
    assert len({(tmp_path / name).read_bytes() for name in ("1.h5ad", "3.h5ad", "later.h5ad")}) == 1


def test_a_file_that_h5py_holds_is_replaced_or_told(tmp_path):
    path = tmp_path / "a.h5ad"
    fe.io.write_h5ad(study(), path)
    with h5py.File(path, "r+") as held:
        # The new file takes the place of the name; who has the old one open keeps it.
        fe.io.write_h5ad(study(20), path)
        assert held["obs/int8"].shape == (30,)
    assert ad.read_h5ad(path).n_obs == 20
    with h5py.File(path, "r+"), pytest.raises(fe.errors.BadFileError, match="another program has the file open"):
        fe.io.read_h5ad(path)


def test_old_readers_know_the_format(tmp_path):
    path = tmp_path / "a.h5ad"
    fe.io.write_h5ad(study(), path)
    with h5py.File(path) as file:
        # Superblock 2 is that of HDF5 1.8; 3 came with 1.10.
        assert file.id.get_create_plist().get_version()[0] == 2
        versions: list[int] = []
        file.visititems(lambda _, node: versions.append(h5py.h5o.get_info(node.id).hdr.version))
        assert set(versions) <= {1, 2}
        times: list[int] = []
        file.visititems(lambda _, node: times.append(h5py.h5o.get_info(node.id).mtime))
        assert set(times) == {0}


_ENDLESS = """
    import signal, sys
    # A process that was started in the background would ignore interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import numpy as np, anndata as ad, scipy.sparse as sparse
    import ferrocyte as fe
    adata = ad.AnnData(sparse.random(30000, 1000, 0.2, "csr", dtype=np.float32, random_state=0))
    print("begun", flush=True)
    fe.io.write_h5ad(adata, sys.argv[1], compression_level=9, n_threads=1)
    print("done", flush=True)
"""


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_write_that_is_cut_short_leaves_the_old_file(tmp_path, blow):
    path = tmp_path / "a.h5ad"
    fe.io.write_h5ad(study(), path)
    before = path.read_bytes()
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(_ENDLESS), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        # Wait until some of the new file stands beside the old one.
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            beside = [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]
            if beside and os.path.getsize(tmp_path / beside[0]) > 100_000:
                break
            time.sleep(0.005)
        process.send_signal(blow)
        out, error = process.communicate(timeout=60)
    assert "done" not in out
    assert path.read_bytes() == before
    if blow == signal.SIGINT:
        assert "KeyboardInterrupt" in error
        assert os.listdir(tmp_path) == ["a.h5ad"]
    fe.io.write_h5ad(study(), path)


# Random content


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=6)
DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]


def arrays(shape) -> st.SearchStrategy:
    seeds = st.tuples(st.sampled_from(DTYPES), st.integers(0, 2**32 - 1))
    return seeds.map(lambda it: (np.random.default_rng(it[1]).normal(size=shape) * 50).astype(it[0]))


def columns(n: int) -> st.SearchStrategy:
    texts = st.lists(TEXT, min_size=n, max_size=n)
    masks = st.lists(st.booleans(), min_size=n, max_size=n).map(lambda m: np.array(m, dtype=bool))
    codes = st.lists(st.integers(-1, 2), min_size=n, max_size=n)
    levels = st.one_of(
        st.lists(TEXT, min_size=3, max_size=3, unique=True), st.just([3, 1, 2]), st.just([0.5, -1.0, 2.0])
    )
    return st.one_of(
        arrays(n),
        texts.map(lambda t: np.array([*t, None], dtype=object)[:-1]),
        st.tuples(texts, masks).map(
            lambda it: pd.array([None if gone else t for t, gone in zip(*it, strict=True)], dtype="string")
        ),
        st.tuples(st.sampled_from(["int8", "uint16", "int64"]), masks).map(
            lambda it: pd.arrays.IntegerArray(np.arange(n).astype(it[0]), it[1])
        ),
        st.tuples(masks, masks).map(lambda it: pd.arrays.BooleanArray(*it)),
        st.tuples(codes, levels, st.booleans()).map(
            lambda it: pd.Categorical.from_codes(it[0], categories=it[1], ordered=it[2])
        ),
    )


def frames(index: list[str]) -> st.SearchStrategy:
    cells = st.dictionaries(NAMES.filter(lambda name: name != "_index"), columns(len(index)), max_size=4)
    return cells.map(lambda found: pd.DataFrame(found, index=index))


def matrices(n: int, p: int) -> st.SearchStrategy:
    def packed(it) -> sparse.spmatrix:
        dense, kind, wide = it
        packed = getattr(sparse, f"{kind}_matrix")(dense * (np.arange(n * p).reshape(n, p) % 3 == 0))
        if wide:
            packed.indices, packed.indptr = packed.indices.astype(np.int64), packed.indptr.astype(np.int64)
        return packed

    dense = arrays((n, p)).filter(lambda values: values.dtype != bool)
    return st.one_of(dense, st.tuples(dense, st.sampled_from(["csr", "csc"]), st.booleans()).map(packed))


ANYTHING = st.recursive(
    st.one_of(
        st.none(), TEXT, st.booleans(), st.integers(-(2**62), 2**62), st.floats(), arrays((2, 3)), arrays(()),
        st.lists(TEXT, min_size=1, max_size=3).map(lambda t: np.array([*t, None], dtype=object)[:-1]),
        matrices(3, 2), frames(["a", "b"]),
    ),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@st.composite
def studies(draw) -> ad.AnnData:
    n, p = draw(st.integers(0, 5)), draw(st.integers(0, 4))
    obs_names, var_names = ([f"{stem}{i}" for i in range(k)] for stem, k in (("c", n), ("g", p)))
    several = lambda each: draw(st.dictionaries(NAMES, each, max_size=2))  # noqa: E731
    return ad.AnnData(
        draw(st.one_of(st.none(), matrices(n, p))),
        obs=draw(frames(obs_names)),
        var=draw(frames(var_names)),
        layers=several(matrices(n, p)),
        obsm=several(st.one_of(arrays((n, 2)), frames(obs_names), matrices(n, 3))),
        varm=several(arrays((p, 2))),
        obsp=several(matrices(n, n)),
        uns=several(ANYTHING),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(adata=studies(), compression=st.sampled_from(["gzip", "lzf", None]))
def test_any_study_comes_back(tmp_path_factory, adata, compression):
    path = tmp_path_factory.mktemp("any") / "a.h5ad"
    same_studies(adata, written(adata, path, compression=compression))
    same_studies(adata, fe.io.read_h5ad(path))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(adata=studies())
def test_any_study_of_anndata_is_read(tmp_path_factory, adata):
    path = tmp_path_factory.mktemp("any") / "a.h5ad"
    with ad.settings.override(allow_write_nullable_strings=True):
        adata.copy().write_h5ad(path)
    same_studies(ad.read_h5ad(path), fe.io.read_h5ad(path))
