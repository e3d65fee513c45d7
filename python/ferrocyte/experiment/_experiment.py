""":class:`Experiment`: the samples of a table, all of them together, and the folder where they lie."""

from __future__ import annotations

import json
import os
import warnings
from typing import TYPE_CHECKING, Any

from .. import _core
from .._messages import warn
from ..errors import BadFileError, BadInputError, MissingKeyError
from ..io import read_h5ad, write_h5ad, write_h5mu
from ._metadata import Metadata
from ._modality import Modality
from ._reading import read_genes, read_sample
from ._say import say
from ._slots import forget_lost, log, register_all, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    import mudata
    import pandas as pd

    Path = str | os.PathLike[str]


class Experiment:
    """A study of several samples: a table of samples, each of them, all together, and a folder.

    Parameters
    ----------
    samples
        The table: a path (text with tabs), a data frame, or :class:`Metadata`. Its columns are ``location``,
        ``sample``, ``batch``, ``group``, ``modality`` (``rna``), ``taxa``, and any others, which all cells get.
    directory
        The folder where the study is saved; nothing is written before :meth:`save`.
    genes
        A table of genes (a path of TSV or GTF, or a data frame) with columns ``id`` and ``gene``, and others such as
        ``chr``: genes are looked up in it, and those that it lacks are left out. Without it they are what files have.
    base
        The folder to which locations are relative; by default that of the table, or the working directory.
    n_threads, max_memory, progress
        With what means files are read and written and verbs work; none changes a number.

    Attributes
    ----------
    metadata : Metadata
        The table of samples.
    directory : str
        The folder.
    samples : dict or None
        For each modality the samples by name; ``None`` if they were not loaded.
    subset : str or None
        The name of the subset that is looked at.

    Raises
    ------
    BadFileError
        Where a location does not exist, or a file is damaged.
    MissingKeyError, BadInputError, UnsupportedError
        Where the table lacks a column, names two samples alike, or asks for another modality.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_samples
    >>> expm = fe.Experiment(small_samples())
    [i] reading sample ctrl [rna] ...
    [i] reading sample stim [rna] ...
    >>> print(expm)
    [!] dataset not integrated.
    [*] composed of samples:
      ctrl   rna hsa   batch b1   of size 120 × 40
      stim   rna hsa   batch b2   of size 120 × 40
    >>> expm.rna.merge(join="inner")
    >>> expm["rna"].shape
    (240, 40)
    """

    metadata: Metadata
    directory: str
    samples: dict[str, dict[str, ad.AnnData]] | None
    subset: str | None

    def __init__(
        self,
        samples: Path | pd.DataFrame | Metadata,
        directory: Path = ".",
        *,
        genes: Path | pd.DataFrame | None = None,
        base: Path | None = None,
        n_threads: int | None = None,
        max_memory: int | str | None = None,
        progress: bool | None = None,
    ) -> None:
        metadata = Metadata.of(samples)
        if base is None:
            base = os.path.dirname(os.path.abspath(samples)) if isinstance(samples, (str, os.PathLike)) else os.curdir
        table = metadata._table
        locations = [table.location(i)[0] for i in range(len(metadata))]
        table.check_locations([one for one in locations if os.path.exists(os.path.join(base, one))])
        known = read_genes(genes)
        how: dict[str, Any] = {"n_threads": n_threads, "max_memory": max_memory, "progress": progress}
        held: dict[str, dict[str, ad.AnnData]] = {}
        for modality in table.modalities():
            held[modality] = {}
            for i, name in table.of(modality):
                say(f"reading sample {name} [{modality}] ...")
                held[modality][name] = read_sample(table, i, os.fspath(base), known, how)
        self._begin(metadata, directory, held, how)

    def _begin(
        self,
        metadata: Metadata,
        directory: Path,
        samples: dict[str, dict[str, ad.AnnData]] | None,
        how: dict[str, Any],
    ) -> None:
        self.metadata = metadata
        self.directory = os.fspath(directory)
        self.samples = samples
        self.subset = None
        self._integrated: dict[str, ad.AnnData] = {}
        self._how = how

    # What there is

    @property
    def modalities(self) -> list[str]:
        """What is measured."""
        return list(self.metadata._table.modalities())

    @property
    def mudata(self) -> mudata.MuData:
        """All samples together as a ``MuData``, whose modalities are those of the study, not copies."""
        from mudata import MuData

        with warnings.catch_warnings():
            # mudata announces that it will pull columns of modalities no longer: what it does is left to its version.
            warnings.filterwarnings("ignore", message="From 0.4 .update", category=FutureWarning)
            warnings.filterwarnings("ignore", message="invalid value encountered in cast", category=RuntimeWarning)
            return MuData(dict(self._integrated))

    def __getitem__(self, modality: str) -> ad.AnnData:
        self._known(modality)
        if modality not in self._integrated:
            message = "the samples are not together yet"
            raise MissingKeyError(message, place=modality, hint=f"call expm.{modality}.merge() first")
        return self._integrated[modality]

    def __setitem__(self, modality: str, adata: ad.AnnData) -> None:
        self._known(modality)
        if not all(hasattr(adata, attribute) for attribute in ("obs", "var", "obsm", "uns")):
            message = f"expected an AnnData, found {type(adata).__name__}"
            raise BadInputError(message, place=modality)
        self._integrated[modality] = adata

    def _known(self, modality: str) -> None:
        if modality not in self.modalities:
            message = f"there is no modality `{modality}`"
            raise MissingKeyError(message, place="experiment", hint=f"there are {', '.join(self.modalities)}")

    @property
    def rna(self) -> Modality:
        """The verbs of gene expression."""
        return Modality(self, "rna")

    def __str__(self) -> str:
        shape = None
        if self._integrated:
            names = {str(name) for adata in self._integrated.values() for name in adata.obs_names}
            shape = (len(names), sum(adata.n_vars for adata in self._integrated.values()))
        modalities = [(name, adata.shape, rows(adata)) for name, adata in self._integrated.items()]
        return str(_core.study_summary(shape, self.subset, modalities, self._sample_rows()))

    __repr__ = __str__

    def _sample_rows(self) -> list[tuple[str, str, str, str, tuple[int, int]]] | None:
        if self.samples is None:
            return None
        table = self.metadata.dataframe
        out = []
        for row in table.to_dict("records"):
            adata = self.samples.get(row["modality"], {}).get(row["sample"])
            if adata is not None:
                out.append((row["sample"], row["modality"], row["taxa"], row["batch"], adata.shape))
        return out

    # Parts of it

    def build_subset(
        self, subset_name: str, slot: str = "rna", *, keys: Sequence[str], values: Sequence[Sequence[Any]]
    ) -> None:
        """Write some of the cells as a subset of the study, which :func:`load_experiment` loads by its name.

        A cell is taken if, for each of the columns `keys`, its label is one of the values for that column.

        Parameters
        ----------
        subset_name
            What the subset is called.
        slot
            The modality whose labels count.
        keys
            Columns of obs.
        values
            For each of them a list of labels, compared as texts.

        Raises
        ------
        MissingKeyError
            Where a column does not exist.
        BadInputError
            Where lists differ in number, the name cannot be that of a file, or no cell is left.
        """
        from ..pp._filter import _mark_graphs
        from ._annotation import chosen_cells

        path = _core.study_subset_path(self.directory, subset_name)
        adata = self[slot]
        keys, values = [keys] if isinstance(keys, str) else list(keys), list(values)
        if len(keys) != len(values) or not keys:
            message = f"{len(keys)} columns, but {len(values)} lists of values"
            raise BadInputError(message, place="values", hint='keys=["leiden"], values=[["0", "1"]]')
        kept = chosen_cells(adata, keys[0], values[0], "keys")
        for key, wanted in zip(keys[1:], values[1:], strict=True):
            kept &= chosen_cells(adata, key, wanted, "keys")
        say(f"selected {int(kept.sum())} observations from {adata.n_obs}.")
        if not kept.any():
            message = "no cell has all of these labels"
            raise BadInputError(message, place="values")
        part = adata[kept].copy()
        _mark_graphs(part, all_kept=bool(kept.all()))
        forget_lost(part)
        arguments = {"subset_name": subset_name, "slot": slot, "keys": keys, "values": values}
        log(part, "build_subset", arguments)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        subset = Experiment.__new__(Experiment)
        subset._begin(self.metadata, self.directory, None, self._how)
        subset._integrated = {slot: part}
        write_h5mu(subset.mudata, path, **self._how)
        self._save_table()

    def save(self, save_samples: bool = True) -> None:  # noqa: FBT001
        """Write the study into its folder: all samples together (or the subset that is looked at), and each sample.

        Parameters
        ----------
        save_samples
            Whether samples are written too, if they are loaded.

        Raises
        ------
        BadFileError
            Where the folder cannot be written.
        """
        self._save_table()
        if self._integrated:
            path = _core.study_paths(self.directory)["integrated"]
            if self.subset is not None:
                path = _core.study_subset_path(self.directory, self.subset)
                os.makedirs(os.path.dirname(path), exist_ok=True)
            what = "integrated dataset" if self.subset is None else f"subset {self.subset}"
            say(f"saving {what} to {path}")
            write_h5mu(self.mudata, path, **self._how)
        if not save_samples:
            return
        if self.samples is None:
            say("samples were not loaded, those in the folder stay as they are.")
            return
        for modality, samples in self.samples.items():
            for name, adata in samples.items():
                path = _core.study_sample_path(self.directory, modality, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                say(f"saving sample {name} [{modality}] to {path}")
                write_h5ad(adata, path, **self._how)

    def _save_table(self) -> None:
        paths = _core.study_paths(self.directory)
        try:
            os.makedirs(self.directory, exist_ok=True)
            self.metadata.save(paths["table"])
            with open(paths["spec"], "w", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(_core.study_sidecar()) + "\n")
        except OSError as fault:
            message = f"the study cannot be written: {fault.strerror or fault}"
            raise BadFileError(message, place=self.directory) from None


def load_experiment(
    directory: Path,
    load_samples: bool = True,  # noqa: FBT001
    load_subset: str | None = None,
    *,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Experiment:
    """Load a study from its folder, written by :meth:`Experiment.save` or by exprmat.

    Parameters
    ----------
    directory
        The folder.
    load_samples
        Whether each sample is loaded too. One that is not there is passed over with a warning.
    load_subset
        The name of a subset that is loaded instead of all cells.
    n_threads, max_memory, progress
        With what means files are read and written and verbs work; none changes a number.

    Returns
    -------
    Experiment
        The study.

    Raises
    ------
    BadFileError
        Where there is no study in the folder, or a file is damaged.
    MissingKeyError
        Where there is no such subset.
    UnsupportedError
        Where a later version has written the study.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_samples
    >>> samples = small_samples()
    >>> expm = fe.Experiment(samples, samples + ".study")  # doctest: +ELLIPSIS
    [i] reading ...
    >>> expm.save()  # doctest: +ELLIPSIS
    [i] saving sample ctrl ...
    >>> sorted(fe.load_experiment(samples + ".study").samples["rna"])
    ['ctrl', 'stim']
    """
    root = os.fspath(directory)
    paths = _core.study_paths(root)
    if not os.path.exists(paths["table"]):
        message = "there is no table of samples `metadata.tsv`"
        raise BadFileError(message, place=root, hint="give the folder of a study that was saved")
    _check_spec(paths["spec"])
    path = paths["integrated"]
    if load_subset is not None:
        path = _core.study_subset_path(root, load_subset)
        if not os.path.exists(path):
            raise _no_subset(load_subset, paths["subsets"])
    how: dict[str, Any] = {"n_threads": n_threads, "max_memory": max_memory, "progress": progress}
    metadata = Metadata.saved(paths["table"])
    expm = Experiment.__new__(Experiment)
    expm._begin(metadata, root, _samples(metadata, root, how) if load_samples else None, how)
    expm.subset = load_subset
    if os.path.exists(path):
        for modality in expm.modalities:
            expm._integrated[modality] = read_h5ad(path, modality=modality, **how)
            register_all(expm._integrated[modality], plain=True)
    return expm


def _samples(metadata: Metadata, root: str, how: dict[str, Any]) -> dict[str, dict[str, ad.AnnData]] | None:
    """The samples that the folder has; ``None`` if it has none."""
    held: dict[str, dict[str, ad.AnnData]] = {}
    lost = []
    for modality in metadata._table.modalities():
        held[modality] = {}
        for _, name in metadata._table.of(modality):
            path = _core.study_sample_path(root, modality, name)
            if not os.path.exists(path):
                lost.append(name)
                continue
            held[modality][name] = read_h5ad(path, **how)
            register_all(held[modality][name], plain=True)
    if lost:
        known = ", ".join(f"`{name}`" for name in lost[:5])
        warn(f"{root}: {len(lost)} of {len(metadata)} samples are not in the folder: {known}")
    return held if any(held.values()) else None


def _check_spec(path: Path) -> None:
    """Refuses a study of a later layout; one without the file, as exprmat leaves it, is of the first."""
    if not os.path.exists(path):
        return
    try:
        with open(path, encoding="utf-8") as file:
            spec = json.load(file)["spec"]
    except (OSError, ValueError, KeyError, TypeError):
        message = "the file that tells the layout of the study is damaged"
        raise BadFileError(message, place=os.fspath(path), hint="remove it if the study is whole") from None
    _core.study_check_spec(int(spec))


def _no_subset(name: str, folder: Path) -> MissingKeyError:
    import difflib

    known = [file.removesuffix(".h5mu") for file in sorted(os.listdir(folder))] if os.path.isdir(folder) else []
    near = difflib.get_close_matches(name, known, 3) or known
    hint = f"there are {', '.join(f'`{one}`' for one in near)}" if near else "there is none yet: see build_subset"
    message = f"there is no subset `{name}`"
    return MissingKeyError(message, place="load_subset", hint=hint)
