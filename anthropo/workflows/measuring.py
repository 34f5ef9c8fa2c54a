"""Measurements of photos, of tables of photos, and of people."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.batch.inputs import Item, collect
from anthropo.batch.records import Record
from anthropo.batch.run import Beside, run
from anthropo.batch.summaries import Summary, finish, summary_of
from anthropo.decoding.limits import DEADLINE, FRAMES, MAX_MEGAPIXELS
from anthropo.errors import InputError
from anthropo.face.detection import Which
from anthropo.face.gate import GateSummary
from anthropo.face.landmarker import DEFAULT_JITTER
from anthropo.measurement.compute import Measurement, Measurements, measure_face
from anthropo.observation import observe
from anthropo.parallel.runner import Runner
from anthropo.photo import Photo
from anthropo.settings import Settings
from anthropo.showing import brief, count
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:  # one photo needs neither tables nor people, and rarely a scale
    import pandas as pd

    from anthropo.batch.output import Output
    from anthropo.batch.patients import Patient, PatientRecord
    from anthropo.measurement.scale import ScaleRequest


def measure(
    photo: str | os.PathLike[str] | Photo,
    *,
    scale: ScaleRequest | str | None = None,
    distance: str | float | None = None,
    face: Which = "one",
    jitter: int = DEFAULT_JITTER,
    landmark_model: str | None = None,
    detector_model: str | None = None,
    fine: bool = True,
    force: bool = False,
    max_megapixels: float | None = MAX_MEGAPIXELS,
    deadline: float | None = DEADLINE,
) -> Measurements[Measurement]:
    """Measure the face of one photograph.

    Parameters
    ----------
    photo : path or Photo
    scale : ScaleRequest or str, optional
        Such as ``"sticker=20"``; gives millimetres.
    face : {"one", "largest"}
        With several faces: refuse the photo, or take the largest.
    distance, jitter, landmark_model, detector_model, fine, force, max_megapixels, deadline
        As for `anthropo.Settings`.

    Returns
    -------
    Measurements
        A list of `Measurement` in the registry's order, as `anthropo.measure_face` gives them.

    Raises
    ------
    PhotoError, FaceError, WeightsError
        As `anthropo.observe`.
    ScaleError
        If the scale is not found in the photo.

    Examples
    --------
    >>> import anthropo
    >>> values = {m.id: m for m in anthropo.measure(anthropo.example_photo())}
    >>> round(values["intercanthal_width"].value, 2), values["intercanthal_width"].unit
    (0.4, 'ex-ex')
    """
    settings = Settings(
        face=face,
        distance=distance,
        jitter=jitter,
        landmark_model=landmark_model,
        detector_model=detector_model,
        fine=fine,
        max_megapixels=max_megapixels,
        deadline=deadline,
    )
    seen = observe(photo, settings)
    mm = None
    if scale:
        from anthropo.measurement.scale import find_scale, parse_scale

        request = parse_scale(scale) if isinstance(scale, str) else scale
        mm = find_scale(request, seen.photo, seen.face.landmarks, seen.face.samples, seen.face.hidden)
    return measure_face(seen.face, seen.photo, scale=mm, force=force)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredPhotos:
    """What became of photos that were to be measured.

    A run with a table keeps no records: they are in the table. What it says of photos is in `summaries`.
    """

    items: tuple[Item, ...]  # all of them
    records: Mapping[str, list[Record]]  # of this run, by photo; none with a table
    summaries: Mapping[str, Summary]  # of this run, by photo
    table: Path | None = None
    gate: GateSummary  # of all measured faces, an earlier run's included
    earlier: int = 0  # photos that an earlier run had finished
    interrupted: bool = False  # by Ctrl-C or a cluster's scheduler
    people: Sequence[PatientRecord] = ()  # if these were asked for

    def __repr__(self) -> str:
        failed = len(self.reasons)
        return brief(
            self,
            count(self.total, "photo"),
            f"{failed} not measured" if failed else "",
            f"{self.earlier} of an earlier run" if self.earlier else "",
            count(len(self.people), "person") if self.people else "",
            "interrupted" if self.interrupted else "",
        )

    @property
    def total(self) -> int:
        """Number of photos."""
        return len({item.path for item in self.items})

    @property
    def finished(self) -> int:
        """Number of photos that this or an earlier run is done with."""
        return len(self.summaries) + self.earlier

    @property
    def listed(self) -> list[Record]:
        """The records of this run in the order of the items, with the columns of each.

        An InputError says in which table they are instead.
        """
        if self.table:
            raise InputError(f"{self.table}: the records are in this table. Read them from there.")
        return [
            replace(record, columns=item.columns)
            for item in self.items
            for record in self.records.get(item.path, [])
        ]

    @property
    def reasons(self) -> list[str]:
        """Why photos failed, in the order of the items."""
        return [reason for photo, one in self._in_order() for reason in one.reasons(photo)]

    @property
    def notes(self) -> list[str]:
        """What was asked for of measured photos and could not be provided."""
        return [note for photo, one in self._in_order() for note in one.notes(photo)]

    @property
    def remarks(self) -> list[str]:
        """Of people who may be one, and photos whose colours are not quite what their files mean."""
        people: list[str] = []
        if self.people:
            from anthropo.batch.patients import spelled_alike

            people = spelled_alike(self.items)
        remarks = (remark for photo, one in self._in_order() for remark in one.remarks(photo))
        return list(dict.fromkeys([*people, *remarks]))

    def _in_order(self) -> Iterator[tuple[str, Summary]]:
        for path in dict.fromkeys(item.path for item in self.items):
            if path in self.summaries:
                yield path, self.summaries[path]

    def to_frame(self, *, long: bool = False) -> pd.DataFrame:
        """A row for each person, or for each face of each photo; the columns of the CSV output.

        In long form a row for each measurement of each.
        """
        import pandas as pd

        from anthropo.batch.long import long_rows

        records = self.people or self.listed
        return pd.DataFrame(list(long_rows(records)) if long else [record.to_row() for record in records])


def measure_items(
    items: Sequence[Item],
    settings: Settings,
    *,
    jobs: int = 1,
    runner: Runner | None = None,
    table: Output | None = None,
    beside: Sequence[Beside] = (),
    people: bool = False,
    progress: Progress = silent,
) -> MeasuredPhotos:
    """Measure photographs and videos, and pool them by person if `people`.

    What an earlier run has in `table` is not measured again; the table is written in the end, also when
    the run is interrupted.

    An InputError or WeightsError says which setting cannot be used, where the table contradicts itself about
    a person, or which file cannot be written.
    """
    settings.fingerprint()  # what cannot be used is one error, not one per photo
    if people and table and table.suffix != ".json":
        raise InputError(f"{table.path}: people are pooled from a table of photos that ends in .json.")
    persons: Sequence[Patient] = ()
    if people:
        from anthropo.batch.patients import patients

        persons = patients(items)
    finished = table.finished_of(items, jobs) if table else [False] * len(items)
    todo = [
        i
        for i, known in zip(items, finished, strict=True)
        if not known or any(one.missing(i) for one in beside)
    ]
    total = len({item.path for item in todo})

    known: Mapping[str, list[Record]] = {}
    records: dict[str, list[Record]] = {}
    done: dict[str, Summary] = {}
    interrupted = False
    try:
        with progress(total, "measuring") as advance:
            if table:
                finishing = partial(finish, suffix=table.suffix)
                for one in run(todo, settings, jobs, runner, beside, finish=finishing):
                    done[one.photo] = table.add_finished(one)
                    advance()
            else:
                for of_photo in run(todo, settings, jobs, runner, beside):
                    photo = of_photo[0].photo
                    records[photo], done[photo] = of_photo, summary_of(of_photo)
                    advance()
    except KeyboardInterrupt:
        interrupted = True
    except BaseException:
        if table:
            table.release()
        raise
    gate = GateSummary.of(_gates(items, done, table))
    if table:
        known = table.close(items, keep=people and not interrupted)
    pooled: Sequence[PatientRecord] = ()
    if persons and not interrupted:
        from anthropo.batch.patients import PooledPeople

        pooled = PooledPeople(persons, known if table else records, settings)
    return MeasuredPhotos(
        items=tuple(items),
        records=records,
        summaries=done,
        table=table.path if table else None,
        earlier=len({item.path for item in items}) - total,
        interrupted=interrupted,
        people=pooled if table else tuple(pooled),
        gate=gate,
    )


def _gates(
    items: Iterable[Item], done: Mapping[str, Summary], table: Output | None
) -> Iterator[Sequence[str]]:
    """The failed checks of all measured faces, an earlier run's included."""
    for summary in done.values():
        yield from summary.gate
    for path in dict.fromkeys(item.path for item in items) if table else ():
        if table and path not in done:
            yield from table.gate_failed(path)


