"""Training of a landmark model of one's own, and its judgement on people kept apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.face import _engine
from anthropo.face.adjustment import adjustment_arrays
from anthropo.face.fine import FineModel, fine_of_arrays
from anthropo.face.scheme import Scheme
from anthropo.landmarks.annotations import Annotations
from anthropo.landmarks.beginning import Beginning, learnt, placed_first
from anthropo.landmarks.fine_training import (
    EPOCHS,
    PARTS,
    fine_frame,
    mix,
    mixing_arrays,
    train_fine,
    unmixed,
)
from anthropo.landmarks.fine_training import LEAST_PEOPLE as LEAST_FOR_FINE
from anthropo.landmarks.forest import ForestOptions, Report, grow, mean_shape, samples
from anthropo.landmarks.gathering import Gathered
from anthropo.landmarks.judging import Placed, placed, residuals_of

LEAST_PEOPLE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A forest, and how it does on people it has not seen.

    Attributes
    ----------
    forest : (N,) array of uint8
        The packed predictor, of all people.
    held_out : Placed
        Faces of the people who were kept apart, by a predictor of the others.
    undetected : int
        Annotated faces that the detector does not see; they are learned from, but not judged.
    fine : mapping of str to array
        Networks of the second stage, of all people but those kept apart; empty without.
    held_out_fine : Placed or None
        The same faces by both stages, of which neither has seen them.
    share : mapping of str to float
        Of the second stage in the points of each part of the face; empty without.
    begins : Beginning or None
        The model that this one begins from, whose forest it has.
    held_out_start : Placed or None
        The same faces by that model as it was.
    penalty : float
        What held the adjustment back (`anthropo.landmarks.beginning.learnt`).
    """

    forest: NDArray[np.uint8]
    held_out: Placed
    undetected: int
    fine: dict[str, NDArray[Any]]
    held_out_fine: Placed | None
    share: dict[str, float]
    begins: Beginning | None = None
    held_out_start: Placed | None = None
    penalty: float = math.inf


