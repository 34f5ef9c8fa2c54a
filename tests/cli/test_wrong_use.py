"""Options that no command can use: one sentence, exit code 2, before any photo is decoded."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from cohorts import FAST, model, write
from conftest import Copies, Invoke, refused

from anthropo import photo
from anthropo.reference.person import WAYS

#: A command: what is wrong with its options, and the sentence that says so.
WRONG = {
    "measure": {
        "--face two": "'two' is not one of 'one', 'largest', 'all'.",
        "-j 0": "0 is not in the range 1<=x<=1024.",
        "--jitter 0": "0 is not in the range 1<=x<=256.",
        "--max-megapixels 0": "0.0 is not in the range x>0.",
        "--max-megapixels nan": "'nan' is not a valid float.",
        "--deadline inf": "'inf' is not a valid float.",
        "--nonsense": "No such option",
        "-o": "requires an argument.",
        "--sex x": "Error: Sex 'x' is unknown. Give female (f, w) or male (m).",
        "--sex ''": "Error: The sex is empty. Give female (f, w) or male (m).",
        "--age eight": f"Error: Age 'eight' is not an age. Give {WAYS}.",
        "--age -3": f"Error: Age '-3' is negative. Give {WAYS}.",
        "--age 300": f"Error: Age '300' is above 120 years. Give {WAYS}.",
        "--age ''": f"Error: The age is empty. Give {WAYS}.",
        "--reference narnia": "Error: 'narnia': no such reference. Shipped are ",
        "--reference gone.csv": "Error: gone.csv: no such file.",
        "--scale banana": "Error: --scale 'banana': unknown kind 'banana'. Give mm-per-px=",
        "--scale ipd": "Error: --scale 'ipd': ",
        "--scale ipd=wide": "Error: --scale 'ipd=wide': 'wide' is not a number. Give ",
        "--scale sticker=2000": "Error: --scale 'sticker=2000': 2000 is not a sticker's diameter",
        "--scale ''": "Error: --scale '': unknown kind ''. Give ",
    },
    "traits": {
        "--confidence nan": "'nan' is not a valid float.",
        "--height 1.7": "Error: Height 1.7 cm cannot be. Give it in cm.",
        "-o traits.xlsx": "Error: traits.xlsx: the suffix says what is written. Use .csv, .json or .html.",
        "--sex x": "Error: Sex 'x' is unknown. Give female (f, w) or male (m).",
        "--age old": f"Error: Age 'old' is not an age. Give {WAYS}.",
        "--reference none": "Error: 'none': no such reference.",
        "--rules none.csv": "Error: none.csv: no such file.",
        "--growth-reference uk": "'uk' is not one of 'who', 'cdc', 'adults', 'uk-who', 'trisomy-21', "
        "'turner'.",
    },
    "explain": {
        "--label down": "--label down: the model does not know it. Its labels are one, other, none",
        "-o why.pdf": "why.pdf: the suffix says what is written. Use .html, .json or .png.",
        "-o no/such/why.html": "cannot be written. Choose a folder that exists",
        "--sex yes": "Give female (f, w) or male (m).",
        "--age old": "Age 'old' is not an age.",
    },
    "train": {
        "--alarm nan": "'nan' is not a valid float.",
        "--specificity 0.9": "Error: --specificity is about --normal. Pass both, or none of them.",
        "--weigh-cost": "Error: --weigh-cost is about --cost or --cost-matrix. Pass both, or none of them.",
        "--normal b --classifier svm": "Error: --normal cannot be combined with --classifier. Leave one of",
        "--normal b --balance none": "Error: --normal cannot be combined with --balance. Leave one of",
        "-o m.html": "Error: m.html: the suffix says what is written. Use .anthropo.",
        "--validate -o m.csv": "Error: m.csv: the suffix says what is written. Use .html or .anthropo.",
        "--error-rate inf": "inf is not in the range 0<x<1.",
        "--cost miss=x": "Error: --cost miss=x: miss=x is no cost.",
        "--positive c": "Error: --positive c: no photo has this label. The labels are a, b.",
        "--controls c": "Error: c: no photo has this label of healthy people. The labels are a, b.",
        "--normal c": "Error: c: no photo has this label of healthy people. The labels are a, b.",
        "--normal a --multilabel": "Error: --normal cannot be combined with --multilabel.",
        "--multilabel --cost-matrix x.csv": "Error: --multilabel cannot be combined with --cost-matrix.",
        "--independent": "Error: --independent is about --multilabel.",
        "--normal a --missing evidence": "Error: --missing evidence is for labels",
        "--regions face,ear": "Error: --regions ear: unknown. Choose from face, upper, middle",
        "--regions background": "Error: --regions background: unknown.",
        "--encoder alexnet": "Error: encoder 'alexnet': unknown. Choose from face-resnet",
        "--encoder timm:resnet18": "Error: encoder timm:resnet18: its weights are needed",
        "--landmark-model no.dat": "Error: no.dat: no such",
    },
    "train --no-face": {
        "--regions eyes": "Error: --regions are of a face, --no-face has none. Leave one of them out.",
        "--face largest": "Error: --face is about faces, and --no-face was given. Leave it out.",
        "--jitter 2": "Error: --jitter is about faces, and --no-face was given. Leave it out.",
        "--landmark-model x.dat": "Error: --landmark-model is about faces, and --no-face was given.",
    },
    "finetune": {
        "--set imbalanse=none": "no option 'imbalanse'. Did you mean imbalance?",
        "--device tpu": "device tpu: not on this computer",
        "--parameters nowhere.toml": "nowhere.toml: no such file",
    },
}


@pytest.fixture
def usual(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, astronaut_png: Path, copies: Copies
) -> Callable[[str], list[object]]:
    """usual("train"): arguments with which the command would work."""

    def cohort() -> Path:
        photos = copies(tmp_path, *(f"{i}.jpg" for i in range(4)))
        rows = zip(photos, "aabb", "1234", strict=True)
        return write(tmp_path / "c.csv", [{"photo": p.name, "label": a, "patient": b} for p, a, b in rows])

    def arguments(command: str) -> list[object]:
        if command.startswith("train"):
            return [cohort(), "-o", tmp_path / "made"]
        if command == "finetune":
            network = ("--recipe", "deepgestalt", "--no-face", "--set", "backbone=deepgestalt")
            return [cohort(), *network, "-o", tmp_path / "made.anthropo"]
        more = ["--model", model(tmp_path_factory, "strangers"), *FAST] if command == "explain" else []
        return [astronaut_png, *more]

    return arguments


@pytest.mark.parametrize(
    ("command", "options"), [(name, each) for name, own in WRONG.items() for each in own]
)
def test_wrong_options_are_one_sentence_before_any_photo_is_decoded(
    command: str,
    options: str,
    usual: Callable[[str], list[object]],
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    arguments = usual(command)
    monkeypatch.delattr(photo, "_decode")  # to decode a photo from here on is a NameError
    words = [*command.split(), *arguments, *shlex.split(options)]
    told = refused(invoke, *words, says=WRONG[command][options])
    if not told.startswith("Usage: "):
        assert told.count("\n") == 1
    assert not list(tmp_path.glob("made*"))
