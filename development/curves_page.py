"""Make docs/references.md and its pictures: the curves for all ages beside what they were made of.

    python development/curves_page.py FACTS docs BEYOND.csv MEASURED.csv [MEASURED.csv ...]

FACTS is the project's folder of published figures, BEYOND.csv what `development/beyond.py` made of
MEASURED.csv. Each MEASURED.csv is what `anthropo measure` wrote of the
photographs, with their columns age (whole years), sex and race. Each photograph counts once. The pictures
show means of what was measured, as dots; no photograph is shown, and none can be made out.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from anthropo.measurement.registry import Entry, registry
from anthropo.reference.curves import LEAST_N, half_width
from anthropo.reference.tables import Reference, load_reference
from anthropo.reference.zscore import signed
from anthropo.report.rendering import png

sys.path.insert(0, str(Path(__file__).resolve().parent))
from people_of_all_ages import GROUPS, Faces, median_with_limits, read_faces

Floats = NDArray[np.float64]

REFERENCE = "web-all-ages"
SEXES = {"female": "#b8480a", "male": "#1f5fa8"}
#: of the groups
COLOUR = {"white": "#8c8c8c", "black": "#6b3fa0", "asian": "#1a936f", "indian": "#c2185b", "other": "#b8a000"}
AGES = np.expm1(np.linspace(np.log1p(0.5), np.log1p(80), 60))
#: of the dots: first ages of bins, in completed years
BINS = (0, 1, 2, 3, 5, 8, 12, 16, 20, 26, 33, 41, 51, 61, 71, 81)
TICKS = (1, 2, 5, 10, 20, 40, 80)
EDGES = (0, 2, 5, 10, 15, 20, 30, 45, 60, 81, 96)  # of the table of people
LEAST = 8  # people behind a dot
COLUMNS, WIDTH, HEIGHT = 2, 3.4, 1.9  # panels in a row, which a telephone shows as well; inches
REGIONS = ("eye", "brow", "nose", "mouth", "face", "jaw")
COLOURS = 128  # of a picture: lines and text need no more


# ------------------------------------------------------------------------------- what was measured


def dots(faces: Faces, measurement: str, sex: str) -> tuple[Floats, Floats]:
    """Mean age, and mean value without a tenth on either side, of each bin of age.

    Where the border cuts the measurement in more than a twentieth of the photographs, the median of values
    and limits instead.
    """
    values = faces.values[measurement]
    limit, direction, _ = faces.limits.get(measurement, np.zeros((3, len(faces))))
    way = 1 if direction.sum() >= 0 else -1
    cut = np.isnan(values) & (direction == way)
    often = cut.sum() > 0.05 * (cut.sum() + np.isfinite(values).sum())
    known = np.isfinite(values) & (faces.female == (sex == "female"))
    at, mean = [], []
    for lo, hi in pairwise(BINS):
        inside = (faces.age >= lo) & (faces.age < hi)
        chosen = known & inside
        n = int(chosen.sum())
        if n < LEAST:
            continue
        value = float(np.sort(values[chosen])[n // 10 : n - n // 10].mean())
        if often:
            limited = cut & inside & (faces.female == (sex == "female"))
            value = median_with_limits(values[chosen], limit[limited], way)
        if math.isfinite(value):
            at.append(float(faces.age[chosen].mean()) + 0.5)
            mean.append(value)
    return np.array(at), np.array(mean)


def counts(faces: Faces) -> str:
    """How many photographs there are by age, sex and group, as a table."""
    heads = [(group, sex) for group in COLOUR for sex in SEXES]
    lines = ["| age, years | " + " | ".join(f"{group}, {sex}" for group, sex in heads) + " | all |"]
    lines.append("|---" * (len(heads) + 2) + "|")
    for lo, hi in pairwise(EDGES):
        inside = (faces.age >= lo) & (faces.age < hi)
        cells = [
            int((inside & (faces.group == GROUPS.index(group)) & (faces.female == (sex == "female"))).sum())
            for group, sex in heads
        ]
        lines.append(f"| {lo} to {hi - 1} | " + " | ".join(map(str, [*cells, inside.sum()])) + " |")
    return "\n".join(lines) + "\n"


# --------------------------------------------------------------------------------------- the curves


@lru_cache
def reference() -> Reference:
    return load_reference(REFERENCE)


@dataclass(frozen=True)
class Curve:
    """One measurement of one sex and group over ages; NaN where the reference scores nobody."""

    median: Floats
    below: Floats  # where z is −2
    above: Floats  # where z is +2
    sd: Floats


def curve(measurement: str, sex: str, group: str | None, ages: Floats = AGES) -> Curve:
    """What the reference says; of all groups mixed where none is given."""
    rows = [reference().choose(measurement, sex, float(age), group)[0] for age in ages]
    numbers = [(r.mean, r.sd, r.skew) if r else (np.nan,) * 3 for r in rows]
    median, sd, skew = np.array(numbers).T
    below, above = (median + sd * unstandardise(z, skew) for z in (-2, 2))
    return Curve(median, below, above, sd)


def unstandardise(z: float, skew: Floats) -> Floats:
    """The values (n,), in SD from the median, whose score is z: what `standardise` takes to it."""
    at = np.sinh(np.arcsinh(z) + skew)
    return np.array([(one - np.sinh(s)) / half_width(s) for one, s in zip(at, skew, strict=True)])


# ------------------------------------------------------------------------------------- the pictures


def picture(faces: Faces, names: Sequence[str], norms: pd.DataFrame) -> bytes:
    """Small plots of measurements by age, as one PNG."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    height = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * WIDTH, height * HEIGHT + 0.5), layout="constrained")
    axes = figure.subplots(height, COLUMNS, squeeze=False).ravel()
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    for axis, name in zip(axes, names, strict=False):
        entry = registry()[name]
        at = np.log1p(AGES)
        spans = []
        for sex, colour in SEXES.items():
            of = curve(name, sex, None)
            axis.plot(at, of.median, color=colour, lw=1.6)
            axis.plot(at, of.below, at, of.above, color=colour, lw=0.8, ls=(0, (4, 2)))
            spans += [np.nanmin(of.below), np.nanmax(of.above)]
            x, y = dots(faces, name, sex)
            axis.plot(np.log1p(x), y, "o", color=colour, ms=2.4, mew=0)
        for group, colour in COLOUR.items():
            both = [curve(name, sex, group).median for sex in SEXES]
            axis.plot(at, np.mean(both, axis=0), color=colour, lw=0.6)
        for one in norms[(norms.measurement == name) & (norms.group == "white")].itertuples():
            axis.plot(
                np.log1p((one.lo + one.hi) / 2), one.mean / one.factor, "x", color="black", ms=3, mew=0.6
            )
        pad = 0.04 * (max(spans) - min(spans))
        low, high = axis.get_ylim()
        axis.set_ylim(min(low, min(spans) - pad), max(high, max(spans) + pad))
        axis.set_xticks(np.log1p(TICKS), [str(age) for age in TICKS])
        axis.set_title(f"{name}, {entry.unit}" if entry.unit != "1" else name, fontsize=8, loc="left", pad=2)
        axis.tick_params(labelsize=7, length=2, pad=1.5)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("age, years", fontsize=8)
    lines = [Line2D([], [], color=colour, lw=1.6, label=sex) for sex, colour in SEXES.items()]
    lines += [Line2D([], [], color=colour, lw=0.8, label=group) for group, colour in COLOUR.items()]
    lines += [Line2D([], [], color="black", marker="x", ls="", ms=4, label="published")]
    figure.legend(handles=lines, loc="outside upper center", ncols=len(lines), fontsize=7, frameon=False)
    image = Image.open(io.BytesIO(png(figure, dpi=110))).convert("RGB")
    out = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def panels(names: Iterable[str]) -> dict[str, list[str]]:
    """The measurements of each picture."""
    entries: list[Entry] = [registry()[name] for name in names]
    found = {}
    for region in REGIONS:
        found[region] = [e.id for e in entries if e.region == region and e.kind not in ("colour", "eye")]
    found["colour"] = [e.id for e in entries if e.kind in ("colour", "eye")]
    return {region: of for region, of in found.items() if of}


