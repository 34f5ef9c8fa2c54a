"""The measurement atlas: documentation written from the registry, so that it cannot differ from it."""

from __future__ import annotations

import sys
from pathlib import Path

from anthropo.face.scheme import LANDMARKS
from anthropo.measurement.anatomy import instrument
from anthropo.measurement.drawing import drawing
from anthropo.measurement.registry import Entry, Unavailable, registry, unavailable

_HEAD = """# Measurement atlas

Made from the registry by `python -m anthropo.measurement.atlas docs`; a test fails when page, drawings
and registry differ.

- **Drawing.** Made from the expression, on the mean of the photographs of the default reference. Solid:
  what is measured; dashed: what it is measured against. In a quotient blue over orange. An arrow stands for
  what is nothing in a symmetric face. Coloured areas: the pixels that are read (of the sclera, what the iris
  leaves free), blue against orange. Points without a name are those of a curve.

- **Unit.** `ex-ex` is a fraction of the outer-canthal distance, exocanthion to exocanthion;
  `ex-ex²` an area in its square. No scale is needed but for the entries marked *mm*, whose unit or
  formula has millimetres in it: without a scale they have no value.
- **Side.** R and L are the subject's own right and left.
- **Expression.** `d` distance, `mid` midpoint, `angle(a, vertex, b)`, `area` and `perimeter` of a
  polygon, `v(a, b)` how far b lies below a across the eye line (the line through both outer canthi),
  `elevation(a, b)` the angle of a-b above the eye line, `at(p, curve)` the point of a curve above or
  below p, `off(p, a, b)` signed distance of p from a line, `off_level(r, l, a, b)` how much further l
  lies along a-b, `sag` the largest distance of points from a line, `cant(a, b, c, d)` the angle
  between two lines. `p0` to `p67` are points of the 68-point scheme. *From the photo*: read from its
  pixels, not from landmarks.
- ***corrected***. The 68 points are not the anthropometric landmarks whose names they bear: inner
  canthi lie too far lateral, alae are the nostrils' edges. Entries with this mark are measured from
  points that were moved to the anthropometric place by the mean offset from hand-placed landmarks:
  `anthropo/measurement/correction.csv` has the offsets and what error is left. The ruler, the outer
  canthi, is corrected, too. The table of landmarks below says which are not.
- ***fine***. Needs landmarks that only the fine stage sees, such as the pupil; no value with `--no-fine`.
- **Caution.** Where a landmark is not corrected, compare values with others measured by anthropo, not
  with calliper norms.

## What voids a measurement

The photo gate checks every photograph. A check that fails voids the measurements that such a photo
cannot carry, and no others. The figures are of 51 adults photographed neutral and smiling, the generic
3D face seen from other directions, and the same photographs reduced and blurred; SD is that between
people.

- **yaw**: lengths of one side, what is made of them, and every comparison of sides. Ten degrees
  shorten the far palpebral fissure by two SD and push a nose that stands straight four to five SD off
  the midline. Widths across both sides hardly change.
- **pitch**: upright lengths between points of unequal depth, and angles with one upright leg: half an
  SD or more at ten degrees (philtrum 7 %, vermilion 9 %, fissure inclination 3.4°).
- **smile**: all that uses the mouth's points (mouth width grows by 2.4 SD), the nose's tip and base,
  which widen (0.7 SD) and sink, the lid aperture, which narrows by 0.7 SD, and the lightness of cheeks
  and lips: a smile lifts the cheeks into another light.
- **mouth_open**: all that uses the mouth's points or the chin's height. Not the gap between the lips
  and the area inside them: there an open mouth is the finding.
- **eyes_closed**, **glasses**: all that is measured at the lids and inner canthi. Closed lids double
  the error of the intercanthal distance; lenses change the size of what lies behind them. The outer
  canthi remain the ruler of other lengths.
- **eye_pixels**, **sharpness**: lengths below a fifth of the outer-canthal distance (eleven pixels at
  the limit) and what is made of them; distances from the inner canthi, which coarse or blurred
  photographs displace (by 0.7 SD at half the limit); too few pixels also void small differences of level.
- **outside**: whatever needs a landmark that lies beyond the border.
- **roll** voids nothing: all is measured along the face's own axes. **landmark_spread** widens the
  interval.

## Landmarks

| code | points of the 68-point scheme | corrected |
|---|---|---|
"""


_COLUMNS = (
    "drawing", "id", "name", "kind", "unit", "side", "expression", "definition", "HPO low / high",
    "voided by", "note",
)  # fmt: skip


def atlas() -> str:
    """The page, Markdown."""
    corrected = instrument("fine").correction.corrected
    lines = [_HEAD.rstrip("\n")]
    lines += [
        f"| {code} | {', '.join(map(str, points))} | {'yes' if corrected.issuperset(points) else 'no'} |"
        for code, points in LANDMARKS.items()
    ]
    region = ""
    for entry in registry().values():
        if entry.region != region:
            region = entry.region
            lines += ["", f"## {region.capitalize()}", ""]
            lines += [f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS)]
        marks = [
            f"*{mark}*"
            for mark, holds in (
                ("mm", entry.needs_mm),
                ("fine", entry.needs_fine),
                ("corrected", not corrected.isdisjoint(entry.points)),
            )
            if holds
        ]
        unit = entry.unit + (f" ({', '.join(marks)})" if marks else "")
        how = f"`{entry.expression}`" if entry.expression else "*from the photo*"
        lines.append(
            f'| <img src="atlas/{entry.id}.svg" width="180" alt=""> '
            f"| {entry.id} | {entry.name} | {entry.kind} | {unit} | {entry.side} | {how} | "
            f"{entry.definition} | {_hpo(entry)} | {', '.join(entry.voids) or '–'} | {entry.note} |"
        )
    lines += ["", "## Not available", ""]
    lines += ["| id | name | why | definition | HPO low / high |", "|---|---|---|---|---|"]
    lines += [f"| {u.id} | {u.name} | {u.reason} | {u.definition} | {_hpo(u)} |" for u in unavailable()]
    return "\n".join(lines) + "\n"


def _hpo(entry: Entry | Unavailable) -> str:
    return f"{entry.hpo_low or '–'} / {entry.hpo_high or '–'}"


def pages() -> dict[str, str]:
    """Every file of the atlas, by its name in the folder of the documentation."""
    drawings = {f"atlas/{entry.id}.svg": drawing(entry) for entry in registry().values()}
    return {"atlas.md": atlas(), **drawings}


def write(folder: Path) -> None:
    """Write the atlas, and remove drawings of entries that are no more."""
    made = pages()
    (folder / "atlas").mkdir(exist_ok=True)
    for old in (folder / "atlas").glob("*.svg"):
        if f"atlas/{old.name}" not in made:
            old.unlink()
    for name, content in made.items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
