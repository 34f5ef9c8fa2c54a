"""Messages and help are one text: the same word for the same thing (docs/decisions, 93)."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from conftest import sentence_of

import anthropo
import anthropo.cli
from anthropo.errors import InputError, not_installed

PACKAGE = Path(anthropo.__file__).parent
CLI = Path(anthropo.cli.__file__).parent

#: A word that is not used, what is said in its place, and sentences in which it is right.
BARRED = {
    r"[Pp]hotographs?": (
        "photo",
        (
            "SYNTHETIC PICTURE, no photograph",  # stands in pictures since 0.1.0
            "trained on without releasing them",
            "that of its training photographs",  # licences of networks, as their files have them
            "one to several photographs",  # in the cards of models
            "the middle square of the whole photograph",
            "as in a study that photographs everybody",
            "Photograph all labels alike",
            "Measure a face photograph",  # the first sentence that anybody reads
            "in which a photograph",
            "Helen photographs",
            "photographs from the internet",
        ),
    ),
    r"[Ii]mages?": (
        "photo, or picture for what a program makes",
        (
            *("mirror image", "scikit-image", "shares image background"),
            *("its input is no image", "numbers for an image of"),  # of a detector's file
            *(
                "`images`",
                "images[{}]",
                "none of the images",
                "an image without the name",
            ),  # COCO's and imglab's
        ),
    ),
    r"[Dd]irector(y|ies)": ("folder", ("log directory",)),
    r"[Dd]atasets?": ("cohort, or table", ("<dataset>",)),
    r"[Ff]iducials?|[Kk]eypoints?": ("landmark", ("COCO keypoints", "keypoints are not x")),
    r"[Ii]ndividuals?": ("person, or patient", ()),
    r"[Cc]all?ipers?": ("calliper norms", ("callipers",)),
    r"[Dd]iagnos(is|es)": ("label", ()),
    r"[Ff]ilename|[Dd]irname": ("file's name", ()),
    r"[Ii]nvalid|[Ii]llegal": ("what is wrong with it", ()),
    r"[Pp]lease|[Oo]ops|[Ss]orry|[Ff]ailed to": ("what happened", ()),
}


#: What writes a paragraph for a journal, in whose words it is.
JOURNALS = {
    os.path.join(*names)
    for names in (("learning", "methods.py"), ("learning", "citing.py"), ("workflows", "run_methods.py"))
}


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Texts of several words that may be shown: those that are raised, said or handed on, and no comments."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and "cli" not in path.parts[-2]  # docstrings of commands are their help
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in ast.walk(node) if part is not node}
            text = "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if id(node) not in skipped and text.count(" ") >= 2 and not text.lstrip().startswith(("<", "#", "|")):
            yield node.lineno, " ".join(text.split())


@lru_cache(maxsize=1)
def every_message() -> list[tuple[str, str]]:
    """Place and text of all of them; pages of documentation are prose, and so is a journal's paragraph."""
    paths = (*sorted(PACKAGE.rglob("*.py")), *sorted(CLI.glob("*.py")))
    paths = tuple(p for p in paths if str(p.relative_to(p.parents[1])) not in JOURNALS)
    return [(f"{p.name}:{line}", text) for p in paths for line, text in messages(p) if len(text) < 3000]


@pytest.mark.parametrize("word", BARRED)
def test_one_word_for_one_thing(word: str) -> None:
    instead, right = BARRED[word]
    found = []
    for place, text in every_message():
        rest = text
        for sentence in right:
            rest = rest.replace(sentence, "")
        if re.search(rf"\b({word})\b", rest):
            found.append(f"{place}: {text[:120]}")
    assert found == [], f"say {instead}"


#: Where the line that installs a package is made, and what else may name one.
_INSTALLING = {"errors.py", "weights.py", "installation.py", "traits.py"}


def test_one_function_says_what_is_not_installed() -> None:
    said = {place.partition(":")[0] for place, text in every_message() if "pip install" in text}
    assert said <= _INSTALLING


def test_a_package_that_is_not_installed_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from anthropo.tables import read_rows
    from anthropo.workbench import server
    from anthropo.yaml_text import parse_yaml

    told = []
    for module, call in (
        ("openpyxl", lambda: read_rows(tmp_path / "p.xlsx")),
        ("yaml", lambda: parse_yaml(tmp_path / "job.yaml", "cores: 8", example="cores: 8")),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        told.append(sentence_of(InputError, call))
    monkeypatch.setattr(server, "find_spec", lambda name: None)
    told.append(sentence_of(InputError, server.Workbench, tmp_path))
    assert [text.replace(f"{tmp_path}/", "") for text in told] == [
        "p.xlsx needs openpyxl, which is not installed. Install it with `pip install openpyxl`, or save the "
        "table as CSV in UTF-8.",
        "job.yaml needs pyyaml, which is not installed. Install it with `pip install pyyaml`.",
        "The workbench needs starlette and uvicorn, which are not installed. Install them with "
        '`pip install "anthropo[serve]"`.',
    ]


def test_a_package_that_does_not_load_is_another_matter() -> None:
    broken = ImportError("libtorch.so: cannot open\nshared object file")
    assert not_installed("The network", "timm", "cnn", error=broken) == (
        "The network needs timm, which cannot be loaded (libtorch.so: cannot open shared object file). "
        'Install again with `pip install "anthropo[cnn]" --force-reinstall`.'
    )
