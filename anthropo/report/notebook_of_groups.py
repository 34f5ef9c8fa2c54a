"""Results of many people, and of trainings, as parts of a notebook's page; see `anthropo.report.notebook`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from anthropo.groups.regions import Effect
from anthropo.report import plots_of_groups as plots
from anthropo.report import plots_of_training as trainings
from anthropo.report.composite import count as people_of
from anthropo.report.composite import farthest_of
from anthropo.report.notebook import Shown, ShownPicture, Table, figure_of, small
from anthropo.report.plots import as_figure
from anthropo.showing import count, facts_of

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.networks.finetuning import Finetuned
    from anthropo.workflows.attributes import ComparedAttributes
    from anthropo.workflows.composites import CompositeResult
    from anthropo.workflows.landmarks import LandmarkEvaluation
    from anthropo.workflows.map import DrawnMap, MapResult
    from anthropo.workflows.regions import RegionsResult
    from anthropo.workflows.trait_calling import Findings
    from anthropo.workflows.translation import TrainedTranslation

_ROWS = 60  # that are listed
_MOST_PICTURES = 4
_SHOWN_STATUSES = ("present", "borderline", "look at")
#: Columns that tell of a machine or person, since notebooks are passed on, or are no words to read.
_PRIVATE = ("path", "photo", "file", "sha256")


class Tabled(Protocol):
    """A result that is a table."""

    def to_frame(self) -> pd.DataFrame: ...


def table_of(thing: Tabled) -> str:
    """A result that is a table, without the columns that name files."""
    frame = thing.to_frame()
    return Shown(type(thing).__name__, [facts_of(thing)], tables=[_table(frame)], notes=_more(frame)).html()


def _table(frame: pd.DataFrame, **how: Any) -> Table:
    import pandas as pd

    shown = frame[[name for name in frame.columns if name not in _PRIVATE]].head(_ROWS)
    shown = shown.loc[:, [bool(shown[name].map(_cell).any()) for name in shown.columns]]
    numbers = [i for i, name in enumerate(shown.columns) if pd.api.types.is_numeric_dtype(shown[name])]
    rows = [[_cell(value) for value in row] for row in shown.itertuples(index=False)]
    return Table([str(name).replace("_", " ") for name in shown.columns], rows, numbers, **how)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _more(frame: pd.DataFrame) -> list[str]:
    left = len(frame) - _ROWS
    return [f"… and {left} more; to_frame() has all."] if left > 0 else []


# ------------------------------------------------------------------------------------------------ cohorts


def map_result(result: MapResult) -> str:
    """The map, and what could not be drawn."""
    left_out = count(len(result.left_out), "photo") + " left out" if result.left_out else ""
    if result.drawn is None:
        return Shown("Map", ["no photo with a face", left_out]).html()
    return _map(result.drawn, left_out)


def drawn_map(drawn: DrawnMap) -> str:
    """The map, its groups and whether these lie apart."""
    return _map(drawn)


def _map(drawn: DrawnMap, left_out: str = "") -> str:
    from anthropo.report import map as maps

    pictures = [
        figure_of(as_figure(plots.drawn_map(drawn, view)), f"Map of the faces, {name}", 420)
        for view, name in maps.VIEWS.items()
    ]
    groups = [
        (row["name"], str(row["photos"]), str(row["people"]), row["accuracy"])
        for row in maps.group_rows(drawn)
    ]
    tables = [
        Table((drawn.by, "photos", "people", "neighbour accuracy"), groups, (1, 2, 3)),
        Table(("figure", "value"), [(name, value) for name, value, _ in maps.figures(drawn)], (1,)),
    ]
    return Shown("Map", [maps.summary(drawn), left_out], pictures, tables, [maps.SHORT_CAUTION]).html()


def composite_result(result: CompositeResult) -> str:
    """The average faces, and where they differ from the controls'."""
    pictures, rows = [], []
    moved = {one.label: one for one in result.displacements}
    for group in result.groups[:_MOST_PICTURES]:
        average = small(Image.fromarray(result.averages[group.label]))
        pictures.append(ShownPicture(f"Composite of {group.label}", average, 180))
    for label in list(moved)[: _MOST_PICTURES - 1]:
        figure = as_figure(plots.composite_result(result, label))
        pictures.append(figure_of(figure, f"Displacement of {label}", 230))
    for group in result.groups:
        differing, farthest = farthest_of(moved.get(group.label))
        rows.append((group.label, people_of(group), differing, farthest))
    columns = ("label", "people", "landmarks that differ", "farthest, ex-ex")
    notes = [f"{label}: no composite" for label in result.refused]
    notes += [f"{count(len(result.left_out), 'photo')} left out"] if result.left_out else []
    return Shown("Composites", [], pictures, [Table(columns, rows, (1, 2))], notes).html()


