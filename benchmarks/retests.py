"""Retests: other photographs of one person, and other files of one photograph, measured as anthropo does."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from anthropo.errors import AnthropoError
from anthropo.face.frame import outer_canthal_distance
from anthropo.face.lens import AT_REFERENCE
from anthropo.face.pose import generic_face, rotation
from anthropo.measurement.appearance import appearance
from anthropo.measurement.compute import (
    Z95,
    Measurement,
    doubted,
    error_growth,
    evaluate,
    geometry,
    measure_face,
)
from anthropo.measurement.registry import PIXELS, registry
from anthropo.measurement.repeatability import PITCH, SMALL, STEEP, YAW
from anthropo.observation import observe
from anthropo.photo import SUFFIXES, Photo
from anthropo.settings import Settings

Floats = NDArray[np.float64]
Change = Callable[[Image.Image], Image.Image]
FREE = [e for e in geometry() if not e.needs_mm]
#: What has a repeatability of its own: everything but what needs a scale.
NAMES = [name for name, e in registry().items() if not e.needs_mm]


# ---------------------------------------------------------------------------------- other files


def sized(share: float) -> Change:
    return lambda image: image.resize(
        (round(image.width * share), round(image.height * share)), Image.Resampling.LANCZOS
    )


def exposed(stops: float) -> Change:
    """Another exposure: linear light times a power of two, cut off at white."""
    return lit(stops)


def cropped(left: float, top: float, right: float, bottom: float) -> Change:
    return lambda image: image.crop(
        (
            round(left * image.width),
            round(top * image.height),
            round(right * image.width),
            round(bottom * image.height),
        )
    )


def recompressed(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


def lit(stops: float = 0.0, red: float = 0.0, blue: float = 0.0, contrast: float = 0.0) -> Change:
    """Another light or camera: exposure in stops, log gains of red and blue over green, slope of the tones.

    The slope turns about the middle of the encoded tones, as "contrast" in an image editor does.
    """

    def change(image: Image.Image) -> Image.Image:
        tables = []
        for gain in (2.0**stops * np.exp(red), 2.0**stops, 2.0**stops * np.exp(blue)):
            tone = np.minimum(1.0, gain * (np.arange(256) / 255) ** 2.2) ** (1 / 2.2)
            tone = 0.5 + (1 + contrast) * (tone - 0.5)
            tables += np.clip(np.rint(255 * tone), 0, 255).astype(int).tolist()
        return image.point(tables)

    return change


def both(*changes: Change) -> Change:
    def change(image: Image.Image) -> Image.Image:
        for one in changes:
            image = one(image)
        return image

    return change


def shot(random: np.random.Generator) -> Change:
    """Another photograph of a face that keeps still: another light, shading, noise, focus, tilt and size.

    Of one photograph and without depth, so that the head does not turn.
    """

    def change(image: Image.Image) -> Image.Image:
        share = random.uniform(0.4, 1.0)
        image = sized(share)(image).rotate(
            random.normal(0, 2.5), Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)
        )
        light = (np.asarray(image, dtype=np.float64) / 255) ** 2.2
        height, width = light.shape[:2]
        y, x = np.mgrid[0:height, 0:width]
        side = random.normal(0, 0.5) * 2 * (x / width - 0.5) + random.normal(0, 0.35) * 2 * (y / height - 0.5)
        coarse = gaussian_filter(
            random.normal(size=(height // 8 + 1, width // 8 + 1)), min(height, width) / 48
        )
        shading = np.kron(coarse / coarse.std(), np.ones((8, 8)))[:height, :width]
        light *= np.exp(side + 0.12 * shading)[..., None] * np.exp(random.normal(0, 0.05, 3))
        light *= 2 ** random.normal(0, 1 / 3)
        light += random.normal(0, 0.016, light.shape) * np.sqrt(light.clip(0.01, 1))
        blur = random.uniform(0.3, 1.2) * share
        light = gaussian_filter(light, (blur, blur, 0))
        seen = Image.fromarray((light.clip(0, 1) ** (1 / 2.2) * 255).astype(np.uint8))
        return recompressed(int(random.uniform(65, 92)))(seen)

    return change


_CROPS = cropped(0.08, 0.05, 0.95, 0.97), cropped(0.1, 0.08, 0.92, 0.93)
#: Other files of one photograph, by what differs.
FILES: Mapping[str, Sequence[Change]] = {
    "size": (sized(0.75), sized(0.5), sized(0.35)),
    "compression": (recompressed(80), recompressed(65), recompressed(50)),
    "exposure": (exposed(-0.7), exposed(0.5)),
    "crop": _CROPS,
}
#: Outer-canthal distances, px, of small files.
THUMBNAILS = (57.0, 75.0)
#: Files that differ in all of these.
MIXED = (
    both(_CROPS[0], exposed(-0.5), sized(0.5), recompressed(70)),
    both(_CROPS[1], exposed(0.3), sized(0.7), recompressed(80)),
)
#: What is assumed of light and cameras, 1 SD: a third of a stop of metering; 5 % of red and of blue over
#: green, an angular error of automatic white balance of about 3 degrees; 5 % of the slope of the tones.
LIGHT: Mapping[str, Callable[[np.random.Generator], Change]] = {
    "exposure": lambda random: lit(stops=random.normal(0, 1 / 3)),
    "white_balance": lambda random: lit(red=random.normal(0, 0.05), blue=random.normal(0, 0.05)),
    "tone": lambda random: lit(contrast=random.normal(0, 0.05)),
}


# ----------------------------------------------------------------------------------- measured


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One file, measured; what the photo gate voids is there, with its reason."""

    values: Mapping[str, Measurement]
    pixels: float  # outer-canthal distance
    growth: float  # of the error, with the landmarks' unsteadiness
    jitter: Mapping[str, float]  # SD by the noise of the landmarks
    lens: Mapping[str, float]  # SD by the camera's distance
    hands: Mapping[str, float]  # SD of the accuracy without that

    def usable(self, name: str) -> bool:
        one = self.values[name]
        return bool(np.isfinite(one.value)) and not doubted(one.reason)


