"""An explained prediction in words, for a terminal and for pages."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from anthropo.explanation.contributions import Contribution, Explained, is_stable, range_of
from anthropo.explanation.standing import training_z
from anthropo.learning.trained import Trained
from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import registry
from anthropo.plain import minus
from anthropo.reference.zscore import signed as z_signed
from anthropo.report.tables import number, quantity
from anthropo.showing import signed as signed
from anthropo.workflows.explain import ExplainedCase

_SHOWN = 10  # measurements in a chart; the rest are one line
_SHOWN_VOIDED = 3  # of them that were voided or not; what voids one mostly voids others


@dataclass(frozen=True, slots=True)
class TermBar:
    """A row of a label's chart."""

    kind: str  # bias, region, metadata, voided, measurement, residual or limit
    name: str  # for people
    log_odds: float
    measurement: str = ""  # id, of a single one
    refits: tuple[float, ...] = ()

    @property
    def range(self) -> tuple[float, float] | None:
        """The lowest and the highest of the model and its refits; None without any."""
        return range_of(self.log_odds, self.refits)

    @property
    def stable(self) -> bool | None:
        """Whether it may be relied on, see `anthropo.explanation.Contribution`; None: not known."""
        return is_stable(self.log_odds, self.refits)


def bars(explained: Explained) -> list[TermBar]:
    """A label's terms; the smaller measurements are one of them."""
    bias = explained.bias - explained.shift - explained.limit
    chart = [TermBar("bias", "before anything is seen (bias)", bias)]
    if explained.shift:
        chart.append(TermBar("bias", "prevalence as stated, not as in training", explained.shift))
    for kind in ("region", "metadata", "voided", "measurement"):
        # what is missing adds nothing, and is not shown
        terms = [c for c in explained.of(kind) if c.log_odds or kind == "region"]
        most = {"measurement": _SHOWN, "voided": _SHOWN_VOIDED}.get(kind, len(terms))
        chart += [
            TermBar(kind, _name_of(c), c.log_odds, "" if kind == "voided" else c.name, c.refits)
            for c in terms[:most]
        ]
        if rest := terms[most:]:
            refits = tuple(map(sum, zip(*(c.refits for c in rest), strict=True)))
            total = sum(c.log_odds for c in rest)
            one = len(rest) == 1
            name = f"{len(rest)} other measurement{'' if one else 's together'}"
            if kind == "voided":
                name = f"whether {len(rest)} other measurement{' was' if one else 's were'} voided"
            chart.append(TermBar(kind, name, total, refits=refits))
    if explained.residual:
        chart.append(TermBar("residual", "not attributed (residual)", explained.residual))
    if round(explained.limit, 2):
        chart.append(TermBar("limit", "taken off: too few people to show it", explained.limit))
    return chart


def _name_of(c: Contribution) -> str:
    """A contribution's name for people."""
    if c.kind in ("measurement", "voided"):
        name = registry()[c.name].name if c.name in registry() else c.name
        return name if c.kind == "measurement" else f"whether {name} was voided"
    return f"{c.kind}: {c.name}"


def extent(chart: Iterable[TermBar]) -> float:
    """The farthest from 0 that a chart's bars and ranges reach."""
    return max((abs(v) for bar in chart for v in (bar.log_odds, *(bar.range or ()))), default=0.0)


def range_words(bar: TermBar) -> str:
    """A bar's range over refits; empty where there is none."""
    return "" if bar.range is None else f"{signed(bar.range[0])} to {signed(bar.range[1])}"


def has_ranges(case: ExplainedCase) -> bool:
    """Whether refits say of anything how stable it is."""
    return any(c.refits for explained in case.explanation.labels for c in explained.contributions)


def stability_words(case: ExplainedCase) -> str:
    """What the ranges are, and what pale bars say; or why there are none."""
    refits = case.trained.manifest.refits
    if case.trained.task == "normality":
        return "A distance has no ranges: its terms are squared deviations, whose sign is hardly in doubt."
    if not has_ranges(case):
        if refits.number:
            return "There are no ranges: of matched labels and distances there are no refits."
        return (
            "Which of these are stable is not known, because the model has no refits: it was trained without "
            "being judged, by version 0.1.0, with svm-rbf or on very many labels."
        )
    without = "" if refits.without is None else f", each without {100 * refits.without:.0f} % of the patients"
    others = any(explained.how != "trained" for explained in case.explanation.labels)
    return (
        f"Ranges are over {refits.number or 'all'} refits of the model{without}. Pale is what turns its sign "
        "or loses three quarters of its size in one of them: do not rely on it."
        + " What is decided by a nearest patient or a distance has no ranges."
        * others
    )


def against_words(explained: Explained) -> str:
    """The other side of a label's log-odds."""
    if explained.how == "distance":
        return (
            "compared with the training people: the label is called above 0; with each unit, 2.7 times fewer "
            "of them are as far out"
        )
    if len(explained.against) == 1:
        return f"log-odds of {explained.label} against {explained.against[0][0]}"
    shares = sorted(explained.against, key=lambda pair: -pair[1])[:3]
    listed = ", ".join(f"{label} {100 * share:.0f} %" for label, share in shares)
    return (
        f"log-odds of {explained.label} against the other labels, weighted by their probabilities ({listed})"
    )


def gate_words(case: ExplainedCase) -> str:
    """What the photo gate tells, which is in no sum unless asked for: said once, and not as anatomy."""
    results = case.record.results if case.record else {}
    of = [results[name].measured for name in case.trained.manifest.measurements if name in results]
    missing = sum(math.isnan(one.value) for one in of)
    if case.trained.manifest.missing == "evidence":
        return (
            f"{missing} of {len(of)} measurements are missing in this photo. The model was asked to learn "
            "from that: whether one was voided has terms of its own, which are about how the photos were "
            "taken, not anatomy."
        )
    if not missing:
        return ""
    text = f"{missing} of {len(of)} measurements are missing in this photo and add nothing to the sums"
    auroc = case.trained.manifest.validation.models.get("gate", {}).get("auroc")
    if auroc is None or not auroc.known:
        return f"{text}."
    return (
        f"{text}. Which ones are missing would by itself tell the labels apart with an AUROC of {auroc} in "
        "cross-validation: that is how the photos were taken, not anatomy."
    )


def changes_words(case: ExplainedCase) -> list[str]:
    """Sentences on what would change the decision."""
    sentences = []
    for change in case.changes:
        entry = registry().get(change.measurement)
        name, unit = (entry.name, entry.unit) if entry else (change.measurement, "")
        sentences.append(
            f"{name}: {number(change.needed, unit)} instead of {number(change.value, unit)} {unit} "
            f"({minus(f'{change.spread:+.1f}')} SD of the training people) would change the decision "
            f"to {change.decision}."
        )
    if sentences:
        return sentences
    if not case.trained.manifest.measurements:
        return ["The model uses no measurements, so none could change the decision."]
    return ["No single measurement would change the decision, up to 4 standard deviations either way."]


def measured_words(trained: Trained, value: Measurement) -> str:
    """A value, and how far it is from the people that the model standardises by."""
    if math.isnan(value.value):
        return f"not measured: {value.reason}"
    text = quantity(value.value, value.unit)
    z = training_z(trained, value.id, value.value)
    return text if z is None else f"{text}, {z_signed(z)} SD of {standard_words(trained)}"


def standard_words(trained: Trained) -> str:
    """The people that the model standardises measurements by."""
    controls = trained.manifest.controls
    return f"training {controls}" if controls in trained.model.labels else "the training people"
