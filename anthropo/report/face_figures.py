"""Figures of faces that are being measured: made where a photo is worked on, written where records go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anthropo.batch.beside import FaceFiles
from anthropo.batch.inputs import Item
from anthropo.batch.patients import PatientRecord
from anthropo.batch.records import MeasuredRecord
from anthropo.batch.run import MeasuredFace, record_of
from anthropo.batch.scored import ScoredMeasurements
from anthropo.errors import InputError
from anthropo.report.figure_files import Figures, write_figures
from anthropo.report.plots import as_figure, face, scored_measurements
from anthropo.report.rendering import pdf, svg
from anthropo.settings import Settings


class FaceFigures(FaceFiles):
    """A folder with figures of each face: landmarks and measured lines, and the plot of its z-scores.

    Of people in several photos the plot is theirs, and drawn by `people` when they are pooled.
    """

    suffix = "-face.svg"
    what, content = "figures", "the figure"

    def __init__(self, folder: str, settings: Settings, *, pooled: bool = False) -> None:
        super().__init__(folder)
        self._settings = replace(settings, texture=False)
        self._pooled = pooled

    def __call__(self, seen: MeasuredFace) -> tuple[str, dict[str, bytes]]:  # type: ignore[override]
        drawn = {"face": as_figure(face(seen.face, seen.observation.photo))}
        if not self._pooled:
            drawn |= values_figure(record_of(seen, self._settings))
        return seen.digest, {
            f"-{name}.{kind}": write(figure)
            for name, figure in drawn.items()
            for kind, write in (("svg", svg), ("pdf", pdf))
        }

    def take(self, item: Item, face: int, made: object) -> None:
        """Write the figures of a face."""
        assert isinstance(made, tuple)
        digest, files = made
        place = self.file(item, digest, face)
        stem = place.name.removesuffix(self.suffix)
        for ending, content in sorted(files.items()):
            self.write(place.with_name(stem + ending), content)

    def people(self, records: Sequence[PatientRecord]) -> int:
        """Write the plot of each person; how many there are."""
        drawn: Figures = {}
        for at, record in enumerate(records, 1):
            if record.ok:
                for kind, figure in values_figure(record).items():
                    drawn[f"{record.patient or f'person-{at}'}-{kind}"] = figure
        write_figures(self.folder, drawn)
        return len(drawn)


def values_figure(record: MeasuredRecord) -> Figures:
    """The plot of a face's or person's z-scores or, without any, values; none where there are none."""
    name = "z-scores" if any(score.z == score.z for score in record.scores) else "measurements"
    try:
        return {name: as_figure(scored_measurements(ScoredMeasurements(record)))}
    except InputError:
        return {}