def look(image: Image.Image, fine: bool = True) -> Look | None:
    """A picture measured as a file; None without a face."""
    photo = Photo.from_array(np.asarray(image))
    try:
        face = observe(photo, Settings(face="largest", fine=fine)).face
    except AnthropoError:
        return None
    values = {m.id: m for m in measure_face(face, photo, force=True)}
    jitter = {}
    if len(face.samples) > 1:
        spread = np.nanstd(evaluate(face.samples, FREE), axis=0, ddof=1) / np.sqrt(len(face.samples))
        jitter = dict(zip((e.id for e in FREE), spread.tolist(), strict=True))
    near = {m.id: m for m in measure_face(replace(face, distance=AT_REFERENCE), force=True)}
    lens = {
        e.id: float(np.sqrt(max(0.0, half(values[e.id]) ** 2 - half(near[e.id]) ** 2))) / Z95 for e in FREE
    }
    hands = {e.id: (near[e.id].hi - near[e.id].value) / Z95 for e in FREE}
    return Look(values, outer_canthal_distance(face.landmarks), error_growth(face), jitter, lens, hands)


def half(one: Measurement) -> float:
    """Half-width of the interval of repeatability."""
    return Z95 * one.repeat_sd


def pose_sd() -> dict[str, float]:
    """SD of geometry by what two photos of a sitting differ in pose, on the generic face."""
    turns = ((0.0, 0.0), (YAW, 0.0), (0.0, PITCH))
    faces = np.stack([(generic_face() @ rotation(y, p, 0.0).T)[:, :2] for y, p in turns])
    straight, *turned = evaluate(faces, FREE)
    spread = np.hypot(*(values - straight for values in turned))
    spread[spread < 1e-9] = 0.0
    return dict(zip((e.id for e in FREE), spread.tolist(), strict=True))


