"""The figures: what they return, show and refuse, and that they leave matplotlib as it was."""

import inspect
import io
import itertools

import cell_figures
import ecotype_figures
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex, to_rgb
from scipy import stats

import ferrocyte as fe
from ferrocyte._examples import small_counts, small_study
from ferrocyte.pl._labels import label_points, lay_out

GENES = 60


def table_of(groups=("B cells", "T cells"), contrasts=("stim - ctrl",), seed=3):
    """A table of tests as a fit gives it: `up1` responds, p as small as no number holds; two genes without estimate."""
    rng = np.random.default_rng(seed)
    parts = []
    for contrast in contrasts:
        for group in groups:
            t = rng.normal(size=GENES)
            log10_p = np.log10(rng.uniform(size=GENES))
            t[0], log10_p[0] = 90.0, -412.5
            t[1], log10_p[1] = -12.0, -9.25
            t[-2:], log10_p[-2:] = np.nan, np.nan
            p = 10.0**log10_p
            part = pd.DataFrame(
                {
                    "group": group,
                    "gene": ["up1", "down1", *(f"gene{i}" for i in range(2, GENES))],
                    "contrast": contrast,
                    "estimate": 0.1 * t,
                    "se": 0.1,
                    "t": t,
                    "df": 7.0,
                    "p_value": p,
                    "adj_p_value": np.minimum(1.0, p * GENES),
                    "log10_p_value": log10_p,
                    "status": np.where(np.isnan(t), "all_zero", "ok"),
                    "reason": "",
                    "n_cells": 120,
                }
            )
            parts.append(part.sort_values("log10_p_value", kind="stable"))
    table = pd.concat(parts, ignore_index=True).astype({"group": "category", "contrast": "category"})
    table.attrs["units"] = {"estimate": "difference of ln(1 + count)", "t": ""}
    return table


TABLE = table_of()
ONE = table_of(groups=("all",))


def shares_of(seed=4):
    """Shares of variance as a fit gives them; one gene without."""
    parts = np.random.default_rng(seed).dirichlet([1.0, 2.0, 5.0], GENES)
    parts[-1] = np.nan
    table = pd.DataFrame({"group": "all", "gene": [f"gene{i}" for i in range(GENES)], "variance": 1.0})
    return table.assign(fixed=parts[:, 0], donor=parts[:, 1], residual=parts[:, 2], status="ok")


SHARES = shares_of()


def heritability_of():
    made = fe.sim.gxemm(120, 30, seed=1)
    return fe.gxemm.fit(made["y"], made["X"], made["K"], made["Z"], gtype="free", etype="free")


HERITABILITY = heritability_of()

FIT = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)")
COUNT_FIT = fe.nbmm.fit(small_study(), "~ condition + (1 | sample)")

COUNTS, SAMPLES = small_counts()
DESIGN = fe.limma.model_matrix("~ group", SAMPLES)
VOOM = fe.limma.voom(COUNTS, DESIGN, save_plot=True)
MODERATED = fe.limma.e_bayes(fe.limma.lm_fit(VOOM, DESIGN))
TOP = fe.limma.top_table(MODERATED, coef="groupb", number=np.inf)

