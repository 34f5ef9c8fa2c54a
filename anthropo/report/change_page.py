"""What changed in a person or in a cohort, as a page: both faces in one frame, then every difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from anthropo.errors import AnthropoError
from anthropo.face.detection import power_of_two
from anthropo.face.frame import Floats, in_face_frame, outer_canthal_distance, similarity
from anthropo.face.landmarker import FIRST_DECODE
from anthropo.groups.change import CHANGED, MOVED, SAME, Change, Paired, part
from anthropo.groups.composite import placed, unit_pixels
from anthropo.measurement.drawing import marks_on
from anthropo.measurement.repeatability import repeatability
from anthropo.photo import read_photo
from anthropo.plain import minus, together
from anthropo.report import rendering
from anthropo.report.change import (
    MEANING,
    cohort_summary,
    interval,
    names,
    ordered,
    q_text,
    real,
    reasons,
    signed_difference,
    summary,
)
from anthropo.report.rendering import COLOURS, embedded, jpeg
from anthropo.report.tables import number
from anthropo.workflows.change import ChangeResult, StatePhoto
from anthropo.workflows.change_cohort import CohortChange

_HEIGHT = 640  # px, of a face
_WIDTH = 576
_LINES = 8  # measurements that are drawn on the faces
_PER_PART = 2
_DRAWN = ("distance", "angle", "asymmetry", "curvature", "area")
_SPAN = (1.0, 6.0)  # SD of people: how far the plot reaches, at least and at most


@dataclass(frozen=True, slots=True)
class Plotted:
    """A difference on its line, in standard deviations of adults, as shares of the plot from −1 to 1."""

    at: float
    lo: float
    hi: float
    still_lo: float
    still_hi: float


def drawn(result: ChangeResult) -> list[Change]:
    """The measurements whose lines are drawn: the surest of each part, first what changed."""
    chosen: list[Change] = []
    per_part: dict[str, int] = {}
    lines: set[tuple[str, ...]] = set()
    for status in (CHANGED, MOVED):
        of = [c for c in result.changes if c.status == status and c.entry.kind in _DRAWN]
        for change in sorted(of, key=lambda c: c.p if status == CHANGED else c.p_still):
            between = tuple(sorted(change.entry.landmarks))
            if per_part.get(change.part, 0) < _PER_PART and len(chosen) < _LINES and between not in lines:
                chosen.append(change)
                lines.add(between)
                per_part[change.part] = per_part.get(change.part, 0) + 1
    return chosen


def _best(photos: Sequence[StatePhoto]) -> StatePhoto:
    return min(photos, key=lambda photo: photo.doubt)


def aligned(photo: StatePhoto, settings: Any) -> tuple[Image.Image, Floats, Floats] | None:
    """A face upright and of one size, with its points (68, 2) and `BETWEEN` landmarks (6, 2) in that frame.

    None where the photo cannot be read any more.
    """
    try:
        read = read_photo(
            photo.photo,
            short_side=FIRST_DECODE,
            max_megapixels=settings.max_megapixels,
            deadline=settings.deadline,
        )
    except AnthropoError:
        return None
    if read.sha256 != photo.digest:
        return None
    read = read.finer(power_of_two(outer_canthal_distance(photo.points) / unit_pixels(_HEIGHT)))
    frame = in_face_frame(np.concatenate([photo.points, photo.between]))
    there = similarity(placed(frame, _HEIGHT), read.to_decoded(np.concatenate([photo.points, photo.between])))
    picture = Image.fromarray(read.pixels).transform(
        (_WIDTH, _HEIGHT), Image.Transform.AFFINE, there.ravel().tolist(), Image.Resampling.BICUBIC,
        fillcolor=(236, 236, 236),
    )  # fmt: skip
    return picture, frame[: len(photo.points)], frame[len(photo.points) :]


def face_svg(
    picture: Image.Image, points: Floats, between: Floats, lines: Sequence[Change], title: str
) -> Markup:
    """A face with the lines of measurements on it, numbered as in the table."""
    step = unit_pixels(_HEIGHT)
    parts = [
        f'<svg class="aligned" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{Markup.escape(title)}</title>",
        f'<image width="{_WIDTH}" height="{_HEIGHT}" href="{embedded(jpeg(picture, 88))}"/>',
    ]
    taken: list[Floats] = []
    for i, change in enumerate(lines, start=1):
        colour = COLOURS[change.entry.region]
        marks = marks_on(change.entry, points, between)
        for mark in marks:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in placed(mark.points, _HEIGHT))
            closed = "Z" if mark.shape in ("polygon", "outline", "ring") else ""
            width = 1.2 if mark.dashed or mark.shape == "trace" else 2.6
            dash = ' stroke-dasharray="5 4"' if mark.dashed else ""
            for stroke, wide in (("#000a", width + 1.6), (colour, width)):
                parts.append(
                    f'<path d="{path}{closed}" fill="none" stroke="{stroke}" stroke-width="{wide}"{dash}/>'
                )
        solid = [mark.points for mark in marks if not mark.dashed] or [mark.points for mark in marks]
        if solid:
            at = _beside(placed(solid[0].mean(0, keepdims=True), _HEIGHT)[0], taken, step)
            taken.append(at)
            parts.append(
                f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="10" fill="#fffd" stroke="{colour}" '
                'stroke-width="2"/>'
                f'<text x="{at[0]:.1f}" y="{at[1] + 4.5:.1f}" text-anchor="middle" font-size="13" '
                f'font-weight="600">{i}</text>'
            )
    return Markup("\n".join([*parts, "</svg>"]))


def _beside(at: Floats, taken: Sequence[Floats], step: float) -> Floats:
    """A place for a number near a line's middle, off the numbers that stand there already."""
    for shift in (
        (0, -14),
        (0, 14),
        (24, 0),
        (-24, 0),
        (24, -24),
        (-24, -24),
        (24, 24),
        (-24, 24),
        (0, -38),
        (0, 38),
    ):
        place = np.clip(at + np.array(shift, dtype=float) * step / 220, 12, (_WIDTH - 12, _HEIGHT - 12))
        if all(np.hypot(*(place - other)) > 21 for other in taken):
            return np.asarray(place)
    return at


