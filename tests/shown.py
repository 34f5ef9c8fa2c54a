"""Whether a result shows itself, in a notebook and as a picture."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure


def shows_itself(result: Any, **how: Any) -> str:
    """Check that a result has a picture on its own axes, and give what a notebook shows of it."""
    axes = Figure().subplots()
    assert result.plot(ax=axes, **how) is axes
    assert axes.has_data()
    page: str = result._repr_html_()
    assert page.count("<div") == page.count("</div>")
    assert "<script" not in page
    assert "data:image/" in page
    return page
