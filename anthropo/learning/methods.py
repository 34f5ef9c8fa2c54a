"""The paragraph on methods of a paper, from what a model's manifest says was done."""

from __future__ import annotations

import math

from anthropo.learning.alone import encoder_alone
from anthropo.learning.citing import Works, joined
from anthropo.learning.intervals import Interval
from anthropo.learning.manifest import Manifest

_SKLEARN = (
    "Pedregosa F et al. (2011). Scikit-learn: machine learning in Python. J Mach Learn Res 12:2825-2830."
)
_XGBOOST = "Chen T, Guestrin C (2016). XGBoost: a scalable tree boosting system. KDD."

_CLASSIFIERS = {
    "auto": "regularised logistic regression, or boosted trees where these did clearly better on held-out "
    "patients",
    "linear": "regularised logistic regression",
    "xgboost": "boosted trees",
    "svm": "a linear support vector machine",
    "svm-rbf": "a support vector machine with a Gaussian kernel",
}
_ALONE = {
    "measurements": "measurements",
    "regions": "regions",
    "metadata": "metadata",
    "background": "the background",
}


def methods(manifest: Manifest) -> str:
    """What was done, as a paragraph to paste, and the works to cite.

    Parameters
    ----------
    manifest : Manifest
        Of a model that `anthropo.train` made.

    Returns
    -------
    str
        Empty for a network, a distance to normal or several attributes, of which it would say too little.
        What a reader of the paper has to add stands in square brackets.

    Examples
    --------
    >>> from anthropo.learning.manifest import Manifest
    >>> from anthropo.learning.methods import methods
    >>> methods(Manifest(task="normality"))
    ''
    """
    if manifest.task not in ("binary", "multiclass", "one-vs-rest") or not manifest.classifier:
        return ""
    works = Works()
    version = manifest.anthropo or "[version]"
    sentences = [
        f"Photographs were analysed with anthropo {version} {works.anthropo(version)}.",
        _people(manifest),
    ]
    if manifest.settings.no_face:
        sentences.append("The middle square of each photograph was used; no face was looked for.")
    else:
        placed = works.landmarks(jitter=manifest.settings.jitter or 16, fine=bool(manifest.settings.fine))
        sentences.append(
            f"{placed} From them {len(manifest.measurements)} measurements were taken; those "
            "that pose, expression, occlusion or poor quality would spoil were voided before analysis"
            + (
                ", and whether each was voided entered the classifier beside its value."
                if manifest.missing == "evidence"
                else " and carried no evidence."
            )
        )
    if manifest.regions:
        seen = "picture" if manifest.settings.no_face else "face"
        networks = [manifest.encoder.name, *(one.name for one in manifest.more_encoders)]
        sentences.append(
            f"Regions of the {seen} ({', '.join(manifest.regions)}) were encoded by the network "
            f"{' and '.join(str(name) for name in networks)}, and each region was reduced to one out-of-fold "
            "score per label by a regularised model."
        )
    boosted = (_XGBOOST,) if manifest.classifier in ("auto", "xgboost") else ()
    taught = " and ".join(
        filter(None, ["scores of regions", "measurements" * bool(manifest.measurements)])
    ) + (f", with {', '.join(manifest.metadata)}" if manifest.metadata else "")
    kind = _CLASSIFIERS.get(manifest.classifier, manifest.classifier)
    sentences.append(
        f"{taught.capitalize()} entered one calibrated classifier ({kind}) "
        f"{works.cite(_SKLEARN, *boosted)}; classes were balanced by "
        f"{manifest.balance or '[how]'}, and decisions were those of least expected cost."
    )
    sentences += _judged(manifest)
    libraries = ", ".join(f"{name} {of}" for name, of in manifest.libraries.items())
    sentences.append(f"Random seed {manifest.seed}; Python {manifest.python}; {libraries}.")
    return works.text(sentences)


def _people(manifest: Manifest) -> str:
    of = manifest.cohort
    if not of.labels:
        return ""
    labels = ", ".join(f"{count.patients} {label}" for label, count in of.labels.items())
    left = f" {of.left_out} photographs could not be used and were left out." if of.left_out else ""
    return (
        f"There were {of.photos} photographs of {of.patients} people ({labels}) [source, consent, ethics "
        f"approval].{left}"
    )


def _judged(manifest: Manifest) -> list[str]:
    of, refits = manifest.validation, manifest.refits
    hybrid = of.models.get("hybrid") if of.models else None
    if not hybrid:
        return ["[The model was not judged; see `anthropo evaluate`.]"]
    how = of.method or "[method]"
    if refits.number and refits.without and how.startswith("cross-validation"):
        folds = round(1 / refits.without)
        times = round(refits.number / folds)
        how = f"{folds}-fold {how}, the patients dealt to folds {times} time{'s' if times > 1 else ''}"
    sentences = [
        f"Performance was estimated by {how}; 95 % intervals count patients and hold the chance of dealing."
    ]
    figures = [
        f"{words} {_figure(hybrid[name])}"
        for name, words in (
            ("auroc", "AUROC"),
            ("sensitivity", "sensitivity"),
            ("specificity", "specificity"),
        )
        if name in hybrid and hybrid[name].known
    ]
    if figures:
        whose = f"For {manifest.positive} it" if manifest.positive else "It"
        sentences.append(f"{whose} reached {joined(figures)}.")
    parts = dict(_ALONE)
    for name in of.models:
        if (encoder := encoder_alone(name)) is not None:
            parts[name] = f"regions by {encoder}"
    alone = [
        f"{_figure(of.models[name]['auroc'])} from {words} alone"
        for name, words in parts.items()
        if name in of.models and "auroc" in of.models[name] and of.models[name]["auroc"].known
    ]
    if alone:
        sentences.append(f"For comparison, AUROC was {joined(alone)}.")
    return sentences


def _figure(figure: Interval) -> str:
    """0.91 (95 % interval 0.87 to 0.95)."""
    if not math.isfinite(figure.lo):
        return f"{figure.value:.2f}"
    return f"{figure.value:.2f} ({figure.lo:.2f} to {figure.hi:.2f})"
