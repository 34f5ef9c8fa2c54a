"""What is published: one version everywhere, nothing of the tree missing from the sdist or the wheel."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from anthropo import __version__

ROOT = Path(__file__).parents[1]

# setup.py itself would need the compiler's build requirements; all but the engine is in setup.cfg
_LISTS = """
import json, sys
from pathlib import Path
from setuptools import Distribution

distribution = Distribution({"script_name": "setup.py"})
distribution.parse_config_files()
about = distribution.get_command_obj("egg_info")
about.egg_base = sys.argv[1]
about.ensure_finalized()
about.run()
build = distribution.get_command_obj("build_py")
build.ensure_finalized()
modules = [Path(file).as_posix() for _, _, file in build.find_all_modules()]
data = [(Path(folder) / file).as_posix() for _, folder, _, files in build.data_files for file in files]
data = [Path(file).relative_to(Path.cwd()).as_posix() if Path(file).is_absolute() else file for file in data]
print(json.dumps({"sdist": about.filelist.files, "wheel": modules + data}))
"""


def files_of_the_tree() -> set[str]:
    """What git has; of an unpacked sdist, which has no git, whatever is there."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
        if listed.returncode == 0:
            return {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    left_out = re.compile(r"__pycache__|\.egg-info|\.so$|\.pyc$|^build/|^\.venv/|^\.[a-z]+_cache/|^PKG-INFO$")
    found = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())
    return {name for name in found if not left_out.search(name)}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Names of files, by what they are published in."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LISTS, str(tmp_path_factory.mktemp("info"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return {kind: {Path(name).as_posix() for name in names} for kind, names in found.items()}


def test_the_sdist_has_the_whole_tree(published: dict[str, set[str]]) -> None:
    tree = files_of_the_tree()
    assert "anthropo/face/engine/detector.cpp" in tree
    assert sorted(tree - published["sdist"] - {"setup.py"}) == []  # which setuptools always takes


def test_the_wheel_has_every_module_and_table(published: dict[str, set[str]]) -> None:
    code = {name for name in files_of_the_tree() if name.startswith(("anthropo/", "cli/"))}
    compiled = {name for name in code if name.startswith("anthropo/face/engine/")}
    assert {"anthropo/face/fine.npz", "anthropo/py.typed", "cli/measure.py"} <= published["wheel"]
    assert sorted(code - compiled - published["wheel"]) == []


def test_one_version_everywhere() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(.+?)\]", changes, re.MULTILINE)
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert cited is not None
    assert newest[1] == cited[1] == __version__


_URLS = """
import json, sys, types
from types import SimpleNamespace
import setuptools

helpers = types.ModuleType("pybind11.setup_helpers")  # the compiler's, which this does not need
helpers.build_ext, helpers.Pybind11Extension = object, lambda *given, **more: None
helpers.ParallelCompile = lambda **given: SimpleNamespace(install=lambda: None)
sys.modules["pybind11.setup_helpers"] = helpers
setuptools.setup = lambda **given: print(json.dumps(given["project_urls"]))
exec(compile(open("setup.py").read(), "setup.py", "exec"), {"__name__": "setup", "__file__": "setup.py"})
"""


@pytest.mark.parametrize("address", ["", "https://example.org/anthropo/"])
def test_whoever_publishes_says_where_the_project_lives(address: str) -> None:
    given = {**os.environ, "ANTHROPO_URL": address}
    done = subprocess.run([sys.executable, "-c", _URLS], cwd=ROOT, env=given, capture_output=True, text=True)
    urls = json.loads(done.stdout)
    assert set(urls) == ({"Source", "Issues", "Changelog", "Documentation"} if address else set())
    assert all(
        url.startswith("https://example.org/anthropo") and "//" not in url[8:] for url in urls.values()
    )


def test_an_address_that_is_none_ends_the_build() -> None:
    given = {**os.environ, "ANTHROPO_URL": "example.org"}
    done = subprocess.run([sys.executable, "-c", _URLS], cwd=ROOT, env=given, capture_output=True, text=True)
    assert done.returncode
    assert "ANTHROPO_URL=example.org: not the https:// address" in done.stderr


def test_wheels_are_configured_for_every_python_that_is_promised() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    promised = re.findall(r":: Python :: 3\.(\d+)", setup["metadata"]["classifiers"])
    built = re.findall(r"cp3(\d+)-", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert promised[0] == setup["options"]["python_requires"].removeprefix(">=3.")
    assert set(promised) <= set(built)
