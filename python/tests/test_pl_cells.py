"""The figures of cells and programs: the numbers they show, their words, and what hostile or bare input does."""

import io
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from cell_figures import DRAW_MANY, LOOSE, cells, legend_words, study_of, ticks, words
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex, to_rgb
from scipy import sparse
from scipy.stats import gaussian_kde

import ferrocyte as fe
from ferrocyte.pl import _density
from ferrocyte.pl._colours import MISSING, category_colours, with_lower
from ferrocyte.pl._words import shown


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def points(ax):
    """All points of the axes, and their colours as hex."""
    offsets = np.concatenate([part.get_offsets() for part in ax.collections if len(part.get_offsets())])
    colours = [to_hex(colour) for part in ax.collections for colour in part.get_facecolors()]
    return np.asarray(offsets), colours


# Several axes


@pytest.mark.parametrize("name", DRAW_MANY)
def test_figures_of_several_axes_come_back_and_settings_stay(name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *_: pytest.fail("a figure was shown"))
    before = dict(mpl.rcParams)
    figure = DRAW_MANY[name](title="mine")
    assert isinstance(figure, mpl.figure.Figure)
    assert figure.get_suptitle() == "mine"
    assert dict(mpl.rcParams) == before
    assert len(plt.get_fignums()) == 1
    pages = [io.BytesIO(), io.BytesIO()]
    for page in pages:
        fe.pl.save(DRAW_MANY[name](), page, format="png", metadata={"Software": None})
    assert pages[0].getvalue() == pages[1].getvalue()


@pytest.mark.parametrize("bad", ["nothing", "label2"])
def test_a_figure_of_several_axes_that_fails_leaves_none_behind(bad):
    with pytest.raises(fe.MissingKeyError, match=f"`{bad}`"):
        fe.pl.embeddings(study_of(["a", "b", "b"]), ["label", bad])
    assert plt.get_fignums() == []


# Colours


def test_colours_of_categories_are_the_palette_then_others_none_twice():
    for n in (1, 8, 9, 30, 200):
        found = category_colours(n)
        assert len(set(found)) == n
        assert found[:8] == list(fe.pl.PALETTE)[: min(n, 8)]
    assert all(to_hex(to_rgb(colour)).upper() == colour for colour in category_colours(40))


def test_more_colours_stay_apart_for_every_sight():
    from ferrocyte.pl._colours import _apart, _seen

    colours = np.array([to_rgb(colour) for colour in category_colours(24)])
    seen = _seen(colours)
    least = min(_apart(seen[:, i + 1 :], seen[:, i : i + 1]).min() for i in range(23))
    # A difference of 0.02 in OKLab is about the least that is seen side by side.
    assert least > 0.06


def test_colours_go_to_uns_and_come_from_it_in_either_dialect():
    for style, key in (("scanpy", "label_colors"), ("exprmat", "label.colors")):
        made = study_of(["a", "b", "a", "c"])
        fe.pl.embedding(made, color="label", style=style)
        assert made.uns[key] == category_colours(3)
        made.uns[key] = ["#ff0000", "#00ff00", "#0000ff"]
        _, colours = points(fe.pl.embedding(made, color="label"))
        assert sorted(colours) == ["#0000ff", "#00ff00", "#ff0000", "#ff0000"]


def test_colours_in_uns_that_are_too_few_or_none_are_replaced():
    made = study_of(["a", "b", "c"])
    for held in (["#ff0000"], ["red", "green", "no colour"], "viridis"):
        made.uns["label_colors"] = held
        fe.pl.embedding(made, color="label")
        assert made.uns["label_colors"] == category_colours(3)


def test_neither_views_nor_columns_of_texts_gain_colours():
    made = study_of(["a", "b", "c"])
    made.obs["text"] = np.array(["x", "y", "y"], dtype=object)
    fe.pl.embedding(made, color="text")
    view = made[:2]
    fe.pl.embedding(view, color="label")
    assert view.is_view
    assert list(made.uns) == []


def test_a_palette_that_is_too_short_goes_on_with_other_colours():
    made = study_of([f"t{i}" for i in range(12)])
    fe.pl.embedding(made, color="label", palette=["#0072B2", "#00FF00"])
    found = made.uns["label_colors"]
    assert found[:2] == ["#0072b2", "#00ff00"]
    assert len(set(found)) == 12


def test_palettes_are_lists_mappings_or_maps():
    made = study_of(["a", "b", "c"])
    for palette, expected in (
        ({"a": "red", "b": "blue"}, ["#ff0000", "#0000ff", MISSING.lower()]),
        ("tab10", [to_hex(colour) for colour in mpl.colormaps["tab10"].colors[:3]]),
        ("viridis", [to_hex(colour) for colour in mpl.colormaps["viridis"]([0.0, 0.5, 1.0])]),
    ):
        fe.pl.embedding(made, color="label", palette=palette)
        assert made.uns["label_colors"] == expected
    for palette, message in (("nothing", "no map of colours `nothing`"), (["red", "rot"], "`rot` is no colour")):
        with pytest.raises(fe.BadInputError, match=message):
            fe.pl.embedding(made, color="label", palette=palette)


