"""The figures of ecotypes: the numbers they show, their words, their colours, and what they refuse."""

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from ecotype_figures import DRAW_MANY, cells, ensemble, near, sample, together
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import ferrocyte as fe
from ferrocyte.pl._colours import MISSING, category_colours
from ferrocyte.pl._style import FAINT


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def words(ax):
    return [text.get_text() for text in ax.texts]


def ticks(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


def legend_words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def colours_by_place(ax):
    """The colour that each point is drawn in."""
    drawn = {}
    for part in ax.collections:
        for place, colour in zip(part.get_offsets(), part.get_facecolors(), strict=True):
            drawn[tuple(np.asarray(place))] = to_hex(colour).upper()
    return drawn


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


# Tissues


def test_every_cell_has_the_colour_of_its_ecotype_and_none_is_grey():
    study = sample()
    ax = fe.pl.spatial(study, "SE")
    assert [colour.upper() for colour in study.uns["SE_colors"]] == [*category_colours(3), FAINT]
    colour_of = dict(zip(study.obs["SE"].cat.categories, [*category_colours(3), FAINT], strict=True))
    drawn = colours_by_place(ax)
    expected = {tuple(xy): colour_of[se] for xy, se in zip(study.obsm["spatial"], study.obs["SE"], strict=True)}
    assert drawn == expected
    assert legend_words(ax) == ["SE1", "SE2", "SE3", "nonSE"]
    study.uns["SE_colors"] = ["#FF0000", "#00FF00", "#0000FF", "#000000"]
    assert set(colours_by_place(fe.pl.spatial(study, "SE")).values()) == {"#FF0000", "#00FF00", "#0000FF", "#000000"}
    mine = fe.pl.spatial(study, "SE", palette={"SE1": "#123456"})
    assert set(colours_by_place(mine).values()) == {"#123456", MISSING}


def test_both_axes_have_one_scale_which_a_bar_tells():
    ax = fe.pl.spatial(sample(), "CellType", unit="µm")
    assert ax.get_aspect() == 1.0
    (line,) = ax.lines
    length = float(np.ptp(line.get_xdata()))
    assert words(ax) == [f"{length:g} µm"]
    assert length in {10.0, 20.0, 50.0, 100.0}
    assert fe.pl.spatial(sample(), "CellType", invert_y=True).yaxis_inverted()
    assert not ax.yaxis_inverted()


def test_a_table_of_columns_is_drawn_too_and_cells_without_label_are_said():
    table = pd.DataFrame({"X": [0.0, 1.0, 2.0], "Y": [0.0, 3.0, 1.0], "kind": ["a", None, "b"]})
    ax = fe.pl.spatial(table, "kind")
    assert legend_words(ax) == ["a", "b", "no value"]
    assert colours_by_place(ax)[1.0, 3.0] == MISSING
    with pytest.raises(fe.MissingKeyError, match="`X`"):
        fe.pl.spatial(table.drop(columns="X"), "kind")
    with pytest.raises(fe.BadInputError, match="no cell has coordinates"):
        fe.pl.spatial(table.assign(X=np.nan), "kind")
    with pytest.raises(fe.BadInputError, match="found list"):
        fe.pl.spatial([1, 2], "kind")


def test_a_gene_has_a_scale_and_many_points_are_pixels():
    study = sample()
    gene = study.var_names[2]
    ax = fe.pl.spatial(study, gene, vmax=3)
    assert ax.collections[0].get_clim() == (0.0, 3.0)
    np.testing.assert_allclose(np.sort(ax.collections[0].get_array()), np.sort(study[:, gene].X.toarray().ravel()))
    assert not ax.collections[0].get_rasterized()
    many = pd.DataFrame(np.random.default_rng(1).random((3000, 2)), columns=["X", "Y"]).assign(kind="a")
    assert fe.pl.spatial(many, "kind").collections[0].get_rasterized()


def test_panels_are_samples_and_columns_with_one_legend_for_all():
    study = cells()
    figure = fe.pl.spatials(study, ["CellType", "SE"], sample="Sample")
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == [f"S{i}, {name}" for name in ("CellType", "SE") for i in (1, 2, 3)]
    assert [ax.get_legend() is not None for ax in figure.axes] == [False, False, True] * 2
    alone = fe.pl.spatials(study, "SE", sample="Sample", samples=["S3", "S1"], ncols=1)
    assert [ax.get_title(loc="left") for ax in alone.axes] == ["S3", "S1"]
    assert [ax.get_legend() is not None for ax in alone.axes] == [True, False]
    several = fe.pl.spatials(study, ["SE", "X"])
    assert [ax.get_title(loc="left") for ax in several.axes] == ["SE", "X"]
    # A scale stands where a legend would, in axes within the panel.
    assert several.axes[0].get_legend() is not None
    assert several.axes[1].child_axes
    with pytest.raises(fe.MissingKeyError, match="no sample `S9`"):
        fe.pl.spatials(study, "SE", sample="Sample", samples=["S9"])
    with pytest.raises(fe.MissingKeyError, match="no column `Samples`"):
        fe.pl.spatials(study, "SE", sample="Samples")
    with pytest.raises(fe.BadInputError, match="nothing to colour"):
        fe.pl.spatials(study, [])


def test_limits_of_a_gene_are_the_same_in_all_samples():
    study = cells()
    figure = fe.pl.spatials(study, study.var_names[0], sample="Sample")
    limits = {ax.collections[0].get_clim() for ax in figure.axes if ax.get_title(loc="left")}
    assert limits == {(0.0, float(study[:, 0].X.max()))}


# Models


def test_signatures_are_the_weights_of_the_genes_that_mark_each_ecotype():
    table = ensemble().models["type1"]
    ax = fe.pl.ecotype_signatures(table, n=3)
    genes, ecotypes = ticks(ax.yaxis), ticks(ax.xaxis)
    assert ecotypes == ["SE1", "SE2", "SE3", "nonSE"]
    shown = ax.get_images()[0].get_array()
    np.testing.assert_array_equal(shown, table.loc[[f"{gene}__pos" for gene in genes], ecotypes])
    marked = np.asarray(shown).argmax(axis=1)
    assert (np.diff(marked) >= 0).all()
    assert np.bincount(marked).max() <= 3
    # A band for each block of rows, and one for each column.
    assert len(ax.lines) == len(set(marked)) + 4


def test_models_that_cannot_be_drawn_are_refused():
    models = ensemble().models
    with pytest.raises(fe.BadInputError, match="models of 2 cell types"):
        fe.pl.ecotype_signatures(models)
    with pytest.raises(fe.MissingKeyError, match="no model of `type7`"):
        fe.pl.ecotype_signatures(models, cell_type="type7")
    with pytest.raises(fe.BadInputError, match="no models given"):
        fe.pl.ecotype_signatures({})
    flat = models["type1"] * 0.0
    with pytest.raises(fe.BadInputError, match="no gene marks"):
        fe.pl.ecotype_signatures(flat)
    with pytest.raises(fe.BadInputError, match="expected an ensemble, found Models"):
        fe.pl.ecotype_stability(models)


def test_stability_shows_mean_spread_and_share_of_runs():
    found = ensemble()
    ax = fe.pl.ecotype_stability(found, cell_type="type1", n=2)
    genes = [f"{gene}__pos" for gene in ticks(ax.yaxis)]
    means, others = (part.get_offsets() for part in ax.collections[1:3])
    table = found.models["type1"].loc[genes]
    best = table.idxmax(axis=1)
    np.testing.assert_allclose(means[:, 0], table.max(axis=1))
    np.testing.assert_allclose(others[:, 0], np.sort(table.to_numpy(), axis=1)[:, -2])
    ends = np.array(ax.collections[0].get_segments())[:, :, 0]
    spread = [found.sd["type1"].loc[gene, ecotype] for gene, ecotype in best.items()]
    np.testing.assert_allclose(np.ptp(ends, axis=1) / 2, spread)
    told = [f"{100 * found.frequency['type1'].loc[gene, ecotype]:.0f} %" for gene, ecotype in best.items()]
    assert [word for word in words(ax) if word.endswith(" %")] == told
    assert ax.get_xlabel().endswith("5 runs")


# Blocks


def test_states_stand_in_blocks_of_ecotypes_with_their_z():
    index, test = together()
    ax = fe.pl.ecotype_coassociation(index, test=test)
    states = ticks(ax.yaxis)
    assert states == ticks(ax.xaxis)
    assert states == sorted(states)
    np.testing.assert_array_equal(ax.get_images()[0].get_array(), index.loc[states, states])
    frames = [patch for patch in ax.patches if patch.get_width() > 0]
    assert [int(frame.get_width()) for frame in frames] == [2, 2, 2, 2]
    assert words(ax) == [f"{name}  z {test.loc[name, 'Z']:.1f}" for name in ("SE1", "SE2", "SE3", "nonSE")]
    # Where it is not told which ecotype a state is of, its name says so.
    bare = index.copy()
    bare.attrs = {}
    assert words(fe.pl.ecotype_coassociation(bare)) == ["SE1", "SE2", "SE3", "nonSE"]


def test_colocalization_takes_results_tables_and_meta_analyses():
    found = near()
    limit = float(np.nanquantile(np.abs(found.z.to_numpy()), 0.9))
    for given in (found, found.z):
        assert fe.pl.ecotype_colocalization(given).get_images()[0].get_clim() == (-limit, limit)
    tests = [fe.ecotype.block_test(found.z, n_permutations=20)] * 3
    meta = fe.ecotype.colocalization_meta([found.z] * 3, tests)
    ax = fe.pl.ecotype_colocalization(meta, limit=4)
    assert ax.get_images()[0].get_clim() == (-4.0, 4.0)
    assert any(f"z {meta.test.loc['SE1', 'Z']:.1f}" in word for word in words(ax))
    with pytest.raises(fe.BadInputError, match="square table of states"):
        fe.pl.ecotype_colocalization(found.z.iloc[:3])
    with pytest.raises(fe.BadInputError, match="square table of states"):
        fe.pl.ecotype_coassociation("nothing")


# Labels


def test_confusion_has_shares_of_rows_and_the_f1_of_each_label():
    table = pd.DataFrame({"SE": ["SE1"] * 4 + ["SE2"] * 4 + ["nonSE"] * 2})
    table["found"] = ["SE1", "SE1", "SE1", "SE2", "SE2", "SE2", "SE2", "NonSE", "NonSE", "SE10"]
    ax = fe.pl.ecotype_confusion(table, predicted="found")
    assert ticks(ax.yaxis) == ["SE1 (4)", "SE2 (4)", "NonSE (2)"]
    assert ticks(ax.xaxis) == ["SE1", "SE2", "SE10", "NonSE"]
    expected = [[0.75, 0.25, 0, 0], [0, 0.75, 0, 0.25], [0, 0, 0.5, 0.5]]
    np.testing.assert_allclose(ax.get_images()[0].get_array(), expected)
    assert words(ax)[-5:-1] == ["F1", "0.86", "0.75", "0.50"]
    assert words(ax)[-1] == "per cent of true labels; macro F1 0.702, correct 70.0 %"
    measured = fe.ecotype.metrics(table.replace("nonSE", "NonSE"), predicted="found")
    np.testing.assert_allclose(measured.values[["SE1", "SE2"]], [6 / 7, 0.75])
    with pytest.raises(fe.MissingKeyError, match="no column `cvPred`"):
        fe.pl.ecotype_confusion(table)
    with pytest.raises(fe.BadInputError, match="no cell"):
        fe.pl.ecotype_confusion(table.iloc[:0], predicted="found")


# Grids


def test_abundance_fills_the_squares_of_the_grid():
    study = sample()
    spots = fe.ecotype.abundance(study, radius=30, grid_size=40)
    figure = fe.pl.ecotype_abundance(spots, ecotypes=["SE2", "nonSE"])
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["SE2", "nonSE"]
    drawn = figure.axes[0].collections[0]
    np.testing.assert_array_equal(drawn.get_array(), spots["SE2"])
    most = float(spots[["SE2", "nonSE"]].max(axis=None))
    assert all(ax.collections[0].get_clim() == (0.0, most) for ax in figure.axes[:2])
    # Squares are about as wide as the grid and hold their cells' middle.
    corners = drawn.get_paths()[0].get_extents()
    np.testing.assert_allclose(corners.width, 40, rtol=0.1)
    inside = [
        path.get_extents().contains(x, y) for path, x, y in zip(drawn.get_paths(), spots["X"], spots["Y"], strict=True)
    ]
    assert np.mean(inside) > 0.9
    renamed = fe.pl.ecotype_abundance(spots.set_axis([f"spot{i}" for i in range(len(spots))], axis=0))
    np.testing.assert_allclose(renamed.axes[0].collections[0].get_offsets(), spots[["X", "Y"]])
    with pytest.raises(fe.MissingKeyError, match="no ecotype `SE8`"):
        fe.pl.ecotype_abundance(spots, ecotypes=["SE8"])
    with pytest.raises(fe.BadInputError, match="no square"):
        fe.pl.ecotype_abundance(spots.iloc[:0])
    with pytest.raises(fe.MissingKeyError, match="`X` and `Y`"):
        fe.pl.ecotype_abundance(spots.drop(columns="X"))