def regions_result(result: RegionsResult) -> str:
    """What distinguishes the label: heatmaps, regions, and the largest differences."""
    from anthropo.report import regions

    discovery = result.discovery
    drawn = regions.panels(result)
    titles = {"label": discovery.label, "others": "the others", "difference": "difference of the means"}
    pictures = [ShownPicture(f"Heatmap, {title}", small(drawn[name]), 200) for name, title in titles.items()]
    tables = [
        _effects("region, log-odds", discovery.regions),
        _effects("measurement", discovery.measurements[:15]),
    ]
    if len(discovery.measurements) > 15:
        rest = discovery.measurements[15:]
        title = f"{count(len(rest), 'measurement')} with smaller differences"
        tables.append(_effects("measurement", rest, title=title, folded=True))
    if discovery.metadata:
        tables.append(_effects("metadata", discovery.metadata))
    return Shown("Regions", [regions.summary(discovery)], pictures, tables, [regions.CAUTION]).html()


def _effects(what: str, effects: Sequence[Effect], **how: Any) -> Table:
    from anthropo.report import regions

    rows = [
        (
            regions.title(e),
            regions.value(e.mean, e),
            regions.value(e.mean_others, e),
            *regions.sized(e),
            f"{e.q:.2g}",
        )
        for e in effects
    ]
    return Table((what, "label", "others", "g", "interval", "q"), rows, range(1, 6), **how)


def findings(of: Findings) -> str:
    """What is present or borderline in whom; of one person everything."""
    if len(of.people) == 1:
        from anthropo.report.notebook import person_traits

        return person_traits(of.people[0])
    rows: list[tuple[str, ...]] = []
    for at, person in enumerate(of.people[:_ROWS], 1):
        if not person.record.ok:
            rows.append((str(at), "not measured", "", ""))
            continue
        by_status: dict[str, list[str]] = {}
        for trait in person.traits:
            side = {"R": ", right", "L": ", left"}.get(trait.side, "")
            by_status.setdefault(trait.status, []).append(trait.label + side)
        cells = ("; ".join(by_status.get(status, ())) for status in _SHOWN_STATUSES)
        rows.append((person.record.columns.get("patient") or str(at), *cells))
    total = Counter(trait.status for person in of.measured for trait in person.traits)
    facts = [count(len(of.people), "person"), *(f"{total[s]} {s}" for s in _SHOWN_STATUSES if total[s])]
    left = len(of.people) - _ROWS
    more = [f"… and {left} more; to_frame() has all."] if left > 0 else []
    table = Table(("", *_SHOWN_STATUSES), rows)
    return Shown("Traits", facts, tables=[table], notes=more).html()


def compared_attributes(made: ComparedAttributes) -> str:
    """Ways to learn attributes, and which go together."""
    from anthropo.report.relations import compared_table

    columns, rows = compared_table(made)
    table = Table(columns, rows, range(1, len(columns)))
    picture = figure_of(as_figure(plots.compared_attributes(made)), "Which attributes go together", 420)
    return Shown("Attributes", [facts_of(made)], [picture], [table]).html()


# ---------------------------------------------------------------------------------------------- trainings


def finetuned(made: Finetuned) -> str:
    """Loss curves, and the figures on people who were kept apart."""
    from anthropo.report.finetune import history_figure, metric_of

    figure = history_figure(made.network.about.history, metric_of(made.network))
    frame = made.to_frame()
    ends = [name for name in frame.columns if name.endswith(("_lo", "_hi"))]
    table = _table(frame.drop(columns=ends), title="On people who were kept apart")
    return Shown("Network", [facts_of(made.network)], [figure_of(figure, "Loss", 520)], [table]).html()


def landmark_evaluation(judged: LandmarkEvaluation) -> str:
    """The error of each point."""
    picture = figure_of(as_figure(trainings.landmark_evaluation(judged)), "Error of each point")
    facts = [
        count(judged.faces, "face"),
        f"mean error {judged.first_stage.error:.4f}, {judged.first_stage.scheme.unit_name}",
    ]
    return Shown("Landmarks", facts, [picture], [_table(judged.to_frame())]).html()


def trained_translation(made: TrainedTranslation) -> str:
    """What translation does to faces of people who were kept apart."""
    from anthropo.report.translation import summary

    directions = made.judgement.directions
    pictures = [
        figure_of(
            as_figure(trainings.trained_translation(made, one.to)), f"Landmarks moved, to {one.to}", 260
        )
        for one in directions
    ]
    columns = ("", *(f"to {one.to}" for one in directions))
    table = Table(columns, summary(made.judgement), range(1, len(columns)))
    return Shown("Translation", [], pictures, [table], made.notes).html()