def _span(sizes: Sequence[float]) -> float:
    """How far a plot reaches to each side."""
    known = [size for size in sizes if math.isfinite(size)]
    return min(max([_SPAN[0], *known]) * 1.08, _SPAN[1])


def _plotted(name: str, at: float, lo: float, hi: float, still: float, span: float) -> Plotted | None:
    people = repeatability()[name].people if name in repeatability() else math.nan
    if not (math.isfinite(at) and people > 0):
        return None

    def x(value: float) -> float:
        return max(-1.0, min(1.0, value / people / span))

    half = 1.96 * still
    known = math.isfinite(half)
    return Plotted(
        x(at), x(lo), x(hi), x(at - half) if known else math.nan, x(at + half) if known else math.nan
    )


def _in_people(name: str, value: float) -> float:
    row = repeatability().get(name)
    return abs(value) / row.people if row and row.people > 0 else math.nan


def _row(change: Change, span: float, numbers: dict[str, int]) -> dict[str, Any]:
    u = change.entry.unit
    z = [s.z if s else math.nan for s in change.scores]
    return {
        "number": numbers.get(change.id), "name": change.entry.name, "id": change.id,
        "region": change.entry.region,
        "before": number(change.before, u), "after": number(change.after, u), "unit": "" if u == "1" else u,
        "difference": signed_difference(change.difference, u), "interval": interval(change),
        "q": q_text(change),
        "real": change.status == CHANGED, "remarks": change.remarks,
        "plot": _plotted(change.id, change.difference, change.lo, change.hi, change.still_sd, span),
        "z": " → ".join(signed_difference(one, "deg") for one in z) if all(map(math.isfinite, z)) else "",
    }  # fmt: skip


