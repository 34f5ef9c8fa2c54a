"""Runs that use only what has a permissive licence: what they refuse, do and say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from cohorts import run
from conftest import Invoke, refused
from noise import write_cohort

import anthropo
from anthropo.cli import COMMANDS
from anthropo.face.weights import KNOWN
from anthropo.learning.bundle import read_bundle
from anthropo.learning.manifest import EncoderWeights, Manifest, PhotoSettings, WeightsRecord
from anthropo.licensing import FACES, VARIABLE, LicenceError, is_permissive_run, licence_of
from anthropo.report.licences import markdown

NO_FACES = "A permissive run reads no faces: face-detector ("
SAID = "Permissive run: only what has a permissive licence"
DOCS = Path(__file__).parents[2] / "docs"

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("noise"), ["a", "b"] * 12)


@pytest.fixture(scope="module")
def made(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network, a model and what they gave, all of permissive runs."""
    folder = tmp_path_factory.mktemp("permissive")
    net, model, photo = folder / "net.anthropo", folder / "m.anthropo", cohort.parent / "0.png"
    small = [
        word for s in ("size=32", "batch=8", "epochs=1", "mirror=false", "threads=1") for word in ("--set", s)
    ]
    learn = ["--no-face", "--encoder", net, "--folds", 2, "--min-patients", 5, "-j", 1, "--cache", "none"]
    for words in (
        [
            "finetune",
            cohort,
            "--recipe",
            "deepgestalt",
            "--no-face",
            "--warm-start",
            "none",
            "-o",
            net,
            *small,
        ],
        ["train", cohort, *learn, "-o", model],
        ["evaluate", cohort, *learn, "-o", folder / "report.json"],
        ["classify", "--model", model, photo, "-o", folder / "answer.json"],
        ["explain", "--model", model, photo, "-o", folder / "why.html"],
    ):
        run(*words, "--permissive")
    assert not is_permissive_run()
    return folder


def test_every_command_that_uses_weights_or_references_has_the_option(invoke: Invoke) -> None:
    for command in COMMANDS:
        words = [
            command,
            *{"reference": ["build"], "landmarks": ["train"], "translate": ["train"]}.get(command, []),
        ]
        assert ("--permissive  " in invoke(*words, "--help").stdout) == (
            command not in ("inspect", "verify", "models", "doctor", "completion")
        )


@pytest.mark.parametrize(
    "words",
    [("measure",), ("traits",), ("measure", "--landmark-model", "own.dat")],
)
def test_faces_are_refused_with_one_sentence(
    invoke: Invoke, astronaut_png: Path, words: tuple[str, ...]
) -> None:
    said = refused(invoke, words[0], astronaut_png, *words[1:], "--permissive", says=NO_FACES)
    assert all(name in said for name in FACES)
    assert "Leave --permissive (or ANTHROPO_PERMISSIVE) out" in said


def test_the_variable_does_what_the_option_does(
    invoke: Invoke, astronaut_png: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    assert not is_permissive_run()
    monkeypatch.setenv(VARIABLE, "1")
    refused(invoke, "measure", astronaut_png, says=NO_FACES)


def test_python_refuses_as_well(astronaut_png: Path) -> None:
    with pytest.raises(LicenceError, match=r"reads no faces.*Leave permissive=True"):
        anthropo.patient_table(astronaut_png, settings=anthropo.Settings(permissive=True))
    with pytest.raises(LicenceError, match="reads no faces"):
        anthropo.observe(astronaut_png, anthropo.Settings(permissive=True))
    with anthropo.permissive():
        with pytest.raises(LicenceError, match="reads no faces"):
            anthropo.read_faces(anthropo.read_photo(astronaut_png))
        for name in ("face-resnet", "efficientnet-lite0"):
            with pytest.raises(LicenceError, match=f"cannot use {name}: trained on"):
                anthropo.load_encoder(name)
        with pytest.raises(LicenceError, match=r"own\.pth: anthropo does not know its licences"):
            anthropo.load_encoder("timm:resnet18", weights="own.pth")
    assert not is_permissive_run()


def test_what_a_permissive_run_writes_says_so(made: Path) -> None:
    assert json.loads((made / "report.json").read_text())["permissive"].startswith(SAID)
    assert json.loads((made / "net.history.json").read_text())["permissive"].startswith(SAID)
    assert f'<footer class="soft">{SAID}' in (made / "why.html").read_text()
    for name in ("net.anthropo", "m.anthropo", "report.json", "answer.json", "why.html"):
        notice = json.loads((made / f"{name}.run.json").read_text())["permissive"]
        assert notice.startswith(SAID)
        assert "landmarks-68: trained on iBUG 300-W, which excludes commercial use" in notice
    for name in ("net.anthropo", "m.anthropo"):
        assert SAID in str(anthropo.inspect(made / name).card)
        manifest = Manifest.from_json(read_bundle(made / name).manifest)
        assert str(manifest.permissive).startswith(SAID)
        assert manifest.barred == {}


def test_other_runs_say_nothing_of_it(invoke: Invoke, made: Path, cohort: Path, tmp_path: Path) -> None:
    output, photo = tmp_path / "why.html", cohort.parent / "0.png"
    result = invoke("explain", "--model", made / "m.anthropo", photo, "-o", output)
    assert result.exit_code == 0, result.stderr
    text = output.read_text()
    assert '<footer class="soft">Permissive run' not in text
    assert json.loads((tmp_path / "why.html.run.json").read_text())["permissive"] == ""


def test_a_run_made_again_is_permissive_as_well(made: Path) -> None:
    assert anthropo.verify(made / "answer.json.run.json").differences == ()


def test_a_model_says_what_is_not_permissive_and_is_refused() -> None:
    of_faces = Manifest(weights=(WeightsRecord(name="landmarks-68"),))
    assert list(of_faces.barred) == list(FACES)
    of_skin = Manifest(
        settings=PhotoSettings(no_face=True),
        encoder=EncoderWeights(name="efficientnet-lite0", permissive=True),  # whoever says so
        weights=(WeightsRecord(name="mine.pth"), WeightsRecord(name="free", permissive=True)),
    )
    assert list(of_skin.barred) == ["efficientnet-lite0", "mine.pth"]
    of_skin.require_permitted("m.anthropo")
    with (
        anthropo.permissive(),
        pytest.raises(LicenceError, match=r"m\.anthropo: .* mine\.pth \(licences not"),
    ):
        of_skin.require_permitted("m.anthropo")


def test_the_table_of_licences_is_whole() -> None:
    listed = {one.name: one for one in anthropo.licences()}
    assert len(listed) == len(anthropo.licences())
    assert all(w.name in listed for w in KNOWN)
    folder = Path(anthropo.__file__).parent
    shipped = [*folder.glob("reference/norms/*.csv"), *folder.rglob("*.npz"), folder / "face/face3d.csv"]
    places = " ".join(one.place for one in listed.values())
    assert all(str(path.relative_to(folder).as_posix()) in places for path in shipped)
    for one in listed.values():
        assert one.permissive == (not one.why), one.name
        assert one.code
        assert one.used_by
        if one.permissive:
            assert not any(word in one.code + one.data for word in ("GPL", "non-commercial", "no licence"))
    assert not getattr(licence_of("landmarks-68"), "permissive", True)
    assert (DOCS / "licences.md").read_text() == markdown(), "python -m anthropo.report.licences docs"
