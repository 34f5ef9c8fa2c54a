"""What a tutorial's first, hidden cell calls, and how it shows a page that anthropo wrote."""

from __future__ import annotations

import html
import os
import shutil
from pathlib import Path

from IPython.display import HTML
from PIL import Image


def begin(name: str) -> None:
    """Start in an empty folder that has `portrait.png`."""
    folder = Path(os.environ["ANTHROPO_DOCS_WORK"]) / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)
    from skimage import data

    Image.fromarray(data.astronaut()).save("portrait.png")


def show(path: str, height: str = "36rem") -> HTML:
    """The page or picture inside the tutorial, with a link that opens it alone."""
    source = Path(path).resolve()
    folder = Path(os.environ["ANTHROPO_DOCS_SHOWN"]) / Path.cwd().name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, folder / source.name)
    address = html.escape(f"../shown/{folder.name}/{source.name}")
    if source.suffix == ".html":
        inside = (
            f'<iframe class="page" loading="lazy" src="{address}" title="{html.escape(path)}" '
            f'style="height: {height}"></iframe>'
        )
    else:
        inside = f'<img src="{address}" alt="{html.escape(path)}">'
    return HTML(f'{inside}<p><a href="{address}">{html.escape(path)}</a></p>')