def split(people: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Which faces are kept apart, so that no person is on both sides: about `share` of the people."""
    names = sorted(set(people))
    if len(names) < LEAST_PEOPLE:
        raise InputError(
            f"{len(names)} people; {LEAST_PEOPLE} or more are needed, some of whom are kept apart to judge "
            "by. Annotate more people."
        )
    count = min(len(names) - 2, max(1, round(share * len(names))))
    kept = set(np.random.default_rng(seed).permutation(names)[:count])
    return np.array([person in kept for person in people])


def train_forest(
    annotations: Annotations,
    scheme: Scheme,
    gathered: Sequence[Gathered],
    options: ForestOptions,
    *,
    held_out: float,
    seed: int,
    threads: int,
    report: Callable[[str], Report],
    fine_epochs: int | None = None,
    begins: Beginning | None = None,
) -> Trained:
    """Train on all people but some, judge on these, and train again on everybody.

    With `begins`, that model's forest places the 68 points, and what is learnt is how these annotators'
    points lie beside them.

    The second stage's networks learn from the people who are not kept apart, and stay as they are then:
    those kept apart say what share of the points is left to them (`fine_training.mix`).
    `report` gives what is told of the progress of each training, by its name.
    """
    if fine_epochs and not scheme.ibug:
        raise InputError(
            f"{annotations.source}: {parameter('fine_epochs', fine_epochs)} needs the 68 points of iBUG, at "
            "whose regions the second stage looks. Leave it out."
        )
    if all(one.face is None for one in gathered):
        raise InputError(
            f"{annotations.source}: no face is found in any of its photos, and prediction begins there."
        )
    apart = split([one.annotated.person for one in gathered], held_out, seed)
    if fine_epochs is None:
        enough = scheme.ibug and len(set(annotations.people)) >= LEAST_FOR_FINE
        fine_epochs = EPOCHS if enough else 0

    def grown(chosen: Sequence[Gathered], what: str) -> NDArray[np.uint8]:
        examples = [one.example for one in chosen]
        mean = mean_shape(examples, scheme.mirror)
        made = samples(examples, mean, scheme.mirror, options, seed)
        return grow(made, options, seed=seed, threads=threads, report=report(what))

    others = [one for one, away in zip(gathered, apart, strict=True) if not away]
    judged = [one for one, away in zip(gathered, apart, strict=True) if away and one.face is not None]
    if not judged or all(one.face is None for one in others):
        raise InputError(
            f"{annotations.source}: too few faces are found in its photos to judge by. Annotate more people."
        )
    undetected = sum(one.face is None for one in gathered)

    def second_stage(
        predictor: _engine.ShapePredictor, first: Placed, begun: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, NDArray[Any]], Placed, dict[str, float]]:
        """Networks and how they are mixed, the people kept apart by both stages, and the shares."""
        fine = train_fine(others, fine_epochs, seed=seed, threads=threads, report=report)
        alone = replace(fine_of_arrays({**begun, **fine}), mixing=unmixed())
        second = judge(predictor, scheme, judged, alone)
        mixing, refined = mix(first, second, [one.example.points for one in judged])
        shares = {name: round(float(mixing.share[part][0]), 2) for name, part in PARTS.items()}
        return fine | mixing_arrays(mixing), refined, shares

    if begins is not None:
        first, arrays, as_it_was = _begun(begins, scheme, others, judged)
        fine, refined, shares = dict[str, NDArray[Any]](), None, dict[str, float]()
        if fine_epochs:
            fine, refined, shares = second_stage(begins.predictor, first, arrays)
        everybody, penalty = _adjusted(begins, scheme, gathered)
        fine = {**arrays, **everybody, **fine}
        return Trained(begins.block, first, undetected, fine, refined, shares, begins, as_it_was, penalty)
    predictor = _engine.ShapePredictor(grown(others, "training without those kept apart"))
    first = judge(predictor, scheme, judged)
    forest = grown(gathered, "training on everybody")
    if not fine_epochs:
        return Trained(forest, first, undetected, {}, None, {})
    return Trained(forest, first, undetected, *second_stage(predictor, first, {}))


def _begun(
    begins: Beginning, scheme: Scheme, others: Sequence[Gathered], judged: Sequence[Gathered]
) -> tuple[Placed, dict[str, NDArray[Any]], Placed | None]:
    """People kept apart by the adjusted model, its second stage's arrays, and the people by it as it was."""
    arrays: dict[str, NDArray[Any]] = {"frame": fine_frame().astype(np.float32)}
    arrays |= {f"before.{name}": array for name, array in begins.fine.items()}
    as_it_was = judge(begins.predictor, scheme, judged, fine_of_arrays(begins.fine)) if scheme.ibug else None
    arrays |= _adjusted(begins, scheme, others)[0]
    return judge(begins.predictor, scheme, judged, fine_of_arrays(arrays)), arrays, as_it_was


def _adjusted(
    begins: Beginning, scheme: Scheme, faces: Sequence[Gathered]
) -> tuple[dict[str, NDArray[Any]], float]:
    found = [one for one in faces if one.face is not None]
    by, penalty = learnt(
        placed_first(begins, found),
        np.array([one.example.points for one in found]),
        [one.annotated.person for one in found],
        not scheme.ibug,
        fine_frame(),
    )
    return adjustment_arrays(by), penalty


def judge(
    predictor: _engine.ShapePredictor,
    scheme: Scheme,
    faces: Sequence[Gathered],
    fine: FineModel | None = None,
) -> Placed:
    """A predictor's landmarks beside the annotated ones, of faces that were found; `fine` adds a stage."""
    evaluations = [placed(predictor, scheme, one, fine) for one in faces]
    truth = [one.example.points for one in faces]
    return residuals_of(evaluations, truth, scheme, [one.annotated.person for one in faces])


def described(
    trained: Trained, gathered: Sequence[Gathered], options: ForestOptions, seed: int
) -> dict[str, object]:
    """What a model's file says of its training: counts and figures, no names."""
    held_out = trained.held_out
    return {
        "photos": len({one.annotated.photo for one in gathered}),
        "faces": len(gathered),
        "people": len({one.annotated.person for one in gathered}),
        "undetected": trained.undetected,
        "held_out": {
            "people": len(set(held_out.people)),
            "faces": len(held_out.people),
            "error": round(held_out.error, 6),
            "error_by_point": [round(float(e), 6) for e in np.nanmean(held_out.errors, 0)],
        },
        **(
            {"held_out_fine": round(trained.held_out_fine.error, 6), "fine_share": trained.share}
            if trained.held_out_fine
            else {}
        ),
        **({"held_out_start": round(trained.held_out_start.error, 6)} if trained.held_out_start else {}),
        **({"options": asdict(options)} if trained.begins is None else {}),
        "seed": seed,
    }
