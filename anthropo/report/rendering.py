"""What every report is made with: HTML pages of one base, pictures, tables on a terminal."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from PIL import Image

from anthropo._version import __version__
from anthropo.licensing import notice, stamped
from anthropo.plain import visible, written
from anthropo.quiet import hushed

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment
    from matplotlib.figure import Figure
    from rich.text import Text

NOTE = "Research use only, not a medical device."
#: What each colour means, by its name: the palette at the head of style.css.
COLOURS: Mapping[str, str] = dict(
    re.findall(
        r"--([\w-]+): (#[0-9a-f]{6});", (resources.files("anthropo.report") / "style.css").read_text("utf-8")
    )
)
#: Colours of groups or networks that are compared, in their order.
SERIES = tuple(
    COLOURS[name]
    for name in ("hybrid", "measurements", "regions", "metadata", "model-1", "model-2", "model-3")
)
#: Of a table of figures: the columns of a terminal that a pipe stands for, and those between two figures.
_READABLE, _GAP = 100, 2
#: matplotlib's settings are the process's: photos that are worked on by threads would change each other's.
_DRAWING = threading.Lock()
INK, SOFT, LINE, GREY = (COLOURS[name] for name in ("ink", "soft", "line", "grey"))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("anthropo", "report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.finalize = lambda value: visible(value) if type(value) is str else value
    environment.globals |= {"version": __version__, "note": NOTE}
    return environment


def page(template: str, /, **values: Any) -> str:
    """An HTML page that needs nothing else, of a template that extends `base.html`."""
    return _environment().get_template(template).render(values, permissive=notice())


def jpeg(picture: Image.Image, quality: int = 85) -> bytes:
    """A picture as JPEG, without metadata."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def png(picture: Image.Image | Figure, dpi: float = 120) -> bytes:
    """A picture, or a figure at this resolution, as PNG without metadata."""
    buffer = io.BytesIO()
    if isinstance(picture, Image.Image):
        picture.save(buffer, "PNG")
    else:
        with hushed():  # matplotlib's font lacks the letters of some labels
            picture.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """A figure as SVG, the same bytes for the same figure."""
    # text stays text, so that the reader's fonts show labels in any script; matplotlib's own lack some
    return _vectors(figure, "svg", {"Date": None}, {"svg.hashsalt": "anthropo", "svg.fonttype": "none"})


def pdf(figure: Figure) -> bytes:
    """A figure as PDF, the same bytes for the same figure."""
    # fonts as TrueType, so that text can be edited and journals take it
    return _vectors(figure, "pdf", {"CreationDate": None}, {"pdf.fonttype": 42})


def _vectors(figure: Figure, kind: str, metadata: dict[str, Any], settings: Any) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    with _DRAWING, matplotlib.rc_context(settings), hushed():
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()


def embedded(data: bytes) -> str:
    """A JPEG, PNG or SVG file as the address of a picture within a page."""
    kinds = {b"\xff\xd8": "jpeg", b"\x89P": "png"}
    return f"data:image/{kinds.get(data[:2], 'svg+xml')};base64,{base64.b64encode(data).decode()}"


def as_json(document: Any) -> str:
    """A document as JSON text, in which a NaN is an error; it says where a run was permissive."""
    document = stamped(document) if isinstance(document, dict) else document
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)


def as_csv(frame: pd.DataFrame, numbers: str | None = "%.6g") -> str:
    """A table as CSV text, its numbers with six digits."""
    import pandas as pd

    words = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]
    frame = frame.assign(**{name: frame[name].map(written, na_action="ignore") for name in words})
    return str(frame.rename(columns=written).to_csv(index=False, float_format=numbers, lineterminator="\n"))


def table(frame: pd.DataFrame, suffix: str, numbers: str | None = "%.6g") -> bytes:
    """A table as .csv, with numbers of six digits or (None) as they are, or as .parquet."""
    if suffix == ".csv":
        return as_csv(frame, numbers).encode()
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def drawable(name: str, most: int = 24) -> str:
    """A user's name as matplotlib draws it: not too long, and a dollar is no mathematics."""
    name = visible(name)
    return (name if len(name) <= most else name[: most - 1] + "…").replace("$", r"\$")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    left: Collection[str] = (),
    width: int = 1000,
    spaced: bool = False,
) -> None:
    """A table on standard output, with an empty line below if `spaced`.

    The first column and those in `left` are words, the others numbers. A pipe, which has no width, gets
    `width` columns.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(Text(visible(column)), justify="left" if i == 0 or column in left else "right")
    for row in rows:  # as Text, since a label may look like markup
        table.add_row(*(Text(visible(cell)) if isinstance(cell, str) else cell for cell in row))
    Console(width=_columns_of_the_terminal(width), highlight=False).print(table)
    if spaced:
        print()


def _columns_of_the_terminal(otherwise: int) -> int:
    """How wide standard output is; a pipe has no width."""
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else otherwise


def print_figures(rows_are: str, figures: Mapping[str, Mapping[str, str]]) -> None:
    """A table of figures on standard output, ``figures[column][row]``, with an empty line below.

    It is no wider than the terminal, and a pipe gets no more than `_READABLE`: columns that do not fit
    beside the others stand below them, under the same rows.
    """
    from rich.cells import cell_len

    names = list(dict.fromkeys(row for column in figures.values() for row in column))
    room = _columns_of_the_terminal(_READABLE) - max(map(cell_len, (rows_are, *names)))
    blocks: list[list[str]] = []
    left = 0
    for column, values in figures.items():
        width = _GAP + max(map(cell_len, (visible(column), *values.values())))
        if not blocks or width > left:
            blocks.append([])
            left = room
        blocks[-1].append(column)
        left -= width
    for block in blocks:
        rows = [(name, *(figures[column].get(name, "–") for column in block)) for name in names]
        print_table((rows_are, *block), rows, spaced=True)