def _groups(
    changes: Sequence[Change], span: float, numbers: dict[str, int]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Rows under their headings: asymmetries, then the parts of the face."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        heading = "left against right" if change.asymmetry else change.part
        groups.setdefault(heading, []).append(_row(change, span, numbers))
    return list(groups.items())


def shown(result: ChangeResult, pictures: bool = True) -> dict[str, Any]:
    """What a page says of one person."""
    lines = drawn(result)
    numbers = {change.id: i for i, change in enumerate(lines, start=1)}
    beyond = [c for c in result.changes if c.status in (CHANGED, MOVED)]
    span = _span([_in_people(c.id, c.difference) for c in beyond])
    faces = []
    for state, photos in zip(result.states, (result.before, result.after), strict=True) if pictures else ():
        best = _best(photos)
        made = aligned(best, result.settings)
        title = f"{state}: {best.photo}"
        faces.append({
            "state": state, "photo": best.photo, "n": len(photos),
            "svg": face_svg(*made, lines, title) if made else None,
            "gate": [check.name.replace("_", " ") for check in best.failed],
        })  # fmt: skip
    return {
        "patient": result.patient, "states": result.states, "summary": summary(result),
        "remarks": (*together(result.remarks), *result.left_out),
        "before": names(result.before), "after": names(result.after), "faces": faces, "lines": lines,
        "span": span, "scored": bool(result.references), "references": result.references,
        "tables": [
            (status, MEANING[status], _groups(result.of(status), span, numbers))
            for status in (CHANGED, MOVED, SAME)
        ],
        "counts": {status: sum(c.status == status for c in result.changes) for status in MEANING},
        "reasons": [(reason, _names(ids)) for reason, ids in reasons(result).items()],
        "parts": [(name, of) for name, of in result.parts.items()],
    }  # fmt: skip


def _names(ids: Sequence[str]) -> str:
    from anthropo.measurement.registry import registry

    return ", ".join(registry()[i].name for i in ids)


def page(result: ChangeResult) -> str:
    """What changed in one person, as one HTML page that needs nothing else."""
    return rendering.page("change.html", people=[shown(result)], cohort=None, statuses=(CHANGED, MOVED, SAME))


def cohort_page(result: CohortChange) -> str:
    """What changed in a cohort, as one HTML page that needs nothing else."""
    tests = ordered(result.tests)
    sure = [t for t in tests if real(t)]
    span = _span([_in_people(t.id, t.mean) for t in tests])
    rows = [_test(t, span) for t in tests]
    cohort = {
        "summary": cohort_summary(result), "remarks": result.remarks, "states": result.states, "span": span,
        "left_out": [reason for _, reason in result.left_out], "sure": rows[: len(sure)],
        "rest": rows[len(sure) :],
        "exact": any(t.test != "t" for t in tests), "n": len(result.people), "name": result.cohort,
    }  # fmt: skip
    people = [shown(person, pictures=False) for person in result.people]
    return rendering.page("change.html", people=people, cohort=cohort, statuses=(CHANGED, MOVED, SAME))


def _test(t: Paired, span: float) -> dict[str, Any]:
    u = t.entry.unit
    return {
        "name": t.entry.name, "part": part(t.entry), "region": t.entry.region, "n": t.n,
        "left_out": t.left_out,
        "unit": "" if u == "1" else u, "before": number(t.before, u), "after": number(t.after, u),
        "mean": signed_difference(t.mean, u), "interval": interval(t),
        "g": minus(f"{t.g:+.2f}") if math.isfinite(t.g) else "–",
        "p": f"{t.p:.2g}", "q": f"{t.q:.2g}", "changed": t.changed, "moved": t.moved,
        "plot": _plotted(t.id, t.mean, t.lo, t.hi, math.nan, span),
    }  # fmt: skip
