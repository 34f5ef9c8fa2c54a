"""anthropo translate: from photographs to translated ones, and what is said of bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from shown import shows_itself

from anthropo import Settings, read_photo
from anthropo.cli import cli
from anthropo.decoding.provenance import GENERATED
from anthropo.errors import InputError
from anthropo.report import translation
from anthropo.synthetic import make_cohort
from anthropo.translation.file import load_translation
from anthropo.translation.pictures import read_domains

TINY = (
    *("size=32", "channels=2", "blocks=1", "discriminator_channels=2", "discriminator_layers=2", "epochs=1"),
    *("decay_epochs=0", "steps=2", "landmark_channels=4", "landmark_epochs=1", "threads=1"),
)
FAST = ("--jitter", "2", "--no-fine", "-j", "1")
Invoke = Callable[..., Result]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two tables of five people each."""
    folder = tmp_path_factory.mktemp("domains")
    a, b = (make_cohort(folder / name, 5, ["control"], seed=i) for i, name in enumerate(("a", "b")))
    return a, b


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments], prog_name="anthropo")


def train(a: object, b: object, output: object, *more: object) -> Result:
    options = [word for option in TINY for word in ("--set", option)]
    return run("translate", "train", a, b, "-o", output, *FAST, "--device", "cpu", *options, *more)


def test_train_then_apply(both: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    printed = translation.print_trained
    monkeypatch.setattr(
        translation, "print_trained", lambda made: shown.append(shows_itself(made, to="A")) or printed(made)
    )
    path = tmp_path / "ab.anthropo"
    figures = tmp_path / "figures"
    result = train(
        *both, path, "--label", "sex", "--report", tmp_path / "ab.html", "--licence", "mine",
        "--figures", figures,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "landmark network, epoch 1 of 1" in result.output
    assert "translation, epoch 1 of 1" in result.output
    assert "On people who were kept apart" in result.output
    assert "landmarks moved, ex-ex (median)" in result.output
    assert {p.name for p in tmp_path.iterdir()} == {
        *("ab.anthropo", "ab.anthropo.run.json", "ab.history.json", "ab.history.png", "ab.html", "figures"),
    }
    drawn = ("loss", "moved-to-A", "moved-to-B", "samples-to-A-1", "samples-to-B-1")
    assert "landmarks moved, ex-ex (median)" in shown[0]
    assert {p.name for p in figures.iterdir()} == {f"{n}.{kind}" for n in drawn for kind in ("svg", "pdf")}
    page = (tmp_path / "ab.html").read_text("utf-8")
    assert "First row: real pictures of A" in page
    assert "mine" in page
    about = load_translation(path).about
    assert about.domains["A"].photos + about.domains["A"].held_out_photos == 5
    assert about.command is not None
    assert str(tmp_path) not in about.command

    photo = both[0].parent / next(p.name for p in both[0].parent.iterdir() if p.suffix == ".jpg")
    nothing = tmp_path / "nothing.png"
    Image.new("RGB", (64, 64)).save(nothing)
    result = run("translate", "apply", path, photo, nothing, "-o", tmp_path / "out", "--to", "B", *FAST)
    assert result.exit_code == 3, result.output
    assert "1 face translated to B" in result.output
    assert "nothing.png: no face found" in result.output
    (made,) = (tmp_path / "out").iterdir()
    assert made.name == f"{photo.stem}.translated-to-B.synthetic.png"
    assert read_photo(made).synthetic == GENERATED
    assert read_photo(made).pixels.shape == (32, 32, 3)
    assert run("inspect", path).exit_code == 0


def test_options_are_printed_as_a_file_that_is_read_again(tmp_path: Path) -> None:
    result = run("translate", "train", "--show-parameters", "--set", "size=128")
    assert result.exit_code == 0
    assert "size = 128  # px, side of the aligned faces" in result.output
    file = tmp_path / "my.toml"
    file.write_text(result.output, "utf-8")
    again = run("translate", "train", "--show-parameters", "--parameters", file)
    assert again.output == result.output


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("size=40", "size 40: needs to be a multiple of 16, such as 32."),
        ("size=512", "--set: size 512: needs to be between 32 and 256."),
        ("discriminator_layers=4", "size 32: a discriminator of 4 layers needs 64 pixels or more."),
        ("chanels=4", "--set: no option 'chanels'. Did you mean channels?"),
        ("upsampling=rezise", "--set: upsampling 'rezise': Did you mean resize?"),
    ],
)
def test_options_that_are_not_possible(
    both: tuple[Path, Path], tmp_path: Path, option: str, says: str
) -> None:
    result = train(*both, tmp_path / "ab.anthropo", "--set", option)
    assert result.exit_code == 2
    assert says in result.output
    assert not any(tmp_path.iterdir())


def test_domains_that_cannot_be_trained_on(both: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = both
    output = tmp_path / "ab.anthropo"
    assert "A and B are the same. Give two folders" in train(a, a, output).output
    assert "none: no such folder" in train(a, tmp_path / "none", output).output
    assert (
        "no column `age_group` (--label age_group); its columns are"
        in train(a, b, output, "--label", "age_group").output
    )
    few = tmp_path / "few.csv"
    few.write_text("\n".join(b.read_text("utf-8").splitlines()[:3]) + "\n", "utf-8")
    for photo in b.parent.glob("*.jpg"):
        (tmp_path / photo.name).write_bytes(photo.read_bytes())
    settings = Settings(jitter=2, fine=False)
    with pytest.raises(
        InputError, match=r"few\.csv: . (person|people) with a face that can be used; 5 are needed"
    ):
        read_domains((a, few), 32, settings, held_out=0.2, seed=0)
    folder = tmp_path / "skies"
    folder.mkdir()
    for i in range(3):
        Image.new("RGB", (90, 90), (i, 90, 200)).save(folder / f"{i}.png")
    with pytest.raises(
        InputError, match=r"skies: no face that can be used in any of its photos \(the first: .*0\.png"
    ):
        read_domains((a, folder), 32, settings, held_out=0.2, seed=0)
    with pytest.raises(InputError, match=r"share photos: .* Leave each in one of them"):
        read_domains((b, tmp_path / "few.csv"), 32, settings, held_out=0.2, seed=0)


def test_files_of_another_kind_translate_nothing(both: tuple[Path, Path], tmp_path: Path) -> None:
    result = run("translate", "apply", both[0], both[1], "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "not a translation of anthropo. Give what `anthropo translate train` wrote" in result.output
    assert not (tmp_path / "out").exists()
