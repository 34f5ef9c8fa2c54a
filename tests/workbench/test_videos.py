"""Videos on the page: what `anthropo measure` makes of them, with the best frame to look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Pixels
from talking import Client, write_clip

import anthropo
from anthropo.decoding import pool
from anthropo.workbench import Workbench


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, astronaut: Pixels) -> Path:
    """Three frames of the astronaut."""
    return write_clip(tmp_path_factory.mktemp("videos") / "clip.mp4", astronaut)


def test_a_video_is_measured_as_the_command_line_does_and_its_points_stay(tmp_path: Path, clip: Path) -> None:
    with Workbench(tmp_path / "work", port=0) as bench:
        client = Client(bench)
        doc = client.add("clip.mp4", clip.read_bytes()).json
        assert doc["video"] is True
        assert doc["notes"][0] == "0.3 s of video, 3 of 3 frames measured and pooled."
        refused = client.place(doc, {"p39": [212.0, 103.0]})
        assert refused.status == 422
        assert "points of a video cannot be moved" in refused.text
        doc = client.describe(doc, sex="female", age="31", scale="ipd=62").json
        shown = {m["id"]: m for m in doc["measurements"]}
        row = anthropo.measure_table(clip, sex="female", age=31, scale="ipd=62", references=["auto"]).iloc[0]
        for name in ("intercanthal_width", "palpebral_fissure_length_R"):
            assert float(shown[name]["value"]) == pytest.approx(row[name], abs=0.0005)
            assert shown[name]["z"][0]["z"] == pytest.approx(row[f"{name}_z_web__all__ages"], abs=0.001)
            assert float(shown[name]["mm"].split()[0]) == pytest.approx(row[f"{name}_mm"], abs=0.05)
        at = f"/api/photos/{doc['id']}"
        for what in ("picture", "thumbnail", "results/report", "results/clinical", "results/phenopacket"):
            assert client.ask(f"{at}/{what}").status == 200, what
        assert "Values are pooled from 3 frames of 0.3 s." in client.ask(f"{at}/results/clinical").text
        assert "no landmark file" in client.ask(f"{at}/results/landmarks").text
    with Workbench(tmp_path / "work", port=0) as bench:  # and is there again
        (listed,) = Client(bench).ask("/api/photos").json["photos"]
        assert listed["name"].startswith("photos/clip-")


def test_a_frame_becomes_a_photo_of_the_same_person_whose_points_can_be_moved(
    tmp_path: Path, clip: Path
) -> None:
    with Workbench(tmp_path / "work", port=0) as bench:
        client = Client(bench)
        video = client.add("clip.mp4", clip.read_bytes()).json
        video = client.describe(video, sex="female", age="31", patient="P").json
        frame = client.ask(f"/api/photos/{video['id']}/frame", "POST").json
        assert (frame["video"], frame["person"]) == (False, video["person"])
        assert frame["name"].startswith("photos/clip-")
        at, found = ({p["code"]: (p["x"], p["y"]) for p in doc["points"]} for doc in (frame, video))
        assert at["p39"] == pytest.approx(found["p39"], abs=0.01)  # the same pixels
        moved = client.place(frame, {"p39": [at["p39"][0] - 2, at["p39"][1]]}).json
        assert moved["by_hand"] == ["p39"]
        again = client.ask(f"/api/photos/{video['id']}/frame", "POST").json  # which is kept once
        assert (again["id"], again["by_hand"]) == (frame["id"], ["p39"])
        assert client.ask(f"/api/photos/{video['id']}").json["points"] == video["points"]
        refused = client.ask(f"/api/photos/{frame['id']}/frame", "POST")
        assert (refused.status, refused.text.endswith("a photo has no frames.")) == (422, True)


def test_a_video_without_the_library_is_one_sentence_and_not_kept(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workbench(tmp_path, port=0) as bench:
        client = Client(bench)
        broken = client.add("x.mp4", b"no video")
        assert (broken.status, broken.text.count("\n")) == (422, 0)
        assert broken.text.startswith("x.mp4: not a video that can be read.")
        pool.end_idle()
        monkeypatch.setattr(pool, "PROGRAM", f"sys.modules['av'] = None; {pool.PROGRAM}")
        refused = client.add("clip.mp4", clip.read_bytes())
        assert refused.status == 422
        needed = 'needs PyAV, which is not installed. Install it with `pip install "anthropo[video]"`.'
        assert refused.text == f"clip.mp4 {needed}"
        pool.end_idle()
        assert client.ask("/api/photos").json["photos"] == []
