"""Landmark models of one's own: train one on annotated faces, and judge it beside the packaged one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from anthropo.batch.inputs import collect
from anthropo.container import unfit_text
from anthropo.decoding.limits import DEADLINE, MAX_MEGAPIXELS
from anthropo.errors import InputError, parameter
from anthropo.face import _engine
from anthropo.face.fine import fine_model
from anthropo.face.frame import Floats
from anthropo.face.landmark_bundle import LONGEST_TEXT, PACKAGED, LandmarkBundle, terms, write_landmark_bundle
from anthropo.face.scheme import Scheme
from anthropo.face.weights import LandmarkModel, landmark_model
from anthropo.files import held, write
from anthropo.landmarks.annotations import read_annotations
from anthropo.landmarks.beginning import NOTHING, Beginning, beginning, begun_by_default
from anthropo.landmarks.forest import ForestOptions, Report
from anthropo.landmarks.gathering import ReadingLimits, gather_faces
from anthropo.landmarks.judging import JudgedLandmarks
from anthropo.landmarks.placing import OnPhoto, Placing, nowhere
from anthropo.landmarks.scheme import mean_points, scheme_of
from anthropo.landmarks.training import described, judge_landmarks, train_forest
from anthropo.licensing import check_faces
from anthropo.parallel.runner import Lost, Runner, available_cores, choose
from anthropo.showing import draw, fielded, given, html
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: What the file says where nobody stated the terms of the photographs.
NOT_STATED = "not stated by whoever trained it"


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkTrainRequest:
    """How a landmark model is trained.

    Parameters
    ----------
    licence : str, optional
        Terms of the photographs, which the file keeps and `inspect` shows.
    held_out : float
        Share of the people who are kept apart to judge by.
    unit : tuple of str
        Two points, in whose distance errors are given. When left out: the outer canthi of the 68 points,
        else the diagonal of the points' bounding box.
    start : path, optional
        A model of the 68 points to begin from, or ``"landmarks-68"``, the packaged one: it places first, and
        what is learnt is how the annotated points lie beside its own. Its licence is taken over. No trees are
        grown then, so that `options` are refused. When left out, the packaged one where the annotated points
        are the 68, the file is no ``.dat``, and neither `options` nor `fine_epochs` are given; a note says
        so. ``"none"``: from nothing.
    options : ForestOptions
        How the trees are grown.
    fine_epochs : int, optional
        Epochs of the second stage's networks, which place all points of the 68 again: those of the regions,
        and four times as many of the whole face's. When left out, 64 of the 68 points where there are 100
        people or more, else none; none for a ``.dat`` file or with `start`. 0: none, and the packaged ones
        refine what the model finds.
    seed : int
    jobs : int
        Photos that are worked on at once, and threads; the forest does not depend on them.
    runner : Runner, optional
        Who works on the photos; chosen by `jobs` when left out.
    max_megapixels, deadline : float or None
        What reading a photo may cost.
    """

    licence: str | None = None
    held_out: float = 0.2
    unit: tuple[str, ...] = ()
    start: str | None = None
    options: ForestOptions = field(default_factory=ForestOptions)
    fine_epochs: int | None = None
    seed: int = 0
    jobs: int = field(default_factory=available_cores)
    runner: Runner | None = None
    max_megapixels: float | None = MAX_MEGAPIXELS
    deadline: float | None = DEADLINE

    __repr__ = given

    @property
    def limits(self) -> ReadingLimits:
        """What reading a photo may cost."""
        return ReadingLimits(max_megapixels=self.max_megapixels, deadline=self.deadline)

    @property
    def says_nothing_of_trees(self) -> bool:
        """Whether neither a start nor anything of what is trained from nothing is asked for."""
        return self.start is None and self.options == ForestOptions() and self.fine_epochs is None

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two points of `unit`."""
        if not self.unit:
            return None
        if len(self.unit) != 2:
            raise InputError(
                f"{parameter('unit', ','.join(self.unit))}: two points are needed, such as exR,exL."
            )
        return self.unit[0], self.unit[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LandmarkTraining:
    """A landmark model that was trained, and its error on people whom it had not seen.

    Attributes
    ----------
    path : Path
    scheme : Scheme
    held_out : JudgedLandmarks
    held_out_fine : JudgedLandmarks or None
        By both stages, if the second was trained as well; each face mixed as the others suggest.
    held_out_start : JudgedLandmarks or None
        By the model that this one begins from, as it was; None where the points are others.
    in_turn : bool
        Whether those kept apart are everybody in turn: where it begins from another and trains no networks.
    licence : str
        Of the photographs, and of what it begins from.
    faces, people, undetected : int
        How many were trained on; `undetected` faces are not seen by the detector.
    notes : tuple of str
        On people who may be one, and on what it begins from where nothing was said of that.
    """

    path: Path
    scheme: Scheme
    held_out: JudgedLandmarks
    held_out_fine: JudgedLandmarks | None
    held_out_start: JudgedLandmarks | None
    in_turn: bool
    licence: str
    faces: int
    people: int
    undetected: int
    notes: tuple[str, ...] = ()

    __repr__ = fielded

    def _repr_html_(self) -> str:
        return html(self, "table_of")

    def to_frame(self) -> pd.DataFrame:
        """A row for each point: its error on people kept apart."""
        return self.held_out.to_frame()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LandmarkEvaluation:
    """A landmark model beside the packaged one, on annotated faces.

    Attributes
    ----------
    first_stage : JudgedLandmarks
        Faces by the model.
    factors : (P,) array
        From its spread to a standard deviation, as its file states.
    packaged : JudgedLandmarks or None
        The same faces by the model that comes with anthropo: by its first stage, or, beside a model that
        begins from another and has that one's second stage in it, by both; None where the points are others.
    both, packaged_both : JudgedLandmarks or None
        The same by both landmark stages, as they are measured from; None where the points are others.
    coverage_both : float or None
        How many of 100 coordinates by both stages lie in the interval that the file states, as a share; None
        where it states none.
    shape : (P, 2) array
        The mean annotated face, in the unit of the errors.
    faces, undetected : int
        How many are annotated, and in how many of them no face is found.
    """

    first_stage: JudgedLandmarks
    factors: Floats
    packaged: JudgedLandmarks | None
    both: JudgedLandmarks | None
    packaged_both: JudgedLandmarks | None
    coverage_both: float | None
    shape: Floats
    faces: int
    undetected: int

    __repr__ = fielded

    def _repr_html_(self) -> str:
        return html(self, "landmark_evaluation")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the mean annotated face with the error of each point.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "landmark_evaluation", ax)

    def to_frame(self) -> pd.DataFrame:
        """A row for each point, by the first stage.

        ``error_both`` is the mean of both stages; columns that end in ``_packaged`` are of what comes with
        anthropo.
        """
        frame = self.first_stage.to_frame(self.factors)
        for name, placed in (("error_both", self.both), ("error_both_packaged", self.packaged_both)):
            if placed is not None:
                frame[name] = np.nanmean(placed.errors, 0)
        if self.packaged is not None:
            other = self.packaged.to_frame()
            for name in ("error", "error_median", "error_95", "spread"):
                frame[f"{name}_packaged"] = other[name]
        return frame


