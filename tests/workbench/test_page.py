"""The workbench's page in a browser: dropped, dragged, undone, described and kept as a person would."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import WITHOUT_BROWSER, Pixels
from PIL import Image, ImageDraw
from talking import write_clip

from anthropo.workbench import Workbench

playwright = pytest.importorskip("playwright.sync_api", reason=WITHOUT_BROWSER)

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
DROP = """([name, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(WITHOUT_BROWSER)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def folder(tmp_path: Path, astronaut: Pixels) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    Image.fromarray(astronaut).save(work / "astronaut.png")
    return work


@pytest.fixture
def page(chromium: Any, folder: Path) -> Iterator[Any]:
    """The page of a folder with the astronaut; an error on it is a failure."""
    errors: list[str] = []
    with Workbench(folder, port=0) as bench:
        made = chromium.new_page(viewport={"width": 1280, "height": 900})
        made.set_default_timeout(30_000)
        made.on("pageerror", lambda error: errors.append(str(error)))
        made.on("console", lambda told: errors.append(told.text) if told.type == "error" else None)
        made.bench = bench
        ready(made, bench.address)
        yield made
        made.close()
    # a refused request is said on the page, and by Chromium in its console as well
    assert [text for text in errors if "Failed to load resource" not in text] == []


def ready(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("html[data-ready]")


def value(page: Any, name: str) -> str:
    text: str = page.inner_text(f"#m-{name} td:nth-child(2)")
    return text.split()[0]


def changed(page: Any, name: str, before: str) -> str:
    """The value of a measurement once it is another."""
    page.wait_for_selector(f"#m-{name} td:nth-child(2):not(:has-text('{before}'))")
    page.wait_for_selector("#results:not([aria-busy])")
    return value(page, name)


def point(page: Any, code: str) -> tuple[float, float]:
    """The middle of a landmark on the screen."""
    box = page.locator("circle.dot", has=page.locator(f"title:text-matches('^{code},')")).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Any, code: str, dx: float, dy: float) -> None:
    x, y = point(page, code)
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 6):
        page.mouse.move(x + dx * step / 5, y + dy * step / 5)
    page.mouse.up()


def landmark_files(page: Any) -> list[Path]:
    return sorted((page.bench.folder / "landmarks").glob("*.json"))


def test_numbers_follow_a_dragged_point_and_come_back(page: Any) -> None:
    assert page.url.endswith("/")  # the token has left the address bar
    before = value(page, "intercanthal_width")
    drag(page, "p39", -12, 0)
    moved = changed(page, "intercanthal_width", before)
    assert float(moved) > float(before)
    assert "by hand" in page.inner_text("#m-intercanthal_width")
    page.wait_for_selector("#measurements p:has-text('a point has the error of a hand: 0.0077 ex-ex')")
    page.wait_for_selector("#undo:enabled")
    page.keyboard.press("Control+z")
    assert changed(page, "intercanthal_width", moved) == before
    page.wait_for_selector("#reset-all:disabled")
    assert landmark_files(page) == []


def test_the_keyboard_alone_does_it(page: Any) -> None:
    before = value(page, "intercanthal_width")
    page.select_option("#point", "p42")
    assert page.evaluate("document.activeElement.id") == "face"
    for _ in range(4):  # faster than answers come
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Alt+ArrowDown")
    moved = changed(page, "intercanthal_width", before)
    page.wait_for_selector("#point-words:has-text('moved by 4.0 px')")
    assert float(moved) > float(before)
    page.keyboard.press("]")
    assert page.inner_text("#point-words").startswith("p43, ")
    page.keyboard.press("[")
    page.keyboard.press("Delete")
    assert changed(page, "intercanthal_width", moved) == before
    for _ in range(6):  # five moves and a reset
        page.keyboard.press("Control+z")
    page.wait_for_selector("#undo:disabled")
    page.focus("#tab-measurements")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("[role=tab][aria-selected=true]") == "Traits"


def test_on_a_full_disk_points_stay_and_are_kept_once_there_is_room(
    page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = value(page, "intercanthal_width")
    page.select_option("#point", "p42")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        page.keyboard.press("Shift+ArrowRight")
        page.wait_for_selector("#message:has-text('No space left on device')")
        assert float(changed(page, "intercanthal_width", before)) > float(before)
    assert "moved by 10.0 px" in page.inner_text("#point-words")
    assert landmark_files(page) == []
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_selector("#message:empty", state="attached")
    assert "moved by 20.0 px" in page.inner_text("#point-words")
    assert len(landmark_files(page)) == 1


def test_another_start_goes_on_where_the_first_stopped(page: Any, chromium: Any) -> None:
    before = value(page, "intercanthal_width")
    drag(page, "p42", 12, 0)
    moved = changed(page, "intercanthal_width", before)
    page.bench.close()
    with Workbench(page.bench.folder, port=0) as bench:
        again = chromium.new_page()
        ready(again, bench.address)
        assert value(again, "intercanthal_width") == moved
        again.click("#reset-all")
        assert changed(again, "intercanthal_width", moved) == before
        again.close()


def test_photos_that_are_dropped_are_measured_and_others_are_said(page: Any, astronaut: Pixels) -> None:
    data = io.BytesIO()
    Image.fromarray(astronaut[:400]).save(data, "PNG")
    page.evaluate(DROP, ["<img src=x onerror=document.title='hacked'>.png", [*data.getvalue()]])
    page.wait_for_selector("#list li:nth-child(2) button[aria-current]")
    page.wait_for_selector("#list [aria-current]:has-text('onerror')")  # a new row is drawn a moment later
    assert page.title() == "anthropo workbench"
    page.evaluate(DROP, ["words.jpg", [*b"no photo"]])
    page.wait_for_selector("#message:has-text('words.jpg: ')")
    page.set_input_files("#files", [{"name": "x.csv", "mimeType": "text/csv", "buffer": b"photo"}])
    page.wait_for_selector("#message:has-text('x.csv: not a photo by its name.')")
    assert page.locator("#list li").count() == 2
    page.click("#list li:first-child button")
    page.wait_for_selector("#list li:first-child button[aria-current]")
    assert page.inner_text("#message") == ""


def test_who_the_person_is_gives_scores_traits_and_a_phenopacket(page: Any) -> None:
    page.click("#tab-person")
    page.select_option("#person-sex", "female")
    page.fill("#person-age", "31")
    page.keyboard.press("Tab")
    page.click("#tab-measurements")
    page.wait_for_selector("#m-intercanthal_width .z:not(:empty)")
    page.click("#tab-traits")
    page.wait_for_selector("#traits summary:has-text('Absent')")
    titles = page.locator("#traits summary").all_inner_texts()
    assert [title.split(" (")[0] for title in titles][:2] == ["Present", "Borderline"]
    page.click("#tab-keep")
    with page.expect_download() as download:
        page.click("text=Phenopacket")
    packet = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert packet["subject"]["sex"] == "FEMALE"
    with page.expect_popup() as report:
        page.click("text=Report of the measurements")
    report.value.wait_for_selector("h1")
    assert "Inner canthal distance" in report.value.inner_text("body")
    with page.expect_popup() as sheet:
        page.click("text=Clinical report")
    sheet.value.wait_for_selector("h2:has-text('Could not be judged')")
    assert "astronaut.png" in sheet.value.inner_text("h1:visible")
    page.click("[aria-label='Keep in the folder: Traits with their evidence']")
    page.wait_for_selector("#message:has-text('Kept: ')")
    assert len([*(page.bench.folder / "reports").glob("*.traits.html")]) == 1


def test_another_photo_of_the_person_stands_beside_and_points_are_linked(
    page: Any, astronaut: Pixels
) -> None:
    Image.fromarray(astronaut[:420]).save(page.bench.folder / "later.png")
    (page.bench.folder / "cohort.csv").write_text("photo\nastronaut.png\nlater.png\n")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.click("#tab-patient")
    page.fill("#join-code", "P")
    page.click("text=Put them together")
    page.wait_for_selector("#patient svg.other circle.dot", state="attached")
    assert page.locator("#patient .pooled thead th").all_inner_texts()[2:] == ["astronaut.png", "later.png"]
    page.select_option("#point", "p39")
    page.wait_for_selector("#patient svg.other circle.chosen", state="attached")
    page.click("text=What changed from astronaut.png to later.png")
    page.wait_for_selector("#patient h3:has-text('changed')")
    page.click("text=Open it")
    page.wait_for_selector("#list li:nth-child(2) button[aria-current]")


def test_two_windows_that_move_a_point_at_once_are_told_and_go_on(page: Any, chromium: Any) -> None:
    other = chromium.new_page()
    ready(other, page.bench.address)
    x, y = point(other, "p39")
    other.mouse.move(x, y)
    other.mouse.down()
    other.mouse.move(x + 6, y, steps=2)
    before = value(page, "intercanthal_width")
    drag(page, "p39", -12, 0)
    moved = changed(page, "intercanthal_width", before)
    other.mouse.up()
    other.wait_for_selector("#message:has-text('was changed in another window')")
    other.wait_for_selector(f"#m-intercanthal_width td:has-text('{moved}')")
    drag(other, "p42", 6, 0)
    other.wait_for_selector("#message:empty", state="attached")
    assert float(changed(other, "intercanthal_width", moved)) > float(moved)
    other.close()


def test_a_folder_that_is_dropped_gives_its_photos(page: Any, tmp_path: Path, astronaut: Pixels) -> None:
    for name in ("photos 1/b.png", "photos 1/inner/c.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        Image.fromarray(astronaut[: 400 + len(name)]).save(tmp_path / name)
    (tmp_path / "photos 1" / "notes.txt").write_text("no photo")
    driver = page.context.new_cdp_session(page)
    dropped = {"items": [], "files": [str(tmp_path / "photos 1")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        driver.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 400, "data": dropped})
    page.wait_for_selector("#list li:nth-child(3)")
    page.wait_for_selector("#message:empty", state="attached")
    assert [name.split("-")[0] for name in page.locator("#list li").all_inner_texts()][1:] == [
        "photos/b",
        "photos/c",
    ]
    page.click("#measure-all")
    page.wait_for_selector("#measure-all:has-text('Stop')")
    page.reload()  # in the middle of it
    page.wait_for_selector("#stands:has-text('3 of 3 measured')")


def test_a_term_is_judged_by_eye(page: Any) -> None:
    page.click("#tab-traits")
    page.wait_for_selector("#traits summary:has-text('To be judged by eye')")
    page.click("#traits summary:has-text('To be judged by eye')")
    page.select_option("[aria-label='Ptosis, right: seen by eye?']", "yes")
    page.wait_for_selector("#traits details:has(summary:has-text('Present (1)')) >> text=Ptosis, right")
    rows = [*csv.DictReader((page.bench.folder / "cohort.csv").open())]
    assert rows == [{"photo": "astronaut.png", "observed": "HP:0000508:R=yes"}]
    page.select_option("[aria-label='Ptosis, right: seen by eye?']", "")
    page.wait_for_selector("#traits summary:has-text('Present (0)')")


def test_a_known_distance_gives_the_scale(page: Any) -> None:
    page.click("#tab-person")
    page.select_option("[aria-label='From point']", "pR")
    page.select_option("[aria-label='To point']", "pL")
    page.fill("[aria-label='Millimetres between them']", "62")
    page.click("text=Set the scale")
    page.wait_for_selector("#m-interpupillary_distance small:has-text('mm')", state="attached")
    assert page.input_value("#person-scale").startswith("mm-per-px=1.4")
    page.click("#tab-measurements")
    told = page.inner_text("#m-interpupillary_distance td:nth-child(2)")
    assert 58 < float(told.split("\n")[-1].split(" mm")[0]) < 64


def on_screen(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the photo is on the screen."""
    box = page.locator("#face").bounding_box()
    left, top, width, _ = map(float, page.get_attribute("#face", "viewBox").split())
    return box["x"] + (x - left) / width * box["width"], box["y"] + (y - top) / width * box["width"]


def test_a_sticker_that_is_clicked_or_drawn_gives_the_scale(page: Any, astronaut: Pixels) -> None:
    large = Image.fromarray(astronaut).crop((120, 20, 340, 260)).resize((880, 960), Image.Resampling.LANCZOS)
    shape = Image.new("L", (3520, 3840))
    ImageDraw.Draw(shape).ellipse((1680, 520, 1919, 759), fill=255)  # 60 px wide, at 450, 160
    large.paste((40, 90, 200), mask=shape.resize(large.size, Image.Resampling.BOX))
    data = io.BytesIO()
    large.save(data, "PNG")
    page.set_input_files("#files", {"name": "s.png", "mimeType": "image/png", "buffer": data.getvalue()})
    page.wait_for_selector("#list li:nth-child(2) button[aria-current]")
    page.click("#tab-person")
    page.click("#wider")  # until hair is seen as well
    page.fill("#sticker-mm", "20")
    page.click("#mark-sticker")
    page.mouse.click(*on_screen(page, 460, 150))
    page.wait_for_selector("#scale-words:has-text('mm per pixel')")
    assert float(page.inner_text("#scale-words").split()[0]) == pytest.approx(20 / 60, rel=0.01)
    page.wait_for_selector("g.lines path.closed", state="attached")
    page.click("#mark-sticker")
    page.mouse.click(*on_screen(page, 440, 40))  # hair
    page.wait_for_selector("#message:has-text('Drag across the sticker')")
    page.mouse.move(*on_screen(page, 400, 640))  # chin, of which it is said to be a sticker
    page.mouse.down()
    page.mouse.move(*on_screen(page, 480, 640), steps=4)
    page.mouse.up()
    page.wait_for_selector("#scale-words:has-text('0.25')")
    rows = [*csv.DictReader((page.bench.folder / "cohort.csv").open())]
    assert [row["scale"][:11] for row in rows if row["scale"]] == ["mm-per-px=0"]


def test_a_sticker_by_keyboard(page: Any) -> None:
    page.click("#tab-person")
    page.fill("#sticker-mm", "60")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "mark-sticker"
    page.keyboard.press("Enter")
    page.wait_for_selector("#message:has-text('Space at one edge and Enter at the other')")
    page.keyboard.press("Shift+ArrowRight")  # from the middle of the picture
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#scale-words:has-text('mm per pixel')")
    scale = float(page.get_attribute("#face", "viewBox").split()[2])  # photo pixels to one of the screen
    scale /= page.locator("#face").bounding_box()["width"]
    assert float(page.inner_text("#scale-words").split()[0]) == pytest.approx(60 / (120 * scale), rel=0.001)
    page.click("#mark-sticker")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("g.cross path", state="attached")
    page.keyboard.press("Escape")
    page.wait_for_selector("g.cross path", state="detached")
    assert page.inner_text("#message") == ""


def test_every_photo_and_line_is_reached_by_keyboard_and_back_goes_back(page: Any, astronaut: Pixels) -> None:
    for i in range(2):
        Image.fromarray(astronaut[: 420 + 10 * i]).save(page.bench.folder / f"later{i}.png")
    rows = "photo\nastronaut.png\nlater0.png\nlater1.png\n"
    (page.bench.folder / "cohort.csv").write_text(rows)  # at which the folder is looked at again
    page.reload()
    page.wait_for_selector("#list li:nth-child(3)")
    page.wait_for_selector("html[data-ready]")
    assert page.locator("#list button[tabindex='0']").count() == 1  # one stop of the tab key
    page.focus("#list button[tabindex='0']")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_selector("#list li:nth-child(2) button[aria-current]")
    page.reload()
    page.wait_for_selector("#list li:nth-child(2) button[aria-current]")  # where it was
    page.wait_for_selector("html[data-ready]")
    page.go_back()
    page.wait_for_selector("#list li:nth-child(1) button[aria-current]")
    before = page.get_attribute("#face", "viewBox")
    page.focus("#face")
    page.keyboard.press("ArrowRight")  # no point is chosen
    assert page.get_attribute("#face", "viewBox") != before
    page.keyboard.press("PageDown")
    assert page.inner_text("#point-words").startswith("p0, ")
    page.keyboard.press("Escape")
    assert page.input_value("#point") == ""


def test_another_face_of_a_photo_is_chosen_by_keyboard_and_by_mouse(page: Any, astronaut: Pixels) -> None:
    group = Image.new("RGB", (1700, 560), "grey")
    for i, width in enumerate((400, 480)):
        head = Image.fromarray(astronaut).crop((110, 0, 350, 260))
        group.paste(head.resize((width, round(width * 260 / 240))), (20 + 860 * i, 10))
    data = io.BytesIO()
    group.save(data, "PNG")
    page.set_input_files("#files", {"name": "g.png", "mimeType": "image/png", "buffer": data.getvalue()})
    page.wait_for_selector("#gate-line:has-text('2 faces were found; measured is the largest.')")
    right = page.locator("circle.dot").first.get_attribute("cx")
    page.focus("#other-face")
    page.keyboard.press("Enter")
    page.wait_for_selector(".other-face:focus")
    page.keyboard.press("Enter")
    page.wait_for_selector("#gate-line:has-text('measured is the one that was chosen')")
    assert float(page.locator("circle.dot").first.get_attribute("cx")) < 500 < float(right)
    drag(page, "p39", -8, 0)
    page.wait_for_selector("#undo:enabled")
    page.wait_for_selector("#results:not([aria-busy])")
    assert [path.name.split("-")[2] for path in landmark_files(page)] == ["face1.landmarks.json"]
    page.click("#other-face")  # which shows the whole photo
    page.wait_for_selector("#message:has-text('Click the face to measure')")
    box = page.locator(".other-face").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#gate-line:has-text('measured is the largest.')")
    assert page.locator("circle.dot").first.get_attribute("cx") == right
    assert page.is_disabled("#reset-all")


def test_a_point_that_is_moved_in_a_video_makes_its_frame_a_photo(page: Any, astronaut: Pixels) -> None:
    page.set_input_files("#files", write_clip(page.bench.folder.parent / "clip.mp4", astronaut))
    page.wait_for_selector("#point-words:has-text('The best frame of a video.')")
    x, y = point(page, "p39")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 12, y, steps=4)
    page.wait_for_selector("#message:has-text('a photo of its own now')")
    page.mouse.move(x - 16, y, steps=2)  # which does not end the drag
    page.mouse.up()
    page.wait_for_selector("#results:not([aria-busy])")
    page.wait_for_selector("#list li:nth-child(3) button[aria-current]")
    assert len(landmark_files(page)) == 1
    assert "by hand" in page.inner_text("#m-intercanthal_width")
    page.click("#undo")
    page.wait_for_selector("#reset-all:disabled")
    assert landmark_files(page) == []


def test_scores_on_their_lines_and_traits_follow_a_drag(page: Any) -> None:
    (page.bench.folder / "cohort.csv").write_text("photo,sex,age\nastronaut.png,female,31\n")
    ready(page, page.bench.address)
    page.check("#as-plot")
    shown = "#m-intercanthal_width .zbar .dot"
    before = page.get_attribute(shown, "d")
    assert not page.is_visible("#m-intercanthal_width .value")
    assert not page.is_visible("tr.measure:not(.scored)")
    x, y = point(page, "p39")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 9, y, steps=3)  # and not let go
    page.wait_for_selector(f"{shown}:not([d='{before}'])", state="attached")
    page.mouse.up()
    page.wait_for_selector("#undo:enabled")
    page.click("#tab-traits")
    evidence = "#traits small:has-text('Inner canthal distance 0')"
    page.wait_for_selector(evidence, state="attached")
    told = page.locator(evidence).first.text_content()
    x, y = point(page, "p39")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 9, y, steps=3)
    page.wait_for_selector(f"{evidence}:not(:has-text('{told}'))", state="attached")
    page.mouse.up()


def test_a_model_follows_a_point_before_it_is_let_go(page: Any, example_folder: Path) -> None:
    shutil.copy(example_folder / "m.anthropo", page.bench.folder)
    ready(page, page.bench.address)
    page.click("#tab-model")
    page.wait_for_selector("#model .bars")
    told = page.inner_text("#model summary")
    x, y = point(page, "p45")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y, steps=3)
    page.wait_for_selector("#model p:has-text('Measurements follow the point')")
    assert page.inner_text("#model summary") != told
    page.mouse.up()
    page.wait_for_selector("#model p:has-text('Measurements follow the point')", state="detached")


def test_sizes_are_shown_on_their_growth_charts(page: Any) -> None:
    page.click("#tab-person")
    page.select_option("#person-sex", "female")
    page.fill("#person-age", "4.2")
    page.fill("#person-height", "98")
    page.keyboard.press("Tab")
    page.wait_for_selector("#person .growth img[alt='Height 98 cm on the centiles of WHO 2006/2007: 8.17']")
    page.fill("#person-age", "31")  # for whom there is another chart, and no curve
    page.keyboard.press("Tab")
    page.wait_for_selector("#person .growth figure:not(:has(img)) >> text=US adults")
    page.fill("#person-height", "tall")
    page.keyboard.press("Tab")
    page.wait_for_selector("#person .growth .bad:has-text(\"height 'tall' is no number. Give cm.\")")


def test_a_measurement_shows_its_line_and_a_line_its_measurement(page: Any) -> None:
    page.hover("#m-nasal_width")
    page.wait_for_selector("g.lines path.mark", state="attached")
    page.mouse.move(5, 5)
    page.check("#all-lines")
    page.wait_for_selector("g.all path[data-measurement=intercanthal_width]", state="attached")
    (ax, ay), (bx, by) = point(page, "p39"), point(page, "p42")
    page.mouse.click(ax + 0.3 * (bx - ax), ay + 0.3 * (by - ay))
    page.wait_for_selector("#m-intercanthal_width.chosen")
    page.fill("[type=search]", "philtrum")
    assert not page.is_visible("#m-intercanthal_width")
    assert page.is_visible("#m-philtrum_length")


def test_zoom_and_pan_leave_points_on_the_photo(page: Any) -> None:
    x, y = point(page, "p30")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    assert point(page, "p30") == pytest.approx((x, y), abs=3)
    box = page.locator("#face").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + 44, box["y"] + 34, steps=4)
    page.mouse.up()
    assert point(page, "p30") == pytest.approx((x + 40, y + 30), abs=4)
    page.click("#fit")
    assert point(page, "p30") == pytest.approx((x, y), abs=3)
    assert landmark_files(page) == []


def test_another_shape_of_the_window_and_back_shows_the_same(page: Any) -> None:
    page.click("#closer")
    before = page.get_attribute("#face", "viewBox")
    for width in (390, 1900, 700, 1280):  # a phone that is turned, a page that is printed
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(60)
    assert page.get_attribute("#face", "viewBox") == before
    page.emulate_media(media="print")
    assert not page.is_visible("#tabs")
    assert not page.is_visible("#photos")
    assert page.inner_text("#about") == "astronaut.png"
    assert page.evaluate("getComputedStyle(document.querySelector('.rows')).maxHeight") == "none"


def test_fingers_move_points_and_zoom(chromium: Any, folder: Path) -> None:
    with Workbench(folder, port=0) as bench:
        phone = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
        page = phone.new_page()
        ready(page, bench.address)
        driver = phone.new_cdp_session(page)

        def fingers(kind: str, *places: tuple[float, float]) -> None:
            points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
            driver.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

        page.locator("#tab-traits").tap()
        page.wait_for_selector("#traits summary")
        page.locator("#tab-measurements").tap()
        page.evaluate("document.getElementById('picture').scrollIntoView()")
        scrolled, before = page.evaluate("scrollY"), value(page, "intercanthal_width")
        x, y = point(page, "p39")
        fingers("Start", (x + 5, y + 6))  # as exactly as fingers are
        for step in range(1, 6):
            fingers("Move", (x + 5 - 2 * step, y + 6))
        assert page.is_visible("#magnifier")
        fingers("End")
        assert page.evaluate("scrollY") == scrolled
        moved = changed(page, "intercanthal_width", before)
        assert float(moved) > float(before)
        page.locator("#undo").tap()
        assert changed(page, "intercanthal_width", moved) == before
        x, y = point(page, "p39")
        fingers("Start", (x, y))  # one of two happens to be at a point
        fingers("Start", (x, y), (x + 60, y + 60))
        for step in range(1, 6):
            fingers("Move", (x - 4 * step, y), (x + 60 + 4 * step, y + 60))
        fingers("End")
        apart = point(page, "p42")[0] - point(page, "p39")[0]
        page.locator("#fit").tap()
        assert apart > 1.2 * (point(page, "p42")[0] - point(page, "p39")[0])
        assert value(page, "intercanthal_width") == before
        phone.close()


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_nothing_is_cut_on_a_narrow_screen(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    for name in ("measurements", "traits", "person", "photo", "patient", "model", "keep"):
        page.click(f"#tab-{name}")
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
