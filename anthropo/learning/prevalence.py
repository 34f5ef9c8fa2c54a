"""How common labels are where a model is used: what a user states, and how it moves log-odds.

A probability is of a face *and* of how common a label is. Where labels are otherwise as common as among the
training photos, π instead of π₀, but faces of each label look alike (label shift), Bayes' rule multiplies
the odds of each label by (π / π₀), whatever the face (Elkin 2001; Saerens, Latinne & Decaestecker, Neural
Comput 2002;14:21).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from anthropo.errors import InputError, parameter
from anthropo.learning.judged import Floats

#: One share, of the positive one of two labels; or a share by label. As text: 0.02, or Noonan=0.02.
Prevalence = float | str | Mapping[str, float] | Sequence[str]

_ROUNDING = 0.005  # by which shares of all labels may miss 1, as those of a paper do
_SHOWN = 4  # labels in a sentence


def stated_shares(
    prevalence: Prevalence, training: Mapping[str, float], positive: str | None = None
) -> dict[str, float]:
    """The share of each label, from what is stated of some of them.

    Parameters
    ----------
    prevalence : float, str, mapping of str to float, or sequence of str
        A number is the share of `positive`.
    training : mapping of str to float
        The share of each label in training. Labels that are not named share what is left as there.
    positive : str, optional
        The affected one of two labels.

    Returns
    -------
    dict of str to float
        In the order of `training`; they add up to 1.

    Raises
    ------
    InputError
        If a share is not between 0 and 1, a label is unknown, or the shares leave nothing to the others.

    Examples
    --------
    >>> stated_shares({"Noonan": 0.02}, {"Noonan": 0.5, "control": 0.25, "other": 0.25})
    {'Noonan': 0.02, 'control': 0.49, 'other': 0.49}
    >>> stated_shares("0.02", {"Noonan": 0.25, "control": 0.75}, positive="Noonan")
    {'Noonan': 0.02, 'control': 0.98}
    """
    named = _named(prevalence, tuple(training), positive, "label")
    total = math.fsum(named.values())
    rest = [label for label in training if label not in named]
    where = parameter("prevalence", _written(named))
    if total > 1 + _ROUNDING or (rest and total >= 1):
        left = f", and nothing is left for {_listed(rest)}" if rest else ""
        raise InputError(f"{where}: the shares add up to {total:.4g}{left}. Give shares of less than 1.")
    if not rest and total < 1 - _ROUNDING:
        raise InputError(
            f"{where}: the shares of all labels add up to {total:.4g}, not to 1. Leave the label out that is "
            "to have the rest."
        )
    among = math.fsum(training[label] for label in rest)
    whole = 1 if rest else total
    return {c: named[c] / whole if c in named else (1 - total) * training[c] / among for c in training}


def stated_presence(
    prevalence: Prevalence, training: Mapping[str, float], asked: str | None = None
) -> dict[str, float]:
    """The share of people with each attribute; those that are not named are as common as in training.

    As `stated_shares`, but attributes do not exclude each other; a number is the share of the one that is
    `asked` about, or of the only one.
    """
    only = next(iter(training)) if len(training) == 1 else asked
    return {**training, **_named(prevalence, tuple(training), only, "attribute")}


def shift(stated: Floats, training: Floats) -> Floats:
    """What is added to the log-odds of each label (k,), on average 0, for shares other than in training."""
    moved = np.log(stated) - np.log(training)
    return np.asarray(moved - moved.mean())


def shares_words(shares: Mapping[str, float]) -> str:
    """Shares as a sentence has them: ``control 98 %, Noonan 2 %``; of many labels the most common ones."""
    order = sorted(shares, key=lambda label: -shares[label])
    shown = order if len(order) <= _SHOWN + 1 else order[:_SHOWN]
    words = [f"{label} {100 * shares[label]:.3g} %" for label in shown]
    if rest := order[len(shown) :]:
        words.append(f"{len(rest)} others {100 * math.fsum(shares[c] for c in rest):.3g} % together")
    return ", ".join(words)


def _named(
    prevalence: Prevalence, labels: Sequence[str], positive: str | None, what: str
) -> dict[str, float]:
    """The shares that are stated, by label; each between 0 and 1, of a label that there is."""
    pairs: list[tuple[str, float | str]]
    if isinstance(prevalence, Mapping):
        pairs = [(str(label), share) for label, share in prevalence.items()]
    else:
        pairs = [pair for one in _items(prevalence) for pair in _pairs(one, labels, positive, what)]
    named: dict[str, float] = {}
    for label, given in pairs:
        where = parameter("prevalence", f"{label}={given}")
        if label not in labels:
            raise InputError(f"{where}: no such {what}. The {what}s are {_listed(labels)}.")
        if label in named:
            raise InputError(f"{where}: {label} has a share already. Give one for each {what}.")
        named[label] = _share(given, where)
    if not named:
        raise InputError(f"{parameter('prevalence')}: nothing is stated. Give {_example(labels, positive)}.")
    return named


def _items(prevalence: float | str | Sequence[str]) -> Sequence[float | str]:
    return [prevalence] if isinstance(prevalence, (int, float, str)) else prevalence


def _pairs(
    given: float | str, labels: Sequence[str], positive: str | None, what: str
) -> Sequence[tuple[str, float | str]]:
    """Label and share, from one item: ``Noonan=0.02, Williams=0.01``, or a number for the positive label."""
    if isinstance(given, str) and "=" in given:
        pairs, start = [], ""  # a label may hold commas and equals signs
        for piece in given.split(","):
            start += f",{piece}" if start else piece
            if "=" in piece:
                label, _, share = start.rpartition("=")
                pairs.append((label.strip(), share.strip()))
                start = ""
        return [*pairs, (start.strip(), "")] if start.strip() else pairs
    if positive is None:
        where = parameter("prevalence", given)
        one = "there is no positive one" if what == "label" else f"there are {len(labels)}"
        raise InputError(
            f"{where}: of which {what}, since {one}? Give {_example(labels, positive)}; the {what}s are "
            f"{_listed(labels)}."
        )
    return [(positive, given)]


def _share(given: object, where: str) -> float:
    try:
        share = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        share = math.nan
    if not 0 < share < 1:
        raise InputError(f"{where}: a share between 0 and 1 is needed, such as 0.02 for 2 %.")
    return share


def _example(labels: Sequence[str], positive: str | None) -> str:
    return f"{positive or labels[0]}=0.02"


def _written(named: Mapping[str, float]) -> str:
    return ",".join(f"{label}={share:g}" for label, share in named.items())


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:20])
    return shown if len(labels) <= 20 else f"{shown} and {len(labels) - 20} more"
