"""The measurement atlas: documentation written from the registry, so that it cannot differ from it."""

from __future__ import annotations

from anthropo.face.scheme import LANDMARKS
from anthropo.measurement.registry import registry

_HEAD = """# Measurement atlas

Made from the registry by `python -m anthropo.measurement.atlas > docs/atlas.md`; a test fails when
the two differ.

- **Unit.** `ex-ex` is a fraction of the outer-canthal distance, exocanthion to exocanthion;
  `ex-ex²` an area in its square. No scale is needed.
- **Side.** R and L are the subject's own right and left.
- **Expression.** `d` distance, `mid` midpoint, `angle(a, vertex, b)`, `area` and `perimeter` of a
  polygon, `v(a, b)` how far b lies below a across the eye line (the line through both outer canthi),
  `elevation(a, b)` the angle of a-b above the eye line, `at(p, curve)` the point of a curve above or
  below p, `off(p, a, b)` signed distance of p from a line, `off_level(r, l, a, b)` how much further l
  lies along a-b, `sag` the largest distance of points from a line, `cant(a, b, c, d)` the angle
  between two lines. `p0` to `p67` are points of the 68-point scheme.
- **Caution.** The 68 points are not the anthropometric landmarks whose names they bear: inner canthi
  lie too far lateral, alae are the nostrils' edges. Compare values with others measured by anthropo,
  not with calliper norms.

## Landmarks

| code | points of the 68-point scheme |
|---|---|
"""


def atlas() -> str:
    """The page, Markdown."""
    lines = [_HEAD.rstrip("\n")]
    lines += [f"| {code} | {', '.join(map(str, points))} |" for code, points in LANDMARKS.items()]
    region = ""
    for entry in registry().values():
        if entry.region != region:
            region = entry.region
            lines += ["", f"## {region.capitalize()}", ""]
            lines += ["| id | name | kind | unit | side | expression | definition | HPO low / high | note |"]
            lines += ["|---|---|---|---|---|---|---|---|---|"]
        hpo = f"{entry.hpo_low or '–'} / {entry.hpo_high or '–'}"
        lines.append(
            f"| {entry.id} | {entry.name} | {entry.kind} | {entry.unit} | {entry.side} | "
            f"`{entry.expression}` | {entry.definition} | {hpo} | {entry.note} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(atlas(), end="")
