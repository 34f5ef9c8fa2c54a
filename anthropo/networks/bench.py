"""What a network costs and what it is worth: torch, ONNX and int8 side by side, each in its own process."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.encoders import count_seen
from anthropo.errors import InputError, ModelError
from anthropo.files import file_sha256
from anthropo.learning.attributes import PRESENT, split_labels
from anthropo.learning.cohort import Case, Cohort, some
from anthropo.learning.features import Features, subset
from anthropo.learning.intervals import Interval
from anthropo.learning.judged import Judged
from anthropo.learning.metrics import judge
from anthropo.networks.export import CALIBRATION, export
from anthropo.networks.finetuning import chips_of, judged_of
from anthropo.networks.network import Network
from anthropo.networks.pictures import TEST, Pictures, Units, encode_metadata, gather, of_cases
from anthropo.settings import Settings

Pixels = NDArray[np.uint8]

RUNTIMES = ("torch", "ONNX", "ONNX int8")
_BOOTSTRAP = 1000
#: What int8 has to be faster by to be worth its loss.
FASTER = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Photos:
    """A cohort as a network sees it."""

    pictures: Pixels  # (n, views, size, size, 3), of cases (n, photos, size, size, 3)
    metadata: NDArray[np.float32] | None  # (n, q)
    units: Units
    left_out: tuple[tuple[str, str], ...]
    seen: int = 0  # photos that the network was trained on or stopped by


@dataclass(frozen=True, slots=True)
class Measured:
    """One network in one runtime."""

    network: str  # name of its file
    recipe: str
    runtime: str
    auroc: Interval  # of several labels the mean over them
    accuracy: Interval
    parameters: int
    file_bytes: int
    memory: float | None  # bytes, largest of a process that answers one photo after the other
    ms: float  # per photo or case: the fastest of ten answers, median over up to 20
    faster: float  # than torch
    difference: float  # largest between its probabilities and torch's
    auroc_lost: float  # against torch


def photos_of(
    network: Network,
    cohort: Cohort,
    settings: Settings,
    *,
    jobs: int = 1,
    on_progress: Callable[[], None] | None = None,
) -> Photos:
    """The photos of a cohort with a label that the network knows.

    Raises
    ------
    InputError
        If there are none.
    """
    pictures, features = gather(
        cohort, network.view, settings, memory=float("inf"), jobs=jobs, on_progress=on_progress
    )
    pictures, features = _known(network, pictures, features)
    units = _units(network, features)
    everything = np.arange(len(units))
    views = [chips_of(network, pictures, units, everything, name) for name in network.views]
    array = views[0] if network.task == "cases" else np.stack(views, 1)
    seen = count_seen(features.digests.tolist(), network.seen)
    return Photos(array, units.metadata, units, features.left_out, seen)


def _known(network: Network, pictures: Pictures, features: Features) -> tuple[Pictures, Features]:
    """Without photos of labels that the network does not know, which are named as left out."""
    if network.task == "attributes":
        keep = [True] * len(features)
    else:
        keep = [label in network.labels for label in features.labels.tolist()]
    if not any(keep):
        why = (
            f"labels are {some(sorted(set(features.labels.tolist())))}" if len(features) else "none is usable"
        )
        raise InputError(
            f"No photo has a label of the network, which knows {', '.join(network.labels)}; {why}. Give a "
            "cohort with these labels."
        )
    unknown = [
        (photo, f"{photo}: the network does not know its label, {label}.")
        for photo, label, kept in zip(features.photos.tolist(), features.labels.tolist(), keep, strict=True)
        if not kept
    ]
    rows = np.flatnonzero(keep)
    assert pictures.kept is not None  # no limit was set
    fewer = replace(
        pictures,
        photos=tuple(pictures.photos[i] for i in rows),
        frames=tuple(pictures.frames[i] for i in rows),
        pose=pictures.pose[rows],
        kept=pictures.kept[rows],
    )
    return fewer, replace(subset(features, rows), left_out=(*features.left_out, *unknown))


def _units(network: Network, features: Features) -> Units:
    """Photos or cases with the network's own labels and metadata columns, all of them to judge by."""
    labels, n = features.labels.tolist(), len(features)
    if network.task == "attributes":
        said = [split_labels(label) for label in labels]
        target = np.array([[name in own for name in network.labels] for own in said], np.float32)
        rows: tuple[tuple[int, ...], ...] = tuple((i,) for i in range(n))
        return Units(rows, network.labels, target, features.patients, np.full(n, TEST))
    index = [network.labels.index(label) for label in labels]
    if network.task != "cases":
        rows = tuple((i,) for i in range(n))
        return Units(rows, network.labels, np.array(index), features.patients, np.full(n, TEST))
    members: dict[tuple[str, int], list[int]] = {}
    for i, key in enumerate(zip(features.patients.tolist(), index, strict=True)):
        members.setdefault(key, []).append(i)
    columns = network.about["metadata"] or {}
    cases = list(members.values())
    values = {name: of_cases(features.metadata[name], cases) for name in columns if name in features.metadata}
    return Units(
        tuple(tuple(own) for own in members.values()),
        network.labels,
        np.array([label for _, label in members]),
        np.array([patient for patient, _ in members], dtype=np.str_),
        np.full(len(members), TEST),
        encode_metadata(columns, values, len(members)) if columns else None,
        columns,
    )