def _check_training(request: LandmarkTrainRequest, start: str | None, path: Path, to_dlib: bool) -> None:
    """Refuse a licence that no file holds, and a start where dlib's form is written."""
    if request.licence and (len(request.licence) > LONGEST_TEXT or unfit_text(request.licence)):
        raise InputError(
            f"{parameter('licence')}: a text of at most {LONGEST_TEXT} visible characters is needed."
        )
    if to_dlib and start is not None:
        raise InputError(
            f"{path}: dlib's files hold trees alone, and with {parameter('start', start)} none are "
            "grown. Write an .anthropo file."
        )


def train_landmarks(
    annotated: str | os.PathLike[str],
    output: str | os.PathLike[str],
    request: LandmarkTrainRequest | None = None,
    *,
    progress: Progress = silent,
) -> LandmarkTraining:
    """Train a landmark model on annotated faces, and write its file.

    Parameters
    ----------
    annotated : path
        A folder of 300-W ``.pts``, WebMorph ``.tem`` or corrected landmark files, an imglab ``.xml``, a COCO
        ``.json``, or a table; see `anthropo.landmarks.read_annotations`.
    output : path
        ``.anthropo``, which works as `landmark_model` everywhere, or ``.dat``, which dlib reads.
    request : LandmarkTrainRequest, optional
    progress : Progress

    Returns
    -------
    LandmarkTraining

    Raises
    ------
    InputError
        If the annotations cannot be used, or there are too few people.
    PhotoError
        If a photo cannot be read.

    Notes
    -----
    Kazemi & Sullivan 2014 (CVPR), by dlib's recipe.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.landmarks import ForestOptions, write_example
    >>> write_example("faces", people=4)
    >>> options = ForestOptions(cascades=2, trees=5, copies=3, pool=50)
    >>> made = anthropo.train_landmarks(
    ...     "faces", "mine.anthropo", anthropo.LandmarkTrainRequest(options=options, jobs=1)
    ... )
    >>> made.people, made.scheme.ibug
    (4, True)
    """
    check_faces()
    request = request or LandmarkTrainRequest()
    pair, path = request.pair, Path(output)
    to_dlib = path.suffix.lower() == ".dat"
    start = None if request.start == NOTHING else request.start
    _check_training(request, start, path, to_dlib)
    begins = None if start is None else _beginning(start, request.options)
    annotations = read_annotations(annotated)
    scheme = scheme_of(annotations, pair)
    if by_default := scheme.ibug and not to_dlib and request.says_nothing_of_trees:
        begins = beginning(PACKAGED)
    photos = len({face.photo for face in annotations.faces})
    with progress(photos, "reading photos") as advance:
        gathered = gather_faces(
            annotations.faces,
            limits=request.limits,
            jobs=request.jobs,
            runner=request.runner,
            advance=advance,
        )
    with held(path), ExitStack() as bars:
        trained = train_forest(
            annotations,
            scheme,
            gathered,
            request.options,
            held_out=request.held_out,
            seed=request.seed,
            threads=request.jobs,
            report=_reported(progress, bars),
            fine_epochs=0 if to_dlib and request.fine_epochs is None else request.fine_epochs,
            begins=begins,
        )
        if to_dlib:
            write(path, _engine.unpack_shape_predictor(trained.forest))
        else:
            bundle = LandmarkBundle(
                scheme=scheme,
                forest=trained.forest,
                spread=trained.held_out.factors(),
                licence=request.licence or NOT_STATED,
                training=described(trained, gathered, request.options, request.seed),
                fine=trained.fine,
                start=None if begins is None else begins.about,
            )
            write_landmark_bundle(path, bundle)
    return LandmarkTraining(
        path=path,
        scheme=scheme,
        held_out=trained.held_out,
        held_out_fine=trained.held_out_fine,
        held_out_start=trained.held_out_start,
        in_turn=begins is not None and trained.held_out_fine is None,
        licence=terms(request.licence or NOT_STATED, None if begins is None else begins.about),
        faces=len(gathered),
        people=len(annotations.people),
        undetected=trained.undetected,
        notes=(*annotations.notes, *([begun_by_default()] if by_default else ())),
    )


