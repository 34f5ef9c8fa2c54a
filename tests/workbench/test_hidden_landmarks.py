"""What the page is told of a photo on which something hides a part of the face."""

from __future__ import annotations

from pathlib import Path

from hiding import HERE, MOUTH, THERE, hidden_in
from talking import Client

from anthropo.synthetic import make_cohort
from anthropo.workbench import Workbench


def test_nothing_on_the_page_rests_on_where_a_hidden_landmark_was_found(tmp_path: Path) -> None:
    made = make_cohort(tmp_path / "made", 1, ("control",)).parent
    folder = tmp_path / "photos"
    folder.mkdir()
    next(made.glob("*.jpg")).rename(folder / "p.jpg")
    documents = []
    for by in (HERE, THERE):
        with (
            hidden_in(lambda source: source.endswith("p.jpg"), MOUTH, by),
            Workbench(folder, port=0, read_only=True) as bench,
        ):
            client = Client(bench)
            (photo,) = client.ask("/api/photos").json["photos"]
            at = f"/api/photos/{photo['id']}"
            told = {part: client.ask(f"{at}{part}").json for part in ("", "/lines", "/traits", "/together")}
            documents.append(told)
            values = {m["id"]: m for m in told[""]["measurements"]}
            assert values["mouth_width"]["value"] == "–"
            assert values["mouth_width"]["z"] == []
            assert values["intercanthal_width"]["value"] != "–"
            assert told["/lines"]["mouth_width"] == []
            assert told["/lines"]["intercanthal_width"]
            assert all(p["hidden"] for p in told[""]["points"] if p["code"] in ("p48", "p51", "p57"))
    for told in documents:
        for place in ("points", "preview", "close"):
            told[""].pop(place)
    assert documents[0] == documents[1]