def calibration_photos(
    network: Network, paths: Sequence[str], settings: Settings, *, jobs: int = 1
) -> Pixels:
    """Pictures of up to `CALIBRATION` photos, evenly chosen: (n, views or 1, size, size, 3).

    Raises
    ------
    InputError
        If none of them can be used.
    """
    chosen = dict.fromkeys(
        paths[round(i)] for i in np.linspace(0, len(paths) - 1, min(len(paths), CALIBRATION))
    )
    cohort = Cohort(tuple(Case(path, "", path) for path in chosen), "")
    pictures, features = gather(cohort, network.view, settings, memory=float("inf"), jobs=jobs)
    if not len(features):
        reason = features.left_out[0][1] if features.left_out else "there are none."
        raise InputError(f"No photo to calibrate by can be used; the first: {reason}")
    assert pictures.kept is not None
    return pictures.kept


def bench(
    path: str, photos: Photos, calibration: Pixels, *, threads: int = 1, folder: Path | None = None
) -> list[Measured]:
    """Measure a network in torch, as ONNX and as int8.

    Parameters
    ----------
    path : str
        The network's file.
    photos : Tested
        To answer.
    calibration : ndarray of uint8
        Of `calibration_photos`, for int8.
    threads : int
        That a runtime may use; with one or all of them, whichever is faster.
    folder : Path, optional
        For the ONNX files; a temporary one when left out.

    Raises
    ------
    AnthropoError
        If the network cannot be read or exported, or a runtime fails.
    """
    network, found = Network.load(path), []
    with tempfile.TemporaryDirectory() as temporary:
        there = Path(folder or temporary)
        files = {"torch": Path(path), "ONNX": there / "float.onnx", "ONNX int8": there / "int8.onnx"}
        digest = file_sha256(path)
        export(network, files["ONNX"], source=digest)
        export(network, files["ONNX int8"], int8=True, photos=calibration, source=digest)
        first: tuple[NDArray[np.float64], float, float] | None = None
        for runtime in RUNTIMES:
            # small networks are slower on several threads, which wait for each other
            p, ms, memory = min(
                (
                    run(runtime, files[runtime], network.task, photos, t, Path(temporary))
                    for t in sorted({1, threads})
                ),
                key=lambda answered: answered[1],
            )
            auroc, accuracy = _overall(judged_of(network, photos.units, photos.units.chosen(TEST), p))
            first = first or (p, ms, auroc.value)
            found.append(
                Measured(
                    network=Path(path).name,
                    recipe=network.recipe,
                    runtime=runtime,
                    auroc=auroc,
                    accuracy=accuracy,
                    parameters=network.parameters,
                    file_bytes=files[runtime].stat().st_size,
                    memory=memory,
                    ms=ms,
                    faster=first[1] / ms,
                    difference=float(np.abs(p - first[0]).max()),
                    auroc_lost=first[2] - auroc.value,
                )
            )
    return found


def run(
    runtime: str, model: Path, task: str, photos: Photos, threads: int, folder: Path
) -> tuple[NDArray[np.float64], float, float | None]:
    """Answer photos in a process of its own: probabilities (n, k), median ms, largest memory in bytes.

    Raises
    ------
    ModelError
        If the process fails.
    """
    pictures, metadata, answers = (folder / f"{name}.npy" for name in ("pictures", "metadata", "answers"))
    if not pictures.exists():
        np.save(pictures, photos.pictures)
        if photos.metadata is not None:
            np.save(metadata, photos.metadata)
    command = [
        sys.executable, "-m", "anthropo.networks.bench_worker",
        "torch" if runtime == "torch" else "onnx", "cases" if task == "cases" else "photos", str(model),
        str(pictures), "-" if photos.metadata is None else str(metadata), str(answers), str(threads),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        raise ModelError(f"{model}: could not be run with {runtime} ({reason}).")
    said = json.loads(done.stdout)
    return np.load(answers), statistics.median(said["ms"]), said["memory"]


def _overall(judged: dict[str, Judged]) -> tuple[Interval, Interval]:
    """AUROC and accuracy; of attributes their means, which have no interval."""
    if "" in judged:
        found = judge(judged[""], bootstrap=_BOOTSTRAP)
        return found["auroc"], found["accuracy"]
    each = [judge(own, PRESENT, bootstrap=_BOOTSTRAP) for own in judged.values()]
    means = []
    for name in ("auroc", "accuracy"):
        values = [figures[name].value for figures in each]
        known = [v for v in values if v == v]
        means.append(Interval(float(np.mean(known)) if known else float("nan"), n=each[0][name].n))
    return means[0], means[1]


def has_int8_products() -> bool | None:
    """Whether this CPU multiplies 8-bit integers as fast as they can be; None where it cannot be known."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return None
    return bool(re.search(r"\b(avx512_vnni|avx_vnni|amx_int8|asimddp|i8mm)\b", flags))


def remarks(found: Sequence[Measured]) -> list[str]:
    """What a reader should know of int8 that is too slow or loses too much."""
    made = []
    plain = {m.network: m for m in found if m.runtime == "ONNX"}
    for m in found:
        if m.runtime != "ONNX int8":
            continue
        gain = plain[m.network].ms / m.ms
        if gain < FASTER:
            products = has_int8_products()
            why = (
                "this CPU has no fast products of 8-bit integers (VNNI, or dot products on Arm)"
                if products is False
                else "its layers are too small, or too much of it stays float, for 8-bit products to pay"
            )
            made.append(f"{m.network}: int8 is {gain:.2f} × as fast as ONNX, less than {FASTER:g} ×: {why}.")
        if m.auroc_lost > 0.01:
            made.append(f"{m.network}: int8 loses {m.auroc_lost:.3f} of AUROC. Keep the float file.")
    return made
