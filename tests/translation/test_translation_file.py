"""The file of a translation: what is kept, and what is refused of files that may come from anywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_domains import domains, tiny

from anthropo.container import write_container
from anthropo.errors import ModelError, WeightsError
from anthropo.learning.bundle import read_bundle
from anthropo.learning.model_readers import as_written
from anthropo.networks.network import flat
from anthropo.translation.file import KIND, About, Side, Translation, load_translation
from anthropo.translation.networks import Generator
from anthropo.workflows.inspection import inspect

SIDE = Side(photos=9, people=8, held_out_photos=3, held_out_people=2)
PARAMETERS = tiny()


def made() -> Translation:
    torch.manual_seed(0)
    sizes = PARAMETERS.channels, PARAMETERS.blocks, PARAMETERS.upsampling, PARAMETERS.skip
    about = About(parameters=PARAMETERS, domains={"A": SIDE, "B": SIDE}, licence="mine", figures={"x": 0.5})
    return Translation(about, (Generator(*sizes).eval(), Generator(*sizes).eval()))


def write(path: Path, changed: dict[str, object] | None = None, **arrays: np.ndarray | None) -> Path:
    """A file of `made`, with other options in its manifest or other arrays."""
    one = made()
    about = as_written(one.about)
    about["parameters"].update(changed or {})
    kept = {"to-B": flat(one.generators[0]), "to-A": flat(one.generators[1]), **arrays}
    manifest = {"format": KIND.format, "format_version": 1, "anthropo": "x", "translation": about}
    write_container(path, KIND, manifest, {n: a for n, a in kept.items() if a is not None}, {}, smaller="")
    return path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    one = made()
    one.save(tmp_path / "ab.anthropo")
    again = load_translation(tmp_path / "ab.anthropo")
    assert again.about == one.about
    assert again.digest == one.digest
    pictures = domains().held_out[0].pictures
    for to in "AB":
        assert np.array_equal(one.translate(pictures, to), again.translate(pictures, to))
    assert not np.array_equal(one.translate(pictures, "A"), one.translate(pictures, "B"))
    one.save(tmp_path / "again.anthropo")
    assert (tmp_path / "ab.anthropo").read_bytes() == (tmp_path / "again.anthropo").read_bytes()
    rows = dict(inspect(tmp_path / "ab.anthropo").rows)
    assert rows["licence of the photos"] == "mine"
    assert rows["domain A"] == "9 photos of 8 people; 3 photos of 2 people kept apart"


def test_files_from_before_precision_was_an_option_are_read(tmp_path: Path) -> None:
    about = as_written(made().about)
    del about["parameters"]["precision"]
    assert About.from_json(about).parameters.precision == "full"
    assert PARAMETERS.precision == "mixed"


def test_pictures_do_not_depend_on_those_beside_them() -> None:
    one, pictures = made(), domains(held_out=5).held_out[1].pictures
    assert np.array_equal(one.translate(pictures, "B")[2:3], one.translate(pictures[2:3], "B"))


def test_other_pictures_are_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"uint8 \(n, \(32, 32, 3\)\) to A or B are needed"):
        made().translate(np.zeros((1, 48, 48, 3), np.uint8), "B")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"channels": 3}, "its generators have .* weights, and .* are needed"),
        ({"channels": 100_000}, "channels is 100000, not 2 to 256"),
        ({"blocks": -1}, "blocks is -1"),
        ({"size": 40}, "size 40: needs to be a multiple of 16"),
        ({"size": 1 << 20}, "size is 1048576, not 32 to 256"),
        ({"upsampling": "other"}, "upsampling is 'other'"),
        ({"rate": "0"}, "rate is not of the type float"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, changed: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        load_translation(write(tmp_path / "ab.anthropo", changed))


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ab.anthropo"
    good = flat(made().generators[0])
    with pytest.raises(ModelError, match=r"the translation does not fit together \(its weights are missing"):
        load_translation(write(path, **{"to-B": None}))
    with pytest.raises(ModelError, match="are needed"):
        load_translation(write(path, **{"to-B": good[:-1]}))
    with pytest.raises(ModelError, match="its weights are not finite"):
        load_translation(write(path, **{"to-B": np.where(good == good[3], np.nan, good).astype(np.float32)}))
    with pytest.raises(ModelError, match="other is no part of a translation"):
        load_translation(write(path, other=good))


def test_files_of_other_kinds_say_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "ab.anthropo"
    made().save(path)
    with pytest.raises(ModelError, match="a translation of faces, which classifies nothing"):
        read_bundle(path)
    from anthropo.face.landmark_bundle import read_landmark_bundle

    with pytest.raises(WeightsError, match="a translation of faces, which places no landmarks"):
        read_landmark_bundle(path)
    (tmp_path / "p.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ModelError, match=r"not a translation of anthropo. Give what `anthropo translate"):
        load_translation(tmp_path / "p.jpg")
    with pytest.raises(ModelError, match="no such model file"):
        load_translation(tmp_path / "none.anthropo")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ab.anthropo"
    made().save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"ab\.anthropo: "):
        load_translation(path)


def test_the_file_names_nobody(tmp_path: Path) -> None:
    one = made()
    path = tmp_path / "ab.anthropo"
    replace(one, about=replace(one.about, learned_from=("0123456789abcdef",))).save(path)
    kept = json.dumps(as_written(load_translation(path).about))
    assert not any(photo in kept for faces in domains().train for photo in faces.photos)
