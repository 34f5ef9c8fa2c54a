"""Training of a landmark model of one's own, and its judgement on people kept apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.face import _engine
from anthropo.face.fine import FineModel, fine_of_arrays, refine
from anthropo.face.scheme import Scheme
from anthropo.landmarks.annotations import Annotations
from anthropo.landmarks.fine_training import EPOCHS, mix, mixing_arrays, train_fine, unmixed
from anthropo.landmarks.fine_training import LEAST_PEOPLE as LEAST_FOR_FINE
from anthropo.landmarks.forest import ForestOptions, Report, grow, mean_shape, samples
from anthropo.landmarks.gathering import Gathered
from anthropo.landmarks.judging import Placed, place, residuals_of
from anthropo.photo import Photo

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
    share : float or None
        Of the second stage in a point.
    """

    forest: NDArray[np.uint8]
    held_out: Placed
    undetected: int
    fine: dict[str, NDArray[Any]]
    held_out_fine: Placed | None
    share: float | None


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
) -> Trained:
    """Train on all people but some, judge on these, and train again on everybody.

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
    predictor = _engine.ShapePredictor(grown(others, "training without those kept apart"))
    placed = judge(predictor, scheme, judged)
    forest = grown(gathered, "training on everybody")
    undetected = sum(one.face is None for one in gathered)
    if fine_epochs is None:
        enough = scheme.ibug and len(set(annotations.people)) >= LEAST_FOR_FINE
        fine_epochs = EPOCHS if enough else 0
    if not fine_epochs:
        return Trained(forest, placed, undetected, {}, None, None)
    fine = train_fine(others, fine_epochs, seed=seed, threads=threads, report=report)
    alone = replace(fine_of_arrays(fine), mixing=unmixed())
    second = judge(predictor, scheme, judged, alone)
    mixing, refined = mix(placed, second, [one.example.points for one in judged])
    return Trained(forest, placed, undetected, fine | mixing_arrays(mixing), refined, mixing.share)


def judge(
    predictor: _engine.ShapePredictor,
    scheme: Scheme,
    faces: Sequence[Gathered],
    fine: FineModel | None = None,
) -> Placed:
    """A predictor's landmarks beside the annotated ones, of faces that were found; `fine` adds a stage."""
    evaluations = []
    for one in faces:
        assert one.example.box is not None  # only faces that were found are judged
        assert one.face is not None
        samples = place(predictor, scheme, one.example.pixels, one.example.box)
        if fine is not None:
            photo = Photo.from_array(np.repeat(one.example.pixels[:, :, None], 3, 2))
            first = replace(one.face, landmarks=samples.mean(0), samples=samples)
            samples = refine(photo, first, fine).samples
        evaluations.append(samples)
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
        "options": asdict(options),
        "seed": seed,
    }