def test_the_lowest_five_steps_of_a_map_can_be_replaced():
    made = with_lower("viridis", "#E0E0E0")
    assert [to_hex(made(i)) for i in range(5)] == ["#e0e0e0"] * 5
    assert made(5) == pytest.approx(mpl.colormaps["viridis"](5))
    with pytest.raises(fe.BadInputError, match="`grau` is no colour"):
        with_lower("viridis", "grau")


# Embeddings


def test_every_cell_is_a_point_in_the_colour_of_its_category():
    made = cells()
    ax = fe.pl.embedding(made, color="cell_type")
    offsets, colours = points(ax)
    assert len(offsets) == made.n_obs
    held = dict(zip(made.obs["cell_type"].cat.categories, made.uns["cell_type_colors"], strict=True))
    expected = {
        tuple(xy): held[kind].lower() for xy, kind in zip(made.obsm["X_umap"], made.obs["cell_type"], strict=True)
    }
    assert all(expected[tuple(np.float32(xy))] == colour for xy, colour in zip(offsets, colours, strict=True))
    assert legend_words(ax) == ["B", "T"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == ("UMAP1", "UMAP2", "cell_type")


def test_digits_stand_in_the_order_of_numbers_with_the_colours_of_their_levels():
    made = study_of([str(i) for i in range(11)])
    # Levels are sorted as texts, as sc3 has them: 0, 1, 10, 2, ...
    assert made.obs["label"].cat.categories[2] == "10"
    ax = fe.pl.embedding(made, color="label", labels="index")
    assert legend_words(ax) == [f"{i + 1} {i}" for i in range(11)]
    assert to_hex(ax.get_legend().legend_handles[10].get_color()).upper() == category_colours(11)[2]
    assert sorted(words(ax), key=int) == [str(i + 1) for i in range(11)]


def test_names_stand_at_the_mean_of_their_cells():
    made = study_of(["a"] * 5 + ["b"] * 7)
    ax = fe.pl.embedding(made, color="label", labels="data")
    assert ax.get_legend() is None
    named = {text.get_text(): text for text in ax.texts}
    for name, mine in (("a", slice(0, 5)), ("b", slice(5, 12))):
        assert named[name].xy == pytest.approx(tuple(made.obsm["X_umap"][mine].mean(axis=0)))


def test_names_at_one_place_stand_below_one_another():
    made = study_of(["first", "second", "third"] * 4)
    made.obsm["X_umap"] = np.repeat(np.random.default_rng(0).normal(size=(4, 2)), 3, axis=0)
    ax = fe.pl.embedding(made, color="label", labels="data")
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_numbers_are_drawn_low_first_with_missing_ones_below():
    values = np.array([3.0, np.nan, 1.0, 2.0, np.nan])
    made = study_of(list("aabbb"), values)
    ax = fe.pl.embedding(made, color="value")
    missing, known = ax.collections
    assert len(missing.get_offsets()) == 2
    assert known.get_array().tolist() == [1.0, 2.0, 3.0]
    assert known.get_clim() == (1.0, 3.0)
    unsorted = fe.pl.embedding(made, color="value", sort=False).collections[1]
    assert unsorted.get_array().tolist() == [3.0, 1.0, 2.0]


def test_ends_of_the_scale_are_numbers_or_percentiles():
    made = study_of(["a"] * 101, np.arange(101.0))
    drawn = fe.pl.embedding(made, color="value", vmin=10, vmax="p90").collections[0]
    assert drawn.get_clim() == (10.0, 90.0)
    with pytest.raises(fe.BadInputError, match="vmin is 5 and vmax 1"):
        fe.pl.embedding(made, color="value", vmin=5, vmax=1)
    for bound in ("p101", "most", "90"):
        with pytest.raises(fe.BadInputError, match=f"`{bound}` is neither a number nor a percentile"):
            fe.pl.embedding(made, color="value", vmax=bound)


def test_one_value_for_all_and_no_value_at_all_can_be_drawn():
    for values in (np.ones(4), np.full(4, np.nan)):
        fe.pl.embedding(study_of(list("aabb"), values), color="value").figure.canvas.draw()


def test_genes_are_found_by_name_and_by_symbol():
    made = study_of(list("ab") * 4)
    made.var["gene"] = ["CD3D", "LYZ", "LYZ"]
    dense = made.X.toarray()
    for name, column in (("g2", 2), ("CD3D", 0)):
        drawn = fe.pl.embedding(made, color=name, sort=False).collections[0]
        assert drawn.get_array().tolist() == dense[:, column].tolist()
    with pytest.raises(fe.BadInputError, match="2 genes have the symbol `LYZ`") as caught:
        fe.pl.embedding(made, color="LYZ")
    assert caught.value.hint == "name one of `g1`, `g2`"
    with pytest.raises(fe.MissingKeyError, match="there is no gene `CD3d`") as caught:
        fe.pl.embedding(made, color="CD3d")
    assert "`CD3D`" in caught.value.hint
    with pytest.raises(fe.MissingKeyError, match="no column of obs and no gene `labels`") as caught:
        fe.pl.embedding(made, color="labels")
    assert "`label`" in caught.value.hint


def test_genes_come_from_raw_or_a_layer_when_asked():
    made = study_of(list("abab"))
    made.raw = made
    made.layers["twice"] = made.X * 2
    made.X = made.X * 0
    first = made.raw.X[:, 0].toarray().ravel()
    drawn = {
        "raw": fe.pl.embedding(made, color="g0", sort=False),
        "layer": fe.pl.embedding(made, color="g0", sort=False, layer="twice"),
        "X": fe.pl.embedding(made, color="g0", sort=False, use_raw=False),
    }
    found = {name: ax.collections[0].get_array().tolist() for name, ax in drawn.items()}
    assert found == {"raw": first.tolist(), "layer": (2 * first).tolist(), "X": [0.0] * 4}


def test_truth_values_have_two_colours_and_true_lies_on_top():
    made = study_of(list("abab"), np.array([True, False, True, False]))
    ax = fe.pl.embedding(made, color="value")
    assert legend_words(ax) == ["False", "True"]
    assert points(ax)[1][:2] == points(ax)[1][:1] * 2
    assert "value_colors" not in made.uns


def test_cells_without_label_are_grey_and_named():
    made = study_of(["a", None, "b", None])
    ax = fe.pl.embedding(made, color="label")
    assert legend_words(ax) == ["a", "b", "no value"]
    assert points(ax)[1][:2] == [MISSING.lower()] * 2


def test_embeddings_are_found_in_either_dialect():
    made = study_of(list("ab"))
    made.obsm["umap"] = made.obsm.pop("X_umap")
    made.obsm["harmony"] = np.ones((2, 3))
    assert fe.pl.embedding(made, "umap").get_xlabel() == "UMAP1"
    assert fe.pl.embedding(made, "harmony", dims=(2, 3)).get_xlabel() == "harmony 2"
    with pytest.raises(fe.MissingKeyError, match="there is no embedding `umapp`") as caught:
        fe.pl.embedding(made, "umapp")
    assert "`umap`" in caught.value.hint
    for dims in ((0, 1), (1, 4), (1,)):
        with pytest.raises(fe.BadInputError, match="which has 3"):
            fe.pl.embedding(made, "harmony", dims=dims)


def test_many_points_are_pixels():
    made = study_of(["a"] * 50_001)
    assert fe.pl.embedding(made, color="label").collections[0].get_rasterized()
    assert not fe.pl.embedding(made[:50_000], color="label").collections[0].get_rasterized()


@pytest.mark.parametrize(("option", "value"), [("labels", "right"), ("contours", "all"), ("labels", None)])
def test_other_choices_are_refused(option, value):
    with pytest.raises(fe.BadInputError, match=f"there is no choice `{value}`"):
        fe.pl.embedding(cells(), color="cell_type", **{option: value})


def test_contours_can_be_of_all_cells_or_of_each_category():
    made = cells()
    n_all = len(fe.pl.embedding(made, color="cell_type", contours=True).collections)
    n_each = len(fe.pl.embedding(made, color="cell_type", contours="groups").collections)
    assert (n_all, n_each) == (2, 3)
    # Neither two cells nor cells on a line have a density over the plane.
    line = study_of(["a", "b", "b", "b"])
    line.obsm["X_umap"] = np.arange(4.0)[:, None] * [[1.0, 2.0]]
    assert len(fe.pl.embedding(line, color="label", contours=True).collections) == 1


def test_panels_stand_in_the_order_of_features():
    figure = fe.pl.embeddings(cells(), ["gene3", "cell_type", "age"], ncols=2)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert [title for title in titles if title] == ["gene3", "cell_type", "age"]
    for keywords, place in (({"color": "age"}, "color"), ({"ncols": 0}, "ncols")):
        with pytest.raises(fe.BadInputError) as caught:
            fe.pl.embeddings(cells(), ["age"], **keywords)
        assert caught.value.place == place
    with pytest.raises(fe.BadInputError, match="nothing to colour"):
        fe.pl.embeddings(cells(), [])


# Densities


def test_the_density_on_the_grid_is_that_of_the_kernel():
    rng = np.random.default_rng(2)
    x = rng.normal(size=300)
    y = 0.8 * x + rng.normal(size=300)
    found = _density.grid(x, y)
    exact = gaussian_kde(np.stack([x, y]), bw_method=lambda kde: 0.5 * kde.scotts_factor())
    at = np.stack(np.meshgrid(found.x, found.y)).reshape(2, -1)
    expected = exact(at).reshape(found.density.shape)
    assert np.abs(found.density - expected).max() < 0.02 * expected.max()


def test_equal_shares_of_the_points_lie_between_levels():
    rng = np.random.default_rng(3)
    found = _density.grid(rng.normal(size=4000), rng.normal(size=4000))
    levels = _density.levels(found)
    assert len(levels) == 10
    total = found.density.sum()
    outside = [found.density[found.density < level].sum() / total for level in levels]
    assert outside == pytest.approx(np.arange(1, 11) / 11, abs=0.01)


def test_the_density_of_values_is_that_of_the_kernel():
    values = np.random.default_rng(4).gamma(2.0, size=500)
    found = _density.curve(values, 0.0, 10.0)
    exact = gaussian_kde(values, bw_method="scott")(found.at)
    assert np.abs(found.density - exact).max() < 0.01 * exact.max()
    assert _density.curve(np.ones(5), 0.0, 1.0) is None
    assert _density.curve(np.array([1.0, np.nan]), 0.0, 1.0) is None


# Genes in groups of cells


def by_hand(made, genes, groupby):
    dense = pd.DataFrame(made.X.toarray(), index=made.obs_names, columns=made.var_names)[genes]
    grouped = dense.groupby(made.obs[groupby].to_numpy())
    return grouped.mean(), (dense > 0).groupby(made.obs[groupby].to_numpy()).mean()


def test_dots_are_fractions_and_means():
    made = cells()
    genes = ["gene3", "gene1", "gene40"]
    mean, fraction = by_hand(made, genes, "condition")
    ax = fe.pl.dotplot(made, genes, "condition")
    dots = ax.collections[0]
    assert (ticks(ax.xaxis), ticks(ax.yaxis)) == (genes, ["ctrl", "stim"])
    for (x, y), size, value in zip(dots.get_offsets(), dots.get_sizes(), dots.get_array(), strict=True):
        assert size == pytest.approx(120.0 * fraction.iloc[int(y), int(x)])
        assert value == pytest.approx(mean.iloc[int(y), int(x)])


def test_the_matrix_shows_means_scaled_by_gene_or_group():
    made = cells()
    genes = ["gene1", "gene2", "gene3"]
    mean, _ = by_hand(made, genes, "donor")
    for scale, axis in ((None, None), ("var", 0), ("group", 1)):
        drawn = fe.pl.matrixplot(made, genes, "donor", standard_scale=scale).images[0].get_array()
        expected = mean.to_numpy()
        if axis is not None:
            low = expected.min(axis=axis, keepdims=True)
            expected = (expected - low) / (expected.max(axis=axis, keepdims=True) - low)
        # The mean of the check is one of 32 bits.
        assert np.asarray(drawn) == pytest.approx(expected, rel=1e-5)
    swapped = fe.pl.matrixplot(made, genes, "donor", swap_axes=True)
    assert swapped.images[0].get_array().shape == (3, 6)
    assert ticks(swapped.yaxis) == genes


def test_a_gene_that_does_not_differ_is_scaled_to_nothing():
    made = study_of(list("aabb"))
    made.X = sparse.csr_matrix(np.ones((4, 3), dtype=np.float32))
    table = fe.get.group_expression(made, ["g0"], "label", standard_scale="var")
    assert table["scaled"].tolist() == [0.0, 0.0]
    with pytest.raises(fe.BadInputError, match="there is no choice `obs`"):
        fe.get.group_expression(made, ["g0"], "label", standard_scale="obs")


def test_groups_without_cells_and_cells_without_group_are_left_out():
    made = study_of(["b", "b", None, "a"])
    made.obs["label"] = made.obs["label"].cat.add_categories("none")
    table = fe.get.group_expression(made, ["g1"], "label")
    dense = made.X.toarray()[:, 1]
    assert table["group"].to_list() == ["a", "b"]
    assert table["n_cells"].to_list() == [1, 2]
    assert table["mean"].to_list() == pytest.approx([dense[3], dense[:2].mean()])


MARKED = pd.DataFrame(
    {
        # What fails each filter by standing at its bound, and two that pass.
        "names": ["low_change", "high_p", "rare", "common", "first", "second", "third"],
        "scores": [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0],
        "lfc": [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0],
        "p": 1e-9,
        "q": [1e-9, 0.05, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9],
        "pct": [0.9, 0.9, 0.25, 0.9, 0.9, 0.9, 0.9],
        "pct.reference": [0.1, 0.1, 0.1, 0.75, 0.1, 0.1, 0.1],
    }
)


def marked_in_either_dialect():
    made = study_of(["a"] * 4 + ["b"] * 4, n_genes=7)
    made.var_names = MARKED["names"].to_list()
    fields = {"names": ("names", "O"), "scores": ("scores", "f4"), "logfoldchanges": ("lfc", "f4")}
    fields |= {"pvals": ("p", "f8"), "pvals_adj": ("q", "f8")}
    records = {
        name: np.rec.fromarrays([MARKED[column]] * 2, dtype=[("a", kind), ("b", kind)])
        for name, (column, kind) in fields.items()
    }
    params = {"groupby": "label", "reference": "rest", "use_raw": False, "layer": None}
    shares = {part: pd.DataFrame(dict.fromkeys("ab", MARKED.set_index("names")[column])) for part, column in (
        ("pts", "pct"), ("pts_rest", "pct.reference"))}  # fmt: skip
    scanpy, exprmat = made.copy(), made.copy()
    scanpy.uns["rank_genes_groups"] = {"params": params, **records, **shares}
    exprmat.uns["markers"] = {"params": params, "names": records["names"], "differential": {"a": MARKED, "b": MARKED}}
    return {"scanpy": scanpy, "exprmat": exprmat}


@pytest.mark.parametrize("dialect", ["scanpy", "exprmat"])
def test_markers_are_filtered_strictly_in_either_dialect(dialect):
    made = marked_in_either_dialect()[dialect]
    found = fe.get.top_markers(made, n_genes=2)
    assert found["gene"].to_list() == ["first", "second"] * 2
    assert found["group"].astype(str).to_list() == ["a", "a", "b", "b"]
    every = fe.get.top_markers(
        made, n_genes=None, min_logfoldchange=None, max_p_adjust=None, min_pct=None, max_pct_reference=None
    )
    assert every["gene"].to_list() == MARKED["names"].to_list() * 2
    for name in ("dotplot", "matrixplot", "stacked_violin"):
        ax = getattr(fe.pl, name)(made, n_genes=1)
        assert ticks(ax.xaxis) == ["first", "first"]
        assert words(ax)[:2] == ["a", "b"]
    for name in ("tracksplot", "heatmap_markers"):
        assert ticks(getattr(fe.pl, name)(made, n_genes=2).yaxis) == ["first", "second"] * 2


def test_markers_are_shown_under_their_symbols():
    made = marked_in_either_dialect()["scanpy"]
    made.var["symbol2"] = ["a1", "a2", "a3", "a4", "SYM", np.nan, "a7"]
    for name in ("dotplot", "matrixplot", "stacked_violin"):
        ax = getattr(fe.pl, name)(made, n_genes=2, gene_symbols="symbol2")
        assert ticks(ax.xaxis) == ["SYM", "second"] * 2
    assert ticks(fe.pl.tracksplot(made, n_genes=1, gene_symbols="symbol2").yaxis) == ["SYM", "SYM"]
    # Genes that are named may be named either way.
    ax = fe.pl.dotplot(made, ["SYM", "second"], "label", gene_symbols="symbol2")
    assert ticks(ax.xaxis) == ["SYM", "second"]
    with pytest.raises(fe.MissingKeyError, match="there is no column `symbols`"):
        fe.pl.dotplot(made, n_genes=1, gene_symbols="symbols")


def test_no_marker_that_passes_is_an_error():
    with pytest.raises(fe.BadInputError, match="no marker passes the filters"):
        fe.pl.dotplot(cells(), min_logfoldchange=50)
    with pytest.raises(fe.MissingKeyError, match="there are no markers"):
        fe.pl.dotplot(study_of(list("ab")))
    with pytest.raises(fe.MissingKeyError, match="there is no group `stimm`"):
        fe.get.top_markers(cells(), groups="stimm")


def test_markers_without_fractions_are_drawn_with_a_warning():
    made = cells()
    fe.tl.rank_genes_groups(made, "condition")
    with pytest.warns(fe.FerrocyteWarning, match="have no `fraction"):
        found = fe.get.top_markers(made, min_logfoldchange=None, max_p_adjust=None)
    assert len(found) == 10


def test_genes_that_do_not_exist_are_passed_over_unless_none_does():
    made = cells()
    with pytest.warns(fe.FerrocyteWarning, match="passed over: `CD3D`"):
        assert ticks(fe.pl.dotplot(made, ["gene1", "CD3D"], "condition").xaxis) == ["gene1"]
    with pytest.raises(fe.MissingKeyError, match="there is no gene `gene1x`") as caught:
        fe.pl.dotplot(made, ["gene1x"], "condition")
    assert "`gene1`" in caught.value.hint
    with pytest.raises(fe.BadInputError, match="which groups"):
        fe.pl.dotplot(made, ["gene1"])
    with pytest.raises(fe.BadInputError, match="no gene to draw"):
        fe.pl.dotplot(made, [], "condition")


def test_brackets_name_the_parts_of_a_mapping_and_a_gene_may_come_twice():
    ax = fe.pl.matrixplot(cells(), {"first": ["gene1", "gene2"], "again": "gene1"}, "condition")
    assert ticks(ax.xaxis) == ["gene1", "gene2", "gene1"]
    assert words(ax) == ["first", "again"]
    shown_means = np.asarray(ax.images[0].get_array())
    assert (shown_means[:, 0] == shown_means[:, 2]).all()


@pytest.mark.parametrize("name", ["dotplot", "matrixplot", "stacked_violin"])
def test_groups_stand_in_the_order_of_their_tree(name):
    made = cells()
    fe.tl.dendrogram(made, "donor")
    order = made.uns["dendrogram_donor"]["categories_ordered"]
    ax = getattr(fe.pl, name)(made, ["gene1"], "donor", dendrogram=True)
    assert ticks(ax.yaxis) == order
    # A tree of other groups is not drawn: one of these is made.
    made.uns["dendrogram_donor"]["categories_ordered"] = ["d1"]
    assert ticks(getattr(fe.pl, name)(made, ["gene1"], "donor", dendrogram=True).yaxis) == order


def test_violins_are_as_many_as_genes_and_groups_and_coloured_by_the_median():
    made = cells()
    genes = ["gene1", "gene2"]
    ax = fe.pl.stacked_violin(made, genes, "donor")
    violins = next(part for part in ax.collections if part.get_array() is not None)
    assert len(violins.get_paths()) == 12
    dense = pd.DataFrame(made[:, genes].X.toarray(), index=made.obs_names)
    medians = dense.groupby(made.obs["donor"].to_numpy()).median().to_numpy().ravel()
    assert np.asarray(violins.get_array()) == pytest.approx(medians)
    for path, (row, column) in zip(violins.get_paths(), np.ndindex(6, 2), strict=True):
        (left, top), (right, bottom) = path.get_extents().min, path.get_extents().max
        assert column - 0.5 < left < right < column + 0.5
        assert row - 0.5 <= top < bottom <= row + 0.5
    for scale in ("var", "group"):
        fe.pl.stacked_violin(made, genes, "donor", standard_scale=scale)
    with pytest.raises(fe.BadInputError, match="there is no choice `obs`"):
        fe.pl.stacked_violin(made, genes, "donor", standard_scale="obs")


def test_tracks_and_heat_maps_have_all_labelled_cells_in_the_order_of_groups():
    made = study_of(["b", "a", None, "b", "a"])
    dense = made.X.toarray()
    ax = fe.pl.heatmap_markers(made, ["g1", "g0"], "label")
    assert np.asarray(ax.images[0].get_array()) == pytest.approx(dense[np.ix_([1, 4, 0, 3], [1, 0])].T)
    assert ticks(ax.xaxis) == ["a", "b"]
    tracks = fe.pl.tracksplot(made, ["g1", "g0"], "label")
    assert tracks.get_xlim() == (0.0, 4.0)
    # Two groups of two genes, and the base lines.
    assert len(tracks.collections) == 5


# Samples and types


def test_bars_are_the_shares_of_the_table():
    made = cells()
    table = fe.tl.proportion(made, "donor", "cell_type")
    for given in ((made, "donor", "cell_type"), (table,)):
        ax = fe.pl.proportion(*given)
        heights = np.array([bar.get_height() for bar in ax.patches]).reshape(2, 6).T
        assert heights == pytest.approx(100.0 * table.to_numpy())
        assert words(ax) == ["40"] * 6
        assert legend_words(ax) == ["B", "T"]
    counts = fe.pl.proportion(made, "donor", "cell_type", normalize=False)
    assert sum(bar.get_height() for bar in counts.patches) == made.n_obs
    assert counts.get_ylabel() == "cells"


@pytest.mark.parametrize(("kind", "width"), [("pie", 1.0), ("donut", 0.45)])
def test_circles_are_divided_by_shares(kind, width):
    ax = fe.pl.proportion(cells(), "condition", "cell_type", kind=kind)
    wedges = [patch for patch in ax.patches if isinstance(patch, mpl.patches.Wedge)]
    assert [abs(w.theta2 - w.theta1) for w in wedges] == pytest.approx([120.0, 240.0] * 2, abs=0.01)
    assert [w.width for w in wedges] == pytest.approx([width] * 4)
    assert [word for word in words(ax) if word] == ["ctrl\n120 cells", "stim\n120 cells"]


def test_what_are_no_shares_is_refused():
    table = pd.DataFrame({"a": [0.5, 1.0], "b": [0.5, -1.0]})
    with pytest.raises(fe.BadInputError, match="missing or negative"):
        fe.pl.proportion(table)
    with pytest.raises(fe.BadInputError, match="which columns"):
        fe.pl.proportion(cells(), "donor")
    with pytest.raises(fe.BadInputError, match="there is no choice `ring`"):
        fe.pl.proportion(table, kind="ring")


def test_types_that_differ_stand_on_top_and_are_marked():
    counts = {"B": [20, 25, 22, 60, 70, 55], "T": [80, 75, 70, 40, 45, 50], "NK": [9, 8, 12, 9, 11, 10]}
    found = fe.tl.composition(pd.DataFrame(counts), ["ctrl"] * 3 + ["stim"] * 3)
    ax = fe.pl.composition(found)
    rows = found.sort_values("p")
    assert ticks(ax.yaxis) == rows["type"].to_list()
    marked = [text for text in words(ax) if text.startswith("q = ")]
    assert [text.endswith("*") for text in marked] == (rows["q"] < 0.05).to_list()
    for column, drawn in zip(("mean_ctrl", "mean_stim"), ax.collections[1:], strict=True):
        assert np.asarray(drawn.get_offsets())[:, 0] == pytest.approx(100.0 * rows[column].to_numpy())
    with pytest.raises(fe.MissingKeyError, match="there is no column `q`"):
        fe.pl.composition(found.drop(columns="q"))


# Programs


def test_stability_and_error_stand_on_two_axes():
    ax = fe.pl.cnmf_k_selection(cells())
    other = next(one for one in ax.figure.axes if one is not ax)
    assert ax.lines[0].get_ydata().tolist() == [0.99, 0.97, 0.6]
    assert other.lines[0].get_ydata().tolist() == [9.0, 7.0, 6.5]
    table = pd.DataFrame({"silhouette": [0.9, 0.8], "prediction_error": [2.0, 1.0]}, index=[5, 6])
    assert fe.pl.cnmf_k_selection(table).lines[0].get_xdata().tolist() == [5.0, 6.0]
    with pytest.raises(fe.MissingKeyError, match="there is no column `silhouette`"):
        fe.pl.cnmf_k_selection(table.drop(columns="silhouette"))


def test_the_clustergram_shows_distances_clusters_and_densities():
    made = cells()
    ax = fe.pl.cnmf_clustergram(made, 3, labels=np.repeat([1, 2, 3], 6))
    assert np.asarray(ax.images[0].get_array()) == pytest.approx(made.uns["cnmf.dist.3"])
    bands, histogram = ax.child_axes[1], ax.child_axes[2]
    assert bands.images[0].get_array().ravel().tolist() == np.repeat([0, 1, 2], 6).tolist()
    assert words(histogram) == ["18 of 20 spectra below 0.5"]
    assert sum(bar.get_height() for bar in histogram.patches) == 20
    with pytest.raises(fe.BadInputError, match="2 labels for 18 spectra"):
        fe.pl.cnmf_clustergram(made, 3, labels=[1, 2])
    with pytest.raises(fe.MissingKeyError, match=r"there is no `cnmf\.dist\.4`") as caught:
        fe.pl.cnmf_clustergram(made, 4)
    assert "`cnmf.dist.3`" in caught.value.hint
    with pytest.raises(fe.BadInputError, match="how many programs"):
        fe.pl.cnmf_clustergram(made)
    with pytest.raises(fe.BadInputError, match="array of shape"):
        fe.pl.cnmf_distance_comps(np.ones((2, 3)))


def test_what_a_threshold_leaves_out_is_grey():
    ax = fe.pl.cnmf_density([0.1, 0.2, 0.8], threshold=0.5)
    assert words(ax) == ["2 of 3 spectra below 0.5"]
    assert words(fe.pl.cnmf_density([0.1, 0.2, 0.8])) == []
    assert words(fe.pl.cnmf_density(cells(), 3, threshold=0.01))[0].endswith("of 20 spectra below 0.01")
    made = cells()
    made.uns["cnmf.threshold.3"] = 0.02
    assert words(fe.pl.cnmf_density(made, 3))[0].endswith("of 20 spectra below 0.02"), "that of the extraction"
    for bad, message in (([], "there is no spectrum"), ([np.nan], "missing values")):
        with pytest.raises(fe.BadInputError, match=message):
            fe.pl.cnmf_density(bad)


def test_distances_are_of_a_seeded_share_in_the_order_of_a_tree():
    made = cells()
    usages = made.obsm["cnmf.3"].to_numpy()
    ax = fe.pl.cnmf_distance_usages(made, 3, downsample=0.25, annotations="cell_type")
    distances = np.asarray(ax.images[0].get_array())
    assert distances.shape == (60, 60)
    assert distances == pytest.approx(distances.T)
    again = fe.pl.cnmf_distance_usages(usages, downsample=0.25, annotations=made.obs["cell_type"].to_list())
    assert np.asarray(again.images[0].get_array()) == pytest.approx(distances)
    assert legend_words(again) == ["B", "T"]
    other = fe.pl.cnmf_distance_usages(usages, downsample=0.25, seed=7)
    assert np.abs(np.asarray(other.images[0].get_array()) - distances).max() > 0.01
    whole = np.asarray(fe.pl.cnmf_distance_usages(usages, downsample=1.0).images[0].get_array())
    unit = usages / np.linalg.norm(usages, axis=1, keepdims=True)
    assert np.sort(whole.ravel()) == pytest.approx(np.sort((1.0 - unit @ unit.T).ravel()), abs=1e-9)


def test_genes_without_weight_and_too_many_are_not_compared():
    weights = np.random.default_rng(0).gamma(0.5, size=(40, 3))
    weights[::2] = 0.0
    assert fe.pl.cnmf_distance_modules(weights).get_xlabel() == "20 genes"
    with pytest.raises(fe.TooLargeError, match="too many to compare") as caught:
        fe.pl.cnmf_distance_usages(np.ones((7000, 2)), downsample=1.0)
    assert caught.value.hint == "downsample=0.86 or less"
    for keywords, place in (
        ({"metric": "manhattan"}, "metric"),
        ({"method": "centre"}, "method"),
        ({"downsample": 0.0}, "downsample"),
        ({"seed": -1}, "random_state"),
    ):
        with pytest.raises(fe.BadInputError) as caught:
            fe.pl.cnmf_distance_usages(weights, **keywords)
        assert caught.value.place == place
    with pytest.raises(fe.BadInputError, match="can be compared"):
        fe.pl.cnmf_distance_modules(np.zeros((5, 2)))


def test_usages_of_each_program_sum_to_one_in_a_cell():
    made = cells()
    usages = made.obsm["cnmf.3"].to_numpy()
    usages[0] = 0.0
    figure = fe.pl.cnmf_usages(usages, coordinates=made.obsm["X_umap"], programs=[3, 1])
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in panels] == ["program 3", "program 1"]
    totals = np.where(usages.sum(axis=1) > 0, usages.sum(axis=1), 1.0)
    for ax, program in zip(panels, (3, 1), strict=True):
        drawn = np.asarray(ax.collections[0].get_array())
        assert drawn == pytest.approx(np.sort(usages[:, program - 1] / totals))
    for keywords, message in (
        ({"programs": [4]}, r"there are no programs \[4\] of 3"),
        ({"coordinates": np.ones((3, 2))}, "expected 240 × 2 coordinates"),
        ({}, "where are the cells"),
    ):
        with pytest.raises(fe.BadInputError, match=message):
            fe.pl.cnmf_usages(usages, **keywords)