# ------------------------------------------------------------------------------------- the published


@dataclass(frozen=True)
class Index:
    """A published index, and what anthropo measures of the same name."""

    measurement: str
    published: tuple[str, ...]  # its names in the facts
    why: str  # what explains the offset
    factor: float = 1.0  # from anthropo's unit to the published one
    times: float = 1.0  # from the facts' unit to the one that is shown


#: of the table; ages of the norms that are given for every year
YEARS = (4, 10, 16, 20)
SEX = {"F": "female", "M": "male"}

INDICES = (
    Index(
        "canthal_index",
        ("canthal_index",),
        "By hand on photographs it is 38.7 in adults as well: much of the offset is between photographs and"
        " callipers. A camera at 50 cm adds no more than 0.4.",
    ),
    Index(
        "palpebral_fissure_length_R",
        ("pfl_biocular_index",),
        "The fissure runs backwards, and a photograph shows its projection: twice its length and the inner "
        "distance add up to 101.5 % of the outer distance in three dimensions, to 100 % in a photograph. "
        "The rest is that the inner canthi are farther apart.",
        factor=100,
    ),
    Index("pfl_intercanthal_index_R", ("pfl_intercanthal_index",), "Follows from the two above."),
    Index(
        "nasal_index",
        ("nasal_index",),
        "Photographs show no suture: the point that stands for nasion is lower than the one that fingers "
        "find, and is not corrected. Half of the offset follows from 5 mm, which are more of a child's "
        "nose; the rest is in the width (nose_face_width_index) and not explained.",
    ),
    Index("nose_face_height_index", ("nose_face_height_index",), "The same 5 mm explain two thirds of it."),
    Index("lower_face_height_index", ("lower_face_height_index",), "The same 5 mm explain two thirds of it."),
    Index(
        "facial_index",
        ("facial_index",),
        "The same 5 mm explain a good half of it in adults; soldiers' index, from the sellion, which is "
        "about as low, is that of the curves. In children of four more than half is not explained. A"
        " near camera works the other way, +2.4 at 1 m.",
    ),
    Index(
        "mandible_face_width_index",
        ("mandible_face_width_index", "jaw_cheekbone_ratio"),
        "Published norms contradict each other as much (74 on three-dimensional pictures, 83 with "
        "callipers; 90 by hand on photographs): what counts as the angle of the jaw differs, and the "
        "outline of 68 points has none.",
        times=100,
    ),
    Index(
        "biocular_face_width_index",
        ("biocular_face_width_index",),
        "Little, although a camera at 1 m adds 1.3, since the cheeks' outline is farther away than the eyes.",
    ),
    Index("intercanthal_face_width_index", ("intercanthal_face_width_index",), "That of canthal_index."),
    Index(
        "nose_face_width_index",
        ("nose_face_width_index",),
        "The nose is nearer to the camera than the cheeks' outline: that adds 0.6 at 1 m, most of it.",
    ),
    Index(
        "mouth_face_width_index",
        ("mouth_face_width_index",),
        "The mouth is nearer, too: that adds 1.0 at 1 m. A smile below the gate's limit widens it as well.",
    ),
    Index(
        "nose_mouth_width_index",
        ("nose_mouth_width_index", "nose_mouth_width_ratio"),
        "None on the whole. Between groups the curves differ less than callipers do.",
        times=100,
    ),
    Index("intercanthal_nasal_index", ("intercanthal_nasal_index",), "None."),
    Index("philtrum_upper_lip_index", ("philtrum_upper_lip_index",), "None."),
    Index(
        "vermilion_index",
        ("vermilion_index",),
        "By hand on photographs it is 66 as well: the upper vermilion slopes backwards to the stomion, and "
        "a photograph shows its projection. A camera at 1 m takes another 2.9 off.",
    ),
)
#: how a source begins in the facts -> what the table calls it
SOURCES = {
    "delta method on 3DFN": "3D Facial Norms",
    "Farkas/Munro": "Farkas & Munro",
    "Jayaratne 2013": "Jayaratne 2013",
    "ANSUR II 2012": "ANSUR II",
    "NIOSH 2003": "NIOSH 2003",
}
#: how an ancestry begins in the facts -> the group to compare with, "" for all; others are left out
ANCESTRY = {
    "European": "white",
    "White": "white",
    "Black": "black",
    "Hong Kong": "asian",
    "pooled": "",
    "children": "white",
}


