"""Measure what networks cost and are worth: in torch, as ONNX and as int8."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anthropo.errors import InputError
from anthropo.learning.cohort import read_cohort
from anthropo.learning.cohort_checks import check
from anthropo.showing import fielded, html
from anthropo.workflows.cohort import CohortError, PhotoReading, settings_for
from anthropo.workflows.export import calibration
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.networks.bench import BenchedNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """Networks side by side, each in three runtimes."""

    measured: tuple[BenchedNetwork, ...]
    warnings: tuple[str, ...] = ()  # about the cohort's photos
    notes: tuple[str, ...] = ()  # about int8 that is too slow or loses too much

    __repr__ = fielded

    def _repr_html_(self) -> str:
        return html(self, "table_of")

    def to_frame(self) -> pd.DataFrame:
        """A row for each network and runtime."""
        import pandas as pd

        return pd.DataFrame([one.row() for one in self.measured])


def bench_networks(
    networks: Sequence[str],
    cohort: str | os.PathLike[str],
    *,
    calibrate: str | os.PathLike[str] | None = None,
    reading: PhotoReading | None = None,
    progress: Progress = silent,
) -> BenchResult:
    """Measure networks on a cohort that they have not seen.

    Parameters
    ----------
    networks : sequence of str
        Files that `anthropo finetune` wrote.
    cohort : path
        A table or folder of labelled photos; those of labels that a network does not know are left out.
    calibrate : path, optional
        Photos by which int8 is calibrated; some of the cohort's when left out.
    reading : PhotoReading, optional
        How photos are read, where it is to differ from a network's training.
    progress : Progress
        While photos are read.

    Returns
    -------
    BenchResult

    Raises
    ------
    CohortError
        If the cohort cannot be measured on.
    AnthropoError
        If a network knows none of the labels or cannot be read, or a runtime fails.

    Examples
    --------
    >>> bench_networks(["none.anthropo"], "cohort.csv")  # else result.to_frame()
    Traceback (most recent call last):
    anthropo.errors.ModelError: none.anthropo: no such model file. Give the file of ...
    """
    from anthropo.networks.bench import remarks

    if not networks:
        raise InputError("No network was named. Name one or more that `anthropo finetune` wrote.")
    from anthropo.networks.export import require_onnx

    require_onnx()
    reading = reading or PhotoReading()
    for network in networks:  # before any of them is measured
        _refuse_foreign(network, cohort)
    measured: list[BenchedNetwork] = []
    warnings: list[str] = []
    for network in networks:
        result = _bench_one(network, cohort, calibrate, reading, progress)
        measured += result.measured
        warnings += result.warnings
    return BenchResult(measured=tuple(measured), warnings=tuple(warnings), notes=tuple(remarks(measured)))


def _refuse_foreign(name: str, cohort: str | os.PathLike[str]) -> None:
    """Refuse a network that knows no label of the cohort."""
    from anthropo.networks.network import Network

    network = Network.load(name)
    network.manifest.require_permitted(name)
    if network.task == "attributes":
        return
    labels = sorted({case.label for case in read_cohort(cohort).cases})
    if not set(labels) & set(network.labels):
        raise InputError(
            f"{name}: was trained on {', '.join(network.labels)}, but the labels of {cohort} are "
            f"{', '.join(labels[:5])}. Give each network a cohort with its labels."
        )


def _bench_one(
    name: str,
    cohort: str | os.PathLike[str],
    calibrate: str | os.PathLike[str] | None,
    reading: PhotoReading,
    progress: Progress,
) -> BenchResult:
    from anthropo.networks.bench import bench_file, calibration_photos, photos_of
    from anthropo.networks.network import Network

    network = Network.load(name)
    settings = settings_for(reading, network.manifest.settings)
    people = read_cohort(cohort, multilabel=network.task == "attributes")
    errors = [f for f in check(people) if f.level == "error" and f.category != "label"]
    if errors:
        raise CohortError(people.source, errors, verdict="cannot be measured on")
    with progress(len(people.cases), "reading photos") as advance:
        photos = photos_of(
            network, people, settings, jobs=reading.jobs, runner=reading.runner, advance=advance
        )
    warnings = [reason for _, reason in photos.left_out]
    if photos.seen:
        warnings.append(
            f"{cohort}: {photos.seen} of {len(people.cases)} photos are among those that {name} was trained "
            "on or stopped by: AUROC and accuracy come out too good."
        )
    if calibrate:
        by = calibration(network, calibrate, reading)
    else:
        paths = [case.photo for case in people.cases]
        by = calibration_photos(network, paths, settings, jobs=reading.jobs, runner=reading.runner)
    measured = bench_file(name, photos, by, threads=reading.jobs)
    return BenchResult(measured=tuple(measured), warnings=tuple(warnings))