def _beginning(start: str, options: ForestOptions) -> Beginning:
    given = [one.name for one in fields(options) if getattr(options, one.name) != one.default]
    if given:
        raise InputError(
            f"{parameter(given[0], getattr(options, given[0]))}: is about trees, and with "
            f"{parameter('start', start)} none are grown. Leave one of them out."
        )
    return beginning(start)


def _reported(progress: Progress, bars: ExitStack) -> Callable[[str], Report]:
    """Progress bars, one after the other, of what the engine reports."""

    def begin(what: str) -> Report:
        told = 0
        advance: Callable[[], None] | None = None

        def report(done: int, total: int) -> None:
            nonlocal told, advance
            if advance is None:
                bars.close()  # the one before is over
                advance = bars.enter_context(progress(total, what))
            for _ in range(done - told):
                advance()
            told = done

        return report

    return begin


def evaluate_landmarks(
    annotated: str | os.PathLike[str],
    model: str | None = None,
    *,
    unit: tuple[str, ...] = (),
    jobs: int | None = None,
    runner: Runner | None = None,
    max_megapixels: float | None = MAX_MEGAPIXELS,
    deadline: float | None = DEADLINE,
    progress: Progress = silent,
) -> LandmarkEvaluation:
    """Compare a model's landmarks with placed ones, and with those of what comes with anthropo.

    Both see the same faces in the same boxes, in 16 jittered evaluations, by the first landmark stage; of the
    68 points by both stages as well.

    Parameters
    ----------
    annotated : path
        As for `train_landmarks`.
    model : path, optional
        Of `train_landmarks`, or a shape predictor of dlib; the packaged model when left out.
    unit : tuple of str
        Two points, in whose distance errors are given; as in the model when left out.
    jobs : int, optional
    runner : Runner, optional
        Who works on the photos; chosen by `jobs` when left out.
    max_megapixels, deadline : float or None
        What reading a photo may cost.
    progress : Progress

    Returns
    -------
    LandmarkEvaluation

    Raises
    ------
    InputError
        If the annotations cannot be used, or are of other points than the model's.
    WeightsError
        If the model cannot be used.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.landmarks import write_example
    >>> write_example("faces", people=4)
    >>> judged = anthropo.evaluate_landmarks("faces", jobs=1)
    >>> judged.faces, judged.first_stage.error < 0.02
    (4, True)
    """
    check_faces()
    request = LandmarkTrainRequest(unit=unit, max_megapixels=max_megapixels, deadline=deadline)
    known = landmark_model(model)
    annotations = read_annotations(annotated)
    scheme = _agreed(str(annotated), scheme_of(annotations, request.pair), known, bool(unit))
    photos = len({face.photo for face in annotations.faces})
    with progress(photos, "reading photos") as advance:
        gathered = gather_faces(
            annotations.faces,
            limits=request.limits,
            jobs=jobs or request.jobs,
            runner=runner,
            advance=advance,
        )
    detected = [one for one in gathered if one.face is not None]
    if not detected:
        raise InputError(f"{annotated}: no face is found in any of its photos.")
    bundle = known.bundle
    begun = fine_model(model).begun if bundle is not None and bundle.start is not None else None
    judged = judge_landmarks(known.predictor, scheme, detected, begun)
    packaged = both = packaged_both = None
    if scheme.ibug:
        both = judge_landmarks(known.predictor, scheme, detected, fine_model(model))
    if scheme.ibug and model is not None:
        packaged_both = judge_landmarks(landmark_model().predictor, scheme, detected, fine_model())
        packaged = packaged_both if begun else judge_landmarks(landmark_model().predictor, scheme, detected)
    mean = mean_points([one.annotated.points for one in detected])
    factors = judged.factors() if bundle is None else bundle.spread
    stated = both is not None and bundle is not None and bool(bundle.fine)
    return LandmarkEvaluation(
        first_stage=judged,
        factors=factors,
        packaged=packaged,
        both=both,
        packaged_both=packaged_both,
        coverage_both=float(both.covered(factors).mean()) if both is not None and stated else None,
        shape=mean / scheme.length(mean),
        faces=len(gathered),
        undetected=len(gathered) - len(detected),
    )


