from __future__ import annotations

import base64
import html
import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import Copies, Invoke
from PIL import Image

import anthropo
from anthropo.batch import Item, measure_item
from anthropo.batch.records import Record
from anthropo.batch.scores import diagnostics_of
from anthropo.errors import InputError
from anthropo.measurement.registry import registry
from anthropo.reference import load_reference, score
from anthropo.reference.zscore import ZScore
from anthropo.report.figures import REGION_COLOURS, measured_lines
from anthropo.report.measure import Page
from anthropo.report.tables import number, z_text
from anthropo.report.zscores import findings, nothing_beyond
from anthropo.settings import Settings


class Tags(HTMLParser):
    """Every tag with its attributes, and whether they nest."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


@pytest.fixture
def page(tmp_path: Path, copies: Copies, invoke: Invoke) -> str:
    """A report of one good photo, one with two faces and a text, all with names that HTML would read."""
    folder = tmp_path / "photos"
    copies(folder, "<b>&\"'x.png")
    (folder / "<script>alert(1)<").mkdir()
    (folder / "<script>alert(1)<" / "text.jpg").write_text("no photograph")
    result = invoke("measure", folder, "-o", tmp_path / "report.html")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines()[-1] == f"{tmp_path}/report.html: 1 of 2 photos measured."
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_page_is_self_contained(page: str) -> None:
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    assert "@import" not in page
    for tag, attributes in Tags(page).found:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        assert (attributes.get("href") or "#").startswith("#")
        assert (attributes.get("src") or "data:").startswith("data:")


def test_tags_nest(page: str) -> None:
    tags = Tags(page)
    assert tags.stack == []
    assert tags.found[0] == ("html", {"lang": "en"})


def test_names_are_escaped(page: str) -> None:
    assert "<b>" not in page
    assert "<script" not in page
    assert "/&lt;b&gt;&amp;&#34;&#39;x.png</h2>" in page
    assert "/&lt;script&gt;alert(1)&lt;/text.jpg: not a photo that can be read;" in page


def test_picture_is_a_jpeg_without_metadata(page: str) -> None:
    (data,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.format == "JPEG"
        assert not picture.getexif()
        assert min(picture.size) > 400


def test_every_measurement_and_the_gate_are_shown(page: str) -> None:
    text = html.unescape(page)
    for entry in registry().values():
        assert f'<th scope="row">{entry.name}</th>' in text
    assert "Photo gate: smile 0.6" in text
    assert "not a medical device" in text
    assert "excludes commercial use" in text


def test_every_face_has_its_section(tmp_path: Path, two_faces_png: Path, invoke: Invoke) -> None:
    path = tmp_path / "two.html"
    assert invoke("measure", two_faces_png, "--face", "all", "-o", path).exit_code == 0
    text = path.read_text(encoding="utf-8")
    assert f"<h2>{two_faces_png}</h2>" in text
    assert f"<h2>{two_faces_png}, face 1</h2>" in text
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert len(pictures) == len(set(pictures)) == 2
    assert "<title>anthropo: 2 measured faces</title>" in text


def report(path: Path, invoke: Invoke, *arguments: object, fails: bool = False) -> str:
    assert invoke("measure", *arguments, "-o", path).exit_code == (3 if fails else 0)
    text = path.read_text(encoding="utf-8")
    assert Tags(text).stack == []
    return html.unescape(text)


def test_what_is_beyond_comes_first_then_the_plot_then_the_table(tmp_path: Path, invoke: Invoke) -> None:
    photo = anthropo.example_photo()
    adults = ("--reference", "frl-adults")
    text = report(tmp_path / "a.html", invoke, photo, "--sex", "female", "--age", "31", *adults)
    assert f"<h2>{photo}</h2>\n  <p>sex female · age 31 · compared with frl-adults (grade A/B)</p>" in text
    order = ["<h3>Beyond 2 SD</h3>", "Photo gate: ", "<h3>z-scores</h3>", "<h3>Measurements</h3>"]
    assert [text.count(heading) for heading in (order[0], *order[2:])] == [1, 1, 1]
    assert sorted(order, key=text.index) == order
    assert "Overview" not in text


def test_findings_and_bars_are_those_of_the_measurements(tmp_path: Path, invoke: Invoke) -> None:
    photo = anthropo.example_photo()
    settings = Settings(sex="male", age="31", references=("frl-adults",))
    (record,) = measure_item(Item(photo), settings)
    scored = {n: r.scores[0] for n, r in record.results.items() if math.isfinite(r.scores[0].z)}
    beyond = [registry()[name].name for name, z in scored.items() if abs(z.z) > 2]
    adults = ("--reference", "frl-adults")
    text = report(tmp_path / "a.html", invoke, photo, "--sex", "male", "--age", "31", *adults)
    listed = re.findall('<li><strong>(.+?)</strong> .+?: <span class="beyond">z [+−][1-9]', text)
    assert sorted(listed) == sorted(beyond)
    assert len(beyond) > 2
    plot = text.partition('<figure class="zplot">')[2].partition("<figcaption>")[0]
    drawn = re.findall('<th scope="row">(.+?)</th>', plot)
    assert drawn == [registry()[name].name for name in sorted(scored, key=list(registry()).index)]
    assert plot.count('class="z beyond"') == len(beyond)
    regions = re.findall(r'<tr><th scope="col">(\w+)</th>', plot)
    assert len(regions) == len(set(regions)) == len({registry()[name].region for name in scored})


def test_a_value_without_z_has_the_reason(tmp_path: Path, invoke: Invoke) -> None:
    person = ("--sex", "female", "--age", "3w", "--reference", "web-all-ages", "--force")
    why = "web-all-ages has too few people around age 0.06: intercanthal_width, "
    text = report(tmp_path / "a.html", invoke, anthropo.example_photo(), *person)
    assert f"No z, {why}" in text
    result = invoke("measure", anthropo.example_photo(), *person)
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("no z, ")]
    assert line.startswith(f"no z, {why}")
    scored = [row.split()[-1] for row in result.stdout.splitlines() if re.search(r"[+−]\d\.\d \(", row)]
    assert len(scored) > 3
    assert not set(scored) & set(line.replace(",", "").split())
    assert "asymmetry_global" not in line  # which the reference does not have at any age


def test_without_sex_and_age_nothing_is_plotted(tmp_path: Path, invoke: Invoke) -> None:
    text = report(tmp_path / "a.html", invoke, anthropo.example_photo())
    assert "<p>sex and age not given · compared with no reference</p>" in text
    assert "because the person's sex and age were not stated." in text
    assert 'zplot">' not in text
    assert "<li><strong>" not in text


def test_one_sentence_when_nothing_is_beyond() -> None:
    width = anthropo.Measurement("intercanthal_width", 0.38, 0.37, 0.39, "ex-ex", "mid", "")
    scores = score([width], [load_reference()], sex="female", age=31)
    given = diagnostics_of(Item("a.png"), Settings())
    record = Record(photo="a.png", measurements=(width,), scores=tuple(scores), diagnostics=given)
    assert findings(record) == []
    assert nothing_beyond(record) == "Nothing lies beyond 2 SD (1 measurement has a z-score)."
    far = replace(width, value=0.6, lo=0.59, hi=0.61)
    scores = score([far], [load_reference()], sex="female", age=31)
    (one,) = findings(replace(record, measurements=(far,), scores=tuple(scores)))
    assert (one.name, one.value) == ("Inner canthal distance", "0.600 ex-ex")
    assert (one.certain, one.doubt) == (True, "")


def test_many_photos_have_an_index(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    copies(tmp_path, "a.png", "<i>b.png")
    table = tmp_path / "c.csv"
    table.write_text("photo,sex,age,ancestry\na.png,female,31,<u>\n<i>b.png,,,\ngone.png,female,31,\n")
    text = report(tmp_path / "a.html", invoke, table, fails=True)
    assert "<h2>Overview</h2>" in text
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    ids = {attributes["id"] for _, attributes in Tags(page).found if "id" in attributes}
    links = [a["href"] for tag, a in Tags(page).found if tag == "a"]
    assert links == ["#face-1", "#face-2", "#failed"]
    assert {f"#{one}" for one in ids} == set(links)
    rows = re.findall(r'<a href="#face-\d">.*?</tr>', text)
    assert "mouth open, smile" in rows[0]
    listed = text.count("<li><strong>")
    assert f'data-label="beyond 2 SD">{listed}</td>' in rows[0]
    assert 'data-label="beyond 2 SD">–</td>' in rows[1]
    assert "ancestry &lt;u&gt; (counts under references that tell groups of it apart)" in page
    assert "<i>" not in page.replace("<i style", "")


def test_page_when_nothing_was_measured(tmp_path: Path, invoke: Invoke) -> None:
    path = tmp_path / "none.html"
    assert invoke("measure", "gone.jpg", "-o", path).exit_code == 1
    text = path.read_text(encoding="utf-8")
    assert "<li>gone.jpg: no such file.</li>" in text
    assert Tags(text).stack == []


def test_page_that_cannot_be_written(tmp_path: Path) -> None:
    page = Page(tmp_path / ("x" * 300 + ".html"))
    with pytest.raises(InputError, match=r"cannot be written \(File name too long\)\.$"):
        page.write([])
    for path in (tmp_path, tmp_path / "gone" / "a.html"):
        with pytest.raises(InputError) as caught:
            Page(path)
        assert str(caught.value) == f"{path}: cannot be written. Name a file in a folder that exists."


def test_every_measured_line_has_a_colour() -> None:
    lines = measured_lines()
    assert len(lines) > 20
    assert {region for region, _, _ in lines} <= set(REGION_COLOURS)
    assert {entry.region for entry in registry().values()} == set(REGION_COLOURS)
    assert all(max(*a, *b) < 68 for _, a, b in lines)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "deg", "–"),
        (1.26, "deg", "1.3"),
        (41.44, "%", "41.4"),
        (0.41436, "ex-ex", "0.414"),
        (0.019345, "ex-ex²", "0.0193"),
        (40.6, "px", "41"),
    ],
)
def test_number(value: float | None, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_a_z_that_rounds_to_nothing_has_no_sign_in_the_terminal() -> None:
    z = ZScore("mouth_width", "frl-adults", "A", 0.02, -1.31, 0.04, 25, 0.5, 0.03, "", "ex-ex")
    assert z_text([z], "frl-adults") == "0.0 (−1.3 to 0.0)"
    assert z_text([z], "web-all-ages") == ""
