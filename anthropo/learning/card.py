"""A model's manifest for people: the model card inside its file, and the rows of `anthropo inspect`.

The keys are those of `anthropo.learning.bundle`. Any of them may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
_METRICS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "ppv": "PPV",
    "npv": "NPV",
    "ppv_at_prevalence": "PPV at the stated prevalence",
    "npv_at_prevalence": "NPV at the stated prevalence",
    "brier": "Brier score",
}

# ------------------------------------------------------------------------------- small pieces


def _part(manifest: Manifest, *keys: str) -> dict[str, Any]:
    """An object inside the manifest; empty when it is missing."""
    part: Any = manifest
    for key in keys:
        part = part.get(key) or {}
    return dict(part)


def _number(value: Any) -> str:
    if value is None:
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


def _count(number: int | None, one: str) -> str:
    if number is None:
        return f"{one}s {_UNKNOWN}"
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def _photos_of_patients(photos: int | None, patients: int | None) -> str:
    if photos is None and patients is None:
        return _UNKNOWN
    return f"{_count(photos, 'photo')} of {_count(patients, 'patient')}"


def _metric(name: str) -> str:
    return _METRICS.get(name, name.replace("_", " "))


def _weights(manifest: Manifest) -> list[dict[str, Any]]:
    encoder = _part(manifest, "encoder")
    return ([encoder] if encoder else []) + list(manifest.get("weights") or [])


def _not_commercial(manifest: Manifest) -> list[str]:
    return [
        w.get("name") or "unnamed weights" for w in _weights(manifest) if w.get("commercial_use") is False
    ]


def _few(counts: Mapping[str, int | None]) -> str:
    """ "A (3), B (12)": those with few patients, fewest first."""
    few = sorted((n, label) for label, n in counts.items() if n is not None and n < FEW_PATIENTS)
    return ", ".join(f"{label} ({n:,})" for n, label in few)


def _patients_of_labels(manifest: Manifest) -> dict[str, int | None]:
    return {label: (c or {}).get("patients") for label, c in _part(manifest, "cohort", "labels").items()}


# ----------------------------------------------------------------------------- anthropo inspect


def describe(manifest: Manifest) -> list[Row]:
    """What a user wants to know about a model at a glance.

    Parameters
    ----------
    manifest : mapping
        Of `anthropo.learning.bundle.read_bundle`.

    Returns
    -------
    list of (str, str)
        Name and value, one line each; what the manifest does not have is left out, but for the task and
        the cohort.
    """
    cohort, encoder = _part(manifest, "cohort"), _part(manifest, "encoder")
    validation, point = _part(manifest, "validation"), _part(manifest, "operating_point")
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
            (
                f"label {label}",
                f"{_count(c.get('photos'), 'photo')} of {_count(c.get('patients'), 'patient')}",
            )
            for label, c in ((k, v or {}) for k, v in _part(cohort, "labels").items())
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
        *((_metric(name), _figure(figure)) for name, figure in _main_figures(validation).items()),
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
        ("size", _size(manifest)),
    ]
    return [(name, _plain(value)) for name, value in rows if value]


def _main_figures(validation: Manifest) -> dict[str, Any]:
    return _part(validation, "models", "hybrid") or _part(validation, "models", "network")


def _network(manifest: Manifest) -> list[tuple[str, str | None]]:
    """What `anthropo finetune` made."""
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


def _size(manifest: Manifest) -> str | None:
    sizes = [(f or {}).get("size") or 0 for f in _part(manifest, "files").values()]
    return f"{sum(sizes) / 1000:,.0f} kB in {len(sizes)} members" if sizes else None


# ------------------------------------------------------------------------------------ the card


def _plain(text: Any) -> str:
    """One line."""
    return " ".join(str(text).split())


def _safe(text: Any) -> str:
    """One line that Markdown shows as it is: a label may come from anybody's table."""
    return re.sub(r"([\\`*<>|\[\]])", r"\\\1", _plain(text))


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [list(map(_safe, row)) for row in rows]
    if not lines:
        return []
    return [f"| {' | '.join(row)} |" for row in (list(map(_safe, head)), ["---"] * len(head), *lines)] + [""]


