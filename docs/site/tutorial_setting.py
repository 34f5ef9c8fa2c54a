"""Where tutorials are executed: a folder of their own beside what is built, with what the reader has, too.

Each begins in an empty folder with `portrait.png`, the public-domain portrait that scikit-image ships. A cell
that starts with `%%bash` is shown as a shell command.
"""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.transforms import SphinxTransform

_MAGIC = "%%bash\n"
_WIDEST = 96  # characters


class ShellCells(SphinxTransform):
    default_priority = 900

    def apply(self, **kwargs: Any) -> None:
        for block in list(self.document.findall(nodes.literal_block)):
            if block.rawsource.startswith(_MAGIC) or block.astext().startswith(_MAGIC):
                text = block.astext().removeprefix(_MAGIC)
                shown = nodes.literal_block(text, text, language="bash")
                shown["classes"] = block["classes"]
                block.replace_self(shown)
            elif block.get("language") == "myst-ansi":  # what a cell printed
                text = "\n".join(map(_folded, block.astext().splitlines()))
                shown = nodes.literal_block(text, text, language="text")
                shown["classes"] = block["classes"]
                block.replace_self(shown)


def _folded(line: str) -> str:
    """A long line on several, so that nobody has to scroll to read it; rows of CSV and most tables stay."""
    row = "  " in line.strip()
    if len(line) <= (_WIDEST + 24 if row else _WIDEST) or line.count(",") > line.count(" "):
        return line
    return textwrap.fill(line, _WIDEST, subsequent_indent="    " if row else "  ", break_long_words=False)


def prepare(app: Any) -> None:
    """Tell the kernels where to work and where pages that they show belong."""
    here = Path(__file__).resolve().parent
    os.environ["ANTHROPO_DOCS_WORK"] = str(Path(app.doctreedir).parent / "work")
    os.environ["ANTHROPO_DOCS_SHOWN"] = str(Path(app.outdir) / "shown")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH", "")]))
    os.environ.setdefault("ANTHROPO_CACHE", str(Path(app.doctreedir).parent / "cache"))
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", prepare)
    app.add_transform(ShellCells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