def measure_table(
    photos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    jobs: int = 1,
    runner: Runner | None = None,
    face: Which = "one",
    jitter: int = DEFAULT_JITTER,
    landmark_model: str | None = None,
    detector_model: str | None = None,
    max_megapixels: float | None = MAX_MEGAPIXELS,
    deadline: float | None = DEADLINE,
    fine: bool = True,
    force: bool = False,
    texture: bool = False,
    long: bool = False,
    scale: str | None = None,
    distance: str | float | None = None,
    references: Sequence[str] = (),
    sex: str | None = None,
    age: float | str | None = None,
    gestation: str | None = None,
    ancestry: str | None = None,
    landmarks: str | os.PathLike[str] | None = None,
    frames: int = FRAMES,
) -> pd.DataFrame:
    """Measure many photographs and videos.

    Parameters
    ----------
    photos : path or sequence of paths
        Files, folders, patterns, or CSV files with a `photo` column. Videos are measured where they are
        named, a row each; in folders they are passed over.
    jobs : int
        Photos that are worked on at once.
    runner : Runner, optional
        Who works on them (`anthropo.parallel`); chosen by `jobs` when left out.
    face, jitter, landmark_model, detector_model, max_megapixels, deadline, fine, force, texture, scale
        As for `anthropo.Settings`.
    distance, references, sex, gestation, ancestry
        As for `anthropo.Settings`.
    frames : int
        As for `anthropo.Settings`.
    long : bool
        A row for each measurement of each face, with the columns of `anthropo measure --long`.
    age : float or str, optional
        Years, or months as in ``"18m"``.
    landmarks : path, optional
        Landmark file of the photo, or a folder of such files: measure from these, corrected by hand.

    Returns
    -------
    pandas.DataFrame
        One row per photograph (per face with ``face="all"``), in the order given, with the columns
        of the CSV output: ``photo``, ``status``, ``reason``, then numbers; failed photographs have
        a reason and no numbers.

    Raises
    ------
    InputError
        If there is nothing to measure, or the scale, a reference, sex, age or landmarks cannot be used.

    Examples
    --------
    >>> import anthropo
    >>> table = anthropo.measure_table([anthropo.example_photo(), "gone.jpg"], sex="female", age=31)
    >>> list(table["status"]), f"{table.loc[0, 'intercanthal_width_z_web__all__ages']:.1f}"
    (['ok', 'failed'], '0.1')
    """
    from anthropo.measurement.landmark_file import Corrections

    settings = Settings(
        face=face, jitter=jitter, landmark_model=landmark_model, max_megapixels=max_megapixels,
        detector_model=detector_model, deadline=deadline, fine=fine,
        force=force, texture=texture, scale=scale, distance=distance,
        sex=sex, age=None if age is None else str(age), gestation=gestation, ancestry=ancestry,
        references=(references,) if isinstance(references, str) else tuple(references), frames=frames,
        corrections=None if landmarks is None else Corrections(os.fspath(landmarks)),
    )  # fmt: skip
    settings.fingerprint()
    items = _named(photos)
    if not items:
        raise InputError("No photo was named.")
    return measure_items(items, settings, jobs=jobs, runner=runner).to_frame(long=long)


