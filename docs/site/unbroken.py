"""Numbers stay with their unit: a line never ends between 95 and %."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.transforms import SphinxTransform

_UNIT = re.compile(r"(?<=\d) (?=(?:%|mm|cm|px|SD|ms|s|MB)(?:\W|$))")


class Unbroken(SphinxTransform):
    default_priority = 890

    def apply(self, **kwargs: Any) -> None:
        for text in list(self.document.findall(nodes.Text)):
            if isinstance(text.parent, (nodes.literal, nodes.literal_block, nodes.FixedTextElement)):
                continue
            joined = _UNIT.sub("\N{NO-BREAK SPACE}", text)
            if joined != text:
                text.parent.replace(text, nodes.Text(joined))


def setup(app: Any) -> dict[str, bool]:
    app.add_transform(Unbroken)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