# Hostile and bare input

HOSTILE = ["$x^2$ and $", "<script>alert(1)</script>", "_hidden", "x" * 300, "שלום עולם", "😀", "a\nb", r"\frac{1}{2}"]


def drawn_words(page):
    return page.getvalue().decode()


def test_names_are_shown_as_they_are():
    labels = HOSTILE * 5
    made = study_of(labels)
    made.var_names = HOSTILE[:3]
    made.obs["sample"] = pd.Categorical(HOSTILE[::-1] * 5)
    figures = [
        fe.pl.embedding(made, color="label"),
        fe.pl.embedding(made, color="label", labels="data"),
        fe.pl.embedding(made, color=HOSTILE[0]),
        fe.pl.embeddings(made, ["label", HOSTILE[1]]),
        fe.pl.dotplot(made, {HOSTILE[3]: HOSTILE[:3]}, "label", title=HOSTILE[0]),
        fe.pl.stacked_violin(made, HOSTILE[:3], "label"),
        fe.pl.tracksplot(made, HOSTILE[:3], "label"),
        fe.pl.heatmap_markers(made, HOSTILE[:3], "label"),
        fe.pl.matrixplot(made, HOSTILE[:3], "label"),
        fe.pl.proportion(made, "sample", "label"),
        fe.pl.proportion(made, "sample", "label", kind="pie"),
    ]
    for figure in figures:
        page = io.BytesIO()
        with warnings.catch_warnings():
            # Fonts that lack a letter are no matter of ours.
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            fe.pl.save(figure, page, format="svg")
        assert "<script" not in drawn_words(page)
    ax = figures[0]
    ax.figure.canvas.draw()
    assert {"_hidden", "<script>alert(1)</script>", "a b"} <= set(legend_words(ax))
    long = next(word for word in legend_words(ax) if word.startswith("xx"))
    assert len(long) <= 40
    assert "…" in long


