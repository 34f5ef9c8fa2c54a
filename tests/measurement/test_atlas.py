from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import Pixels
from skimage.draw import polygon

import anthropo
from anthropo.measurement.appearance import appearance, regions_of
from anthropo.measurement.atlas import atlas, pages, write
from anthropo.measurement.drawing import HEIGHT, WIDTH, drawing
from anthropo.measurement.geometry import FUNCTIONS
from anthropo.measurement.registry import PIXELS, Entry, compile_entry, registry
from anthropo.measurement.sampling import outlines
from anthropo.photo import Photo

DOCS = Path(__file__).parents[2] / "docs"
REMEDY = "python -m anthropo.measurement.atlas docs"
SVG = "{http://www.w3.org/2000/svg}"


def entry(expression: str, kind: str = "distance") -> Entry:
    row = {
        "id": "x", "name": "x", "region": "face", "kind": kind, "unit": "1", "needs_mm": "", "needs_fine": "",
        "expression": expression, "side": "mid", "definition": "", "hpo_low": "", "hpo_high": "", "voids": "",
        "note": "",
    }  # fmt: skip
    return compile_entry(row)


def names(svg: str) -> list[str]:
    return [str(e.text) for e in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def paths(svg: str, **having: str) -> list[str]:
    """Paths but that of the face, with these attributes."""
    found = list(ElementTree.fromstring(svg).iter(f"{SVG}path"))[1:]
    return [e.get("d", "") for e in found if all(e.get(k.replace("_", "-")) == v for k, v in having.items())]


def ends(path: str) -> list[list[float]]:
    return [[float(v) for v in pair.split(",")] for pair in re.findall(r"-?[\d.]+,-?[\d.]+", path)]


# ------------------------------------------------------------------------------------- the page


def test_the_atlas_is_what_the_registry_says() -> None:
    for name, content in pages().items():
        page = DOCS / name
        assert page.exists(), f"docs/{name} is missing: {REMEDY}"
        assert page.read_text(encoding="utf-8") == content, f"docs/{name} is stale: {REMEDY}"
    drawn = {f"{path.stem}" for path in (DOCS / "atlas").iterdir()}
    assert drawn == set(registry()), f"drawings of other entries than the registry's: {REMEDY}"


def test_every_entry_stands_beside_its_drawing() -> None:
    page = atlas()
    for name in registry():
        drawn = f'### {name}\n\n<img class="drawing" src="atlas/{name}.svg" width="180" alt="">\n'
        assert page.count(drawn) == 1


def test_the_documentation_stays_small() -> None:
    assert sum(path.stat().st_size for path in (DOCS / "atlas").iterdir()) < 800_000


def test_writing_removes_what_is_no_more(tmp_path: Path) -> None:
    (tmp_path / "atlas").mkdir()
    (tmp_path / "atlas" / "gone.svg").touch()
    write(tmp_path)
    assert not (tmp_path / "atlas" / "gone.svg").exists()
    assert len(list((tmp_path / "atlas").iterdir())) == len(registry())


# ------------------------------------------------------------------------------------- drawings


@pytest.mark.parametrize("name", list(registry()))
def test_every_drawing_is_seen_and_within_its_frame(name: str) -> None:
    svg = drawing(registry()[name])
    tree = ElementTree.fromstring(svg)
    assert tree.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"
    assert tree.find(f"{SVG}title") is not None
    drawn = paths(svg)
    assert drawn
    for path in drawn:
        for x, y in ends(path):
            assert -30 <= x <= WIDTH + 30, path
            assert -30 <= y <= HEIGHT + 30, path
    for e in tree.iter(f"{SVG}circle"):
        assert 0 <= float(e.get("cx", "nan")) <= WIDTH
        assert 0 <= float(e.get("cy", "nan")) <= HEIGHT


def test_every_function_of_expressions_can_be_drawn() -> None:
    """A function that the registry may use tomorrow is drawn as well."""
    arguments = {
        "d": "enR, enL", "mid": "enR, enL", "angle": "exR, sn, exL", "area": "p60, p62, p66",
        "perimeter": "p60, p62, p66", "off": "alR, n, gn", "off_level": "enR, exL, n, gn",
        "sag": "p17, p21, p18, p19", "cant": "exR, exL, chR, chL", "v": "n, sn", "elevation": "enR, exR",
        "at": "pR, p17, p18, p19", "procrustes_asymmetry": "", "mean": "d(enR, enL), d(exR, exL)",
    }  # fmt: skip
    assert set(arguments) == FUNCTIONS
    for name, given in arguments.items():
        point = name in ("mid", "at")
        assert paths(drawing(entry(f"d({name}({given}), gn)" if point else f"{name}({given})")))


def test_drawing_follows_the_expression() -> None:
    """All named landmarks, and no others."""
    for one in registry().values():
        if one.expression and one.id != "asymmetry_global":
            used = {n.id for n in ast.walk(ast.parse(one.expression)) if isinstance(n, ast.Name)} - FUNCTIONS
            codes = {n for n in used if not n[1:].isdigit()}
            assert set(names(drawing(one))) == (codes or used), one.id
    changed = replace(registry()["mouth_width"], expression="d(exR, gn)")
    assert set(names(drawing(changed))) == {"exR", "gn"}


def test_lines_run_where_the_expression_says() -> None:
    (line,) = paths(drawing(entry("d(exR, exL)")), stroke_width="2.2")
    (x0, y0), (x1, y1) = ends(line)
    assert x0 < x1  # the subject's right is on the left
    assert y0 == pytest.approx(y1, abs=0.5)
    # how far subnasale lies below nasion: upright, beside both levels
    svg = drawing(entry("v(n, alL)"))
    (upright,) = paths(svg, stroke_width="2.2")
    (x0, y0), (x1, y1) = ends(upright)
    assert x0 == pytest.approx(x1, abs=0.2)
    assert abs(y1 - y0) > 30
    assert len(paths(svg, stroke_dasharray="4 3")) == 2
    # a foot is square to its line
    (square,) = paths(drawing(entry("off(alL, n, chR)")), stroke_width="2.2")
    (dashed,) = paths(drawing(entry("off(alL, n, chR)")), stroke_dasharray="4 3")
    u, v = (np.subtract(*ends(p)) for p in (square, dashed))
    assert abs(u @ v) / np.linalg.norm(u) / np.linalg.norm(v) < 0.03


def test_quotient_is_blue_over_orange() -> None:
    svg = drawing(entry("d(alR, alL) / d(n, sn)"))
    (upper,), (lower,) = paths(svg, stroke="#0B5FA5"), paths(svg, stroke="#C8500A")
    assert abs(np.subtract(*ends(upper))[1]) < 2 < abs(np.subtract(*ends(lower))[1])


def test_what_a_symmetric_face_lacks_is_an_arrow() -> None:
    for expression in ("v(chR, chL)", "off(gn, n, sn)", "off_level(pR, pL, n, gn)", "d(sts, sti)"):
        (arrow,) = paths(drawing(entry(expression)), stroke_width="2.2")
        assert arrow.count("M") == 3  # a line and two heads


# --------------------------------------------------------------------------------------- pixels


@pytest.mark.parametrize("region", ["cheek_R", "cheek_L", "lip", "sclera_R", "sclera_L"])
def test_patches_are_where_the_pixels_are_read(astronaut: Pixels, region: str) -> None:
    """Light is changed inside a drawn patch: every entry drawn with it changes, no other of the skin does."""
    photo = Photo.from_array(astronaut)
    points = anthropo.read_face(photo).landmarks
    inside = np.zeros(astronaut.shape[:2], bool)
    for weights in outlines(region):
        x, y = (weights @ points).T
        inside[polygon(y, x, inside.shape)] = True
    painted = astronaut.copy()
    painted[inside] = (painted[inside] * (0.8, 0.9, 0.95)).astype(np.uint8)
    before = appearance(photo, points)
    after = appearance(Photo.from_array(painted), points)
    for one in registry().values():
        if one.kind in PIXELS and one.id != "philtrum_relief":
            a, b = before[one.id].value, after[one.id].value
            if np.isfinite(a):
                if region in regions_of(one.id):
                    assert a != b, one.id
                elif region.startswith(("cheek", "lip")) and one.region != "eye":
                    assert a == pytest.approx(b, abs=1e-9), one.id


def test_every_entry_of_pixels_names_its_regions() -> None:
    for one in registry().values():
        if one.kind in PIXELS:
            for region in regions_of(one.id):
                for weights in outlines(region):
                    assert weights.shape[1] == 68
                    assert np.allclose(weights.sum(1), 1)
            assert one.side == "mid" or regions_of(one.id)[0].endswith(one.side)
