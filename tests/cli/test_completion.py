"""The shell completes commands, options and values, soon and without doing anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from conftest import Invoke, refused

from anthropo.cli import COMMANDS, cli
from anthropo.cli.values import completed

HEAVY = {"torch", "sklearn", "xgboost", "pandas", "scipy", "matplotlib", "onnxruntime", "pyarrow"}


def told(line: str) -> list[str]:
    """What a shell is told of a line, whose last word is completed."""
    words = line.split(" ")
    asked = {"_ANTHROPO_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return CliRunner().invoke(cli, [], prog_name="anthropo", env=asked).output.split()


def plain(line: str) -> list[str]:
    return [one.removeprefix("plain,") for one in told(line)]


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    path = tmp_path / "cohort.csv"
    path.write_text(
        "photo;label;patient;age;site\na.jpg;Noonan;1;3;Bonn\nb.jpg;control;2;4;Oslo\n", encoding="utf-8"
    )
    return path


def test_commands_come_from_the_table() -> None:
    assert plain("anthropo ") == list(COMMANDS)
    assert plain("anthropo com") == ["composite", "compare-networks", "completion"]
    assert plain("anthropo --vers") == ["--version"]
    assert plain("anthropo reference ") == ["build", "list"]


def test_options_and_choices() -> None:
    assert plain("anthropo measure --landm") == ["--landmarks", "--landmark-model"]
    assert plain("anthropo measure --face ") == ["one", "largest", "all"]
    assert plain("anthropo finetune --recipe d") == ["deepgestalt", "differential", "dann", "deep-coral"]
    assert "rate=" in plain("anthropo finetune --recipe dann --set ra")
    assert plain("anthropo measure --reference n") == ["niosh-adults"]
    assert plain("anthropo train c.csv --regions eyes,n") == ["eyes,nose"]
    assert {"asian", "unknown"} <= set(plain("anthropo traits p.jpg --ancestry "))


def test_files_and_folders_where_they_are_named() -> None:
    assert told("anthropo measure p") == ["file,p"]
    assert told("anthropo train x.csv -o m") == ["file,m"]
    assert told("anthropo serve w") == ["dir,w"]
    assert told("anthropo measure --reference mine") == ["file,mine"]


def test_columns_and_labels_of_the_cohort_that_the_line_names(cohort: Path, tmp_path: Path) -> None:
    assert plain(f"anthropo train {cohort} --metadata age,s") == ["age,site"]
    assert plain(f"anthropo train {cohort} --positive ") == ["Noonan", "control"]
    assert plain(f"anthropo regions {cohort} --label N") == ["Noonan"]
    for label in ("ill", "well"):
        (tmp_path / "photos" / label).mkdir(parents=True)
    assert plain(f"anthropo regions {tmp_path / 'photos'} --label ") == ["ill", "well"]
    assert plain("anthropo regions none.csv --label ") == []


def test_labels_of_the_model_that_the_line_names(tmp_path: Path) -> None:
    import zipfile

    model = tmp_path / "m.anthropo"
    with zipfile.ZipFile(model, "w") as file:
        file.writestr("manifest.json", '{"labels": ["Noonan", "control"]}')
    assert plain(f"anthropo explain p.jpg --model {model} --label ") == ["Noonan", "control"]
    assert plain(f"anthropo classify p.jpg --model {model} --prevalence N") == ["Noonan="]
    assert plain(f"anthropo explain p.jpg --model {tmp_path} --label ") == []


def test_nothing_is_done_while_a_line_is_completed(tmp_path: Path) -> None:
    output = tmp_path / "faces.csv"
    output.write_text("written just now\n", encoding="utf-8")
    assert plain(f"anthropo measure p.jpg -o {output} --raw --permissive --textu") == ["--texture"]
    assert [one.name for one in tmp_path.iterdir()] == ["faces.csv"]
    assert "ANTHROPO_PERMISSIVE" not in os.environ


def test_every_text_that_names_a_file_is_completed() -> None:
    """What has neither values nor files is a number, a text or another free word."""
    ctx = click.Context(cli)
    free = set()
    for name in COMMANDS:
        command = cli.get_command(ctx, name)
        assert command is not None
        for one in [command, *getattr(command, "commands", {}).values()]:
            for param in one.params:
                if isinstance(param.type, click.types.StringParamType):
                    made = completed(param)
                    if not (made.values or made.files):
                        free.add(param.metavar)
    assert free <= {None, "WEEKS", "AGE", "BANDS", "TEXT", "ADDRESS", "NAME", "A,B"}


@pytest.mark.parametrize("line", ["anthropo ", "anthropo train --cl", "anthropo translate train --set b"])
def test_it_loads_nothing_heavy(line: str) -> None:
    code = (
        "import sys\nfrom anthropo.cli import main\ntry:\n    main()\nexcept SystemExit:\n"
        "    print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    asked = {"_ANTHROPO_COMPLETE": "zsh_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **asked}, timeout=60
    )
    assert done.stdout
    loaded = set(done.stderr.split())
    assert loaded & HEAVY == set()
    assert line != "anthropo " or "numpy" not in loaded


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell(invoke: Invoke, shell: str) -> None:
    result = invoke("completion", shell)
    assert result.exit_code == 0
    assert "_ANTHROPO_COMPLETE=" in result.stdout
    assert f"{shell}_complete" in result.stdout


def test_another_shell_is_refused(invoke: Invoke) -> None:
    refused(invoke, "completion", "csh", says="'csh' is not one of 'bash', 'zsh', 'fish'")


def test_bash_itself_completes(tmp_path: Path) -> None:
    """The script in a real bash, which calls the command `anthropo` that it finds."""
    command = tmp_path / "anthropo"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from anthropo.cli import main; main()" "$@"\n')
    command.chmod(0o755)
    script = (
        'eval "$(anthropo completion bash)"\nCOMP_WORDS=(anthropo measure --fac)\nCOMP_CWORD=2\n'
        '_anthropo_completion anthropo\necho "${COMPREPLY[@]}"'
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env={**os.environ, "PATH": path}, timeout=60
    )
    assert done.stdout.split() == ["--face"], done.stderr


def test_a_half_written_line_is_not_judged(tmp_path: Path) -> None:
    """Errors were printed into the line that was being typed; of a device the end was awaited."""
    table = tmp_path / "mine.csv"
    table.write_text("id,name,kind,unit,expression\nx,X,ratio,%,9**9**9\n", encoding="utf-8")
    for option in (f"--registry {table}", "--registry gone.csv", "--cluster nowhere", "-o gone/x.csv"):
        assert plain(f"anthropo measure p.jpg {option} --se") == ["--send-photos", "--sex"], option
    assert told("anthropo nosuch --x") == []
    if Path("/dev/zero").exists():
        assert told("anthropo classify --model /dev/zero --prevalence ") == []
