"""Figures for a paper: each as SVG and as PDF."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from anthropo.errors import InputError
from anthropo.files import portable_name, refuse_file_name, write
from anthropo.report.plots import Plot, as_figure
from anthropo.report.rendering import pdf, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from anthropo.networks.finetuning import Finetuned
    from anthropo.workflows.attributes import ComparedAttributes
    from anthropo.workflows.change import ChangeResult
    from anthropo.workflows.change_cohort import CohortChange
    from anthropo.workflows.comparison import ComparedNetworks
    from anthropo.workflows.composites import CompositeResult
    from anthropo.workflows.evaluate_result import EvaluateResult
    from anthropo.workflows.examining import Examination
    from anthropo.workflows.explain import ExplainedCase
    from anthropo.workflows.landmarks import LandmarkEvaluation
    from anthropo.workflows.map import MapResult
    from anthropo.workflows.regions import RegionsResult
    from anthropo.workflows.trait_calling import Findings, PersonTraits
    from anthropo.workflows.translation import TrainedTranslation

    Result: TypeAlias = (
        EvaluateResult | ExplainedCase | ChangeResult | CohortChange | ComparedAttributes | ComparedNetworks
        | CompositeResult
        | Examination | Findings | Finetuned | LandmarkEvaluation | MapResult | PersonTraits | RegionsResult
        | TrainedTranslation
    )  # fmt: skip

Figures = dict[str, "Figure"]

_LONGEST = 200  # bytes of a name: file systems take 255, with what is added to it


def folder_of_figures(folder: Path) -> Path:
    """The folder to write figures to, made if need be; an InputError if it is a file."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file, not a folder. Name a folder for the figures.")
    refuse_file_name(folder)
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


def figures_of(result: Result) -> Figures:
    """All figures of a result, by name: what `--figures` of the commands writes.

    Parameters
    ----------
    result : EvaluateResult, ExplainedCase, Examination, PersonTraits, ChangeResult or another
        Whatever a function of `anthropo` returns that can be drawn.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        Such as ``"roc"``, ``"precision-recall"``, ``"calibration"``, ``"confusion"``, ``"subgroups"``; of
        several attributes each name begins with the attribute, of several people with the person.

    Raises
    ------
    TypeError
        If there are no figures of such a result.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.report import figures_of
    >>> result = anthropo.load_model("m.anthropo").evaluate("cohort/cohort.csv", allow_duplicates=True)
    >>> [*figures_of(result)][:3]
    ['roc', 'precision-recall', 'calibration']
    >>> [*figures_of(anthropo.traits(anthropo.example_photo(), sex="female", age=3, height=98))]
    ['traits', 'growth-height']
    """
    draw = _DRAWN.get(type(result).__name__)
    if draw is None:
        raise TypeError(f"result is of {type(result).__name__}, of which there are no figures.")
    return draw(result)


def _evaluate(result: EvaluateResult) -> Figures:
    from anthropo.report.evaluation_figures import figures

    return {
        (f"{made.attribute}-" if made.attribute else "") + name.replace("_", "-"): figure
        for made in result.evaluations
        for name, figure in figures(made).items()
    }


def _case(case: ExplainedCase) -> Figures:
    from anthropo.report.explanation.document import EVERYTHING
    from anthropo.report.explanation.pictures import case_figures

    return case_figures(case, EVERYTHING)


def _change(result: ChangeResult) -> Figures:
    from anthropo.report.plots import change_result

    return {"differences": as_figure(change_result(result))}


def _cohort_change(result: CohortChange) -> Figures:
    from anthropo.report.plots import cohort_change

    return {"differences": as_figure(cohort_change(result))}


def _composite(result: CompositeResult) -> Figures:
    from anthropo.report.composite import displacement_figures

    return {f"{label}-displacement": of for label, of in displacement_figures(result).items()}


def _map(result: MapResult) -> Figures:
    from anthropo.report.map import map_figure

    return {} if result.drawn is None else {"map": map_figure(result.drawn)}