@pytest.mark.parametrize("text", ["$x^2$ and $", "one $", "$$", r"cost \$5 and $6$"])
def test_dollars_are_no_formula(text):
    figure, ax = plt.subplots()
    made = ax.text(0.5, 0.5, shown(text))
    assert not made._preprocess_math(made.get_text())[1]
    figure.canvas.draw()


def test_one_cluster_one_sample_one_cell():
    made = study_of(["only"] * 5)
    for draw in (
        lambda: fe.pl.embedding(made, color="label", labels="data", contours="groups"),
        lambda: fe.pl.dotplot(made, ["g0"], "label"),
        lambda: fe.pl.matrixplot(made, ["g0"], "label", standard_scale="var"),
        lambda: fe.pl.stacked_violin(made, ["g0"], "label", standard_scale="group"),
        lambda: fe.pl.tracksplot(made, ["g0"], "label"),
        lambda: fe.pl.heatmap_markers(made, ["g0"], "label"),
        lambda: fe.pl.proportion(made, "label", "label"),
        lambda: fe.pl.proportion(made, "label", "label", kind="donut"),
        lambda: fe.pl.embedding(made[:1], color="g1", contours=True),
        lambda: fe.pl.qc_violin(study_of(["a"], np.ones(1)), "value", groupby="label"),
    ):
        draw().figure.canvas.draw()
    with pytest.raises(fe.BadInputError, match="1 group"):
        fe.pl.dotplot(made, ["g0"], "label", dendrogram=True)