def _agreed(source: str, annotated: Scheme, model: LandmarkModel, unit_given: bool) -> Scheme:
    """The scheme that a model and annotated faces have in common."""
    known = model.scheme
    if len(known.names) != len(annotated.names):
        raise InputError(
            f"{source}: {len(annotated.names)} points where the landmark model places {len(known.names)}. "
            "Give faces that are annotated with the model's points."
        )
    if annotated.ibug or model.bundle is None:
        return annotated
    return Scheme(known.names, known.mirror, annotated.unit if unit_given else known.unit, known.ibug)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedLandmarks:
    """The points of a landmark model on photos.

    Attributes
    ----------
    names : tuple of str
        Of the points.
    photos : tuple of OnPhoto
        In their order, with a reason where no points could be placed.
    """

    names: tuple[str, ...]
    photos: tuple[OnPhoto, ...]

    __repr__ = fielded

    def _repr_html_(self) -> str:
        return html(self, "table_of")

    @property
    def failed(self) -> int:
        """In how many photos no points could be placed."""
        return sum(bool(one.reason) for one in self.photos)

    def to_frame(self) -> pd.DataFrame:
        """A row for each photo: photo, reason, and NAME_x, NAME_y and NAME_sd of each point, pixels.

        `train_landmarks` reads such a table, so that points may be corrected in it and learnt from.
        """
        import pandas as pd

        columns: dict[str, list[object]] = {
            "photo": [one.photo for one in self.photos],
            "reason": [one.reason for one in self.photos],
        }
        for i, name in enumerate(self.names):
            columns[f"{name}_x"] = [one.points[i, 0] for one in self.photos]
            columns[f"{name}_y"] = [one.points[i, 1] for one in self.photos]
            columns[f"{name}_sd"] = [one.sd[i] for one in self.photos]
        return pd.DataFrame(columns)


