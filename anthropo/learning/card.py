"""A model's manifest for people: the model card inside its file, and the rows of `anthropo inspect`.

Any entry of a manifest may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from anthropo.definitions import Definition
from anthropo.learning.alone import encoder_alone
from anthropo.learning.identity import what_was_done
from anthropo.learning.intervals import Interval
from anthropo.learning.manifest import Manifest

if TYPE_CHECKING:
    from jinja2 import Template

Row = tuple[str, str]

#: Below this number of patients a figure says little: 18 of 20 correct has the 95 % interval 0.70 to 0.97.
FEW_PATIENTS = 20

_UNKNOWN = "not stated"
_ALLOWED: dict[bool | None, str] = {True: "allowed", False: "not allowed"}
_TASKS = {
    "binary": "two labels",
    "multiclass": "ranked list of labels",
    "one-vs-rest": "one label against all others",
    "multilabel": "several attributes of one face",
    "grades": "ordered labels, the lowest first",
    "cases": "ranked list of labels for one to several photographs of a case",
    "normality": "distance to normal",
}
_METRICS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "ppv": "PPV",
    "npv": "NPV",
    "ppv_at_prevalence": "PPV at the stated prevalence",
    "npv_at_prevalence": "NPV at the stated prevalence",
    "brier": "Brier score",
}


def _number(value: Any) -> str:
    if not isinstance(value, (int, float)):
        return _UNKNOWN
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _figure(figure: Interval | None) -> str:
    """0.912 (0.870 to 0.951), or why there is none."""
    if figure is None or not figure.known:
        reason = figure.reason if figure else ""
        return f"not available ({_plain(reason)})" if reason else "not available"
    interval = "no interval" if figure.lo != figure.lo else f"{figure.lo:.3f} to {figure.hi:.3f}"
    return f"{figure.value:.3f} ({interval})"


#: What a model takes voided measurements for, where it was asked to learn from them.
MISSING_WORDS = "that a measurement was voided is evidence, beside what it is expected to be"


def _count(number: Any, one: str) -> str:
    if not isinstance(number, int):
        return f"{one}s {_UNKNOWN}"
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def _photos_of_patients(photos: Any, patients: Any) -> str:
    if not (isinstance(photos, int) or isinstance(patients, int)):
        return _UNKNOWN
    return f"{_count(photos, 'photo')} of {_count(patients, 'patient')}"


def _same_person(manifest: Manifest) -> str | None:
    """What was done about people under several names; None where faces were not compared."""
    of = manifest.cohort.same_person
    return what_was_done(of.how, of.pairs, of.joined) if of.how else None


def stability(manifest: Manifest) -> str | None:
    """How alike the first measurements are in refits; None where there are none, or too few measurements."""
    of = manifest.refits
    if not of.number or of.without is None:
        return None
    text = f"{_count(of.number, 'refit')}, each without {100 * of.without:.0f} % of the patients"
    if of.overlap is None or not of.top:
        return text
    return (
        f"of the {of.top} measurements that count most, {of.top * of.overlap:.1f} on average do so as well "
        f"in {text} (overlap {of.overlap:.2f})"
    )


def adaptation(manifest: Manifest) -> str | None:
    """How photos of other sites were brought to those of a target; None where they were not."""
    of = manifest.adaptation
    if of.method is None:
        return None
    sites = ", ".join(f"{name} ({_photos_of_patients(n.photos, n.patients)})" for name, n in of.sites.items())
    if of.target.photos:
        to = f"to {_photos_of_patients(of.target.photos, of.target.patients)} of the target, without labels"
    else:
        to = "to their mean"
    return f"{of.method}, of {sites} {to}"


def encoders_alone(manifest: Manifest) -> str | None:
    """The AUROC of each of several encoders by its regions alone, the best first; None where there is one."""
    known = [
        (figures["auroc"], name)
        for model, figures in manifest.validation.models.items()
        if (name := encoder_alone(model)) is not None and "auroc" in figures and figures["auroc"].known
    ]
    best_first = sorted(known, key=lambda one: -one[0].value)
    return "; ".join(f"{name} AUROC {_figure(figure)}" for figure, name in best_first) or None


def _metric(name: str) -> str:
    return _METRICS.get(name, name.replace("_", " "))


def _not_commercial(manifest: Manifest) -> list[str]:
    return [w.name or "unnamed weights" for w in manifest.used if w.commercial_use is False]


def _barred(manifest: Manifest) -> dict[str, str]:
    """The parts that are not permissive, of a manifest that says which it has."""
    return manifest.barred if manifest.used else {}


def _few(counts: Mapping[str, Any]) -> str:
    """ "A (3), B (12)": those with few patients, fewest first."""
    few = sorted((n, label) for label, n in counts.items() if n is not None and n < FEW_PATIENTS)
    return ", ".join(f"{label} ({n:,})" for n, label in few)


def describe(manifest: Manifest, network: Iterable[Row] = ()) -> list[Row]:
    """Names and values that describe a model at a glance, without those that its manifest lacks.

    `network` are rows about the layers of a network.
    """
    cohort, encoder = manifest.cohort, manifest.encoder
    validation, point, task = manifest.validation, manifest.operating_point, manifest.task
    main = validation.models.get("hybrid") or validation.models.get("network") or {}
    sizes = [file.size or 0 for file in manifest.files.values()]
    trained_on = _photos_of_patients(cohort.photos, cohort.patients)
    if cohort.left_out:
        trained_on += f"; {_count(cohort.left_out, 'photo')} left out"
    if cohort.corrected:
        trained_on += f"; {_count(cohort.corrected, 'photo')} with landmarks placed by hand"
    rows: list[tuple[str, str | None]] = [
        ("model", manifest.title),
        ("task", f"{task} ({_TASKS[task]})" if task in _TASKS else task or _UNKNOWN),
        ("labels", ", ".join(manifest.labels)),
        ("positive label", manifest.positive),
        ("classifier", manifest.classifier),
        ("balance", manifest.balance),
        ("voided measurements", MISSING_WORDS if manifest.missing == "evidence" else None),
        ("trained on", trained_on),
        ("same person", _same_person(manifest)),
        *(
            (f"label {label}", f"{_count(n.photos, 'photo')} of {_count(n.patients, 'patient')}")
            for label, n in cohort.labels.items()
        ),
        *(
            (column, ", ".join(f"{value}: {_number(n)}" for value, n in counts.items()))
            for column, counts in cohort.subgroups.items()
        ),
        ("gallery", ", ".join(f"{k} ({_count(n, 'patient')})" for k, n in manifest.gallery.items())),
        ("encoder", ", ".join(one.name for one in manifest.encoders if one.name) or None),
        ("encoder digest", ", ".join(one.digest for one in manifest.encoders if one.digest) or None),
        ("alignment", encoder.align if encoder.name and not manifest.settings.no_face else None),
        ("not for commercial use", ", ".join(_not_commercial(manifest))),
        ("not permissive", ", ".join(_barred(manifest))),
        ("permissive", manifest.permissive),
        *network,
        ("regions", ", ".join(manifest.regions)),
        ("measurements", _number(len(manifest.measurements)) if manifest.measurements else None),
        *((f"own measurement {one.id}", _own(one)) for one in manifest.own_measurements),
        ("metadata", ", ".join(manifest.metadata)),
        ("validated by", validation.method),
        *((_metric(name), _figure(figure)) for name, figure in main.items()),
        ("encoders alone", encoders_alone(manifest)),
        ("stability", stability(manifest)),
        ("adaptation", adaptation(manifest)),
        ("decision", point.rule),
        ("threshold", None if point.threshold is None else _number(point.threshold)),
        *(
            (f"{name} at the threshold", _figure(figure))
            for name, figure in (("sensitivity", point.sensitivity), ("specificity", point.specificity))
            if figure is not None
        ),
        *((f"cost of {what}", value) for what, value in _costs(manifest)),
        ("trained with", manifest.command),
        ("seed", None if manifest.seed is None else str(manifest.seed)),
        ("created", manifest.created),
        ("anthropo", manifest.anthropo),
        ("size", f"{sum(sizes) / 1000:,.0f} kB in {len(sizes)} members" if sizes else None),
    ]
    return [(name, _plain(value)) for name, value in rows if value]


def _own(one: Definition) -> str:
    source = f"; {one.definition}" if one.definition else ""
    return f"{one.name}: {one.expression} ({one.unit}){source}"


def _costs(manifest: Manifest) -> list[Row]:
    return [
        (f"{true} called {called}", _number(cost))
        for true, row in manifest.cost.items()
        for called, cost in row.items()
        if true != called
    ]


def _plain(text: Any) -> str:
    """One line."""
    return " ".join(str(text).split())


def _safe(text: Any) -> str:
    """One line that Markdown shows as it is: a label may come from anybody's table."""
    return re.sub(r"([\\`*<>|\[\]])", r"\\\1", _plain(text))


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import ChainableUndefined, Environment, PackageLoader

    environment = Environment(  # of Markdown: `line` escapes
        loader=PackageLoader("anthropo", "learning"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=ChainableUndefined,
    )
    environment.filters |= {"line": _safe, "words": _plain, "number": _number, "figure": _figure}
    environment.globals |= {
        "same_person": _same_person, "stability": stability, "tasks": _TASKS, "unknown": _UNKNOWN,
        "adaptation": adaptation, "encoders_alone": encoders_alone,
        "people": _photos_of_patients, "count": _count,
    }  # fmt: skip
    return environment.get_template("card.md")


def card(manifest: Manifest) -> str:
    """The model card in Markdown, after Mitchell et al. [1]_; it names the parts that are missing.

    References
    ----------
    .. [1] M. Mitchell et al., "Model cards for model reporting", Proceedings of the Conference on Fairness,
       Accountability, and Transparency (2019) 220-229.
    """
    validation, cohort = manifest.validation, manifest.cohort
    # columns: a network's labels have figures of their own, and one of them may be called "network" as well
    models = [*validation.models.items(), *validation.by_label.items()]
    metrics = dict.fromkeys(metric for _, figures in models for metric in figures)
    patients = {label: n.patients for label, n in cohort.labels.items()}
    few = {f"Labels with fewer than {FEW_PATIENTS} patients": _few(patients)}
    few |= {f"Fewer than {FEW_PATIENTS} patients by {c}": _few(n) for c, n in cohort.subgroups.items()}
    versions = {
        "anthropo": manifest.anthropo,
        "created": manifest.created,
        "seed": manifest.seed,
        "settings": manifest.settings.fingerprint,
        "training table (SHA-256)": cohort.sha256,
        **manifest.libraries,
    }
    inputs = {
        "region": manifest.regions,
        "measurement": manifest.measurements,
        "own measurement": [f"{one.id} = {one.expression}" for one in manifest.own_measurements],
        "metadata column": manifest.metadata,
    }
    return _template().render(
        m=manifest,
        labels=[(label, _number(n.photos), _number(n.patients)) for label, n in cohort.labels.items()],
        subgroups=[
            (column, value, _number(n)) for column, of in cohort.subgroups.items() for value, n in of.items()
        ],
        inputs=[(what, names) for what, names in inputs.items() if names],
        weights=[
            (
                w.name or _UNKNOWN,
                w.licence or _UNKNOWN,
                w.data or _UNKNOWN,
                _ALLOWED.get(w.commercial_use, _UNKNOWN),
                w.digest or _UNKNOWN,
            )
            for w in manifest.used
        ],
        not_commercial=_not_commercial(manifest),
        barred=[f"{name} ({why})" for name, why in _barred(manifest).items()],
        models=[name for name, _ in models],
        figures=[(_metric(m), *(_figure(f.get(m)) for _, f in models)) for m in metrics],
        costs=_costs(manifest),
        too_few=[(what, labels) for what, labels in few.items() if labels],
        versions=[(name, value) for name, value in versions.items() if value is not None],
    )