def published(facts: Path) -> pd.DataFrame:
    """Published means and SD of what INDICES name, in the unit of the facts' percentages."""
    derived = pd.read_csv(facts / "norms_ratio_derived.csv").assign(n=np.nan)
    derived = derived[derived.age.isin(YEARS)].assign(
        lo=derived.age.astype(float), hi=derived.age.astype(float)
    )
    stated = pd.read_csv(facts / "norms_ratios.csv")
    bounds = stated.age_y.str.split("-")
    stated = stated.assign(lo=bounds.str[0].astype(float), hi=bounds.str[-1].astype(float))
    both = pd.concat([stated, derived], ignore_index=True)
    found = []
    for index in INDICES:
        for row in both[both["index"].isin(index.published) & both.sex.isin(list(SEX))].itertuples():
            source = next(name for start, name in SOURCES.items() if row.source.startswith(start))
            people = row.ancestry if isinstance(row.ancestry, str) else "European"
            group = next((g for start, g in ANCESTRY.items() if people.startswith(start)), None)
            times = index.times if row.sd < 1 else 1.0
            if group is not None:
                found.append(
                    {
                        "measurement": index.measurement, "source": source, "sex": SEX[row.sex], "lo": row.lo,
                        "hi": row.hi, "group": group, "mean": row.mean * times, "sd": row.sd * times,
                        "factor": index.factor,
                    }
                )  # fmt: skip
    return pd.DataFrame(found)