def _intended_use(manifest: Manifest) -> list[str]:
    task, labels = manifest.get("task"), manifest.get("labels") or ()
    what = "photograph without a face" if _part(manifest, "settings").get("no_face") else "face photograph"
    lines = [
        f"Research use only; not a medical device. It ranks labels for a {what} by their likeness to "
        "the photographs it was trained on. It does not diagnose, does not replace a clinical examination or "
        "a genetic test, and is not for identifying people.",
        "",
        f"- Task: {_safe(task or _UNKNOWN)}" + (f" ({_TASKS[task]})" if task in _TASKS else ""),
        f"- Labels: {', '.join(map(_safe, labels)) or _UNKNOWN}",
    ]
    if manifest.get("positive"):
        lines.append(f"- Positive label: {_safe(manifest['positive'])}")
    return [*lines, ""]


def _cohort(manifest: Manifest) -> list[str]:
    cohort = _part(manifest, "cohort")
    lines = [
        f"{_photos_of_patients(cohort.get('photos'), cohort.get('patients'))}."
        + (f" {_count(cohort['left_out'], 'photo')} left out." if cohort.get("left_out") else "")
        + (
            f" Landmarks were placed by hand in {_count(cohort['corrected'], 'photo')}."
            if cohort.get("corrected")
            else ""
        ),
        "",
    ]
    labels = ((k, v or {}) for k, v in _part(cohort, "labels").items())
    lines += _table(
        ("label", "photos", "patients"),
        ((label, _number(c.get("photos")), _number(c.get("patients"))) for label, c in labels),
    )
    subgroups = _part(cohort, "subgroups").items()
    return lines + _table(
        ("", "value", "patients"),
        ((column, value, _number(n)) for column, counts in subgroups for value, n in (counts or {}).items()),
    )


def _inputs(manifest: Manifest) -> list[str]:
    lines = []
    for name, single in (
        ("regions", "region"),
        ("measurements", "measurement"),
        ("metadata", "metadata column"),
    ):
        if values := manifest.get(name):
            lines += [f"- {_count(len(values), single)}: {', '.join(map(_safe, values))}"]
    lines += [""] if lines else []
    lines += _table(
        ("weights", "licence", "commercial use", "SHA-256"),
        (
            (
                w.get("name") or _UNKNOWN,
                w.get("licence") or _UNKNOWN,
                _ALLOWED.get(w.get("commercial_use"), _UNKNOWN),
                w.get("digest") or _UNKNOWN,
            )
            for w in _weights(manifest)
        ),
    )
    if barred := _not_commercial(manifest):
        lines += [f"Not for commercial use, because of {', '.join(map(_safe, barred))}.", ""]
    return lines or [f"Weights and licences: {_UNKNOWN}.", ""]


def _validation(manifest: Manifest) -> list[str]:
    validation = _part(manifest, "validation")
    # a network's labels have figures of their own; one may be called as the network's column is
    columns = [*_part(validation, "models").items(), *_part(validation, "by_label").items()]
    models = [(name, figures or {}) for name, figures in columns]
    if not models:
        return ["No validation figures in this model. Judge it with `anthropo evaluate` before use.", ""]
    lines = [
        f"Method: {_safe(validation.get('method') or _UNKNOWN)}; "
        f"{_photos_of_patients(validation.get('n_photos'), validation.get('n_patients'))}. "
        "Intervals are 95 %."
        + (
            f" The stated prevalence is {_number(validation['prevalence'])}."
            if validation.get("prevalence") is not None
            else ""
        ),
        "",
    ]
    metrics = dict.fromkeys(metric for _, figures in models for metric in figures)
    return lines + _table(
        ("", *(name for name, _ in models)),
        ((_metric(m), *(_figure(figures.get(m)) for _, figures in models)) for m in metrics),
    )


