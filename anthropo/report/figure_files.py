"""Figures for a paper: each as SVG and as PDF."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.errors import InputError
from anthropo.files import portable_name, write
from anthropo.report.composite import displacement_figures
from anthropo.report.evaluation_figures import figures
from anthropo.report.explanation.document import EVERYTHING
from anthropo.report.explanation.pictures import case_figures
from anthropo.report.map import map_figure
from anthropo.report.plots import as_figure, change_result, cohort_change
from anthropo.report.rendering import pdf, svg
from anthropo.workflows.change import ChangeResult
from anthropo.workflows.change_cohort import CohortChange
from anthropo.workflows.composites import CompositeResult
from anthropo.workflows.evaluate_result import EvaluateResult
from anthropo.workflows.explain import Case
from anthropo.workflows.map import MapResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_LONGEST = 200  # bytes of a name: file systems take 255, with what is added to it


def folder_of_figures(folder: Path) -> Path:
    """The folder to write figures to, made if need be; an InputError if it is a file."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file, not a folder. Name a folder for the figures.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{folder}: cannot be made a folder for the figures ({why}).") from None
    return folder


def write_figures(folder: Path, drawn: Mapping[str, Figure]) -> list[Path]:
    """Write figures as NAME.svg and NAME.pdf, the same bytes whenever the figures are the same.

    Text is kept as text in SVG, and as embedded TrueType in PDF, so that both can be edited.

    Parameters
    ----------
    folder : pathlib.Path
        Made if need be.
    drawn : mapping of str to matplotlib.figure.Figure

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    InputError
        If the folder is a file, or cannot be written to.

    Examples
    --------
    >>> from pathlib import Path
    >>> import anthropo
    >>> from anthropo.report import figures_of, write_figures
    >>> result = anthropo.load_model("m.anthropo").evaluate("cohort/cohort.csv", allow_duplicates=True)
    >>> written = write_figures(Path("figures"), figures_of(result))
    >>> [path.name for path in written][:4]
    ['roc.svg', 'roc.pdf', 'precision-recall.svg', 'precision-recall.pdf']
    """
    folder = folder_of_figures(folder)
    written, taken = [], set[str]()
    for name, figure in drawn.items():
        text = re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", name)).strip("-")
        text = text.encode()[:_LONGEST].decode(errors="ignore") or "figure"
        stem, number = portable_name(text), 1
        while stem.casefold() in taken:
            number += 1
            stem = portable_name(f"{text}-{number}")
        taken.add(stem.casefold())
        for suffix, data in ((".svg", svg(figure)), (".pdf", pdf(figure))):
            written.append(folder / f"{stem}{suffix}")
            write(written[-1], data)
    return written


Result = EvaluateResult | Case | ChangeResult | CohortChange | CompositeResult | MapResult


def figures_of(result: Result) -> dict[str, Figure]:
    """All figures of a result, by name.

    Parameters
    ----------
    result : anthropo.EvaluateResult, Case, ChangeResult, CohortChange, CompositeResult or MapResult

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        Such as ``"roc"``, ``"precision-recall"``, ``"calibration"``, ``"confusion"``, ``"subgroups"``; of
        several attributes each name begins with the attribute.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.report import figures_of
    >>> result = anthropo.load_model("m.anthropo").evaluate("cohort/cohort.csv", allow_duplicates=True)
    >>> [*figures_of(result)][:3]
    ['roc', 'precision-recall', 'calibration']
    """
    if isinstance(result, Case):
        return case_figures(result, EVERYTHING)
    if isinstance(result, ChangeResult):
        return {"differences": as_figure(change_result(result))}
    if isinstance(result, CohortChange):
        return {"differences": as_figure(cohort_change(result))}
    if isinstance(result, CompositeResult):
        return {f"{label}-displacement": of for label, of in displacement_figures(result).items()}
    if isinstance(result, MapResult):
        return {} if result.drawn is None else {"map": map_figure(result.drawn)}
    return {
        (f"{made.attribute}-" if made.attribute else "") + name.replace("_", "-"): figure
        for made in result.evaluations
        for name, figure in figures(made).items()
    }