SPLICED = fe.limma.diff_splice(
    fe.limma.lm_fit(VOOM, DESIGN), np.repeat([f"gene{i}" for i in range(len(COUNTS) // 5)], 5), np.arange(len(COUNTS))
)

SPECIFIC = fe.ctmm.fit(fe.sim.ctmm(30, 50, seed=5)[0], progress=False)

DRAW = {
    "ctmm_variances": lambda **kw: fe.pl.ctmm_variances(SPECIFIC, "gene01", **kw),
    "ctmm_shares": lambda **kw: fe.pl.ctmm_shares(SPECIFIC, **kw),
    "library_sizes": lambda **kw: fe.pl.library_sizes(COUNTS, group=SAMPLES["group"], **kw),
    "densities": lambda **kw: fe.pl.densities(VOOM, group=SAMPLES["group"], **kw),
    "mds": lambda **kw: fe.pl.mds(VOOM, group=SAMPLES["group"], top=20, **kw),
    "voom_trend": lambda **kw: fe.pl.voom_trend(VOOM, **kw),
    "sa": lambda **kw: fe.pl.sa(MODERATED, **kw),
    "md": lambda **kw: fe.pl.md(MODERATED, coef="groupb", label=2, **kw),
    "heatmap_genes": lambda **kw: fe.pl.heatmap_genes(VOOM, TOP, n=5, group=SAMPLES["group"], **kw),
    "coolmap": lambda **kw: fe.pl.coolmap(VOOM, group=SAMPLES["group"], **kw),
    "splice": lambda **kw: fe.pl.splice(SPLICED, coef="groupb", **kw),
    "venn": lambda **kw: fe.pl.venn(fe.limma.decide_tests(MODERATED), **kw),
    "barcode": lambda **kw: fe.pl.barcode(TOP["t"], ["gene1", "gene5"], **kw),
    "volcano": lambda **kw: fe.pl.volcano(TABLE, group="B cells", **kw),
    "qq": lambda **kw: fe.pl.qq(TABLE, **kw),
    "p_histogram": lambda **kw: fe.pl.p_histogram(TABLE, group="B cells", **kw),
    "heatmap_top": lambda **kw: fe.pl.heatmap_top(TABLE, **kw),
    "plot_gene": lambda **kw: fe.pl.plot_gene(small_study(), "gene1", condition="condition", unit="donor", **kw),
    "qq_normal": lambda **kw: fe.pl.qq_normal(TABLE["t"], **kw),
    "prior": lambda **kw: fe.pl.prior(FIT, **kw),
    "random_effects": lambda **kw: fe.pl.random_effects(FIT, "gene1", **kw),
    "nbmm_prior": lambda **kw: fe.pl.nbmm_prior(COUNT_FIT, **kw),
    "variance_shares": lambda **kw: fe.pl.variance_shares(SHARES, **kw),
    "variance_shares_top": lambda **kw: fe.pl.variance_shares_top(SHARES, "donor", n=5, **kw),
    "gxemm_heritability": lambda **kw: fe.pl.gxemm_heritability(HERITABILITY, **kw),
    "gxemm_shares": lambda **kw: fe.pl.gxemm_shares(HERITABILITY, **kw),
    **cell_figures.DRAW,
    **ecotype_figures.DRAW,
}

#: Those that make a figure of several axes.
OF_SEVERAL = {"volcano_grid", *cell_figures.DRAW_MANY, *ecotype_figures.DRAW_MANY}


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def words(ax):
    return [text.get_text() for text in ax.texts]


# All of them


def test_every_function_is_drawn_here():
    functions = {name for name in fe.pl.__all__ if callable(getattr(fe.pl, name))}
    assert functions - {"save", "style"} - OF_SEVERAL == set(DRAW)


@pytest.mark.parametrize("name", [*DRAW, *sorted(OF_SEVERAL)])
def test_all_but_what_is_drawn_is_keyword_only(name):
    parameters = list(inspect.signature(getattr(fe.pl, name)).parameters.values())
    positional = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    drawn = {"plot_gene": ["data", "gene"], "variance_shares_top": ["data", "part"]}
    drawn |= {"heatmap_genes": ["values", "table"], "barcode": ["statistics", "index"], **cell_figures.POSITIONAL}
    drawn |= {**ecotype_figures.POSITIONAL, "ctmm_variances": ["fit", "gene"], "random_effects": ["fit", "gene"]}
    assert positional == drawn.get(name, [parameters[0].name])


@pytest.mark.parametrize("name", DRAW)
def test_axes_come_back_and_settings_stay(name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *_: pytest.fail("a figure was shown"))
    before = dict(mpl.rcParams)
    ax = DRAW[name]()
    assert isinstance(ax, mpl.axes.Axes)
    assert dict(mpl.rcParams) == before
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("name", DRAW)
def test_given_axes_are_drawn_on(name):
    figure, panels = plt.subplots(1, 2)
    other = panels[1]
    assert DRAW[name](ax=panels[0]) is panels[0]
    assert plt.get_fignums() == [figure.number]
    assert not other.collections
    assert not other.lines
    assert not other.patches
    figure.canvas.draw()


@pytest.mark.parametrize("name", DRAW)
def test_axes_within_a_subfigure_will_do(name):
    within = plt.figure(layout="constrained").subfigures(1, 2)[0]
    ax = within.subplots()
    assert DRAW[name](ax=ax) is ax


@pytest.mark.parametrize("name", DRAW)
def test_several_axes_are_refused(name):
    _, panels = plt.subplots(1, 2)
    with pytest.raises(fe.BadInputError, match="expected matplotlib axes, found ndarray"):
        DRAW[name](ax=panels)


@pytest.mark.parametrize("name", DRAW)
def test_the_same_call_gives_the_same_picture(name):
    pages = []
    for _ in range(2):
        page = io.BytesIO()
        fe.pl.save(DRAW[name](), page, format="png", metadata={"Software": None})
        pages.append(page.getvalue())
    assert pages[0] == pages[1]


def test_titles_can_be_chosen():
    for draw in DRAW.values():
        assert draw(title="mine").get_title(loc="left") == "mine"
        plt.close("all")


# Tables that cannot be drawn

OF_TABLES = [fe.pl.volcano, fe.pl.volcano_grid, fe.pl.qq, fe.pl.p_histogram, fe.pl.heatmap_top]


@pytest.mark.parametrize("draw", OF_TABLES)
def test_an_empty_table_is_an_error(draw):
    with pytest.raises(fe.BadInputError, match="the table has no rows"):
        draw(TABLE.iloc[:0])


@pytest.mark.parametrize("draw", OF_TABLES)
def test_a_table_without_estimates_is_an_error(draw):
    nothing = ONE.assign(estimate=np.nan, p_value=np.nan, log10_p_value=np.nan, adj_p_value=np.nan)
    with pytest.raises(fe.BadInputError, match=r"no gene has a number in .*\n.*`status` and `reason` say why"):
        draw(nothing)


@pytest.mark.parametrize("draw", OF_TABLES)
def test_an_unknown_column_names_the_nearest(draw):
    absent = "p_value" if draw is fe.pl.p_histogram else "log10_p_value"
    with pytest.raises(fe.MissingKeyError, match=f"there is no column `{absent}`") as caught:
        draw(TABLE.rename(columns={absent: f"{absent}s"}))
    assert f"`{absent}s`" in caught.value.hint


@pytest.mark.parametrize("draw", [fe.pl.volcano, fe.pl.volcano_grid, fe.pl.heatmap_top])
def test_what_is_no_table_is_named(draw):
    with pytest.raises(fe.BadInputError, match="expected a data frame of tests, found list"):
        draw([0.1, 0.2])


@pytest.mark.parametrize("draw", [fe.pl.volcano, fe.pl.qq, fe.pl.p_histogram])
def test_an_unknown_group_names_the_nearest(draw):
    with pytest.raises(fe.MissingKeyError, match="there is no group `b cell`") as caught:
        draw(TABLE, group="b cell")
    assert "`B cells`" in caught.value.hint


@pytest.mark.parametrize("draw", [fe.pl.volcano, fe.pl.p_histogram])
def test_several_groups_need_a_choice(draw):
    with pytest.raises(fe.BadInputError, match="the table holds 2 of `group`") as caught:
        draw(TABLE)
    assert caught.value.hint == "choose by `group=`: `B cells`, `T cells`"


@pytest.mark.parametrize("draw", OF_TABLES)
def test_several_contrasts_need_a_choice(draw):
    table = table_of(groups=("all",), contrasts=("a - b", "b - c"))
    with pytest.raises(fe.BadInputError, match="the table holds 2 of `contrast`"):
        draw(table)
    draw(table, contrast="b - c")


# Volcano


def test_volcano_goes_on_where_p_is_no_number():
    assert TABLE["p_value"].min() == 0.0
    ax = fe.pl.volcano(TABLE, group="B cells")
    heights = np.concatenate([points.get_offsets()[:, 1] for points in ax.collections])
    assert heights.max() == 412.5
    assert len(heights) == GENES - 2
    assert ax.get_ylim()[1] > 412.5
    assert ax.get_xlabel() == "difference of ln(1 + count)"
    assert ax.get_title(loc="left") == "B cells, stim - ctrl"
    assert f"1 up, 1 down of {GENES - 2} genes, FDR < 5 %" in words(ax)


def test_volcano_without_groups_is_titled_by_the_contrast():
    assert fe.pl.volcano(ONE).get_title(loc="left") == "stim - ctrl"


def test_volcano_names_the_first_genes_or_those_asked_for():
    assert {"up1", "down1"} <= set(words(fe.pl.volcano(TABLE, group="B cells", label=2)))
    some = set(words(fe.pl.volcano(TABLE, group="B cells", label=["gene5"])))
    assert "gene5" in some
    assert "up1" not in some
    assert "up1" not in words(fe.pl.volcano(TABLE, group="B cells", label=0))
    with pytest.raises(fe.MissingKeyError, match="there is no gene `gen5`") as caught:
        fe.pl.volcano(TABLE, group="B cells", label="gen5")
    assert "`gene5`" in caught.value.hint


def test_names_cover_neither_names_nor_points():
    rng = np.random.default_rng(5)
    points = rng.normal(0.0, 0.4, (80, 2))
    _, ax = plt.subplots()
    ax.plot(points[:, 0], points[:, 1], "o", ms=3)
    lay_out(ax)
    label_points(ax, points[:40, 0], points[:40, 1], [f"LONGNAME{i}" for i in range(40)], points)
    drawn = [text for text in ax.texts if text.get_text()]
    assert len(drawn) > 15
    boxes = [text.get_window_extent() for text in drawn]
    pixels = ax.transData.transform(points)
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert not any(box.contains(x, y) for x, y in pixels)


def test_many_points_are_pixels_in_a_vector_file():
    few = fe.pl.volcano(ONE).collections
    many = pd.concat([ONE.assign(gene=ONE["gene"] + f"_{i}") for i in range(40)])
    many.attrs = {}
    assert not any(points.get_rasterized() for points in few)
    assert all(points.get_rasterized() for points in fe.pl.volcano(many).collections)


@pytest.mark.parametrize("fdr", [0.0, 1.5, float("nan")])
def test_a_rate_is_between_0_and_1(fdr):
    with pytest.raises(fe.BadInputError, match="expected a rate above 0"):
        fe.pl.volcano(ONE, fdr=fdr)


def test_grid_has_a_panel_per_group_on_shared_axes():
    table = table_of(groups=("a", "b", "c", "d", "e"))
    figure = fe.pl.volcano_grid(table, n_columns=3)
    assert isinstance(figure, mpl.figure.Figure)
    assert [ax.get_title(loc="left") for ax in figure.axes] == list("abcde")
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in figure.axes}) == 1
    assert figure.axes[2].xaxis.get_tick_params()["labelbottom"]


# p-values


def test_qq_of_uniform_p_lies_on_the_line_and_in_the_band():
    p = (np.arange(1, 1001) - 0.5) / 1000
    ax = fe.pl.qq(p)
    x, y = ax.collections[-1].get_offsets().T
    np.testing.assert_allclose(x, y, rtol=1e-12)
    assert ax.get_legend().get_texts()[0].get_text() == "λ = 1.00"
    band = ax.collections[0].get_paths()[0]
    assert all(band.contains_point(point) for point in zip(x[5:-5], y[5:-5], strict=True))


def test_inflation_is_the_ratio_of_medians():
    z = np.random.default_rng(2).normal(0.0, 1.5, 4001)
    from scipy import stats

    ax = fe.pl.qq(2.0 * stats.norm.sf(np.abs(z)))
    expected = np.median(z**2) / stats.chi2.median(1)
    assert ax.get_legend().get_texts()[0].get_text() == f"λ = {expected:.2f}"


def test_qq_has_a_colour_per_group_and_the_groups_in_the_legend():
    ax = fe.pl.qq(TABLE)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert [label.split(" (")[0] for label in labels] == ["B cells", "T cells"]
    points = [c for c in ax.collections if c.get_label() in labels]
    assert len({to_hex(c.get_facecolor()[0]) for c in points}) == 2
    many = table_of(groups=[f"type {i}" for i in range(12)])
    ax = fe.pl.qq(many)
    assert len({to_hex(c.get_facecolor()[0]) for c in ax.collections if "type" in str(c.get_label())}) == 12
    assert len(fe.pl.qq(TABLE, group="T cells").get_legend().get_texts()) == 1


@pytest.mark.parametrize("draw", [fe.pl.qq, fe.pl.p_histogram])
def test_numbers_that_are_no_p_values_are_refused(draw):
    with pytest.raises(fe.BadInputError, match=r"between 0 and 1, found 1\.5"):
        draw([0.2, 1.5])
    with pytest.raises(fe.BadInputError, match="no p-value to draw"):
        draw([np.nan])


def test_histogram_counts_genes_with_a_p_value():
    ax = fe.pl.p_histogram(TABLE, group="T cells", bins=5)
    assert sum(bar.get_height() for bar in ax.patches) == GENES - 2
    assert ax.lines[0].get_ydata()[0] == (GENES - 2) / 5
    with pytest.raises(fe.BadInputError, match="at least one bar"):
        fe.pl.p_histogram(TABLE, group="T cells", bins=0)


def test_variances_of_a_gene_have_their_intervals():
    ax = fe.pl.ctmm_variances(SPECIFIC, "gene03", level=0.9)
    half = stats.t.ppf(0.95, SPECIFIC.table["df"][2]) * SPECIFIC.table["se[hom2]"][2]
    drawn = next(line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2)
    np.testing.assert_allclose(drawn, SPECIFIC.hom2[2] + half * np.array([-1.0, 1.0]))
    with pytest.raises(fe.MissingKeyError, match="no gene `other`"):
        fe.pl.ctmm_variances(SPECIFIC, "other")
    full = fe.ctmm.fit(fe.sim.ctmm(2, 30, seed=5)[0], model="full", progress=False)
    with pytest.raises(fe.BadInputError, match="full"):
        fe.pl.ctmm_shares(full)


def test_normal_quantiles():
    from scipy import stats

    z = stats.norm.ppf((np.arange(1, 101) - 0.5) / 100)
    ax = fe.pl.qq_normal([*z[::-1], np.nan, np.inf])
    x, y = ax.collections[-1].get_offsets().T
    np.testing.assert_allclose(x, y, atol=1e-12)
    with pytest.raises(fe.BadInputError, match="no finite value"):
        fe.pl.qq_normal([np.nan])


# Heat map


def test_heat_map_shows_the_first_genes_with_stars_and_grey():
    table = TABLE.copy()
    table.loc[(table["group"] == "T cells") & (table["gene"] == "down1"), ["estimate", "log10_p_value"]] = np.nan
    table.attrs = TABLE.attrs
    ax = fe.pl.heatmap_top(table, n=2)
    values = ax.images[0].get_array()
    genes = [tick.get_text() for tick in ax.get_yticklabels()]
    assert genes[:2] == ["up1", "down1"]
    assert values[0, 0] == pytest.approx(9.0)
    assert np.ma.getmaskarray(values)[1].tolist() == [False, True]
    assert [text.get_position()[0] for text in ax.texts if text.get_text() == "*"] == [0, 1, 0]
    assert ax.images[0].norm.vmin == -ax.images[0].norm.vmax
    assert to_hex(ax.images[0].cmap(0.5)) == "#ffffff"


def test_heat_map_of_t_and_its_refusals():
    assert fe.pl.heatmap_top(TABLE, value="t").images[0].get_array().max() == 90.0
    with pytest.raises(fe.BadInputError, match="there is no choice `df`"):
        fe.pl.heatmap_top(TABLE, value="df")
    with pytest.raises(fe.BadInputError, match="at least one gene"):
        fe.pl.heatmap_top(TABLE, n=0)


# One gene


def drawn_means(ax):
    """Positions and heights of the points of samples, which follow the cells."""
    at = np.concatenate([points.get_offsets() for points in ax.collections[1:] if hasattr(points, "get_offsets")])
    return {(float(x), round(float(y), 10)) for x, y in np.ma.getdata(at)[np.isfinite(at).all(axis=1)]}


def test_points_are_means_of_samples_and_lines_join_donors():
    adata = small_study()
    ax = fe.pl.plot_gene(adata, "gene2", condition="condition", unit="donor")
    value = np.log1p(adata[:, "gene2"].X.toarray().ravel().astype(float))
    means = pd.Series(value).groupby([adata.obs["donor"].to_numpy(), adata.obs["condition"].to_numpy()]).mean()
    expected = {(float(c == "stim"), round(float(m), 10)) for (_, c), m in means.items()}
    assert expected <= drawn_means(ax)
    assert len(ax.lines) == adata.obs["donor"].nunique()
    for line in ax.lines:
        assert list(line.get_xdata()) == [0.0, 1.0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["ctrl\n120 cells", "stim\n120 cells"]
    assert ax.get_ylabel() == "ln(1 + count)"


def test_sources_give_the_same_figure(tmp_path):
    import anndata as ad

    adata = small_study()
    path = tmp_path / "study.h5ad"
    adata.write_h5ad(path)
    backed = ad.read_h5ad(path, backed="r")
    pages = set()
    for data in (adata, path, str(path), backed, adata[:, ["gene3", "gene1"]]):
        page = io.BytesIO()
        fe.pl.save(fe.pl.plot_gene(data, "gene1", condition="condition", unit="donor"), page, format="png")
        pages.add(page.getvalue())
    backed.file.close()
    assert len(pages) == 1


def test_a_group_is_found_by_its_name_and_few_cells_are_hollow():
    adata = small_study(cells_per_sample=9)
    ax = fe.pl.plot_gene(adata, "gene1", condition="condition", unit="donor", group="B")
    n = (adata.obs["cell_type"] == "B").sum()
    assert len(ax.collections[0].get_offsets()) == n
    assert words(ax) == ["points: means of samples, hollow: fewer than 5 cells"]
    assert len(fe.pl.plot_gene(adata, "gene1", condition="condition").collections[0].get_offsets()) == adata.n_obs


def test_a_group_of_several_columns_must_be_told_apart():
    adata = small_study()
    adata.obs["other"] = adata.obs["cell_type"]
    with pytest.raises(fe.BadInputError, match="several columns have the level `B`"):
        fe.pl.plot_gene(adata, "gene1", condition="condition", group="B")
    fe.pl.plot_gene(adata, "gene1", condition="condition", groups="cell_type", group="B")


def test_more_donors_than_colours_are_not_named():
    ax = fe.pl.plot_gene(small_study(n_donors=12), "gene1", condition="condition", unit="donor")
    assert ax.get_legend() is None
    assert len({line.get_color() for line in ax.lines}) == 1


def test_numbers_and_missing_values_make_levels():
    adata = small_study()
    adata.obs["day"] = np.where(adata.obs["condition"] == "stim", 2.0, 0.5)
    adata.obs.iloc[:7, adata.obs.columns.get_loc("day")] = np.nan
    ax = fe.pl.plot_gene(adata, "gene1", condition="day")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.5\n113 cells", "2\n120 cells"]


@pytest.mark.parametrize(
    ("keywords", "gene", "message", "hint"),
    [
        ({}, "gene41", "there is no gene `gene41`", "did you mean `gene4`"),
        ({}, "GENE7", "there is no gene `GENE7`", "`gene7`"),
        ({"condition": "conditions"}, "gene1", "there is no column `conditions`", "did you mean `condition`"),
        ({"unit": "patient"}, "gene1", "there is no column `patient`", "`donor`"),
        ({"group": "NK"}, "gene1", "there is no level `NK`", "there are"),
        ({"groups": "cell_type", "group": "b"}, "gene1", "there is no level `b`", "`B`"),
        ({"transform": "log2"}, "gene1", "there is no transform `log2`", "`log2p1`"),
        ({"layer": "counts"}, "gene1", "there is no layer `counts`", "`X`"),
    ],
)
def test_unknown_names_come_with_the_nearest(keywords, gene, message, hint):
    with pytest.raises(fe.MissingKeyError, match=message) as caught:
        fe.pl.plot_gene(small_study(), gene, **{"condition": "condition", **keywords})
    assert hint in caught.value.hint


def test_no_cell_is_an_error():
    adata = small_study()
    adata.obs["day"] = np.nan
    with pytest.raises(fe.BadInputError, match="no cell to draw"):
        fe.pl.plot_gene(adata, "gene1", condition="day")


@pytest.mark.parametrize(("transform", "of"), [("none", lambda c: c), ("log2p1", lambda c: np.log2(1.0 + c))])
def test_transforms(transform, of):
    adata = small_study()
    ax = fe.pl.plot_gene(adata, "gene1", condition="condition", transform=transform)
    drawn = np.sort(np.ma.getdata(ax.collections[0].get_offsets())[:, 1])
    np.testing.assert_allclose(drawn, np.sort(of(adata[:, "gene1"].X.toarray().ravel().astype(float))), rtol=1e-12)


def test_a_fit_knows_condition_donor_and_sample():
    adata = small_study()
    fit = fe.lmm.fit(adata, "~ log(libsize) + donor + condition + (1 | sample)", groups="cell_type")
    ax = fit.plot_gene("gene1", group="B")
    assert ax.get_xlabel() == "condition"
    assert len(ax.lines) == adata.obs["donor"].nunique()
    assert ax.get_title(loc="left") == "gene1, B"


# Style


def test_style_ends_with_its_block():
    before = dict(mpl.rcParams)
    with fe.pl.style():
        assert mpl.rcParams["pdf.fonttype"] == 42
    assert dict(mpl.rcParams) == before


def test_saved_files_embed_fonts(tmp_path):
    for which in (DRAW["qq"](), DRAW["qq"]().figure):
        fe.pl.save(which, tmp_path / "qq.pdf", metadata={"CreationDate": None})
        assert b"/FontFile2" in (tmp_path / "qq.pdf").read_bytes()


# Machado, Oliveira and Fernandes (2009), full severity: what is left of linear RGB.
VISION = {
    "common": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def seen(colour, vision):
    """CIE L*a*b* of a colour, as it is seen."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(VISION[vision]) @ linear, 0.0, 1.0)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ linear / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_colours_can_be_told_apart(vision):
    for a, b in itertools.combinations(fe.pl.PALETTE, 2):
        assert np.linalg.norm(seen(a, vision) - seen(b, vision)) > 15.0, (a, b)


# The variance between units


def test_the_prior_shows_each_gene_and_all_of_them():
    ax = fe.pl.prior(FIT)
    table = FIT.priors()
    alone, moderated = ax.collections[1], ax.collections[2]
    assert len(alone.get_offsets()) == len(moderated.get_offsets()) == len(table)
    # What moderated tests use lies between what the gene says and what all genes say, or at one of them.
    ratio, prior, posterior = (np.log(np.maximum(table[name], 1e-9)) for name in ("ratio", "prior", "posterior"))
    assert (posterior <= np.maximum(ratio, prior) + 0.3).all()
    np.testing.assert_allclose(np.sort(np.exp(table["trend"])), alone.get_offsets()[:, 0])
    assert ax.get_yscale() == ax.get_xscale() == "log"


def test_the_prior_of_two_terms_is_asked_for_by_name():
    fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | donor) + (1 | sample)")
    assert fe.pl.prior(fit, component="sample").get_ylabel().startswith("variance between samples")
    with pytest.raises(fe.MissingKeyError, match="batch"):
        fe.pl.prior(fit, component="batch")
    plain = fe.lmm.fit(small_study(), "~ condition + (1 | sample)", moderate=False)
    with pytest.raises(fe.BadInputError, match="not moderated"):
        fe.pl.prior(plain)


def test_random_effects_are_in_their_order_with_their_intervals():
    ax = fe.pl.random_effects(FIT, "gene3", level=0.9)
    table = FIT.ranef("gene3").sort_values("estimate")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(table["level"])
    drawn = np.sort(np.concatenate([line.get_xdata() for line in ax.lines[1:]]))
    np.testing.assert_allclose(drawn, table["estimate"])
    ends = np.sort(np.concatenate([[part[0, 0] for part in lines.get_segments()] for lines in ax.collections]))
    np.testing.assert_allclose(ends, np.sort(table["estimate"] - 1.6448536269514722 * table["se"]), rtol=1e-9)


def test_random_effects_that_are_not_there_are_named():
    with pytest.raises(fe.MissingKeyError, match="no gene `none`"):
        fe.pl.random_effects(FIT, "none")
    with pytest.raises(fe.MissingKeyError, match="no random term `donr`"):
        fe.pl.random_effects(FIT, "gene1", term="donr")
    with pytest.raises(fe.BadInputError, match="between 0 and 1"):
        fe.pl.random_effects(FIT, "gene1", level=95)


# Linear models of samples


def test_the_numbers_behind_the_figures_are_those_drawn():
    ax = fe.pl.library_sizes(COUNTS)
    np.testing.assert_allclose([bar.get_height() * 1e6 for bar in ax.patches], COUNTS.sum())
    curves = fe.limma.density_curves(VOOM)
    np.testing.assert_allclose(np.trapezoid(curves, curves.index, axis=0), 1.0, atol=0.02)
    shown = fe.limma.heatmap_values(VOOM, TOP, 5)
    np.testing.assert_allclose(shown.mean(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(shown.std(axis=1, ddof=1), 1.0)
    assert list(shown.index) == list(TOP.head(5).sort_values("t", ascending=False).index)
    points, line = fe.limma.voom_points(VOOM)
    assert len(points) == len(COUNTS)
    assert line["log2_count"].is_monotonic_increasing


def test_variances_and_differences_are_told_in_notes():
    ax = fe.pl.sa(MODERATED)
    assert any("degrees of freedom" in text for text in words(ax))
    ax = fe.pl.md(MODERATED, coef="groupb")
    assert ax.get_title(loc="left") == "groupb"
    assert any("1 up, 1 down" in text for text in words(ax))


def test_a_table_of_limma_is_a_volcano():
    ax = fe.pl.volcano(TOP, label=["gene1"])
    assert "gene1" in words(ax)
    assert ax.get_xlabel() == "log2 fold change"
    found = fe.limma.de(COUNTS, "~ group", samples=SAMPLES)
    assert fe.pl.volcano(found.table).get_xlabel() == "log2 fold change"


def test_a_trend_that_was_not_kept_is_named():
    with pytest.raises(fe.MissingKeyError, match="save_plot=True"):
        fe.pl.voom_trend(fe.limma.voom(COUNTS, DESIGN, save_plot=False))
    with pytest.raises(fe.BadInputError, match="expected two or three"):
        fe.pl.venn(np.zeros((5, 4), dtype=int))
    with pytest.raises(fe.MissingKeyError, match="no row of the values"):
        fe.pl.heatmap_genes(VOOM, TOP.rename(index={"gene1": "strange"}))


def test_exons_that_differ_are_marked():
    first = fe.limma.top_splice(SPLICED, "groupb", "F", 1)
    points = fe.limma.splice_points(SPLICED, "groupb")
    assert points.attrs["gene"] == first.index[0]
    exons = fe.limma.top_splice(SPLICED, "groupb", "t", np.inf)
    assert points["fdr"].tolist() == exons.loc[points.index, "fdr"].tolist()
    np.testing.assert_allclose(points["log_fc"], exons.loc[points.index, "log_fc"])
    assert 0 < points["significant"].sum() < len(points) == 5
    ax = fe.pl.splice(SPLICED, coef="groupb")
    silent, marked = (collection.get_offsets()[:, 1] for collection in ax.collections)
    assert sorted([*silent, *marked]) == sorted(points["log_fc"])
    assert list(marked) == points["log_fc"][points["significant"]].tolist()
    assert ax.get_title(loc="left").startswith(first.index[0])
    named = fe.limma.splice_points(SPLICED, gene="gene3", fdr=1.1)
    assert named["exon"].tolist() == list(range(15, 20))
    assert named["significant"].all()
    with pytest.raises(fe.MissingKeyError, match="no gene `gene300`"):
        fe.pl.splice(SPLICED, gene="gene300")
    with pytest.raises(fe.BadInputError, match="expected a rank from 1"):
        fe.pl.splice(SPLICED, rank=0)
    with pytest.raises(fe.BadInputError, match="no tests of splicing"):
        fe.pl.splice(MODERATED)


def pattern():
    """Twenty genes, seven of which differ between the first and the last three of six samples."""
    values = np.random.default_rng(3).normal(size=(20, 6)) + np.linspace(0, 8, 20)[:, None]
    values[5:12, 3:] += 2
    return pd.DataFrame(values, index=[f"g{i}" for i in range(20)], columns=list("abcdef"))


#: The three highest joins of samples in coolmap of limma 3.54, by linkage.
JOINS = {
    "complete": [7.4597849, 9.6117520, 10.0844424],
    "average": [7.4597849, 8.4073864, 9.0552505],
    "ward": [7.4597849, 10.0757037, 11.5629897],
}


@pytest.mark.parametrize("linkage", JOINS)
def test_samples_are_joined_as_by_r(linkage):
    found = fe.limma.clustered_values(pattern(), sample_linkage=linkage)
    np.testing.assert_allclose(found.sample_tree[-3:, 2], JOINS[linkage], rtol=1e-7)


def test_genes_are_joined_by_level_as_by_r():
    found = fe.limma.clustered_values(pattern(), cluster_by="expression level")
    np.testing.assert_allclose(found.gene_tree[-3:, 2], [9.1504348, 14.4457507, 21.2970067], rtol=1e-7)
    np.testing.assert_array_equal(found.values.loc[pattern().index, pattern().columns], pattern())


def test_genes_of_one_pattern_stand_together():
    values = pattern()
    found = fe.limma.clustered_values(values, gene_linkage="average")
    z = values.sub(values.mean(axis=1), axis=0).div(values.std(axis=1), axis=0)
    np.testing.assert_allclose(found.values.loc[values.index, values.columns], z)
    # The first join is that of the most correlated genes, at their distance.
    correlation = np.corrcoef(values) - 2 * np.eye(20)
    assert found.gene_tree[0, 2] == pytest.approx(1 - correlation.max())
    assert set(found.gene_tree[0, :2].astype(int)) == set(np.unravel_index(correlation.argmax(), (20, 20)))
    kept = fe.limma.clustered_values(values, gene_linkage="none", sample_linkage="none")
    assert kept.gene_tree is None
    assert list(kept.values.index) == list(values.index)
    holes = values.copy()
    holes.iloc[2, 1] = np.nan
    holes.iloc[4] = 7.1
    shown = fe.limma.clustered_values(holes).values
    assert np.isnan(shown.loc["g2", "b"])
    assert shown.isna().to_numpy().sum() == 1
    assert (shown.loc["g4"] == 0).all()


def test_cells_bands_and_trees_are_in_one_order():
    values = pattern()
    group = dict(zip(values.columns, "xyxyxy", strict=True))
    found = fe.limma.clustered_values(values)
    ax = fe.pl.coolmap(values, group=list(group.values()))
    np.testing.assert_array_equal(ax.images[0].get_array(), found.values.to_numpy())
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(found.values.index)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == list(found.values.columns)
    bands = [to_hex(line.get_color()) for line in ax.lines]
    shades = {text.get_text(): to_hex(line.get_color()) for text, line in legend_of(ax)}
    assert bands == [shades[group[name]] for name in found.values.columns]
    assert [len(tree.collections[0].get_segments()) for tree in trees_of(ax)] == [19, 5]
    assert len(trees_of(fe.pl.coolmap(values, trees="genes"))) == 1
    assert not trees_of(fe.pl.coolmap(values, trees="none"))


def legend_of(ax):
    legend = ax.get_legend()
    return zip(legend.get_texts(), legend.legend_handles, strict=True)


def trees_of(ax):
    return [inset for inset in ax.child_axes if not inset.axison]


@pytest.mark.parametrize(
    "wrong", [{"trees": "all"}, {"cluster_by": "p"}, {"gene_linkage": "x"}, {"sample_linkage": ""}]
)
def test_choices_of_coolmap(wrong):
    with pytest.raises(fe.BadInputError, match="there is no choice") as error:
        fe.pl.coolmap(pattern(), **wrong)
    assert next(iter(wrong)) in str(error.value)


def test_a_gene_without_a_value_is_named():
    values = pattern()
    values.loc["g3"] = np.nan
    with pytest.raises(fe.BadInputError, match="gene `g3` has no value"):
        fe.pl.coolmap(values)
