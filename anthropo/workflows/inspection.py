"""`anthropo inspect`: what a model or network is, was trained on and can do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anthropo.errors import ModelError
from anthropo.face.landmark_bundle import read_landmark_bundle, terms
from anthropo.learning.bundle import LANDMARKS, TRANSLATES, read_bundle
from anthropo.learning.card import card, describe
from anthropo.learning.methods import methods
from anthropo.showing import brief, html, word
from anthropo.workflows.manifest import SUFFIX

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.learning.attributes import AttributeModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inspection:
    """What a model's file says of it.

    Attributes
    ----------
    rows : tuple of (str, str)
        Names and values: task, labels, cohort, figures, decision, licences, size.
    card : str
        The whole model card, as Markdown.
    methods : str
        A paragraph for a paper on how it was made and how good it is, with the works to cite; empty for what
        neither `anthropo.train` made nor a run of `measure` or `traits` is.
    attributes : AttributeModel or None
        The model, if it is one of several attributes, whose relations it knows.
    """

    rows: tuple[tuple[str, str], ...]
    card: str
    methods: str = ""
    attributes: AttributeModel | None = None

    def __repr__(self) -> str:
        return brief(self, *(f"{name} {word(value)}" for name, value in self.rows[:3]))

    def _repr_html_(self) -> str:
        return html(self, "table_of")

    def to_frame(self) -> pd.DataFrame:
        """A row per entry: name, value."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=["name", "value"])


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Describe a model, a network or a run; nothing in the file is executed.

    Parameters
    ----------
    path : path
        A model, a network that `anthropo finetune` wrote, a landmark model or a translation; or what a run
        left beside its output, ``OUTPUT.run.json``.

    Returns
    -------
    Inspection

    Raises
    ------
    ModelError
        If the file is no model, or is damaged, foreign or altered.
    WeightsError
        If it is a landmark model, and is damaged or altered.
    InputError
        If it is called ``.run.json``, and is no manifest of a run, or of an anonymous one.

    Examples
    --------
    >>> import anthropo
    >>> dict(anthropo.inspect("m.anthropo").rows)["labels"]
    'control, synthetic-A'
    """
    from anthropo.learning.attributes import AttributeModel
    from anthropo.learning.trained import Trained

    if str(path).endswith(SUFFIX):
        return _run(path)
    try:
        is_network = "network" in read_bundle(path).manifest
    except ModelError as error:
        if TRANSLATES in str(error):
            return _translation(path)
        if LANDMARKS not in str(error):
            raise
        return _landmark_model(path)
    size = ("file", f"{os.path.getsize(path) / 1e6:.2f} MB")
    if is_network:
        from anthropo.networks.network import Network

        network = Network.load(path)
        rows = describe(network.manifest, network.about.rows())
        return Inspection(rows=(*rows, size), card=card(network.manifest))
    trained = Trained.load(path)
    rows = [*describe(trained.manifest), size]
    known = [one.parameters for one in trained.manifest.encoders if one.parameters is not None]
    if known:
        rows.append(("encoder parameters", f"{sum(known):,}"))
    attributes = trained.model if isinstance(trained.model, AttributeModel) else None
    return Inspection(
        rows=tuple(rows),
        card=card(trained.manifest),
        methods=methods(trained.manifest),
        attributes=attributes,
    )


def _run(path: str | os.PathLike[str]) -> Inspection:
    from anthropo.workflows.run_methods import METHODS_OF, methods_of_run, run_rows

    rows = run_rows(path)
    text = "# Run\n\n" + "".join(f"- {name}: {value}\n" for name, value in rows)
    known = dict(rows)["command"].split()[1] in METHODS_OF
    return Inspection(rows=tuple(rows), card=text, methods=methods_of_run(path) if known else "")


def _landmark_model(path: str | os.PathLike[str]) -> Inspection:
    bundle = read_landmark_bundle(path)
    scheme, training = bundle.scheme, bundle.training
    names = ", ".join(scheme.names[:6]) + (" …" if len(scheme.names) > 6 else "")
    held = training.get("held_out")
    rows = [
        ("task", "landmarks"),
        ("points", f"{len(scheme.names)}: {names}" + (" (iBUG)" if scheme.ibug else "")),
        ("trained on", "{faces} faces of {people} people in {photos} photos".format(**_counts(training))),
        ("licence", terms(bundle.licence, bundle.start)),
    ]
    if bundle.start is not None:
        what = "landmarks-68 of anthropo" if bundle.start.packaged else "another landmark model"
        rows.append(("begins from", f"{what} (SHA-256 {bundle.start.sha256[:12]}…)"))
    if isinstance(held, dict):
        rows.append(
            (
                "held out",
                f"error {held.get('error')} {scheme.unit_name}, {held.get('faces')} faces of "
                f"{held.get('people')} people",
            )
        )
    if any(name.endswith(".scheme") and not name.startswith("before.") for name in bundle.fine):
        rows.append(("second stage", "networks of its own"))
    rows += [(str(name), str(value)) for name, value in _options(training).items()]
    rows.append(("file", f"{os.path.getsize(path) / 1e6:.2f} MB"))
    text = "# Landmark model\n\n" + "".join(f"- {name}: {value}\n" for name, value in rows)
    return Inspection(rows=tuple(rows), card=text)


def _translation(path: str | os.PathLike[str]) -> Inspection:
    from anthropo.translation.file import load_translation

    made = load_translation(path)
    about = made.about
    rows = [("task", "translation of faces between A and B"), ("pictures", f"faces, {made.size} px")]
    for name, side in about.domains.items():
        apart = f"{side.held_out_photos} photos of {side.held_out_people} people kept apart"
        rows.append((f"domain {name}", f"{side.photos} photos of {side.people} people; {apart}"))
    rows += [(name, f"{value:.4g}") for name, value in about.figures.items()]
    rows += [
        ("landmarks held", f"weight {about.parameters.landmarks:g}" if about.parameters.landmarks else "no"),
        ("licence of the photos", about.licence),
    ]
    rows += [(str(w.name), f"licence: {w.licence}; data: {w.data}") for w in about.weights]
    rows += [("command", about.command or "not stated"), ("model", made.digest[:12])]
    rows.append(("file", f"{os.path.getsize(path) / 1e6:.2f} MB"))
    text = "# Translation of faces\n\n" + "".join(f"- {name}: {value}\n" for name, value in rows)
    return Inspection(rows=tuple(rows), card=text)


def _counts(training: dict[str, Any]) -> dict[str, Any]:
    return {name: training.get(name, "?") for name in ("faces", "people", "photos")}


def _options(training: dict[str, Any]) -> dict[str, Any]:
    options = training.get("options")
    return options if isinstance(options, dict) else {}
