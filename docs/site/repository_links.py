"""Links of the repository's pages that lead out of docs/, such as ../setup.cfg, become plain file names.

On the site there is nothing to open behind them; in the repository there is. A JSON file can be downloaded.
A section of the benchmarks may be named as `benchmarks.md#section`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")
_SECTION = re.compile(r"\(((?:\.\./)*)benchmarks\.md#([\w-]+)\)")


def plain_names(app: Any, docname: str, source: list[str]) -> None:
    here = (DOCS / docname).parent

    def named(found: re.Match[str]) -> str:
        target = (here / found[2]).resolve()
        if DOCS in target.parents:
            return found[0]
        if not target.exists():
            raise FileNotFoundError(f"{docname}: the link {found[2]} leads to nothing")
        if target.suffix == ".json":
            return f"{{download}}`{found[1]} <{found[2]}>`"
        path = target.relative_to(DOCS.parent).as_posix()
        return f"`{path}`" if found[1].strip("`") == path else f"{found[1]} (`{path}`)"

    source[0] = _LINK.sub(named, _SECTION.sub(on_its_page, source[0]))


@cache
def _sections() -> dict[str, str]:
    """The page of each section of the benchmarks, by its anchor."""
    found = {}
    for page in sorted((DOCS / "benchmarks").glob("*.md")):
        for title in re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE):
            anchor = re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-")
            found.setdefault(anchor, page.stem)
    return found


def on_its_page(found: re.Match[str]) -> str:
    """A section that is named by `benchmarks.md` alone, whichever page has it."""
    page = _sections().get(found[2])
    return f"({found[1]}benchmarks/{page}.md#{found[2]})" if page else found[0]


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", plain_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
