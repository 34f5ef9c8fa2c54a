"""Every link and picture of the built pages leads somewhere: `python docs/site/links.py build/docs/html`.

Looks at addresses within the site, their fragments included; those of other sites are left to
`sphinx-build -b linkcheck`, which needs the network.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The ids of a page, and where it points to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if not value:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.ids.add(value)
            elif name in ("href", "src"):
                self.links.add(value)


def broken(root: Path) -> list[str]:
    """A line for each link within the site that leads to nothing."""
    pages = {file: Page(file) for file in sorted(root.rglob("*.html")) if "_static" not in file.parts}
    found = []
    for file, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                found.append(f"{file.relative_to(root)}: {link}: no such page")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                found.append(f"{file.relative_to(root)}: {link}: no such place on that page")
    return found


if __name__ == "__main__":
    lines = broken(Path(sys.argv[1]).resolve())
    print("\n".join(lines) or "every link within the site leads somewhere")
    sys.exit(bool(lines))
