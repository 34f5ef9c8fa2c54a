"""Text in YAML, of which nothing is made that it does not hold in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anthropo.errors import InputError, not_installed

_DEEPEST = 20  # lists in lists of one
_LONGEST = 100_000  # characters


def parse_yaml(path: Path, text: str, *, example: str, as_text: bool = False) -> dict[str, Any]:
    """The top level of a YAML file.

    Parameters
    ----------
    path : Path
        For messages.
    text : str
        What the file holds.
    example : str
        A line that it could hold, for messages.
    as_text : bool
        Leave every value the text that it is: unquoted, 02:00:00 would be 7200.

    Returns
    -------
    dict of str

    Raises
    ------
    InputError
        If PyYAML is missing, or the text is no YAML of names with values, is nested deeply, gives a name
        twice, or holds an alias: a few lines of these may stand for more than any memory holds.

    Examples
    --------
    >>> from pathlib import Path
    >>> from anthropo.yaml_text import parse_yaml
    >>> parse_yaml(Path("job.yaml"), "cores: 8", example="cores: 8")
    {'cores': 8}
    """
    try:
        import yaml
    except ImportError as error:
        raise InputError(not_installed(str(path), "pyyaml", error=error)) from None
    if len(text) > _LONGEST:
        raise InputError(f"{path}: too long for a file of options ({len(text):,} characters).")
    loader: Any = yaml.BaseLoader if as_text else yaml.SafeLoader
    try:
        depth = 0
        for event in yaml.parse(text, loader):
            if isinstance(event, yaml.AliasEvent):
                raise InputError(f"{path}: holds an alias (*name). Write the value out.")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:  # of which the time grows with the square
                raise RecursionError
        values, node = yaml.load(text, loader) or {}, yaml.compose(text, loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise InputError(f"{path}: not valid YAML ({why}). Write lines such as `{example}`.") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: not a table of options. Write lines such as `{example}`.")
    keys = [str(key.value) for key, _ in node.value] if node is not None else []
    if twice := next((key for key in keys if keys.count(key) > 1), ""):  # of which YAML takes the last
        raise InputError(f"{path}: {twice} is given twice. Keep one of them.")
    return {str(key): value for key, value in values.items()}
