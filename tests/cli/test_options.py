"""One option is one thing: alike wherever it is, and there wherever it is needed."""

from __future__ import annotations

import errno
import gc
import io
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from conftest import Invoke, refused

from anthropo.cli import COMMANDS, cli, main
from anthropo.cli.files import NameOfFile
from anthropo.cli.recording import record_output
from anthropo.report.columns import dictionary, is_written_here


def _every(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for one, inner in command.commands.items():
            yield from _every(inner, f"{name} {one}")
    else:
        yield name, command


def _all() -> dict[str, click.Command]:
    ctx = click.Context(cli)
    loaded = {name: cli.get_command(ctx, name) for name in COMMANDS}
    return dict(pair for name, command in loaded.items() if command for pair in _every(command, name))


EVERY = _all()
OPTIONS = {
    name: {max(p.opts, key=len): p for p in command.params if isinstance(p, click.Option)}
    for name, command in EVERY.items()
}

#: Options whose text differs between commands, and why.
DIFFER = {
    "--output": "says what this command writes",
    "--seed": "says what is random",
    "--all": "says what is not shown without it",
    "--label": "the label asked about, the one that is compared, or a column of labels",
    "--names": "what stands in place of names",
    "--by": "what marks a map's people, or how a reference is divided",
    "--permutations": "of labels among people who are alike, or among all",
    "--model": "what answers, what is judged, or what the page can ask",
    "--recipe": "of one network, or of several that are compared",
    "--warm-start": "several networks can begin alike with ImageNet only",
    "--calibrate": "what int8 of a file, or of a comparison, is calibrated by",
    "--encoder": "of groups face-resnet is the default, models have another for photos without faces",
    "--domain": "of an adaptation of numbers, or of the training of a network",
    "--target": "of an adaptation of numbers, or of the training of a network",
    "--landmark-model": "what photos are measured with, or what is judged",
    "--patient": "people of a table, or all photos of one person",
    "--force": "values that the gate voids, or an answer on a photo that it finds unfit",
    "--min-patients": "labels with fewer are matched, or get no composite",
    "--reference": "says what disagreement means here",
    "--face": "`all` where each face has a row; a model remembers how it was trained",
    "--fine": "a model remembers how it was trained",
    "--jitter": "a model remembers how it was trained",
    "--deadline": "videos have more time where they are read",
    **dict.fromkeys(("--sex", "--age", "--gestation", "--ancestry"), "of a table's people, or of one person"),
}

#: Commands that read photos of people, and what says how they are read.
PHOTOS = (
    *(
        "measure",
        "traits",
        "train",
        "classify",
        "explain",
        "evaluate",
        "change",
        "composite",
        "map",
        "regions",
    ),
    *("finetune", "compare-networks", "translate apply", "translate train", "export", "bench"),
    "reference build",
)
READING = (
    *(
        "--face",
        "--fine",
        "--jitter",
        "--landmark-model",
        "--detector-model",
        "--max-megapixels",
        "--deadline",
    ),
    *("--jobs", "--cluster", "--send-photos", "--permissive"),
)
#: Those that train networks learn from pixels, which no hand-placed point and no distance changes.
MEASURING = (*PHOTOS[:10], "reference build")
#: What is written is a picture or an average of landmarks, for which distance is nothing.
WITHOUT_DISTANCE = ("composite",)


def test_one_option_has_one_text() -> None:
    texts = defaultdict(set)
    for options in OPTIONS.values():
        for name, option in options.items():
            texts[name].add((option.help, option.metavar, tuple(sorted(option.opts))))
    different = {name for name, said in texts.items() if len({text for text, *_ in said}) > 1}
    assert different <= set(DIFFER)
    assert set(DIFFER) - different == set(), "no longer different"
    ways = {
        name
        for name, said in texts.items()
        if len({way for _, *way in map(tuple, said) for way in [tuple(way)]}) > 1
    }
    assert ways <= {"--output", "--label", "--by", "--warm-start"}


@pytest.mark.parametrize("command", PHOTOS)
def test_whatever_reads_photos_says_how(command: str) -> None:
    assert set(READING) - set(OPTIONS[command]) == set()


@pytest.mark.parametrize("command", MEASURING)
def test_whatever_measures_takes_points_and_distances_from_people(command: str) -> None:
    assert "--landmarks" in OPTIONS[command]
    assert ("--distance" in OPTIONS[command]) == (command not in WITHOUT_DISTANCE)


@pytest.mark.parametrize("command", [one for one in MEASURING if one != "composite"])
def test_whatever_measures_takes_measurements_of_ones_own(command: str) -> None:
    assert "--registry" in OPTIONS[command]


def test_tables_for_spreadsheets_can_be_written_as_they_are() -> None:
    """Cells that look like formulas get an apostrophe; references and registries are read back here."""
    writing = {
        name
        for name, options in OPTIONS.items()
        if any(".csv" in (options[one].help or "") for one in ("--output", "--predictions") if one in options)
    }
    assert writing - {"reference build", "registry"} == {n for n in OPTIONS if "--raw" in OPTIONS[n]} - {
        "composite"
    }


def test_whatever_learns_or_averages_keeps_what_it_read() -> None:
    keeping = {name for name, options in OPTIONS.items() if "--cache" in options}
    # measure and traits write what they read into their table, and reference build takes that table
    assert set(PHOTOS) - keeping == {"measure", "traits", "change", "reference build"}


def test_whatever_knows_a_person_takes_all_of_them() -> None:
    for options in OPTIONS.values():
        if "--sex" in options:
            assert {"--age", "--gestation", "--ancestry", "--reference"} <= set(options)


def test_every_output_leaves_a_record_of_its_run() -> None:
    writing = {name: options["--output"] for name, options in OPTIONS.items() if "--output" in options}
    assert len(writing) >= 19
    for name, option in writing.items():
        assert option.callback is record_output, name
        assert "-o" in option.opts
        assert (option.help or "").startswith("Write "), name


def test_every_option_says_something_and_ends_with_a_full_stop() -> None:
    for name, options in OPTIONS.items():
        for option in options.values():
            text = (option.help or "").partition("  [default")[0]
            assert text.endswith((".", ")", "mid")), (name, option.opts, text)
            assert text[0].isupper() or text[0].isdigit() or text.split()[0].strip(",:") in _WORDS, text


#: What a text may begin with in small letters: a value of the option.
_WORDS = {"female", "imagenet", "contrastive", "dann", "face-resnet", "none", "auto"}


@pytest.mark.parametrize("command", EVERY)
def test_every_help_teaches(command: str, invoke: Invoke) -> None:
    text = invoke(*command.split(), "--help").stdout
    said = " ".join(text.split())
    assert f"anthropo {command} " in text.partition("Usage")[2].partition("Options:")[0].partition("\n")[2], (
        "no example"
    )
    assert "Exit code: 0" in said or command in ("completion", "reference list")


def test_a_reference_is_built_as_photos_are_measured(
    invoke: Invoke, two_faces_png: Path, tmp_path: Path
) -> None:
    controls = tmp_path / "controls.csv"
    rows = [f"{two_faces_png},p{i},f,{30 + i}" for i in range(2)]
    controls.write_text("\n".join(["photo,patient,sex,age", *rows]), encoding="utf-8")
    from anthropo.workflows import reference as workflow

    request = workflow.BuildRequest(jitter=2, fine=False)
    refused_faces = workflow.build(controls, request).left_out
    assert any("2 faces found" in sentence for sentence in refused_faces)
    request = workflow.BuildRequest(face="largest", jitter=2, fine=False)
    assert not any("faces found" in sentence for sentence in workflow.build(controls, request).left_out)


def test_what_is_measured_already_is_not_measured_in_another_way(invoke: Invoke, tmp_path: Path) -> None:
    table = tmp_path / "faces.csv"
    table.write_text(
        "photo,sex,age,diagnostics_anthropo,diagnostics_landmark_model\np.jpg,f,30,0.1.0,abc\n",
        encoding="utf-8",
    )
    for words, option in (
        (("--face", "largest"), "--face"),
        (("--no-fine",), "--no-fine"),
        (("--scale", "iris"), "--scale"),
        (("--distance", "60"), "--distance"),
    ):
        said = refused(invoke, "reference", "build", table, "-o", tmp_path / "r.csv", *words)
        assert f"has been measured already: {option} has nothing to do. Leave it out." in said


def test_long_help_has_its_options_in_sections(invoke: Invoke) -> None:
    text = invoke("evaluate", "--help").stdout
    _, *parts = re.split(r"(?m)^([A-Z][\w ]+):\n", text[text.index("\nOptions:") :])
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    assert list(sections) == ["Options", "Training", "Photos", "Computing"]
    for section, first, last in (
        ("Options", "--model", "--help"),
        ("Training", "--classifier", "--seed"),
        ("Photos", "--landmarks", "--deadline"),
        ("Computing", "--jobs", "--permissive"),
    ):
        assert first in sections[section]
        assert last in sections[section]
    shown = re.findall(r"(?m)^  (?:-\w, )?(--[\w-]+)", "".join(parts[1::2]))
    assert sorted(shown) == sorted([*OPTIONS["evaluate"], "--help"])  # each once
    assert "The person:" in invoke("traits", "--help").stdout
    assert "Photos:" in invoke("reference", "build", "--help").stdout
    assert "Training:" not in invoke("composite", "--help").stdout


TABLE = 'id,name,kind,unit,expression\nx_index,X,ratio,1,"d(sn, sto) / d(chR, chL)"\n'

FILES = [
    (name, max(param.opts, key=len), param)
    for name, command in EVERY.items()
    for param in command.params
    if isinstance(param.type, NameOfFile)
]


def test_a_name_of_a_file_is_not_empty(invoke: Invoke) -> None:
    """A script's variable that is not set: figures went to where the script ran, predictions nowhere."""
    assert {"--figures", "--predictions", "--output", "--registry", "photos"} <= {
        option for _, option, _ in FILES
    }
    for name, option, param in FILES:
        with pytest.raises(click.BadParameter, match="the name is empty") as caught:
            param.type_cast_value(
                click.Context(EVERY[name]), [""] if param.multiple or param.nargs == -1 else ""
            )
        assert str(param.get_error_hint(click.Context(EVERY[name]))), option
        assert caught.value.param is param
    says = "the name is empty. Name a file or folder, or leave it out."
    assert "--figures" in refused(invoke, "evaluate", "cohort.csv", "--figures", "", says=says)


class _Full(io.StringIO):
    """A terminal or file whose disk is full."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("line", ["models", "registry --find philtrum", "--help", "completion bash"])
def test_a_full_disk_is_one_sentence(
    line: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["anthropo", *line.split()])
    monkeypatch.setattr("sys.stdout", _Full())
    interval = sys.getswitchinterval()
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        gc.enable()
        sys.setswitchinterval(interval)
    assert ended.value.code == 1
    sentence = f"the output cannot be written ({os.strerror(errno.ENOSPC)}). Make room, or write elsewhere."
    assert capfd.readouterr().err == f"Error: {sentence}\n"


@pytest.mark.parametrize(
    "line",
    [
        "change a.jpg b.jpg --registry mine.csv -o mine.csv",
        "traits a.jpg --registry ./mine.csv -o mine.csv",
        "classify a.jpg --model m.anthropo --registry mine.csv -o mine.csv",
        "evaluate c.csv --registry mine.csv --predictions mine.csv",
        "evaluate c.csv --cost-matrix mine.csv --predictions mine.csv",
        "reference build c.csv --registry mine.csv -o mine.csv",
        "train c.csv --trained-on mine.csv -o mine.csv",
    ],
)  # fmt: skip
def test_what_is_read_is_not_written_over(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    """A table of measurements of one's own, named by -o as well, was lost."""
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text(TABLE)
    refused(invoke, *line.split(), says="mine.csv: would overwrite what is read. Give another name.")
    assert Path("mine.csv").read_text() == TABLE


@pytest.mark.parametrize("mine", ["my notes\n", "photo,label,patient,age,sex\na.jpg,case,p1,3,f\n"])
@pytest.mark.parametrize(
    "line",
    [
        "measure gone.png",
        "traits gone.png",
        "classify gone.png --model gone.anthropo",
        "map gone.csv",
        "bench gone.anthropo gone.csv",
        "registry gone.csv",
    ],
)
def test_a_table_that_somebody_else_wrote_is_not_written_over(
    line: str, mine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    """Only `measure` asked what it replaces: `traits -o notes.csv` wrote over somebody's notes."""
    monkeypatch.chdir(tmp_path)
    Path("notes.csv").write_text(mine)
    refused(
        invoke, *line.split(), "-o", "notes.csv",
        says="notes.csv: exists and is not a table that anthropo wrote. Choose another name, or delete it.",
    )  # fmt: skip
    assert Path("notes.csv").read_text() == mine


def test_a_table_of_an_earlier_run_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what lies beside it, or by its columns."""
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("my notes\n")
    assert not is_written_here("t.csv")
    Path("t.csv.run.json").touch()
    assert is_written_here("t.csv")
    names = [c.column for c in dictionary() if c.table == "traits"]
    Path("u.csv").write_text(",".join(names) + "\n")
    assert is_written_here("u.csv")
    Path("w.csv").write_bytes(b"\0" * 10)
    assert not is_written_here("w.csv")
    Path("v.csv").touch()
    assert is_written_here("v.csv")


@pytest.mark.parametrize(
    "line",
    [
        "measure gone.png --overlay out.png",
        "measure gone.png --figures out.pdf",
        "measure gone.png other.png --save-landmarks out.csv",
        "traits gone.png --figures out.svg",
        "composite gone.csv -o out.html",
    ],
)
def test_no_folder_is_made_of_a_files_name(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    monkeypatch.chdir(tmp_path)
    told = refused(invoke, *line.split())
    if "--save-landmarks" not in line:
        assert "a file's name, and a folder is written. Name a folder, such as out/." in told
    assert not list(tmp_path.iterdir())


def test_a_table_has_no_thumbnails(tmp_path: Path, invoke: Invoke) -> None:
    refused(
        invoke, "map", tmp_path / "gone.csv", "-o", tmp_path / "m.csv", "--thumbnails",
        says="--thumbnails are drawn into .html and .png: a table holds no pictures.",
    )  # fmt: skip
