from __future__ import annotations

import base64
import html
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import Copies, Invoke
from PIL import Image

from anthropo.errors import InputError
from anthropo.measurement.registry import registry
from anthropo.report.figures import REGION_COLOURS, measured_lines
from anthropo.report.measure import Page
from anthropo.report.tables import number


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
        assert "href" not in attributes
        assert (attributes.get("src") or "data:").startswith("data:")


def test_tags_nest(page: str) -> None:
    tags = Tags(page)
    assert tags.stack == []
    assert tags.found[0] == ("html", {"lang": "en"})


def test_names_are_escaped(page: str) -> None:
    assert "<b>" not in page
    assert "<script" not in page
    assert "/&lt;b&gt;&amp;&#34;&#39;x.png</h2>" in page
    assert "/&lt;script&gt;alert(1)&lt;/text.jpg: not a photograph that can be read;" in page


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