def _decision(manifest: Manifest) -> list[str]:
    point, lines = _part(manifest, "operating_point"), []
    if point.get("rule"):
        lines.append(f"- Rule: {_safe(point['rule'])}")
    if point.get("threshold") is not None:
        lines.append(f"- Threshold: {_number(point['threshold'])}")
    lines += [
        f"- {n.capitalize()}: {_figure(point[n])}" for n in ("sensitivity", "specificity") if point.get(n)
    ]
    if (error := _part(manifest, "conformal").get("error")) is not None:
        lines.append(
            f"- Prediction sets are made to miss the true label in {_number(100 * error)} % of cases"
        )
    if (specificity := _part(manifest, "novelty").get("specificity")) is not None:
        lines.append(f'- "None of these" is answered at a specificity of {_number(specificity)}')
    lines = [*lines, ""] if lines else [f"Operating point: {_UNKNOWN}.", ""]
    return lines + _table(("error", "cost"), _costs(manifest))


def _limitations(manifest: Manifest) -> list[str]:
    lines = [
        "- It knows the labels above and no others; another condition can only be called one of "
        'them or "none of these".',
        "- Its figures hold for photographs and people like those of the training cohort; age, sex, "
        "ancestry, camera and expression outside of it are untested.",
    ]
    if seen := _part(manifest, "encoder").get("seen"):
        lines.append(
            f"- The encoder was trained on {_count(seen, 'photo')} of this cohort: figures of "
            "cross-validation come out too good. Judge it on other photographs."
        )
    if few := _few(_patients_of_labels(manifest)):
        lines.append(f"- Labels with fewer than {FEW_PATIENTS} patients: {_safe(few)}.")
    for column, counts in _part(manifest, "cohort", "subgroups").items():
        if few := _few(counts or {}):
            lines.append(f"- Fewer than {FEW_PATIENTS} patients by {_safe(column)}: {_safe(few)}.")
    if not _part(manifest, "cohort", "subgroups"):
        lines.append("- Sex, age and ancestry of the cohort are not stated: whom it fails is unknown.")
    if gallery := _part(manifest, "gallery"):
        lines.append(
            "- Known only by their nearest patients, without a trained classifier: "
            f"{_safe(', '.join(gallery))}."
        )
    return [*lines, ""]


def _reproduce(manifest: Manifest) -> list[str]:
    rows = [
        ("anthropo", manifest.get("anthropo")),
        ("created", manifest.get("created")),
        ("seed", manifest.get("seed")),
        ("settings", _part(manifest, "settings").get("fingerprint")),
        ("training table (SHA-256)", _part(manifest, "cohort").get("sha256")),
        *_part(manifest, "libraries").items(),
    ]
    lines = _table(("what", "version or value"), ((n, v) for n, v in rows if v is not None))
    if manifest.get("command"):
        lines += [f"    {_plain(manifest['command'])}", ""]
    return [
        *lines,
        "Cite anthropo with the version above and the SHA-256 of this model file; the same table, "
        "photographs, command, seed and libraries give the same file.",
        "",
    ]


def card(manifest: Manifest) -> str:
    """The model card, after Mitchell et al. [1]_.

    Parameters
    ----------
    manifest : mapping
        What is missing in it is said to be missing.

    Returns
    -------
    str
        Markdown.

    References
    ----------
    .. [1] M. Mitchell et al., "Model cards for model reporting", Proceedings of the Conference on Fairness,
       Accountability, and Transparency (2019) 220-229.
    """
    sections = {
        "Intended use": _intended_use,
        "Training cohort": _cohort,
        "Inputs, weights and licences": _inputs,
        "Validation": _validation,
        "Decision": _decision,
        "Limitations": _limitations,
        "Versions, and how to cite and reproduce": _reproduce,
    }
    lines = [f"# Model card: {_safe(manifest.get('title') or 'a model of anthropo')}", ""]
    for title, section in sections.items():
        lines += [f"## {title}", "", *section(manifest)]
    return "\n".join(lines)