def lit_sd(image: Image.Image, draws: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """SD of values read from pixels by each of `LIGHT`, with the landmarks as they are."""
    photo = Photo.from_array(np.asarray(image))
    face = observe(photo, Settings(face="largest")).face
    as_taken = appearance(photo, face.landmarks, face.samples, face.cover)
    found = {}
    for kind, draw in LIGHT.items():
        random = np.random.default_rng(seed)
        seen = [
            appearance(Photo.from_array(np.asarray(draw(random)(image))), face.landmarks, None, face.cover)
            for _ in range(draws)
        ]
        found[kind] = {
            name: float(np.sqrt(np.nanmean([(one[name].value - first.value) ** 2 for one in seen])))
            for name, first in as_taken.items()
            if any(np.isfinite(one[name].value - first.value) for one in seen)
        }
    return found


# ------------------------------------------------------------------------------------ estimated


def read_pairs(folder: Path) -> dict[str, dict[str, Path]]:
    """The photographs of each patient by expression, from `labels.csv`; neutral where it does not say.

    Without that file, every photograph of the folder is another person's.
    """
    people: dict[str, dict[str, Path]] = {}
    if not (folder / "labels.csv").exists():
        return {p.name: {"neutral": p} for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES}
    with open(folder / "labels.csv", newline="") as file:
        for row in csv.DictReader(file):
            one = people.setdefault(row["patient"], {})
            one[row.get("expression", "neutral")] = folder / row["photo"]
    return people


def differences(name: str, pairs: Sequence[tuple[Look, Look]]) -> Floats:
    """Differences of one measurement where both looks have it, at the usual steadiness."""
    found = [
        (b.values[name].value - a.values[name].value) / _growth(name, a, b)
        for a, b in pairs
        if a.usable(name) and b.usable(name)
    ]
    return np.array(found)


def small_sd(groups: Sequence[tuple[Look, Sequence[tuple[float, Look]]]]) -> dict[str, float]:
    """SD of geometry by a face of `SMALL` pixels: photos as taken, and thumbnails with their pixels."""
    found = {}
    for e in FREE:
        d = [
            float(differences(e.id, [(as_taken, one)])[0]) * (pixels / SMALL) ** STEEP
            for as_taken, others in groups
            for pixels, one in others
            if as_taken.usable(e.id) and np.isfinite(one.values[e.id].value) and one.usable(e.id)
        ]
        if d:
            found[e.id] = float(np.sqrt(np.mean(np.square(d))))
    return found


def thumbnails(image: Image.Image, as_taken: Look) -> list[tuple[float, Look]]:
    """Small files of a photograph, with their outer-canthal distance in pixels."""
    seen = [
        (pixels, look(both(sized(pixels / as_taken.pixels), recompressed(85))(image)))
        for pixels in THUMBNAILS
    ]
    return [(pixels, one) for pixels, one in seen if one]


def _growth(name: str, a: Look, b: Look) -> float:
    return 1.0 if registry()[name].kind in PIXELS else float(np.hypot(a.growth, b.growth)) / np.sqrt(2)


def moves(name: str) -> bool:
    """Whether a smile moves what is measured."""
    return not {"smile", "mouth_open"}.isdisjoint(registry()[name].voids)


_FEWEST = 8  # pairs that tell more than the noise of the landmarks does


def photo_sd(pairs: Sequence[tuple[Look, Look]]) -> tuple[dict[str, float], dict[str, int]]:
    """SD of each measurement between photographs of one person, and of how many pairs.

    Of what a smile moves, without the mean change. Few pairs are held to what the noise of the landmarks
    lets expect: the logarithms of the variances scatter about it as those of a chi² distribution with
    `prior` degrees of freedom would (Smyth 2004, Stat Appl Genet Mol Biol 3:3).
    """
    found, count = {}, {}
    for name in NAMES:
        d = differences(name, pairs)
        freedom = len(d) - moves(name)
        count[name] = len(d) if len(d) >= _FEWEST else 0
        if count[name]:
            found[name] = float(((d - d.mean() * moves(name)) ** 2).sum()) / freedom / 2
    noise = {
        e.id: float(np.nanmean([a.jitter[e.id] ** 2 for a, _ in pairs if e.id in a.jitter])) for e in FREE
    }
    turned = pose_sd()
    expected = {name: noise[name] + turned[name] ** 2 for name in noise}
    known = [name for name in found if name in expected and expected[name] > 0]
    logs = np.log([found[name] / expected[name] for name in known])
    n = np.array([count[name] for name in known])
    share = float(np.exp(np.median(logs)))
    excess = float(np.median(np.abs(logs - np.median(logs))) * 1.4826) ** 2 - float(np.median(2 / n))
    prior = 2 / max(excess, 0.05)  # about the degrees of freedom with this variance of the logarithm
    for name in expected:
        n_own = count[name]
        own = found.get(name, 0.0) * n_own
        found[name] = (own + prior * share * expected[name]) / (n_own + prior)
    return {name: float(np.sqrt(v)) for name, v in found.items()}, count


def file_sd(groups: Sequence[Mapping[str, Sequence[Look]]]) -> dict[str, dict[str, float]]:
    """SD of each measurement between files of one photograph, by what differs.

    Each group has the photo `as taken`, and other files of it by the names of `FILES`.
    """
    found: dict[str, dict[str, float]] = {kind: {} for kind in FILES}
    for kind in FILES:
        pairs = [(group["as taken"][0], other) for group in groups for other in group.get(kind, ())]
        for name in NAMES:
            d = differences(name, pairs)
            if len(d):
                found[kind][name] = float(np.sqrt(np.mean(d**2) / 2))
    return found
