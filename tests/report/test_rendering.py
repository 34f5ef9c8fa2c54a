"""What every page is made with"""

from __future__ import annotations

import io
import re
from importlib import resources
from pathlib import Path

import click
import pytest
from PIL import Image

from anthropo.errors import InputError, ModelError
from anthropo.files import write
from anthropo.report.rendering import COLOURS, embedded, jpeg, page, png, print_figures, print_table
from anthropo.report.tables import shortened


def templates() -> list[Path]:
    return sorted(Path(str(resources.files("anthropo.report"))).glob("*.html"))


@pytest.mark.parametrize("path", templates(), ids=lambda p: p.name)
def test_every_page_has_the_one_base_and_its_stylesheet(path: Path) -> None:
    if path.name in ("base.html", "macros.html", "notebook.html"):  # the last is part of others' pages
        return
    text = path.read_text(encoding="utf-8")
    assert text.startswith('{% extends "base.html" %}')
    assert "<style" not in text


def test_page_needs_nothing_else_and_escapes_what_it_is_given() -> None:
    text = page(
        "compare_networks.html", networks=["<b>"], rows=[("a & b", ["0.9"])], recipe="r", photos=1,
        patients=1, cohort={"photos": 1, "patients": 1, "left_out": 0}, parameters={"x": None},
    )  # fmt: skip
    assert "&lt;b&gt;" in text
    assert "<dt>x</dt><dd>–</dd>" in text
    assert "research use only, not a medical device" in text
    assert text.count("<style>") == 1
    assert not re.search(r"(?:src|href|url)=?\(?\"?https?:", text)


def test_a_colour_has_one_meaning_on_a_page() -> None:
    models = {"hybrid", "measurements", "regions", "metadata", "background", "model-1", "model-2", "model-3"}
    for left_out in (models, {"eye", "brow", "nose", "mouth", "jaw", "face"}):
        colours = [colour for name, colour in COLOURS.items() if name not in left_out]
        assert len(colours) == len(set(colours)) > 20
    for path in templates():  # white is the paper
        assert set(re.findall(r"[\"' ]#[0-9a-fA-F]{3,6}\b(?![-\w])", path.read_text("utf-8"))) <= {'"#fff'}, (
            path
        )


def test_pictures_are_embedded_by_what_they_are() -> None:
    picture = Image.new("RGB", (3, 2), "red")
    assert embedded(jpeg(picture)).startswith("data:image/jpeg;base64,/9j/")
    assert embedded(png(picture)).startswith("data:image/png;base64,iVBOR")
    assert embedded(b"<svg/>").startswith("data:image/svg+xml;base64,")
    with Image.open(io.BytesIO(png(picture))) as again:
        assert again.size == (3, 2)
        assert again.info == {}


def test_table_shows_a_label_that_looks_like_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("label", "photos"), [("[red]x[/red]", "3"), ("y", "12")], spaced=True)
    assert capsys.readouterr().out == "label         photos\n[red]x[/red]       3\ny                 12\n\n"


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "no" / "a.html"
    with pytest.raises(InputError) as caught:
        write(path, "text")
    assert str(caught.value) == f"{path}: cannot be written (No such file or directory)."
    with pytest.raises(ModelError) as caught_too:
        write(path, b"", what="the model", advice="Choose another place.", error=ModelError)
    assert str(caught_too.value) == (
        f"{path}: the model cannot be written (No such file or directory). Choose another place."
    )


@pytest.mark.parametrize(("terminal", "blocks"), [(None, [2, 1]), (100, [2, 1]), (80, [1, 1, 1]), (200, [3])])
def test_figures_that_do_not_fit_beside_each_other_stand_below(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: int | None,
    blocks: list[int],
) -> None:
    """A pipe is as wide as a page; no line is wider than the terminal, and nothing is folded or left out."""
    if terminal:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(terminal))
    told = {f"model {i}": {"AUROC": "0.995 (0.943 to 1.000)" + "x" * 16, "[b]": f"{i}"} for i in range(3)}
    del told["model 2"]["[b]"]
    print_figures("metric", told)
    lines = click.unstyle(capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= (terminal or 100)
    heads = [line.count("model") for line in lines if line.startswith("metric")]
    assert heads == blocks
    assert "".join(lines).count("0.995 (0.943 to 1.000)xxxxxxxxxxxxxxxx") == 3
    assert lines[-2].split()[0] == "[b]"
    assert lines[-2].endswith("–")


def test_a_terminal_shows_the_first_measurements_of_a_long_list() -> None:
    sentence = "groups disagree: " + "; ".join(f"m{i} +2.1" for i in range(6)) + "."
    assert shortened(sentence) == (
        "groups disagree: m0 +2.1; m1 +2.1; and 4 other measurements, which tables and reports name."
    )
    assert shortened("groups disagree: m0 +2.1; m1 +2.1.") == "groups disagree: m0 +2.1; m1 +2.1."