def _attributes(made: ComparedAttributes) -> Figures:
    from anthropo.report.relations import relations_figure

    return {"relations": relations_figure(made.relations, made.counts)}


def _regions(result: RegionsResult) -> Figures:
    from anthropo.report.plots_of_groups import regions_result
    from anthropo.report.regions import heatmap_figure

    made = {"heatmaps": heatmap_figure(result)}
    return made | _possible({kind: partial(regions_result, result, kind) for kind in _EFFECTS})


_EFFECTS = ("regions", "measurements")


def _possible(plots: Mapping[str, Callable[[], Plot]]) -> Figures:
    """Those figures that there is something to draw for."""

    def drawn() -> Iterator[tuple[str, Figure]]:
        for name, plot in plots.items():
            try:
                yield name, as_figure(plot())
            except InputError:
                continue

    return dict(drawn())


def _examination(made: Examination) -> Figures:
    from anthropo.report.face_figures import values_figure
    from anthropo.report.plots import observation
    from anthropo.workflows.explain import ExplainedCase

    drawn = {"face": as_figure(observation(made.observation))}
    drawn |= values_figure(made.record) | _person(made.traits)
    case = made.explanation if made.has_model else None
    return {**_case(case), **drawn} if isinstance(case, ExplainedCase) else drawn


def _person(person: PersonTraits) -> Figures:
    from anthropo.report.growth_chart import growth_plot
    from anthropo.report.plots import person_traits

    plots: dict[str, Callable[[], Plot]] = {"traits": lambda: person_traits(person)}
    plots |= {f"growth-{of.id.replace('_', '-')}": partial(growth_plot, of) for of in person.growth}
    return _possible(plots)


def _findings(of: Findings) -> Figures:
    people = [person for person in of.people if person.record.ok]
    if len(people) == 1:
        return _person(people[0])
    made: Figures = {}
    for at, person in enumerate(people, 1):
        name = person.record.columns.get("patient") or Path(person.item.path).stem
        for kind, figure in _person(person).items():
            stem = f"{name}-{kind}"
            made[stem if stem not in made else f"{name}-{at}-{kind}"] = figure
    return made | _possible({"all": lambda: _all(of)})


def _all(of: Findings) -> Plot:
    from anthropo.report.plots_of_groups import findings

    return findings(of)


def _finetuned(made: Finetuned) -> Figures:
    from anthropo.report.plots_of_training import finetuned

    return {kind: as_figure(finetuned(made, kind)) for kind in ("loss", "metric")}


def _compared(made: ComparedNetworks) -> Figures:
    return {
        f"{one.backbone}-{kind}": figure
        for one in made.networks
        for kind, figure in _finetuned(one.finetuned).items()
    }


def _landmarks(judged: LandmarkEvaluation) -> Figures:
    from anthropo.report.landmarks import error_figure

    return {"errors": error_figure(judged)}


def _translation(made: TrainedTranslation) -> Figures:
    from anthropo.report.plots_of_groups import of_image
    from anthropo.report.translation import history_figure, moved_figure, samples

    drawn = {"loss": history_figure(made.translation)}
    for one in made.judgement.directions:
        drawn[f"moved-to-{one.to}"] = moved_figure(one)
        for at, sheet in enumerate(samples(one), 1):
            drawn[f"samples-to-{one.to}-{at}"] = as_figure(of_image(sheet))
    return drawn


#: What draws a result, by the name of its class: importing all classes would take seconds.
_DRAWN: Mapping[str, Callable[[Any], Figures]] = {
    "EvaluateResult": _evaluate,
    "ExplainedCase": _case,
    "ChangeResult": _change,
    "CohortChange": _cohort_change,
    "ComparedAttributes": _attributes,
    "ComparedNetworks": _compared,
    "CompositeResult": _composite,
    "Examination": _examination,
    "Findings": _findings,
    "Finetuned": _finetuned,
    "LandmarkEvaluation": _landmarks,
    "MapResult": _map,
    "PersonTraits": _person,
    "RegionsResult": _regions,
    "TrainedTranslation": _translation,
}
