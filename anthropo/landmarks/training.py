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
from anthropo.face.adjustment import Adjustment, adjustment_arrays
from anthropo.face.fine import FineModel, fine_of_arrays
from anthropo.face.frame import Floats
from anthropo.face.scheme import IBUG, Scheme
from anthropo.landmarks.annotations import Annotations
from anthropo.landmarks.beginning import Beginning, learnt
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
from anthropo.landmarks.forest import ForestOptions, Report, grow_forest, mean_shape, samples
from anthropo.landmarks.gathering import Gathered
from anthropo.landmarks.judging import JudgedLandmarks, placed, residuals_of

LEAST_PEOPLE = 4


@dataclass(frozen=True, slots=True, eq=False)
class TrainedForest:
    """A forest, and how it does on people it has not seen.

    Attributes
    ----------
    forest : (N,) array of uint8
        The packed predictor, of all people.
    held_out : JudgedLandmarks
        Faces of the people who were kept apart, by a predictor of the others; of everybody in turn where a
        model begins from another and has no networks of its own.
    undetected : int
        Annotated faces that the detector does not see; they are learned from, but not judged.
    fine : mapping of str to array
        Networks of the second stage, of all people but those kept apart; empty without.
    held_out_fine : JudgedLandmarks or None
        The same faces by both stages, of which neither has seen them.
    share : mapping of str to float
        Of the second stage in the points of each part of the face; empty without.
    begins : Beginning or None
        The model that this one begins from, whose forest it has.
    held_out_start : JudgedLandmarks or None
        The same faces by that model as it was.
    penalty : float
        What held the adjustment back (`anthropo.landmarks.beginning.learnt`).
    """

    forest: NDArray[np.uint8]
    held_out: JudgedLandmarks
    undetected: int
    fine: dict[str, NDArray[Any]]
    held_out_fine: JudgedLandmarks | None
    share: dict[str, float]
    begins: Beginning | None = None
    held_out_start: JudgedLandmarks | None = None
    penalty: float = math.inf


def hold_out_people(people: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
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
) -> TrainedForest:
    """Train on all people but some, judge on these, and train again on everybody.

    With `begins`, that model's forest places the 68 points, and what is learnt is how these annotators'
    points lie beside them.

    The second stage's networks learn from the people who are not kept apart, and stay as they are then:
    those kept apart say what share of the points is left to them (`fine_training.mix`).
    `report` gives what is told of the progress of each training, by its name.
    """
    _refuse_unfit(annotations, scheme, gathered, fine_epochs)
    apart = hold_out_people([one.annotated.person for one in gathered], held_out, seed)
    if fine_epochs is None:
        # beside a good start they gain little, and take most of the time
        enough = begins is None and scheme.ibug and len(set(annotations.people)) >= LEAST_FOR_FINE
        fine_epochs = EPOCHS if enough else 0

    def grown(chosen: Sequence[Gathered], what: str) -> NDArray[np.uint8]:
        examples = [one.example for one in chosen]
        mean = mean_shape(examples, scheme.mirror)
        made = samples(examples, mean, scheme.mirror, options, seed)
        return grow_forest(made, options, seed=seed, threads=threads, report=report(what))

    others = [one for one, away in zip(gathered, apart, strict=True) if not away]
    judged = [one for one, away in zip(gathered, apart, strict=True) if away and one.face is not None]
    if not judged or all(one.face is None for one in others):
        raise InputError(
            f"{annotations.source}: too few faces are found in its photos to judge by. Annotate more people."
        )
    undetected = sum(one.face is None for one in gathered)

    def second_stage(
        predictor: _engine.ShapePredictor, first: JudgedLandmarks, begun: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, NDArray[Any]], JudgedLandmarks, dict[str, float]]:
        """Networks and how they are mixed, the people kept apart by both stages, and the shares."""
        fine = train_fine(others, fine_epochs, seed=seed, threads=threads, report=report)
        alone = replace(fine_of_arrays({**begun, **fine}), mixing=unmixed())
        second = judge_landmarks(predictor, scheme, judged, alone)
        mixing, refined = mix(first, second, [one.example.points for one in judged])
        shares = {name: round(float(mixing.share[part][0]), 2) for name, part in PARTS.items()}
        return fine | mixing_arrays(mixing), refined, shares

    if begins is not None:
        starts = _Starts.of(begins, scheme, [one for one in gathered if one.face is not None])
        by, penalty = starts.learnt(np.ones(len(starts.faces), np.bool_))
        arrays = starts.arrays | adjustment_arrays(by)
        if not fine_epochs:
            first, as_it_was = starts.in_turn(held_out, seed)
            return TrainedForest(
                begins.block, first, undetected, arrays, None, {}, begins, as_it_was, penalty
            )
        away = np.array([one in judged for one in starts.faces])
        by, _ = starts.learnt(~away)
        first, as_it_was = starts.judged(away, by(starts.samples[away]))
        begun = starts.arrays | adjustment_arrays(by)
        fine, refined, shares = second_stage(begins.predictor, first, begun)
        return TrainedForest(
            begins.block, first, undetected, arrays | fine, refined, shares, begins, as_it_was, penalty
        )
    predictor = _engine.ShapePredictor(grown(others, "training without those kept apart"))
    first = judge_landmarks(predictor, scheme, judged)
    forest = grown(gathered, "training on everybody")
    if not fine_epochs:
        return TrainedForest(forest, first, undetected, {}, None, {})
    return TrainedForest(forest, first, undetected, *second_stage(predictor, first, {}))


