"""Links of the repository's pages that lead out of docs/, such as ../setup.cfg, become plain file names.

On the site there is nothing to open behind them; in the repository there is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")


def plain_names(app: Any, docname: str, source: list[str]) -> None:
    here = (DOCS / docname).parent

    def named(found: re.Match[str]) -> str:
        target = (here / found[2]).resolve()
        if DOCS in target.parents:
            return found[0]
        if not target.exists():
            raise FileNotFoundError(f"{docname}: the link {found[2]} leads to nothing")
        path = target.relative_to(DOCS.parent).as_posix()
        return f"`{path}`" if found[1].strip("`") == path else f"{found[1]} (`{path}`)"

    source[0] = _LINK.sub(named, source[0])


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", plain_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
