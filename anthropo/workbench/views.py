"""What the page is told of a photo at work, as JSON has it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from anthropo.batch.records import Record, Result
from anthropo.batch.run import MeasuredFace
from anthropo.errors import AnthropoError
from anthropo.face.detection import power_of_two
from anthropo.face.frame import Floats, face_axes
from anthropo.face.landmarker import Face
from anthropo.face.yunet import second_detector
from anthropo.measurement import anatomy
from anthropo.measurement.compute import Measurement, error_growth
from anthropo.measurement.drawing import marks_on
from anthropo.measurement.hidden import hidden_measurement
from anthropo.measurement.landmark_file import POINTS, anatomical_name, point_name
from anthropo.measurement.registry import Entry, registry, resolve
from anthropo.photo import Photo, example_photo, read_photo
from anthropo.plain import visible
from anthropo.reference.growth import MEASURES
from anthropo.reference.rules import SUBJECTIVE
from anthropo.reference.traits import LOOK, NOT_ASSESSED, STATUSES
from anthropo.report.growth_chart import growth_chart, growth_words
from anthropo.report.rendering import jpeg
from anthropo.report.tables import distance_words, interval_words, number, quantity, sign
from anthropo.report.traits_page import compared_words, row
from anthropo.showing import signed
from anthropo.workbench.desk import PERSON, Desk, Listed
from anthropo.workbench.sitting import Sitting

Json = dict[str, Any]
_BEYOND = 2.0  # SD
_AROUND = 2.45  # SD within which 95 % of a two-dimensional normal distribution lie
_THUMB = 160  # px
_PREVIEW = 1400  # px, longer side
_CLOSE = 1400  # px at least, longer side of what lies around the face, if the photo has them
_AROUND_FACE = 0.35  # of the face's box, on each side of it
_BLOCK = 8  # px that a decoder makes one of at most


_ready = Lock()


def get_ready() -> None:
    """Weights, tables and libraries that a photo needs, read before there is one; once in a process."""
    if not _ready.acquire(blocking=False):
        return
    with contextlib.suppress(AnthropoError, OSError):  # a photo will say it
        path, known = Path(example_photo()), {"sex": "female", "age": "31"}
        sitting = Sitting(Desk(path.parent, read_only=True), Listed("", path, path.name, known))
        document(sitting)
        traits(sitting)
        if detector := second_detector():
            detector(np.zeros((64, 64, 3), np.uint8))


def listing(photos: Sequence[Listed]) -> list[Json]:
    """The photos of a folder."""
    return [
        {"id": photo.id, "name": visible(photo.name), "patient": photo.columns.get("patient", "")}
        for photo in photos
    ]


def document(sitting: Sitting) -> Json:
    """Everything that the page shows of a photo and that a moved point does not leave as it was."""
    with sitting.lock:
        record, seen = sitting.record, sitting.measured
        face = seen.face
        by_hand = sitting.by_hand
        notes = [words for words in (sitting.note, _video(record)) if words]
        notes += [*record.notes, *record.disagreements, *([record.remark] if record.remark else [])]
        return {
            "id": sitting.photo.id,
            "name": visible(sitting.photo.name),
            "revision": sitting.revision,
            "width": face.size[0],
            "height": face.size[1],
            "box": [round(v, 1) for v in face.box],
            "preview": _preview_scale(sitting),
            "close": _close(sitting.observation.face)[0],
            "points": _points(sitting, face),
            "faces": boxes(sitting),
            "by_hand": by_hand,
            "video": sitting.is_video,
            "gate": [
                {
                    "name": check.name.replace("_", " "),
                    "value": number(check.value, check.unit),
                    "limit": f"{sign(check.bound)} {quantity(check.limit, check.unit)}",
                    "ok": check.ok,
                    "advice": check.advice,
                }
                for check in face.gate
            ],
            "pose": {axis: f"{signed(getattr(face, axis), 1)}°" for axis in ("yaw", "pitch", "roll")},
            "distance": distance_words(record),
            "scale": _scale(seen),
            "measurements": [_measurement(name, of, by_hand) for name, of in record.results.items()],
            "interval": " ".join(filter(None, (interval_words(record), _of_a_hand(by_hand)))),
            "compared": [f"{name} ({how})" if how else name for name, how in record.compared_with.items()],
            "person": {name: sitting.photo.columns.get(name, "") for name in PERSON},
            "notes": [note.removeprefix(f"{sitting.photo.path}: ") for note in notes],
        }


def boxes(sitting: Sitting) -> list[Json]:
    """Where the faces are that can be measured, the largest first, and which of them is."""
    measured = sitting.observation.face.box
    middle = [(measured[0] + measured[2]) / 2, (measured[1] + measured[3]) / 2]
    there = [math.dist(middle, ((x + x2) / 2, (y + y2) / 2)) for x, y, x2, y2 in sitting.boxes]
    return [
        {
            "box": [round(v, 1) for v in box],
            "at": f"{(box[0] + box[2]) / 2:.0f}, {(box[1] + box[3]) / 2:.0f}",
            "measured": far == min(there),
        }
        for box, far in zip(sitting.boxes, there, strict=True)
    ]


def _of_a_hand(by_hand: Sequence[str]) -> str:
    """What the intervals of points that a hand has placed are taken from, where there are any."""
    if not by_hand:
        return ""
    return (
        f"Where it says “by hand”, a point has the error of a hand: {anatomy.HAND} ex-ex (1 SD on each axis) "
        "from what two people differ by in the width of a mouth on photos (0.90 to 0.99 mm, Angle "
        "Orthodontist 2016)."
    )


def _scale(seen: MeasuredFace) -> Json:
    """What gave the scale, with its outlines on the photo; or why there is none that was asked for."""
    if seen.scale is None:
        names = f"{seen.item.path}: "
        return {"words": "", "why": " ".join(seen.notes).replace(names, ""), "shapes": []}
    shapes = [shape.round(2).tolist() for shape in seen.scale.shape]
    return {
        "words": f"{seen.scale.mm_per_px:.4f} mm per pixel. {seen.scale.method}",
        "why": "",
        "shapes": shapes,
    }


def sticker(sitting: Sitting, mm: float, start: tuple[float, float], end: tuple[float, float]) -> Json:
    """The scale by a sticker that somebody has pointed at; without one where nothing there has an edge."""
    patch = sitting.sticker(mm, start, end)
    if patch is None:
        return {"scale": "", "shape": []}
    scale = mm / patch.size
    return {
        "scale": f"mm-per-px={scale:.5g}±{scale * patch.sd / patch.size:.2g}",
        "shape": patch.outline.round(2).tolist(),
    }


def _video(record: Record) -> str:
    """How much of a video was measured; empty of a photo."""
    if (video := record.video) is None:
        return ""
    measured = (
        f"{video.seconds:.1f} s of video, {video.measured} of {video.frames} frames measured and pooled."
    )
    return " ".join([measured, *(f"{remark[0].upper()}{remark[1:]}." for remark in video.remarks)])


def _preview_scale(sitting: Sitting) -> float:
    """Photo pixels for one of the preview, which is no finer than the face was searched in."""
    photo = sitting.observation.photo
    return round(max(photo.full_size) / min(_PREVIEW, int(max(photo.pixels.shape[:2]))), 3)


def _close(face: Face) -> tuple[list[int], int]:
    """The part of the photo around the face that is shown more finely, and how finely.

    Left, top, width and height, pixels of the photo, all multiples of what a decoder can reduce by; nothing
    where the preview is as fine.
    """
    size = np.array(face.size)
    low, high = np.array(face.box[:2]), np.array(face.box[2:])
    low, high = low - _AROUND_FACE * (high - low), high + _AROUND_FACE * (high - low)
    first = (np.clip(low, 0, size) // _BLOCK * _BLOCK).astype(int)
    last = (np.clip(high, 0, size) // _BLOCK * _BLOCK).astype(int)
    longest = int((last - first).max())
    scale = power_of_two(longest / _CLOSE)
    if longest < _BLOCK or (last <= first).any() or scale >= size.max() / _PREVIEW:
        return [], 1
    return [*first.tolist(), *(last - first).tolist()], scale


def _points(sitting: Sitting, face: Face) -> list[Json]:
    """Where points are measured, where they were found, and how far they may be off."""
    ellipses = _ellipses(face)
    hidden = {f"p{i}" for i in face.hidden.nonzero()[0].tolist()}
    moved = set(sitting.by_hand)
    places = np.concatenate(anatomy.place(face))
    return [
        {
            "code": code,
            "name": anatomical_name(code),
            "label": point_name(code).rpartition(", ")[2] if ", " in point_name(code) else code,
            "x": round(x, 3),
            "y": round(y, 3),
            "found": detected,
            "hidden": code in hidden,
            "moved": code in moved,
            "ellipse": ellipse,
        }
        for code, (x, y), detected, ellipse in zip(
            POINTS, places.tolist(), sitting.detected.tolist(), ellipses, strict=True
        )
    ]


def _ellipses(face: Face) -> list[list[float]]:
    """Half axes, pixels, and turn, degrees, of what 95 % of hand-placed points lie within, of each point."""
    of = anatomy.instrument(anatomy.stage_of(face))
    residuals = np.concatenate(anatomy.errors_of(face, of, error_growth(face)), 1)
    errors: Floats = residuals @ face_axes(face.landmarks)
    covariance = np.einsum("npi,npj->pij", errors, errors) / len(errors)
    values, vectors = np.linalg.eigh(covariance)
    half = _AROUND * np.sqrt(np.maximum(values, 0))
    turns = np.degrees(np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1]))
    return [
        [round(long, 2), round(short, 2), round(turn, 1)]
        for (short, long), turn in zip(half.tolist(), turns.tolist(), strict=True)
    ]


def _measurement(name: str, of: Result, by_hand: Sequence[str]) -> Json:
    entry, value = registry()[name], of.measured
    scores: list[Json] = [
        {
            "z": round(z.z, 3),
            "lo": None if math.isnan(z.z_lo) else round(z.z_lo, 3),
            "hi": None if math.isnan(z.z_hi) else round(z.z_hi, 3),
            "reference": z.reference,
            "how": z.how,
        }
        for z in of.scores
        if not math.isnan(z.z)
    ]
    first = scores[0] if scores else None
    return {
        "id": name,
        "name": entry.name,
        "region": entry.region,
        "unit": "" if value.unit == "1" else value.unit,
        "value": number(value.value, value.unit),
        "interval": interval(value),
        "mm": _span_mm(of),
        "z": scores,
        "beyond": bool(first and abs(first["z"]) > _BEYOND),
        "reason": value.reason,
        "hand": _rests_on(entry, by_hand),
    }


def _rests_on(entry: Entry, by_hand: Sequence[str]) -> bool:
    """Whether a measurement is taken at a point that a hand has placed, or in units of such points."""
    unit = ("exR", "exL") if entry.power else ()
    return any(
        name in by_hand if name in anatomy.BETWEEN else any(f"p{i}" in by_hand for i in resolve(name) or ())
        for name in (*entry.landmarks, *unit)
    )


def interval(value: Measurement) -> str:
    """The 95 % interval of a value, in its unit; empty without one."""
    return "" if math.isnan(value.lo) else _span(value.lo, value.hi, value.unit)


def _span(lo: float, hi: float, unit: str) -> str:
    return f"{number(lo, unit)} – {number(hi, unit)}"


def _span_mm(of: Result) -> str:
    if of.in_mm is None or math.isnan(of.in_mm.value):
        return ""
    value = of.in_mm
    return f"{quantity(value.value, value.unit)} ({_span(value.lo, value.hi, value.unit)})"


def lines(sitting: Sitting, name: str) -> list[Json]:
    """What a measurement runs along, drawn on the photo; nothing where a landmark of it is hidden."""
    with sitting.lock:
        face = sitting.measured.face
        if hidden_measurement(registry()[name], face.hidden):
            return []
        points, middle = anatomy.place(face)
    return [
        {
            "shape": mark.shape,
            "points": mark.points.round(2).tolist(),
            "dashed": mark.dashed,
            "colour": mark.colour,
        }
        for mark in marks_on(registry()[name], points, middle)
    ]


def traits(sitting: Sitting) -> Json:
    """Traits by status, with their evidence; why none were called, where they were not."""
    person = sitting.traits()
    if not person.record.ok:
        return {"why": person.record.reason.removeprefix(f"{sitting.photo.path}: "), "lists": [], "notes": []}
    lists = []
    for status in STATUSES:
        rows = [
            row(trait) | {"side": trait.side, "asked": trait.rule.kind == SUBJECTIVE, "by_eye": trait.by_eye}
            for trait in person.traits
            if trait.status == status
        ]
        lists.append({"status": status, "title": _TITLES.get(status, status.capitalize()), "traits": rows})
    notes = [note.removeprefix(f"{sitting.photo.path}: ") for note in person.notes]
    return {"why": "", "lists": lists, "notes": notes}


def growth(sitting: Sitting) -> Json:
    """What growth charts say of the sizes in the form, each with its picture."""
    of, sentences = sitting.growth()
    told = [
        {
            "name": MEASURES[g.id].name,
            "words": f"{g.value:g} {g.unit}: {compared_words(g)}",
            "alt": growth_words(g),
            "svg": growth_chart(g),
        }
        for g in of
    ]
    return {"charts": told, "notes": sentences}


_TITLES = {LOOK: "Look at: left to the eye, and unusual when measured", NOT_ASSESSED: "Not assessed"}


def picture(sitting: Sitting, size: str) -> bytes:
    """The photo, upright, as a JPEG without metadata.

    ``"full"``, ``"close"``: what lies around the face, or ``"preview"``: all, 1,400 pixels long at most.
    """
    photo = sitting.observation.photo
    if size == "full":
        return jpeg(Image.fromarray(_decoded(sitting, 1).pixels), quality=92)
    part, scale = _close(sitting.observation.face)
    if size == "close" and part:
        photo = _decoded(sitting, scale)
        left, top, width, height = (n // photo.decode_scale for n in part)
        return jpeg(Image.fromarray(photo.pixels[top : top + height, left : left + width]), quality=90)
    shown = Image.fromarray(photo.pixels)
    shown.thumbnail((_PREVIEW, _PREVIEW))
    return jpeg(shown, quality=88)


def _decoded(sitting: Sitting, scale: int) -> Photo:
    """The photo at `scale` photo pixels per pixel or finer.

    Read anew rather than kept with the sitting's decodes: 26 megapixels are 78 MB, and many photos are open.
    """
    photo = sitting.observation.photo
    if photo.decode_scale <= scale:
        return photo
    return read_photo(sitting.photo.path, short_side=max(1, min(photo.full_size) // scale))


def thumbnail(pixels: Any) -> bytes:
    """A small JPEG without metadata."""
    small = Image.fromarray(pixels)
    small.thumbnail((_THUMB, _THUMB))
    return jpeg(small, quality=80)
