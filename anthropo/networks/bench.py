"""Costs and worth of a network: torch, ONNX and int8 side by side, each in its own process."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.encoders import count_seen
from anthropo.errors import InputError, ModelError
from anthropo.files import file_sha256
from anthropo.learning.attributes import PRESENT
from anthropo.learning.cohort import Case, Cohort, some
from anthropo.learning.intervals import Interval
from anthropo.learning.metrics import judge
from anthropo.networks.export import CALIBRATION, export
from anthropo.networks.judging import BOOTSTRAP, NetworkAnswers, answers_of, flat_figures, pictures_to_answer
from anthropo.networks.network import Network
from anthropo.networks.pictures import Advance, CohortPictures, read_pictures
from anthropo.networks.units import TEST, Units, units_to_judge
from anthropo.parallel.runner import Runner
from anthropo.settings import Settings

Pixels = NDArray[np.uint8]

#: What int8 has to be faster by to be worth its loss.
FASTER = 1.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BenchPhotos:
    """A cohort as a network sees it."""

    pictures: Pixels  # (n, views, size, size, 3), of cases (n, photos, size, size, 3)
    units: Units
    left_out: tuple[tuple[str, str], ...] = ()
    seen: int = 0  # photos that the network was trained on or stopped by


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """Answers of a process of its own, with its time and memory."""

    probabilities: NDArray[np.float64]  # (n, k)
    ms: float  # per photo or case: the fastest of ten answers, median over up to 20
    memory: float | None  # bytes, largest of a process that answers one photo after the other


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchedNetwork:
    """One network in one runtime."""

    network: str  # name of its file
    recipe: str
    runtime: str
    auroc: Interval  # of several labels the mean over them
    accuracy: Interval
    parameters: int
    file_bytes: int
    memory_bytes: float | None  # as of `Run`
    ms: float  # per photo or case, as of `Run`
    times_torch: float  # how many times as fast as torch
    auroc_lost: float  # against torch
    largest_difference: float  # between its probabilities and torch's

    def row(self) -> dict[str, Any]:
        """The same as columns of a table."""
        return flat_figures({one.name: getattr(self, one.name) for one in fields(self)})


def photos_of(
    network: Network,
    cohort: Cohort,
    settings: Settings,
    *,
    jobs: int = 1,
    runner: Runner | None = None,
    advance: Advance | None = None,
) -> BenchPhotos:
    """The photos of a cohort with a label that the network knows."""
    photos = read_pictures(cohort, network.view, settings, jobs=jobs, runner=runner, advance=advance)
    known, left_out = _known(network, photos)
    units = units_to_judge(network.task, network.labels, network.about.metadata, known.features)
    pictures = pictures_to_answer(network, known.pictures, units, np.arange(len(units)))
    seen = count_seen(known.features.digests.tolist(), network.seen)
    return BenchPhotos(pictures=pictures, units=units, left_out=left_out, seen=seen)


def _known(network: Network, photos: CohortPictures) -> tuple[CohortPictures, tuple[tuple[str, str], ...]]:
    """The photos of labels that the network knows, and the others with a reason each."""
    labels = photos.features.labels.tolist()
    keep = [network.task == "attributes" or label in network.labels for label in labels]
    if not any(keep):
        why = f"labels are {some(sorted(set(labels)))}" if labels else "none is usable"
        raise InputError(
            f"No photo has a label of the network, which was trained on {', '.join(network.labels)}; {why}. "
            "Give a cohort with these labels."
        )
    unknown = [
        (photo, f"{photo}: the network does not know its label, {label}.")
        for photo, label, kept in zip(photos.features.photos.tolist(), labels, keep, strict=True)
        if not kept
    ]
    return photos.subset(np.flatnonzero(keep)), (*photos.features.left_out, *unknown)


def calibration_photos(
    network: Network,
    paths: Sequence[str],
    settings: Settings,
    *,
    jobs: int = 1,
    runner: Runner | None = None,
) -> Pixels:
    """Pictures of up to `CALIBRATION` photos, evenly chosen: (n, views or 1, size, size, 3)."""
    chosen = dict.fromkeys(
        paths[round(i)] for i in np.linspace(0, len(paths) - 1, min(len(paths), CALIBRATION))
    )
    cohort = Cohort(tuple(Case(path, "", path) for path in chosen), "")
    photos = read_pictures(cohort, network.view, settings, jobs=jobs, runner=runner)
    if photos.pictures.kept is None:
        reason = photos.features.left_out[0][1] if photos.features.left_out else "there are none."
        raise InputError(f"No photo to calibrate by can be used; the first: {reason}")
    return photos.pictures.kept


def bench_file(
    path: str, photos: BenchPhotos, calibration: Pixels, *, threads: int = 1, folder: Path | None = None
) -> list[BenchedNetwork]:
    """Measure the network in a file in torch, as ONNX and as int8, for which `calibration_photos` are.

    A runtime uses one or all of the threads, whichever is faster. The ONNX files stay in `folder`, if it is
    given.
    """
    network, measured = Network.load(path), []
    with tempfile.TemporaryDirectory() as temporary:
        there = Path(folder or temporary)
        files = {"torch": Path(path), "ONNX": there / "float.onnx", "ONNX int8": there / "int8.onnx"}
        digest = file_sha256(path)
        export(network, files["ONNX"], source=digest)
        export(network, files["ONNX int8"], int8=True, photos=calibration, source=digest)
        first: tuple[Run, Interval] | None = None
        for runtime, file in files.items():
            # small networks are slower on several threads, which wait for each other
            tried = sorted({1, threads})
            runs = [answer_apart(runtime, file, network.task, photos, t, Path(temporary)) for t in tried]
            fastest = min(runs, key=lambda one: one.ms)
            answers = answers_of(network, photos.units, photos.units.chosen(TEST), fastest.probabilities)
            figures = _overall(answers)
            first = first or (fastest, figures["auroc"])
            measured.append(
                BenchedNetwork(
                    network=Path(path).name,
                    recipe=network.recipe,
                    runtime=runtime,
                    **figures,
                    parameters=network.parameters,
                    file_bytes=file.stat().st_size,
                    memory_bytes=fastest.memory,
                    ms=fastest.ms,
                    times_torch=first[0].ms / fastest.ms,
                    auroc_lost=first[1].value - figures["auroc"].value,
                    largest_difference=float(np.abs(fastest.probabilities - first[0].probabilities).max()),
                )
            )
    return measured


def answer_apart(
    runtime: str, model: Path, task: str, photos: BenchPhotos, threads: int, folder: Path
) -> Run:
    """Answer photos in a process of its own."""
    pictures, metadata, answers = (folder / f"{name}.npy" for name in ("pictures", "metadata", "answers"))
    known = photos.units.metadata
    if not pictures.exists():
        np.save(pictures, photos.pictures)
        if known is not None:
            np.save(metadata, known)
    command = [
        sys.executable, "-m", "anthropo.networks.bench_worker",
        "torch" if runtime == "torch" else "onnx", "cases" if task == "cases" else "photos", str(model),
        str(pictures), "-" if known is None else str(metadata), str(answers), str(threads),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        raise ModelError(f"{model}: could not be run with {runtime} ({reason}).")
    took = json.loads(done.stdout)
    return Run(probabilities=np.load(answers), ms=statistics.median(took["ms"]), memory=took["memory"])


def _overall(answers: NetworkAnswers) -> dict[str, Interval]:
    """AUROC and accuracy; of attributes their means, which have no interval."""
    if answers.labels is not None:
        figures = judge(answers.labels, bootstrap=BOOTSTRAP)
        return {name: figures[name] for name in ("auroc", "accuracy")}
    each = [judge(judged, PRESENT, bootstrap=BOOTSTRAP) for judged in answers.attributes.values()]

    def mean(name: str) -> Interval:
        known = [figures[name].value for figures in each if figures[name].value == figures[name].value]
        return Interval(float(np.mean(known)) if known else float("nan"), n=each[0][name].n)

    return {name: mean(name) for name in ("auroc", "accuracy")}


def has_int8_products() -> bool | None:
    """Whether this CPU multiplies 8-bit integers as fast as they can be; None where it cannot be known."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return None
    return bool(re.search(r"\b(avx512_vnni|avx_vnni|amx_int8|asimddp|i8mm)\b", flags))


def remarks(measured: Sequence[BenchedNetwork]) -> list[str]:
    """Sentences on int8 that is too slow or loses too much."""
    notes = []
    plain = {m.network: m.ms for m in measured if m.runtime == "ONNX"}
    for m in (one for one in measured if one.runtime == "ONNX int8"):
        gain = plain[m.network] / m.ms
        if gain < FASTER:
            why = "its layers are too small, or too much of it stays float, for 8-bit products to pay"
            if has_int8_products() is False:
                why = "this CPU has no fast products of 8-bit integers (VNNI, or dot products on Arm)"
            notes.append(f"{m.network}: int8 is {gain:.2f} × as fast as ONNX, less than {FASTER:g} ×: {why}.")
        if m.auroc_lost > 0.01:
            notes.append(f"{m.network}: int8 loses {m.auroc_lost:.3f} of AUROC. Keep the float file.")
    return notes
