"""Tables of the glossary that are made from the code: landmarks, checks of the photo gate, figures, units.

The page has a line such as `<!-- made while building: landmarks -->` for each; a landmark or unit that is not
explained here ends the build.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import anthropo
from anthropo.face.scheme import LANDMARKS
from anthropo.files import packaged_table
from anthropo.learning.metrics import DEFINITIONS
from anthropo.measurement.anatomy import instrument
from anthropo.measurement.registry import registry
from anthropo.report.evaluation import METRIC_NAMES

_MARK = re.compile(r"^<!-- made while building: (\w+) -->$", re.MULTILINE)

#: Where a landmark lies, without its side (Farkas 1994; Elements of Morphology).
PLACES = {
    "n": "the root of the nose in the midline; on a photograph lower than fingers find it",
    "prn": "the tip of the nose",
    "sn": "where the columella meets the upper lip, in the midline",
    "al": "the most lateral point of the nostril's wing",
    "en": "the inner corner of the eye, where the lids meet",
    "ex": "the outer corner of the eye, where the lids meet",
    "p": "the centre of the lid margins, which gaze does not move; with the fine stage the pupil's",
    "ps": "the highest point of the upper lid's margin",
    "pi": "the lowest point of the lower lid's margin",
    "sci": "the highest point of the eyebrow",
    "browin": "the inner end of the eyebrow",
    "browout": "the outer end of the eyebrow",
    "ls": "the midpoint of the upper vermilion border",
    "sts": "the midpoint of the upper lip's lower edge",
    "sti": "the midpoint of the lower lip's upper edge",
    "sto": "the midpoint between both lips",
    "li": "the midpoint of the lower vermilion border",
    "cph": "the ridge of the philtrum at the vermilion border",
    "ch": "the corner of the mouth",
    "gn": "the lowest point of the chin in the midline",
    "zy": "the face's outline at the cheekbone",
    "go": "the face's outline at the angle of the jaw",
}
UNITS = {
    "ex-ex": "a fraction of the outer-canthal distance of this face, from exocanthion to exocanthion",
    "ex-ex²": "a fraction of the square of that distance, for areas",
    "%": "per cent, of indices: one length times 100 over another",
    "1": "a plain number without a unit, of ratios",
    "deg": "degrees",
    "mm": "millimetres; only with a scale",
    "L*": "lightness in CIELAB, 0 (black) to 100 (white)",
    "CIELAB": "a* (red against green) and b* (yellow against blue), or a difference of colours",
}
CHECKS = {
    "yaw": "turn of the head to a side",
    "pitch": "chin up or down",
    "roll": "tilt of the head in the picture",
    "eye_pixels": "distance between the pupils in the photo",
    "sharpness": "fine detail against contrast, inside the face",
    "exposure": "how light the lightest 1 % of the face is, in grey levels of 255",
    "mouth_open": "gap between the lips",
    "smile": "how far the corners of the mouth lie above and beside the base of the nose",
    "eyes_closed": "height over length of the more closed eye",
    "glasses": "an edge across the root of the nose",
    "outside": "landmarks beyond the photo's border",
    "hidden": "landmarks behind something, the outline apart",
    "landmark_spread": "how far the landmarks move when the face is looked at again",
    "perspective": "distance of the camera, where it is known",
}


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def landmarks() -> str:
    """A row for each landmark, right and left together."""
    names = {
        row["code"]: row["name"].partition(":")[0] for row in packaged_table("anthropo.face", "landmarks.csv")
    }
    corrected = instrument("fine").correction.corrected
    made = {}
    for code, points in LANDMARKS.items():
        short = code.removesuffix("R").removesuffix("L")
        sides = [side for side in (f"{short}R", f"{short}L") if side in LANDMARKS] or [code]
        at = " / ".join(", ".join(map(str, LANDMARKS[side])) for side in sides)
        moved = "yes" if len(points) > 1 or points[0] in corrected else "no"
        made[short] = (", ".join(f"`{side}`" for side in sides), names[code], PLACES[short], at, moved)
    head = ("code", "name", "where it is", "of the 68 points", "corrected")
    return _rows(head, made.values())


def checks() -> str:
    """A row for each check of the photo gate."""
    gate = anthropo.read_face(anthropo.example_photo()).gate
    rows = []
    for check in gate:
        voided = sum(check.name in entry.voids for entry in registry().values())
        limit = f"{'≥' if check.bound == 'min' else '≤'} {check.limit:g} {check.unit}".removesuffix(" 1")
        rows.append((f"`{check.name}`", CHECKS[check.name], limit, check.advice, str(voided or "–")))
    return _rows(("check", "what it looks at", "passes if", "what to do", "voids by itself"), rows)


def figures() -> str:
    """A row for each figure of an evaluation."""
    return _rows(("figure", "meaning"), [(METRIC_NAMES[name], said) for name, said in DEFINITIONS.items()])


def units() -> str:
    """A row for each unit that a measurement has."""
    used = dict.fromkeys(entry.unit for entry in registry().values())
    return _rows(("unit", "meaning"), [(f"`{unit}`", UNITS[unit]) for unit in used])


_MADE: dict[str, Callable[[], str]] = {f.__name__: f for f in (landmarks, checks, figures, units)}


def filled(app: Any, docname: str, source: list[str]) -> None:
    source[0] = _MARK.sub(lambda found: _MADE[found[1]](), source[0])


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", filled)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
