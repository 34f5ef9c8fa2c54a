"""What a trained network itself answers about people on photographs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.attributes import NO_ATTRIBUTE
from anthropo.learning.cohort import Kind
from anthropo.learning.model import Prediction, Ranked
from anthropo.networks.judging import chips_of
from anthropo.networks.network import Network, decided
from anthropo.networks.pictures import CohortPictures
from anthropo.networks.units import TEST, MetadataColumns, Units, encode_metadata, of_cases

Metadata = NDArray[np.float32]

PRESENT_FROM = 0.5  # probability, from which on an attribute is decided for
_LEAST = 1e-7  # of a probability: log-odds stay numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """A network's answers, one for each person."""

    predictions: tuple[Prediction, ...]
    metadata: Metadata | None  # (n, q) that they were made with, of cases
    unseen: int  # cases of which the network took the first photos only


def kinds_of(columns: MetadataColumns | None) -> dict[str, Kind]:
    """Kinds of the metadata that a network reads."""
    kinds: dict[str, Kind] = {}
    for name, how in (columns or {}).items():
        plain: Kind = "number" if how.values is None else "category"
        kinds[name] = "age" if name == "age" else "sex" if name == "sex" else plain
    return kinds


def answer_patients(network: Network, photos: CohortPictures) -> Told:
    """Answer about each patient of some photos.

    A network of cases looks at all photos of a person together, as it was trained to; other networks'
    probabilities are averaged over them, as they are over the views.
    """
    features = photos.features
    by_patient: dict[str, list[int]] = defaultdict(list)
    for i, patient in enumerate(features.patients.tolist()):
        by_patient[patient].append(i)
    people = tuple(tuple(rows) for rows in by_patient.values())
    cases = network.task == "cases"
    rows = people if cases else tuple((i,) for i in range(len(features)))
    metadata = None
    if cases and (columns := network.about.metadata):
        values = {
            name: of_cases(features.metadata[name], rows) for name in columns if name in features.metadata
        }
        metadata = encode_metadata(columns, values, len(rows))
    units = Units(
        rows=rows,
        labels=network.labels,
        target=np.zeros(len(rows), np.int64),
        patients=np.array([""] * len(rows)),
        part=np.full(len(rows), TEST),
        metadata=metadata,
    )
    probabilities = _probabilities(network, photos, units)
    if not cases:
        probabilities = np.array([probabilities[list(photos_of)].mean(0) for photos_of in people])
    names = features.photos.tolist()
    predictions = tuple(
        predicted(network, p, tuple(names[i] for i in photos_of), patient)
        for (patient, photos_of), p in zip(by_patient.items(), probabilities, strict=True)
    )
    most = network.about.parameters.images
    return Told(
        predictions=predictions,
        metadata=metadata,
        unseen=sum(len(photos_of) > most for photos_of in people) if cases else 0,
    )


def _probabilities(network: Network, photos: CohortPictures, units: Units) -> NDArray[np.float64]:
    """Probabilities (n, k) of units, so many at a time as the network was trained with."""
    batch, out = network.about.parameters.batch, []
    for start in range(0, len(units), batch):
        rows = np.arange(start, min(start + batch, len(units)))
        metadata = None if units.metadata is None else units.metadata[rows]
        chips = {name: chips_of(network, photos.pictures, units, rows, name) for name in network.views}
        out.append(network.probabilities(chips, metadata, batch=batch))
    return np.concatenate(out)


def predicted(
    network: Network, probabilities: NDArray[np.float64], photos: tuple[str, ...], patient: str
) -> Prediction:
    """The answer that probabilities (k,) are: labels by how probable they are, and the decision."""
    kept = np.clip(probabilities, _LEAST, 1 - _LEAST)
    log_odds = np.log(kept / (1 - kept))
    order = np.argsort(-probabilities, kind="stable")
    ranked = tuple(
        Ranked(network.labels[c], float(probabilities[c]), float(log_odds[c]), None, False) for c in order
    )
    if network.task == "attributes":
        there = [network.labels[c] for c in order if probabilities[c] >= PRESENT_FROM]
        decision = "; ".join(there) or NO_ATTRIBUTE
    else:
        at = int(decided(probabilities[None], network.about.spec.head)[0])
        decision = network.labels[at]
    return Prediction(photos, patient, ranked, decision, "", None)