def place_landmarks(
    photos: Sequence[str],
    model: str,
    *,
    face: Literal["one", "largest"] = "one",
    jobs: int | None = None,
    runner: Runner | None = None,
    max_megapixels: float | None = MAX_MEGAPIXELS,
    deadline: float | None = DEADLINE,
    progress: Progress = silent,
) -> PlacedLandmarks:
    """Place the points of a landmark model, of whatever scheme, on photos.

    Measurements and everything else need the 68 points (`landmark_model`); this is for the others.

    Parameters
    ----------
    photos : sequence of path
        Files, folders, patterns, and tables with a column `photo`.
    model : path
        Of `train_landmarks`, or a shape predictor of dlib.
    face : {"one", "largest"}
        What to do when there are several faces: refuse, or take the largest.
    jobs, runner, max_megapixels, deadline, progress
        As for `evaluate_landmarks`.

    Returns
    -------
    PlacedLandmarks

    Raises
    ------
    InputError
        If there are no photos.
    WeightsError
        If the model cannot be used.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.landmarks import write_example
    >>> from anthropo.workflows.landmarks import place_landmarks
    >>> write_example("faces", people=4)
    >>> made = anthropo.train_landmarks(
    ...     "faces", "mine.anthropo", anthropo.LandmarkTrainRequest(start="landmarks-68", jobs=1)
    ... )
    >>> placed = place_landmarks(["faces"], "mine.anthropo", jobs=1)
    >>> placed.to_frame().columns[:5].tolist(), placed.failed
    (['photo', 'reason', 'p0_x', 'p0_y', 'p0_sd'], 0)
    """
    check_faces()
    names = landmark_model(model).scheme.names  # a file that cannot be used is refused at once
    paths = list(dict.fromkeys(item.path for item in collect([str(photo) for photo in photos])))
    work = Placing(model, face, ReadingLimits(max_megapixels=max_megapixels, deadline=deadline))
    chosen = choose(jobs or available_cores(), len(paths), runner)
    placed = []
    with progress(len(paths), "placing points") as advance:
        for path, result in zip(paths, chosen.in_order(work, paths), strict=True):
            placed.append(
                nowhere(path, result.reason(path), len(names)) if isinstance(result, Lost) else result
            )
            advance()
    return PlacedLandmarks(names=names, photos=tuple(placed))