def compared(norms: pd.DataFrame) -> pd.DataFrame:
    """Published means beside the curves' at the same age, sex and group; a span's mean where it is a span."""
    lines = []
    for row in norms.itertuples():
        ages = np.arange(row.lo, row.hi + 1)
        of = curve(row.measurement, row.sex, row.group or None, ages + (0.5 if row.hi > row.lo else 0.0))
        lines.append({"here": np.nanmean(of.median) * row.factor, "here_sd": np.nanmean(of.sd) * row.factor})
    both = pd.concat([norms, pd.DataFrame(lines)], axis=1)
    return both.assign(offset=(both.here - both["mean"]) / both.sd)


def scored() -> str:
    """How many measurements have a row at some ages, without a group and in each, as a table."""
    lines = ["| age, years | unknown | " + " | ".join(COLOUR) + " |", "|---" * (len(COLOUR) + 2) + "|"]
    for age in (0, *TICKS):
        cells = [
            sum(
                all(reference().choose(name, sex, age, group)[0] for sex in SEXES)
                for name in reference().measurements
            )
            for group in (None, *COLOUR)
        ]
        lines.append(f"| {age} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def apart(most: int = 6) -> str:
    """The measurements whose groups' medians differ most at 30 years, and by how many SD."""
    widest = {}
    for name in reference().measurements:
        rows = [reference().choose(name, "female", 30.5, group)[0] for group in COLOUR]
        known = [row for row in rows if row]
        if len(known) > 1:
            means = [row.mean for row in known]
            widest[name] = (max(means) - min(means)) / known[0].sd
    first = sorted(widest, key=lambda name: -widest[name])[:most]
    return ", ".join(f"{name} {widest[name]:.1f}" for name in first) + ", in women of 30"


def _mean_offset(source: str, rows: pd.DataFrame) -> str:
    """The mean offset against a source; where it changes with age, that of the youngest and oldest, too."""
    by_age = rows.groupby("lo").offset.mean()
    text = f"{signed(float(rows.offset.mean()))} against {source}"
    if abs(by_age.iloc[0] - by_age.iloc[-1]) >= 0.5:
        first, last = (f"{signed(float(by_age.iloc[i]))} at {by_age.index[i]:g}" for i in (0, -1))
        text += f": {first}, {last} years"
    return text


def offsets(both: pd.DataFrame) -> str:
    """Each index's mean offset with what explains it, then every number."""
    lines = []
    for index in INDICES:
        of = both[both.measurement == index.measurement]
        means = ", ".join(_mean_offset(source, rows) for source, rows in of.groupby("source", sort=False))
        lines.append(f"- **{index.measurement}** ({means}). {index.why}")
    lines += [
        "",
        "| measurement | published by | ages | group "
        + "".join(f"| {sex} | curve | offset, SD " for sex in SEXES)
        + "|",
    ]
    lines.append("|---" * 10 + "|")
    for (name, source, lo, hi, group), rows in both.groupby(
        ["measurement", "source", "lo", "hi", "group"], sort=False
    ):
        cells = [name, source, f"{lo:g}" if lo == hi else f"{lo:g} to {hi:g}", group or "all"]
        for sex in SEXES:
            row = rows[rows.sex == sex].iloc[0]
            cells += [
                f"{row['mean']:.1f} ± {row.sd:.1f}",
                f"{row.here:.1f} ± {row.here_sd:.1f}",
                signed(row.offset),
            ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------ the page

PAGE = """# References: the curves for all ages, beside what they were made of

Made by `development/curves_page.py` from the reference table, the table of measurements that it was fitted
to (which is not passed on), and published figures. `anthropo reference list` has every table that comes
with anthropo.

## {reference}

{measurements} measurements by age and sex, from {youngest:g} to {oldest:g} years, fitted to {photos:,}
portraits from the web (UTKFace; its labels of age, sex and group). Each was measured by anthropo with the
versions that the table names. A measurement has a median over the logarithm of age, a difference of the
sexes and one of each group, an SD, all smooth as the data ask for, and one skewness. A label in whole years
counts as its whole span. What is far off for its age and sex (a smile that went unnoticed, a wrong label)
loses its weight. Many of these photographs end at the chin (half of adults') or at a cheek (a third), and
long and broad faces are cut more often: where a point is beyond the border, the photograph counts as a limit
(the face is at least so high) and not as a missing value, so that the curves are not those of short faces.
The SD is that of people: how far photographs of one person differ is taken out, and comes on top for the
photograph that is scored. Left out are absolute colours, what fewer than 300 of the
photographs have, and what tells more of the photograph than of the person (less than 40 % of the variance is
between people). The grade is B, and C for what is read from pixels. Only fitted numbers are in the table.

A z-score is of the person's age, sex and, where one was given, group. Nobody is scored where the curve is
known no better than by {least} people of exactly this age, sex and group; the reason says so. How many of
the {measurements} measurements can be scored in both sexes:

{scored}

## What the groups are, and what they are not

The photographs came with one of five labels each: {labels}. Others gave them, from the look of the face: an
algorithm proposed them, and people looked them through. Nobody in the photographs was asked. So a label
says what a stranger would call a face, not where someone's ancestors lived. It is no measure of genetic
ancestry, and many people fit none of the five, or several. The labels are kept because medians of some
measurements differ between these groups by more than an SD ({apart}), and a reference that mixes them
misleads in either direction.

anthropo never guesses a group from a face. Give the one whose reference you would defend
(`--ancestry`, or a column `ancestry`), with their own account of it where there is one; or leave it
unknown. Then the groups are mixed in equal parts, the spread between them is part of the SD, and z-scores
are nearer to 0. Where a finding depends on the choice, score both ways and say so.

## How many people

Photographs by age in completed years, sex and label, in which a face was measured. Some people are in
several. Fewer are behind a measurement: what the photo gate voids is missing there. The sets call babies
one year old.

{counts}
## Curves of your own

`anthropo reference build controls.csv -o ref.csv --by age` makes curves from healthy people of your own,
photographed and measured as your patients are. What 200 people or more have gets a curve of its own, fitted
as above (grade A). What fewer have, down to 5, is adapted from web-all-ages (grade B): its curves are
shifted and scaled, in SD of people, as far as your controls show it. Beforehand a studio's shift is believed
to be 0 ± 0.57 SD and the logarithm of its scale 0 ± 0.31, which is as far as two studios are from
web-all-ages; twelve controls move a curve by about four fifths of what they differ. One control in twenty
may be wrong without spoiling it. Adapted curves end a quarter of the logarithm of age beyond your youngest
and oldest control (20 to 40 years become 15 to 52): that a studio's shift is the same at other ages has not
been shown. The table's n counts the people that would give as small an error of the median, and no more than
25 where one shift was taken for both sexes: sexes differ in it by 0.2 SD (1 SD). So z-scores are a little
nearer to 0 and traits are called late; with 200 people and more both is better. What adaptation gave in
people it was not fitted to is in [benchmarks](benchmarks/references.md#adapting-a-reference). An adapted
table is derived from web-all-ages and has its terms: non-commercial research.

## The curves

Thick lines: medians by sex, all groups mixed. Dashed: where z is −2 and +2. Thin lines: the five groups,
mean of both sexes. Dots: means of what was measured, without a tenth on either side, where {dots} or more
people are; of what the border often cuts, medians of values and limits (Kaplan and Meier's estimate).
Crosses: published means of people of European ancestry, of the next section. Ages are drawn on
the logarithm of age + 1, and are people's at the time of the photograph, as the sets state them.

{pictures}
## Against published figures

Callipers, three-dimensional pictures and photographs do not measure the same. Most courses over age are
alike, levels often not. This is why people are scored against others whom the same instrument measured, and
why norms in millimetres carry an error of their own. The offset is the curve's median less the published
mean, in published SD. How much the camera's distance changes is from exact projections of 1,000 heads,
against 2 m. "By hand" are points on 102 studio portraits.

3D Facial Norms are Weinberg 2016, by a copyleft package, their indices derived from means, SD and
correlations: compared with, and no part of anthropo's data. Farkas & Munro are quoted by Taylor & Hoyt.
ANSUR II measured from sellion to menton.

{offsets}"""


def main(facts: str, docs: str, beyond: str, *measured: str) -> None:
    faces = read_faces([Path(table) for table in measured], Path(beyond))
    norms = published(Path(facts))
    norms = norms[norms.measurement.isin(reference().measurements)].reset_index(drop=True)
    folder = Path(docs) / "references"
    folder.mkdir(exist_ok=True)
    shown = []
    for region, of in panels(reference().measurements).items():
        data = picture(faces, of, norms)
        (folder / f"{region}.png").write_bytes(data)
        print(f"{folder / region}.png: {len(of)} measurements, {len(data) / 1024:.0f} KiB")
        shown.append(f"### {region.capitalize()}\n\n![{', '.join(of)}](references/{region}.png)\n")
    ages = [row.age_lo for row in reference().rows]
    page = PAGE.format(
        reference=REFERENCE, measurements=len(reference().measurements), youngest=min(ages), oldest=max(ages),
        photos=len(faces), scored=scored(), least=LEAST_N, labels=", ".join(COLOUR), apart=apart(),
        counts=counts(faces), dots=LEAST, pictures="\n".join(shown), offsets=offsets(compared(norms)),
    )  # fmt: skip
    (Path(docs) / "references.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
