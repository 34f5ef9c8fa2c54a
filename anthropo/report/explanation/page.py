"""An explained prediction as a page, and as any file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anthropo.explanation.standing import standing, training_z
from anthropo.files import write
from anthropo.learning.card import describe
from anthropo.measurement.registry import Entry, registry
from anthropo.reference.traits import BORDERLINE, LOOK, PRESENT
from anthropo.reference.zscore import by_chance, signed
from anthropo.report import rendering, tables
from anthropo.report.answers import prevalence_words, probability_words, set_words
from anthropo.report.explanation import words
from anthropo.report.explanation.document import (
    EVERYTHING,
    Disclosure,
    Document,
    described,
    document,
    heat_label,
)
from anthropo.report.explanation.pictures import chart, pictures
from anthropo.report.rendering import as_json, embedded, jpeg, png
from anthropo.report.traits_page import row
from anthropo.workflows.explain import ExplainedCase

_LISTED = (PRESENT, BORDERLINE, LOOK)  # traits that a page lists


def write_explanation(
    path: Path, case: ExplainedCase, disclosure: Disclosure = EVERYTHING, notes: Sequence[str] = ()
) -> None:
    """Write why a model says what it says of a person, by the suffix of a file.

    Parameters
    ----------
    path : pathlib.Path
        With the suffix .html, for a page that needs nothing else, .json, or .png, for a chart.
    case : anthropo.ExplainedCase
        As `Model.explain` returns it.
    disclosure : Disclosure
        Parts of the case that a reader may see; left out, all of them but the nearest patients.
    notes : sequence of str
        Sentences at the head of a page.

    Raises
    ------
    InputError
        If the page, document or chart cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import anthropo
    >>> from anthropo.report import Disclosure, write_explanation
    >>> case = anthropo.load_model("m.anthropo").explain("person.jpg", heatmaps=False)
    >>> write_explanation(Path("why.html"), case, Disclosure(anonymous=True))
    >>> "person.jpg" in Path("why.html").read_text()
    False
    """
    suffix = path.suffix.lower()
    if suffix == ".png":
        write(path, chart(case, disclosure))
        return
    made = document(case, disclosure)
    made["notes"] = [*notes, *made["notes"]]
    write(path, as_json(made) + "\n" if suffix == ".json" else page(case, disclosure, made))


def page(case: ExplainedCase, disclosure: Disclosure, made: Document) -> str:
    """The explanation as one HTML page that needs nothing else."""
    trained = case.trained
    charts = {e.label: words.bars(e) for e in case.explanation.labels}
    limits = {
        label: words.extent(bar for bar in chart if bar.kind == "measurement")
        for label, chart in charts.items()
    }
    return rendering.page(
        "explanation.html",
        case=case,
        p=case.prediction,
        made=made,
        disclosure=disclosure,
        charts=charts,
        limit=words.extent(bar for chart in charts.values() for bar in chart) or 1.0,
        measured_limit=limits,
        by_measurement={c.name: c for c in case.explanation.labels[0].of("measurement") if c.log_odds},
        pictures=pictures(case, disclosure),
        jpeg=lambda picture: embedded(jpeg(picture)),
        png=lambda picture: embedded(png(picture)),
        heat_label=heat_label(case) if case.heat is not None else "",
        tables=tables,
        words=words,
        probability=probability_words,
        traits=[(t.status, row(t)) for t in case.traits if t.status in _LISTED],
        signed=signed,
        regions=_by_region(made),
        age_basis=case.record.age_basis if case.record else "",
        references=tables.in_brief(case.record) if case.record else {},
        chance=[one.sentence() for one in by_chance(case.record.scores)] if case.record else [],
        training_z=lambda name, value: training_z(trained, name, value),
        strip=lambda name: _strip(case, name),
        profile=trained.profile,
        card=describe(described(case, disclosure)),
        summary=_summary(case),
        prevalence=prevalence_words(trained) if trained.shares else "",
    )


def _summary(case: ExplainedCase) -> str:
    p, trained = case.prediction, case.trained
    if trained.task == "normality":
        share = 100 * (p.typicality or 0.0)
        return f"{p.decision}: {share:.1f} % of the healthy people are at least as far from the others."
    best = p.ranked[0]
    text = f"Decision: {p.decision}" + (f" ({p.reason})" if p.reason else "")
    if trained.task == "labels":
        text += f". Most probable: {best.label}, {probability_words(best.probability)}"
        text += f". Set: {set_words(p, trained)}"
    return text + "."


def _by_region(made: Document) -> dict[str, list[tuple[Entry, Document]]]:
    """Entry and result of each measurement, by region; without millimetres that could not be computed."""
    by_region: dict[str, list[tuple[Entry, Document]]] = {}
    for name, result in made["measurements"].items():
        entry = registry()[name]
        if not (entry.needs_mm and result["value"] is None):
            by_region.setdefault(entry.region, []).append((entry, result))
    return by_region


def _strip(case: ExplainedCase, name: str) -> Document | None:
    """The value's place among the people of each label, from 0 to 100."""
    assert case.record is not None
    value = case.record.results[name].measured
    people = standing(case.trained, name, value.value)
    if math.isnan(value.value) or not people:
        return None
    ends = [v for among in people.values() for v in (among.p5, among.p95)] + [value.value]
    low, high = min(ends), max(ends)
    margin = 0.05 * (high - low) or 1.0

    def at(v: float) -> float:
        v = value.value if math.isnan(v) else v
        return float(np.clip(100 * (v - low + margin) / (high - low + 2 * margin), 0, 100))

    return {
        "bands": [
            {"label": label, "from": at(a.p5), "to": at(a.p95), "middle": at(a.p50), "below": a.below}
            for label, a in people.items()
        ],
        "at": at(value.value),
        "lo": at(value.lo),
        "hi": at(value.hi),
    }
