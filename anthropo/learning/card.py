"""A model's manifest for people: the model card inside its file, and the rows of `anthropo inspect`.

The keys are those of `anthropo.learning.bundle`. Any of them may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template

Manifest = Mapping[str, Any]
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
_INPUTS = {"regions": "region", "measurements": "measurement", "metadata": "metadata column"}
_METRICS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "ppv": "PPV",
    "npv": "NPV",
    "ppv_at_prevalence": "PPV at the stated prevalence",
    "npv_at_prevalence": "NPV at the stated prevalence",
    "brier": "Brier score",
}


def _part(manifest: Manifest, *keys: str) -> dict[str, Any]:
    """An object inside the manifest; empty when it is missing."""
    part: Any = manifest
    for key in keys:
        part = part.get(key) or {}
    return dict(part)


def _number(value: Any) -> str:
    if not isinstance(value, (int, float)):
        return _UNKNOWN
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _figure(figure: Mapping[str, Any] | None) -> str:
    """0.912 (0.870 to 0.951), or why there is none."""
    if not figure or figure.get("value") is None:
        reason = (figure or {}).get("reason")
        return f"not available ({_plain(reason)})" if reason else "not available"
    lo, hi = figure.get("lo"), figure.get("hi")
    interval = "no interval" if lo is None or hi is None else f"{lo:.3f} to {hi:.3f}"
    return f"{figure['value']:.3f} ({interval})"


def _count(number: Any, one: str) -> str:
    if not isinstance(number, int):
        return f"{one}s {_UNKNOWN}"
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def _photos_of_patients(photos: Any, patients: Any) -> str:
    if not (isinstance(photos, int) or isinstance(patients, int)):
        return _UNKNOWN
    return f"{_count(photos, 'photo')} of {_count(patients, 'patient')}"


def _metric(name: str) -> str:
    return _METRICS.get(name, name.replace("_", " "))


def _weights(manifest: Manifest) -> list[dict[str, Any]]:
    encoder = _part(manifest, "encoder")
    return ([encoder] if encoder else []) + list(manifest.get("weights") or [])


def _not_commercial(manifest: Manifest) -> list[str]:
    weights = _weights(manifest)
    return [w.get("name") or "unnamed weights" for w in weights if w.get("commercial_use") is False]


def _few(counts: Mapping[str, int | None]) -> str:
    """ "A (3), B (12)": those with few patients, fewest first."""
    few = sorted((n, label) for label, n in counts.items() if n is not None and n < FEW_PATIENTS)
    return ", ".join(f"{label} ({n:,})" for n, label in few)


def describe(manifest: Manifest) -> list[Row]:
    """Names and values that describe a model at a glance, without those that its manifest lacks."""
    cohort, encoder = _part(manifest, "cohort"), _part(manifest, "encoder")
    validation, point = _part(manifest, "validation"), _part(manifest, "operating_point")
    main = _part(validation, "models", "hybrid") or _part(validation, "models", "network")
    sizes = [(file or {}).get("size") or 0 for file in _part(manifest, "files").values()]
    task = manifest.get("task")
    trained_on = _photos_of_patients(cohort.get("photos"), cohort.get("patients"))
    if cohort.get("left_out"):
        trained_on += f"; {_count(cohort['left_out'], 'photo')} left out"
    if cohort.get("corrected"):
        trained_on += f"; {_count(cohort['corrected'], 'photo')} with landmarks placed by hand"
    rows: list[tuple[str, str | None]] = [
        ("model", manifest.get("title")),
        ("task", f"{task} ({_TASKS[task]})" if task in _TASKS else task or _UNKNOWN),
        ("labels", ", ".join(manifest.get("labels") or ())),
        ("positive label", manifest.get("positive")),
        ("classifier", manifest.get("classifier")),
        ("balance", manifest.get("balance")),
        ("trained on", trained_on),
        *(
            (f"label {k}", f"{_count(n.get('photos'), 'photo')} of {_count(n.get('patients'), 'patient')}")
            for k, n in ((k, n or {}) for k, n in _part(cohort, "labels").items())
        ),
        *(
            (column, ", ".join(f"{value}: {_number(n)}" for value, n in (counts or {}).items()))
            for column, counts in _part(cohort, "subgroups").items()
        ),
        (
            "gallery",
            ", ".join(f"{k} ({_count(n, 'patient')})" for k, n in _part(manifest, "gallery").items()),
        ),
        ("encoder", encoder.get("name")),
        ("encoder digest", encoder.get("digest")),
        ("not for commercial use", ", ".join(_not_commercial(manifest))),
        *_network(manifest),
        ("regions", ", ".join(manifest.get("regions") or ())),
        ("measurements", _number(len(manifest["measurements"])) if manifest.get("measurements") else None),
        ("metadata", ", ".join(manifest.get("metadata") or ())),
        ("validated by", validation.get("method")),
        *((_metric(name), _figure(figure)) for name, figure in main.items()),
        ("decision", point.get("rule")),
        ("threshold", _number(point["threshold"]) if point.get("threshold") is not None else None),
        *(
            (f"{name} at the threshold", _figure(point[name]))
            for name in ("sensitivity", "specificity")
            if point.get(name)
        ),
        *((f"cost of {what}", value) for what, value in _costs(manifest)),
        ("trained with", manifest.get("command")),
        ("seed", None if manifest.get("seed") is None else str(manifest["seed"])),
        ("created", manifest.get("created")),
        ("anthropo", manifest.get("anthropo")),
        ("size", f"{sum(sizes) / 1000:,.0f} kB in {len(sizes)} members" if sizes else None),
    ]
    return [(name, _plain(value)) for name, value in rows if value]


def _network(manifest: Manifest) -> list[tuple[str, str | None]]:
    """Rows about a network that `anthropo finetune` wrote."""
    network = _part(manifest, "network")
    if not network:
        return []
    size, began = network.get("size"), network.get("warm_start") or ()
    return [
        ("recipe", network.get("recipe")),
        ("backbone", _part(network, "spec").get("backbone")),
        ("pictures", f"{', '.join(network.get('views') or ())}; {size} px"),
        ("began with", ", ".join(began) or "random weights"),
        ("parameters", _number(network.get("weights"))),
    ]


def _costs(manifest: Manifest) -> list[Row]:
    return [
        (f"{true} called {called}", _number(cost))
        for true, row in _part(manifest, "cost").items()
        for called, cost in (row or {}).items()
        if true != called and cost is not None
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
        "tasks": _TASKS, "unknown": _UNKNOWN, "people": _photos_of_patients, "count": _count,
    }  # fmt: skip
    return environment.get_template("card.md")


def card(manifest: Manifest) -> str:
    """The model card in Markdown, after Mitchell et al. [1]_; it names the parts that are missing.

    References
    ----------
    .. [1] M. Mitchell et al., "Model cards for model reporting", Proceedings of the Conference on Fairness,
       Accountability, and Transparency (2019) 220-229.
    """
    validation = _part(manifest, "validation")
    # columns: a network's labels have figures of their own, and one of them may be called "network" as well
    columns = [*_part(validation, "models").items(), *_part(validation, "by_label").items()]
    models = [(name, figures or {}) for name, figures in columns]
    metrics = dict.fromkeys(metric for _, figures in models for metric in figures)
    subgroups = _part(manifest, "cohort", "subgroups")
    labels = {label: n or {} for label, n in _part(manifest, "cohort", "labels").items()}
    patients = {label: n.get("patients") for label, n in labels.items()}
    few = {f"Labels with fewer than {FEW_PATIENTS} patients": _few(patients)}
    few |= {f"Fewer than {FEW_PATIENTS} patients by {c}": _few(n or {}) for c, n in subgroups.items()}
    versions = {
        **{key: manifest.get(key) for key in ("anthropo", "created", "seed")},
        "settings": _part(manifest, "settings").get("fingerprint"),
        "training table (SHA-256)": _part(manifest, "cohort").get("sha256"),
        **_part(manifest, "libraries"),
    }
    return _template().render(
        m=manifest,
        labels=[(label, _number(n.get("photos")), _number(n.get("patients"))) for label, n in labels.items()],
        subgroups=[
            (column, value, _number(n)) for column, of in subgroups.items() for value, n in (of or {}).items()
        ],
        inputs=[(what, manifest[key]) for key, what in _INPUTS.items() if manifest.get(key)],
        weights=[
            (
                w.get("name") or _UNKNOWN,
                w.get("licence") or _UNKNOWN,
                _ALLOWED.get(w.get("commercial_use"), _UNKNOWN),
                w.get("digest") or _UNKNOWN,
            )
            for w in _weights(manifest)
        ],
        not_commercial=_not_commercial(manifest),
        models=[name for name, _ in models],
        figures=[(_metric(m), *(_figure(f.get(m)) for _, f in models)) for m in metrics],
        costs=_costs(manifest),
        too_few=[(what, labels) for what, labels in few.items() if labels],
        versions=[(name, value) for name, value in versions.items() if value is not None],
    )
