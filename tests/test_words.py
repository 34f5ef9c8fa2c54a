"""Messages and help are one text: the same word for the same thing (docs/decisions, 93)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

import anthropo
import anthropo.cli

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
    """Place and text of all of them; pages of documentation are prose."""
    paths = (*sorted(PACKAGE.rglob("*.py")), *sorted(CLI.glob("*.py")))
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
