"""What a measurement's expression may be: arithmetic of landmarks, and nothing else.

Those of the shipped registry are read by tests; those of one's own may come from anybody's table or model
file. So they are taken apart before they are compiled: every part has to be a number, a landmark, a function
of geometry or one of ``+ - * / **``, and of the right kind. Lengths are counted as well: what is called a
ratio has to be one, or it would change with the size of the picture.
"""

from __future__ import annotations

import ast
import difflib
import re
from dataclasses import dataclass
from types import CodeType

from anthropo.face.scheme import LANDMARKS

_LONGEST = 1000  # characters
_MOST = 300  # parts
_LARGEST = 1e9  # of any number
_EXPONENTS = (-3, -2, -1, 0.5, 2, 3)
_FOREIGN = re.compile(r"[^A-Za-z0-9_\s.,()*/+-]|\.(?!\d)")
_TOKEN = re.compile(r"(?<![\w.])\.?\d[\w.]*(?:(?<=[eE])[+-]\w+)?")  # what begins like a number
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_ALLOWED = "numbers, landmarks, functions such as d(enR, enL), and + - * / ** ( )"
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)

_POINT = None  # in place of a power of length: what is no number but a point

#: Functions of points: how many they take at least and at most, and which power of a length they give.
_OF_POINTS: dict[str, tuple[int, int, float | None]] = {
    "d": (2, 2, 1), "mid": (2, 20, _POINT), "angle": (3, 3, 0), "area": (3, 20, 2), "perimeter": (3, 20, 1),
    "off": (3, 3, 1), "off_level": (4, 4, 1), "sag": (3, 20, 1), "cant": (4, 4, 0), "v": (2, 2, 1),
    "elevation": (2, 2, 0), "at": (3, 20, _POINT), "procrustes_asymmetry": (0, 0, 0),
}  # fmt: skip
#: The names that an expression may call; `mean` is of numbers.
FUNCTIONS = (*_OF_POINTS, "mean")
_POINTS = frozenset(f"p{i}" for i in range(68))


class ExpressionError(ValueError):
    """An expression is none that can be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A checked expression."""

    code: CodeType
    divisors: tuple[tuple[str, CodeType], ...]  # what is divided by
    lengths: tuple[tuple[CodeType, float], ...]  # lengths and areas that it is made of, with their power


@dataclass(frozen=True, slots=True)
class _Part:
    """What a part of an expression is."""

    power: float | None  # of a length: 0 for plain numbers and angles; None for a point
    value: float | None = None  # of what depends on no landmark


def parse(text: str, power: int, *, in_mm: bool = False) -> Parsed:
    """Check an expression that is to give this power of a length: 0 for ratios and angles, 1, or 2 for areas.

    With `in_mm`, numbers may be added to lengths: they are millimetres.

    Raises
    ------
    ExpressionError
        If it is anything else; the message is a sentence without its end.

    Examples
    --------
    >>> from anthropo.measurement.expressions import parse
    >>> parse("100 * d(sn, gn) / d(n, gn)", 0).divisors[0][0]
    'd(n, gn)'
    >>> parse("d(sn, gn)", 0)
    Traceback (most recent call last):
    anthropo.measurement.expressions.ExpressionError: the expression is a length, and a ratio or angle is ...
    """
    if len(text) > _LONGEST:
        raise ExpressionError(f"the expression has {len(text):,} characters, and {_LONGEST:,} are enough")
    if not text.strip():
        raise ExpressionError(f"the expression is empty. It is made of {_ALLOWED}")
    if foreign := _FOREIGN.search(text):
        raise ExpressionError(f"{foreign[0]!r} is not allowed in an expression, which has only {_ALLOWED}")
    for token in _TOKEN.findall(text):
        if not _NUMBER.fullmatch(token):
            raise ExpressionError(f"{token!r} is no number")
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        why = getattr(error, "msg", None) or "it is nested too deep"
        raise ExpressionError(f"the expression cannot be parsed ({why}). It is made of {_ALLOWED}") from None
    if sum(1 for _ in ast.walk(tree)) > _MOST:
        raise ExpressionError(f"the expression has more than {_MOST} parts")
    reader = _Reader(in_mm)
    whole = reader.read(tree.body)
    if whole.power is _POINT:
        raise ExpressionError("the expression is a point, and a number is needed, such as d(enR, enL)")
    if whole.value is not None:
        raise ExpressionError(f"the expression is {whole.value:g} on every face: it names no landmark")
    if whole.power != power:
        raise ExpressionError(f"the expression is {_words(whole.power)}, and {_words(power)} is needed")
    return Parsed(_compiled(tree.body), tuple(reader.divisors.items()), tuple(reader.lengths.values()))


def _compiled(node: ast.expr) -> CodeType:
    return compile(ast.Expression(node), "expression", "eval")


def _words(power: float | None) -> str:
    if power is _POINT:
        return "a point"
    words = {0.0: "a ratio or angle", 1.0: "a length", 2.0: "an area"}
    return words.get(power, f"a length to the power of {power:g}")