def _refuse_unfit(
    annotations: Annotations, scheme: Scheme, gathered: Sequence[Gathered], fine_epochs: int | None
) -> None:
    """Refuse a second stage for other points than the 68, and photos without a face."""
    if fine_epochs and not scheme.ibug:
        raise InputError(
            f"{annotations.source}: {parameter('fine_epochs', fine_epochs)} needs the 68 points of iBUG, at "
            "whose regions the second stage looks. Leave it out."
        )
    if all(one.face is None for one in gathered):
        raise InputError(
            f"{annotations.source}: no face is found in any of its photos, and prediction begins there."
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Starts:
    """Faces as both stages of what a model begins from place them."""

    scheme: Scheme
    faces: Sequence[Gathered]
    people: Sequence[str]
    truth: Floats  # (N, P, 2)
    samples: Floats  # (N, K, 68, 2)
    arrays: dict[str, NDArray[Any]]  # of the second stage, without an adjustment

    @classmethod
    def of(cls, begins: Beginning, scheme: Scheme, faces: Sequence[Gathered]) -> _Starts:
        arrays: dict[str, NDArray[Any]] = {"frame": fine_frame().astype(np.float32)}
        arrays |= {f"before.{name}": array for name, array in begins.fine.items()}
        fine = fine_of_arrays(begins.fine)
        return cls(
            scheme,
            faces,
            [one.annotated.person for one in faces],
            np.array([one.example.points for one in faces]),
            np.array([placed(begins.predictor, IBUG, one, fine) for one in faces]),
            arrays,
        )

    def learnt(self, chosen: NDArray[np.bool_]) -> tuple[Adjustment, float]:
        """The adjustment that these faces teach, and what held it back."""
        people = [person for person, one in zip(self.people, chosen, strict=True) if one]
        first = self.samples[chosen].mean(1)
        return learnt(first, self.truth[chosen], people, not self.scheme.ibug, fine_frame())

    def judged(
        self, chosen: NDArray[np.bool_], adjusted: Floats
    ) -> tuple[JudgedLandmarks, JudgedLandmarks | None]:
        """Faces by an adjusted model, and by its start as it was where that has the same points."""
        people = [person for person, one in zip(self.people, chosen, strict=True) if one]

        def beside(samples: Floats) -> JudgedLandmarks:
            return residuals_of(list(samples), list(self.truth[chosen]), self.scheme, people)

        return beside(adjusted), beside(self.samples[chosen]) if self.scheme.ibug else None

    def in_turn(self, share: float, seed: int) -> tuple[JudgedLandmarks, JudgedLandmarks | None]:
        """Every face by what the others tell, so many people at a time: an adjustment is quickly learnt."""
        names = np.random.default_rng(seed).permutation(sorted(set(self.people)))
        fold = np.arange(len(names)) % min(len(names), max(2, round(1 / share)))
        of_face = np.array([fold[list(names).index(person)] for person in self.people])
        adjusted = np.empty((*self.samples.shape[:2], len(self.scheme.names), 2))
        for one in np.unique(fold):
            by, _ = self.learnt(of_face != one)
            adjusted[of_face == one] = by(self.samples[of_face == one])
        return self.judged(np.ones(len(self.faces), np.bool_), adjusted)


def judge_landmarks(
    predictor: _engine.ShapePredictor,
    scheme: Scheme,
    faces: Sequence[Gathered],
    fine: FineModel | None = None,
) -> JudgedLandmarks:
    """A predictor's landmarks beside the annotated ones, of faces that were found; `fine` adds a stage."""
    evaluations = [placed(predictor, scheme, one, fine) for one in faces]
    truth = [one.example.points for one in faces]
    return residuals_of(evaluations, truth, scheme, [one.annotated.person for one in faces])


def described(
    trained: TrainedForest, gathered: Sequence[Gathered], options: ForestOptions, seed: int
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
