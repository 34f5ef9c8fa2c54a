from __future__ import annotations

import ast
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import anthropo

HEAVY = (
    *("torch", "xgboost", "sklearn", "scipy", "pandas", "pyarrow", "matplotlib", "skimage"),
    *("PIL", "pi_heif", "rich", "jinja2", "numpy", "anthropo.face._engine"),
)


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["anthropo", "anthropo.cli"])
def test_import_stays_light(module: str) -> None:
    modules = loaded_by(f"import {module}")
    assert module in modules
    assert modules.isdisjoint(HEAVY)
    assert "ast" not in modules or module != "anthropo"  # takes longer to load than all of the rest


def test_measuring_leaves_table_and_learning_libraries_alone() -> None:
    modules = loaded_by("import anthropo; anthropo.read_face; anthropo.measure")
    assert "anthropo.face._engine" in modules
    assert modules.isdisjoint({"torch", "xgboost", "sklearn", "scipy", "pandas", "pyarrow", "matplotlib"})


def test_measuring_a_portrait_loads_no_masked_arrays() -> None:
    # numpy's median and quantile do, and that takes as long as to measure a face
    modules = loaded_by("import anthropo; anthropo.measure(anthropo.example_photo(), jitter=2)")
    assert "anthropo.face._engine" in modules
    assert "numpy.ma" not in modules


def test_one_photo_needs_nothing_of_tables_and_other_commands() -> None:
    modules = loaded_by("import anthropo.cli.measure, anthropo.report.tables")
    assert "anthropo.batch.run" in modules
    others = ("batch.output", "batch.patients", "batch.long", "landmarks.forest", "adaptation.methods")
    assert modules.isdisjoint({f"anthropo.{name}" for name in (*others, "learning")})


def test_one_photo_on_a_terminal_loads_no_more_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPO_CACHE", str(tmp_path))
    command = "import anthropo.cli\nsys.argv = ['anthropo', 'measure', anthropo.example_photo()]"
    command += "\ntry:\n    anthropo.cli.main()\nexcept SystemExit as end:\n    assert end.code == 0"
    assert "zipfile" in loaded_by(command)  # inflates networks
    modules = {name.removeprefix("anthropo.") for name in loaded_by(command)}  # which are in the cache now
    assert "measurement.compute" in modules
    not_asked_for = {"reference.tables", "reference.zscore", "measurement.scale", "measurement.pooling"}
    not_asked_for |= {"measurement.own", "measurement.landmark_file", "report.rendering", "numpy.random"}
    assert not modules & (not_asked_for | {"tempfile", "numpy.ma", "importlib.resources", "zipfile"})


def test_every_package_of_the_sources_is_installed() -> None:
    sources = Path(__file__).parents[1] / "anthropo"
    packages = {file.parent.relative_to(sources) for file in sources.rglob("__init__.py")} - {Path("cli")}
    installed = Path(str(resources.files("anthropo")))
    assert [str(name) for name in sorted(packages) if not (installed / name / "__init__.py").is_file()] == []


def test_every_public_name_can_be_had() -> None:
    assert len(anthropo.__all__) >= 15
    for name in anthropo.__all__:
        assert getattr(anthropo, name).__name__.lower() == name.lower()
    assert set(anthropo.__all__) <= set(dir(anthropo))


def test_stub_lists_the_same_names() -> None:
    tree = ast.parse(resources.files("anthropo").joinpath("__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert sorted(filter(None, (a.asname for node in imports for a in node.names))) == sorted(
        anthropo.__all__
    )
    stub = [(str(node.module), a.name) for node in imports for a in node.names]
    assert sorted(stub) == sorted(
        (module, name) for module, names in anthropo._WHERE.items() for name in names
    )
    assert [
        n.target.id for n in tree.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    ] == ["__version__"]


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        anthropo.no_such_thing  # noqa: B018