class _Reader:
    """Reads the parts of one expression."""

    def __init__(self, in_mm: bool) -> None:
        self._in_mm = in_mm
        self.divisors: dict[str, CodeType] = {}
        self.lengths: dict[str, tuple[CodeType, float]] = {}

    def read(self, node: ast.expr) -> _Part:
        """What a part is; an ExpressionError if it is none that an expression may have."""
        if isinstance(node, ast.Constant):
            return self._number(node)
        if isinstance(node, ast.Name):
            return self._landmark(node.id)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            of = self._needs_number(node.operand)
            sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
            return _Part(of.power, None if of.value is None else sign * of.value)
        if isinstance(node, ast.BinOp) and isinstance(node.op, _ARITHMETIC):
            return self._arithmetic(node)
        raise ExpressionError(f"`{_shown(node)}` is no arithmetic: an expression has only {_ALLOWED}")

    def _number(self, node: ast.Constant) -> _Part:
        if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            return _Part(0, _bounded(node.value, node))
        raise ExpressionError(f"`{_shown(node)}` is no arithmetic: an expression has only {_ALLOWED}")

    def _landmark(self, name: str) -> _Part:
        if name in LANDMARKS or name in _POINTS:
            return _Part(_POINT)
        if name in FUNCTIONS:
            raise ExpressionError(f"the function {name!r} is not called: write {name}(…)")
        near = difflib.get_close_matches(name, LANDMARKS, 3, 0.5)
        advice = f"Did you mean {' or '.join(near)}? " if near else ""
        raise ExpressionError(
            f"unknown landmark {name!r}. {advice}The codes are in docs/atlas.md, beside p0 to p67"
        )

    def _call(self, node: ast.Call) -> _Part:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise ExpressionError(f"`{_shown(node)}` is no arithmetic: an expression has only {_ALLOWED}")
        name = node.func.id
        if name == "mean":
            return self._mean(node)
        if name not in _OF_POINTS:
            near = difflib.get_close_matches(name, FUNCTIONS, 2, 0.5) or FUNCTIONS
            raise ExpressionError(f"unknown function {name!r}. Choose from {', '.join(near)}")
        least, most, power = _OF_POINTS[name]
        if not least <= len(node.args) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            raise ExpressionError(f"{name} takes {wanted} points, {len(node.args)} given")
        for one in node.args:
            if self.read(one).power is not _POINT:
                raise ExpressionError(f"{name} takes points, and `{_shown(one)}` is a number")
        if power:
            self.lengths.setdefault(ast.unparse(node), (_compiled(node), power))
        return _Part(power)

    def _mean(self, node: ast.Call) -> _Part:
        if not node.args:
            raise ExpressionError("mean takes numbers, none given")
        parts = [self._needs_number(one) for one in node.args]
        for part in parts[1:]:
            self._same(node, parts[0], part)
        known = [part.value for part in parts if part.value is not None]
        value = sum(known) / len(known) if len(known) == len(parts) else None
        return _Part(max(part.power or 0 for part in parts), value)

    def _arithmetic(self, node: ast.BinOp) -> _Part:
        left = self._needs_number(node.left)
        if isinstance(node.op, ast.Pow):
            return self._to_the_power(node, left)
        right = self._needs_number(node.right)
        assert left.power is not None
        assert right.power is not None
        power: float | None
        if isinstance(node.op, ast.Mult):
            power = left.power + right.power
        elif isinstance(node.op, ast.Div):
            power = left.power - right.power
            if right.value == 0:
                raise ExpressionError(f"`{_shown(node)}` divides by zero")
            if right.value is None:
                self.divisors.setdefault(ast.unparse(node.right), _compiled(node.right))
        else:
            power = self._same(node, left, right)
        if left.value is None or right.value is None:
            return _Part(power)
        a, b = left.value, right.value
        of = {ast.Add: a + b, ast.Sub: a - b, ast.Mult: a * b, ast.Div: a / (b or 1)}
        return _Part(power, _bounded(of[type(node.op)], node))

    def _to_the_power(self, node: ast.BinOp, base: _Part) -> _Part:
        exponent = self._needs_number(node.right).value
        if exponent not in _EXPONENTS:
            choices = ", ".join(f"{one:g}" for one in _EXPONENTS)
            raise ExpressionError(f"`{_shown(node)}`: an exponent is one of {choices}")
        if base.value is not None:
            raise ExpressionError(f"`{_shown(node)}`: write the number itself in place of a power of one")
        assert base.power is not None
        if exponent < 0:
            self.divisors.setdefault(ast.unparse(node.left), _compiled(node.left))
        return _Part(base.power * exponent)

    def _needs_number(self, node: ast.expr) -> _Part:
        part = self.read(node)
        if part.power is _POINT:
            raise ExpressionError(
                f"`{_shown(node)}` is a point, and a number is needed: measure between points, as d(enR, enL)"
            )
        return part

    def _same(self, node: ast.expr, left: _Part, right: _Part) -> float | None:
        """The power of a length that a sum has."""
        if left.power == right.power:
            return left.power
        if self._in_mm and left.value is not None:
            return right.power
        if self._in_mm and right.value is not None:
            return left.power
        raise ExpressionError(
            f"`{_shown(node)}` adds {_words(left.power)} to {_words(right.power)}, so that it depends on the "
            "size of the picture"
        )


def _bounded(value: float, node: ast.expr) -> float:
    if not abs(value) <= _LARGEST:
        raise ExpressionError(f"`{_shown(node)}` is larger than {_LARGEST:,.0f}")
    return float(value)


def _shown(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 60 else f"{text[:57]}…"
