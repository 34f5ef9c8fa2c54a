"""The measurement atlas: documentation written from the registry, so that it cannot differ from it."""

from __future__ import annotations

import sys
from importlib import resources
from itertools import compress
from pathlib import Path

from anthropo.face.scheme import LANDMARKS
from anthropo.measurement.anatomy import instrument
from anthropo.measurement.drawing import drawing
from anthropo.measurement.registry import Entry, Unavailable, registry, unavailable
from anthropo.measurement.repeatability import repeatability

_STAR = r"\*"  # of CIELAB, in Markdown


def atlas() -> str:
    """The page, Markdown."""
    corrected = instrument("fine").correction.corrected
    head = resources.files("anthropo.measurement").joinpath("atlas.md")
    lines = [head.read_text(encoding="utf-8").rstrip("\n")]
    lines += [
        f"| {code} | {', '.join(map(str, points))} | {'yes' if corrected.issuperset(points) else 'no'} |"
        for code, points in LANDMARKS.items()
    ]
    region = ""
    for entry in registry().values():
        if entry.region != region:
            region = entry.region
            lines += ["", f"## {region.capitalize()}"]
        moved = not corrected.isdisjoint(entry.points)
        marks = {"*mm*": entry.needs_mm, "*fine*": entry.needs_fine, "*corrected*": moved}
        of = ", ".join(compress(marks, marks.values()))
        unit = entry.unit + (f" ({of})" if of else "")
        how = f"{entry.kind} `{entry.expression}`" if entry.expression else f"{entry.kind}, *from the photo*"
        told = [
            entry.definition,
            f"HPO: {_hpo(entry)}",
            f"voided by {', '.join(entry.voids) or '–'}",
            entry.note,
        ]
        lines += [
            "",
            f"### {entry.id}",
            "",
            f'<img class="drawing" src="atlas/{entry.id}.svg" width="180" alt="">',
            "",
            f"**{entry.name.replace('*', _STAR)}**, {entry.side}: {how}, {unit}",
            "",
            "; ".join(filter(None, told)),
        ]
    lines += ["", *_reliability()]
    lines += ["", "## Not available", ""]
    lines += ["| id | name | why | definition | HPO |", "|---|---|---|---|---|"]
    lines += [f"| {u.id} | {u.name} | {u.reason} | {u.definition} | {_hpo(u)} |" for u in unavailable()]
    return "\n".join(lines) + "\n"


def _reliability() -> list[str]:
    """The table of repeatability and reliability, as lines."""
    text = resources.files("anthropo.measurement").joinpath("reliability.md").read_text(encoding="utf-8")
    lines = text.rstrip("\n").splitlines()
    for name, entry in registry().items():
        known = repeatability().get(name)
        if known is None:
            continue
        mark = " *" if entry.unreliable else ""
        basis = f"{known.pairs} pairs" if known.pairs else "noise of the landmarks"
        numbers = " | ".join(f"{v:.3g}" for v in (known.sd, known.photo, known.files, known.people))
        unit = "" if entry.unit == "1" else entry.unit
        lines.append(f"| {name}{mark} | {unit} | {numbers} | {entry.reliability:.2f} | {basis} |")
    return lines


def _hpo(entry: Entry | Unavailable) -> str:
    return f"low {entry.hpo_low or '–'}, high {entry.hpo_high or '–'}"


def pages() -> dict[str, str]:
    """Every file of the atlas, by its name in the folder of the documentation."""
    drawings = {f"atlas/{entry.id}.svg": drawing(entry) for entry in registry().values()}
    return {"atlas.md": atlas(), **drawings}


def write(folder: Path) -> None:
    """Write the atlas, and remove drawings of entries that no longer exist."""
    made = pages()
    (folder / "atlas").mkdir(exist_ok=True)
    for old in (folder / "atlas").glob("*.svg"):
        if f"atlas/{old.name}" not in made:
            old.unlink()
    for name, content in made.items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
