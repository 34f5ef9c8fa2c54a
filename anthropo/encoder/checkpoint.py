"""Weights as people save them: the file is opened without anything in it being executed, the table of tensors
is found in a training checkpoint, and the names that a wrapper of the network put in front are taken off.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anthropo.errors import WeightsError, not_installed

if TYPE_CHECKING:
    from torch import Tensor, nn

    State = Mapping[str, Tensor]

#: Where training programs keep the weights; of several tables that fit, the first is taken.
_KEYS = (
    "state_dict", "model_state_dict", "model", "net", "ema", "network", "weights",
    "model_ema", "state_dict_ema", "ema_state_dict", "module",
)  # fmt: skip
#: What DataParallel, torch.compile, Lightning and moving averages put before a network's own names.
_WRAPPERS = ("module", "model", "net", "network", "ema")
_COMPILED = "_orig_mod."
_COUNTER = "num_batches_tracked"  # no weight; old files lack it
_DEEPEST = 6  # wrappers around each other
_LISTED = 6  # of what a file holds, in a sentence


def read_state(data: bytes, where: str) -> list[State]:
    """The tables of named tensors in a .safetensors or .pth file; nothing in the file is executed."""
    content = _opened(data, where)
    tables = list(_tables(content))
    if not tables:
        raise WeightsError(
            f"{where}: not a table of named tensors, nor a checkpoint with one under {', '.join(_KEYS[:4])} "
            f"or ema: it holds {_contents(content)}. Give the network's state_dict."
        )
    return tables


def _opened(data: bytes, where: str) -> Any:
    import torch

    # training programs keep their options beside the weights, and a Namespace can do nothing
    allowing: Any = getattr(torch.serialization, "safe_globals", lambda _: contextlib.nullcontext())
    try:
        if data[8:9] == b"{":  # safetensors: the length of a JSON table, the table
            from safetensors.torch import load

            return load(data)
        with allowing([argparse.Namespace]):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except ImportError as error:
        raise WeightsError(not_installed(where, "safetensors", "cnn", error=error)) from None
    except Exception:  # a foreign file may make either library raise nearly anything, with pages of advice
        raise WeightsError(
            f"{where}: not a file of weights: it is damaged, or holds other things than tensors. Give a "
            ".safetensors file, or a .pth file with a state_dict."
        ) from None


def _tables(content: Any, depth: int = 3) -> Iterator[State]:
    import torch

    if not isinstance(content, Mapping) or not depth:
        return
    tensors = {key: v for key, v in content.items() if isinstance(key, str) and isinstance(v, torch.Tensor)}
    if tensors:
        yield tensors
    for key in _KEYS:
        yield from _tables(content.get(key), depth - 1)


def fill_state(
    network: nn.Module, tables: Sequence[State], where: str, name: str, dropped: tuple[str, ...]
) -> None:
    """Put the weights into the network; its classifying layers `dropped` are not needed."""
    unneeded = tuple(f"{d}." for d in dropped)
    needed = {key for key in network.state_dict() if not key.startswith(unneeded)}
    unwrapped = [_unwrapped(table, needed) for table in tables]
    state = max(unwrapped, key=lambda one: len(needed & one.keys()))
    state = {key: value for key, value in state.items() if not key.startswith(unneeded)}
    missing = sorted(key for key in needed - state.keys() if not key.endswith(_COUNTER))
    foreign = sorted(state.keys() - needed)
    try:
        if missing or foreign:
            wrong = [f"no {key}" for key in missing[:1]] + [
                f"{_shown(k)} is not part of it" for k in foreign[:1]
            ]
            raise RuntimeError(f"{', '.join(wrong)}; the file holds {_names(state)}")
        network.load_state_dict(dict(state), strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip().rstrip(".")
        raise WeightsError(
            f"{where}: not the weights of {name} ({reason}). Give weights trained for it."
        ) from None


def _unwrapped(table: State, needed: set[str]) -> dict[str, Tensor]:
    """The table without the wrappers' names; what else lies beside the wrapped network is left out."""
    plain = {key.replace(_COMPILED, ""): value for key, value in table.items()}  # also inside of a name
    prefixes = sorted({prefix for key in plain for prefix in _prefixes(key)}, key=len)
    best = max(prefixes, key=lambda prefix: sum(prefix + key in plain for key in needed))
    return {key[len(best) :]: value for key, value in plain.items() if key.startswith(best)}


def _prefixes(key: str) -> Iterator[str]:
    """Every wrapper's name, and names, that a key begins with; and none."""
    prefix = ""
    yield prefix
    for part in key.split(".", _DEEPEST)[:-1]:
        if part not in _WRAPPERS:
            return
        prefix += f"{part}."
        yield prefix


def _contents(content: Any) -> str:
    """What a file holds, for a sentence."""
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    return _some([f"{_shown(key)} ({_kind(value)})" for key, value in content.items()]) or "nothing"


def _kind(value: Any) -> str:
    return f"table of {len(value)}" if isinstance(value, Mapping) else type(value).__name__


def _names(state: State) -> str:
    return _some([_shown(key) for key in state]) or "nothing else"


def _some(listed: Sequence[str]) -> str:
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more


def _shown(key: object) -> str:
    """A stranger's name without line ends or anything else that a terminal would obey."""
    text = str(key)[:80]
    return text if text.isprintable() else ascii(text)
