"""How the documentation is built: Sphinx over Markdown, tutorials executed, nothing fetched.

`make docs` is the way to call it. Warnings are errors, and a tutorial whose command fails is one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "site"))

import anthropo  # noqa: E402

project = "anthropo"
author = "The anthropo maintainers"
version = release = anthropo.__version__

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "tutorial_setting",
    "api_pages",
    "command_pages",
    "glossary_tables",
    "unbroken",
    "repository_links",
]
exclude_patterns = ["README.md"]
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext"}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline", "html_image"]
myst_heading_anchors = 4
nb_execution_mode = "auto"
nb_execution_timeout = 240
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

# the docstrings name their types themselves
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
default_role = "py:obj"  # what stands between single backticks in a docstring
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = "anthropo"
html_static_path = ["site/static"]
html_css_files = ["anthropo.css"]
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["research-use"],
    "footer_end": [],
}
html_sidebars = {"index": [], "start": [], "glossary": [], "tutorials/*": [], "limits": []}
templates_path = ["site/templates"]
copybutton_exclude = ".linenos, .gp, .go"
os.environ.setdefault("COLUMNS", "100")