def patient_table(
    photos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    jobs: int = 1,
    runner: Runner | None = None,
    settings: Settings | None = None,
) -> pd.DataFrame:
    """Measure people of whom there are several photographs or videos.

    Parameters
    ----------
    photos : path or sequence of paths
        As for `anthropo.measure_table`. Photos that share a name in the column `patient` of a CSV are of one
        person; where there is no such column, all are.
    jobs : int
        Photos that are worked on at once.
    runner : Runner, optional
        Who works on them (`anthropo.parallel`); chosen by `jobs` when left out.
    settings : Settings, optional
        How photos are measured.

    Returns
    -------
    pandas.DataFrame
        One row per person, with the columns of ``anthropo measure --patient``.

    Raises
    ------
    InputError
        As `anthropo.measure_table`, and if the table contradicts itself about a person.

    Examples
    --------
    >>> import anthropo
    >>> table = anthropo.patient_table([anthropo.example_photo(), "gone.jpg"])
    >>> int(table.loc[0, "photos_measured"]), bool(table.loc[0, "intercanthal_width_photos"] == 1)
    (1, True)
    """
    items = _named(photos)
    if not items:
        raise InputError("No photo was named.")
    return measure_items(items, settings or Settings(), jobs=jobs, runner=runner, people=True).to_frame()


def _named(photos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Item]:
    names = [photos] if isinstance(photos, (str, os.PathLike)) else photos
    return collect([os.fspath(name) for name in names])