def test_two_hundred_types_have_two_hundred_colours():
    labels = [f"type {i}" for i in range(200)] * 2
    made = study_of(labels)
    made.obs["sample"] = pd.Categorical(["s1", "s2"] * 200)
    ax = fe.pl.embedding(made, color="label")
    assert len(set(points(ax)[1])) == 200
    assert len(legend_words(ax)) == 200
    assert len(fe.pl.proportion(made, "sample", "label").patches) == 400
    for name in ("dotplot", "stacked_violin", "tracksplot", "heatmap_markers"):
        getattr(fe.pl, name)(made, ["g0", "g1"], "label").figure.canvas.draw()


def test_no_cells_is_an_error():
    made = study_of(["a", "b"])[:0]
    with pytest.raises(fe.BadInputError, match="there is no cell"):
        fe.pl.embedding(made)
    unlabelled = study_of([None, None])
    with pytest.raises(fe.BadInputError, match="no cell has a group"):
        fe.pl.tracksplot(unlabelled, ["g0"], "label")
    with pytest.raises(fe.BadInputError, match="no cell has a group"):
        fe.pl.dotplot(unlabelled, ["g0"], "label")
    with pytest.raises(fe.BadInputError, match="no cell has both"):
        fe.pl.proportion(unlabelled, "label", "label")


def test_values_that_are_missing_are_named():
    made = study_of(list("aabb"))
    made.X = made.X.toarray()
    made.X[1, 0] = np.nan
    with pytest.raises(fe.BadInputError, match="missing or infinite"):
        fe.pl.dotplot(made, ["g0"], "label")
    fe.pl.embedding(made, color="g0").figure.canvas.draw()
    fe.pl.stacked_violin(made, ["g0", "g1"], "label").figure.canvas.draw()
    fe.pl.heatmap_markers(made, ["g0", "g1"], "label").figure.canvas.draw()


def test_bare_scripts_draw_without_a_display():
    figure = fe.pl.dotplot(cells(), **LOOSE).figure
    for form, start in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        page = io.BytesIO()
        fe.pl.save(figure, page, format=form)
        assert page.getvalue().startswith(start)
