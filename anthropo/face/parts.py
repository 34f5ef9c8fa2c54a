"""What the points of the 68-point scheme are called in plain words."""

from __future__ import annotations

from collections.abc import Collection, Sequence

_SIDES = (("right", 0), ("left", 1))
_EYE = ((36, 37, 38, 39, 40, 41), (45, 44, 43, 42, 47, 46))


def _of_eyes() -> list[tuple[str, tuple[int, ...]]]:
    parts = []
    for side, i in _SIDES:
        outer, upper, _, inner, lower, _ = _EYE[i]
        parts += [
            (f"the {side} eye's outer corner", (outer,)),
            (f"the {side} eye's inner corner", (inner,)),
            (f"the {side} eye's upper lid", (upper, _EYE[i][2])),
            (f"the {side} eye's lower lid", (lower, _EYE[i][5])),
        ]
    return parts


#: Parts that are named whole, when all of their points are meant.
_WHOLE: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("the right eye", _EYE[0]),
    ("the left eye", _EYE[1]),
    ("the nose", tuple(range(27, 36))),
    ("the mouth", tuple(range(48, 68))),
)
#: Smaller parts, named when any of their points is meant.
_PARTS: tuple[tuple[str, tuple[int, ...]], ...] = (
    *_of_eyes(),
    ("the right brow", tuple(range(17, 22))),
    ("the left brow", tuple(range(22, 27))),
    ("the nasal root", (27, 28)),
    ("the tip of the nose", (29, 30)),
    ("the right nostril", (31, 32)),
    ("the base of the nose", (33,)),
    ("the left nostril", (34, 35)),
    ("the mouth's right corner", (48, 60)),
    ("the mouth's left corner", (54, 64)),
    ("the upper lip", (49, 50, 51, 52, 53, 61, 62, 63)),
    ("the lower lip", (55, 56, 57, 58, 59, 65, 66, 67)),
    ("the chin", (7, 8, 9)),
    ("the right side of the face's outline", tuple(range(7))),
    ("the left side of the face's outline", tuple(range(10, 17))),
)


def named(points: Collection[int]) -> list[str]:
    """The parts that some of the 68 points belong to: ``["the right eye", "the mouth's left corner"]``.

    Examples
    --------
    >>> from anthropo.face.parts import named
    >>> named([36, 54]), named(range(36, 42))
    (["the right eye's outer corner", "the mouth's left corner"], ['the right eye'])
    """
    left = set(points)
    words = []
    for name, whole in _WHOLE:
        if left.issuperset(whole):
            words.append(name)
            left -= set(whole)
    return words + [name for name, part in _PARTS if left.intersection(part)]


def listed(words: Sequence[str]) -> str:
    """Words as a sentence has them: ``the nose, the mouth and the chin``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def hidden_words(points: Collection[int]) -> str:
    """That these points are hidden, in words; empty for none.

    Examples
    --------
    >>> from anthropo.face.parts import hidden_words
    >>> hidden_words([36]), hidden_words(range(36, 48))
    ("the right eye's outer corner is hidden", 'the right eye and the left eye are hidden')
    """
    words = named(points)
    return f"{listed(words)} {'are' if len(words) > 1 else 'is'} hidden" if words else ""
