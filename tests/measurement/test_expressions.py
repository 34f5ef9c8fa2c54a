"""Expressions: what may stand in one, that nothing else can, and that lengths are counted."""

from __future__ import annotations

import ast
import builtins
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropo.face.scheme import LANDMARKS
from anthropo.face.shape import shapes
from anthropo.measurement.expressions import FUNCTIONS, ExpressionError, parse
from anthropo.measurement.geometry import FUNCTIONS as BOUND
from anthropo.measurement.geometry import functions
from anthropo.measurement.registry import landmark_names, shipped

NAMES = {*LANDMARKS, *(f"p{i}" for i in range(68))}
PLACES = sorted(NAMES)


def value_of(text: str, power: int, size: float = 1.0) -> float:
    """An expression on the mean face, of this size."""
    points = size * shapes()[0]
    names: dict[str, Any] = {"__builtins__": {}, **functions(points), **landmark_names(points)}
    with np.errstate(all="ignore"):
        return float(eval(parse(text, power).code, names))


def test_it_knows_the_functions_of_geometry() -> None:
    assert set(FUNCTIONS) == BOUND


def test_every_shipped_expression_is_one_and_has_the_power_of_its_unit() -> None:
    for entry in shipped().values():
        if entry.expression:
            power = {"ex-ex": 1, "mm": 1, "ex-ex²": 2}.get(entry.unit, 0)
            parse(entry.expression, power, in_mm=entry.needs_mm)
            with pytest.raises(ExpressionError, match="is needed"):
                parse(entry.expression, power + 1, in_mm=entry.needs_mm)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the expression is empty"),
        ("d(enR, enX)", "unknown landmark 'enX'. Did you mean en"),
        ("d(enR, p68)", "unknown landmark 'p68'"),
        ("dist(enR, enL)", "unknown function 'dist'. Choose from"),
        ("d(enR)", "d takes 2 points, 1 given"),
        ("angle(enR, enL)", "angle takes 3 points, 2 given"),
        ("area(enR, enL)", "area takes 3 to 20 points"),
        ("d(enR, 3)", "d takes points, and `3` is a number"),
        ("d(enR, d(enL, n))", "d takes points, and `d(enL, n)` is a number"),
        ("d(enR, enL", "cannot be parsed"),
        ("d(enR enL)", "cannot be parsed"),
        ("d", "the function 'd' is not called"),
        ("enR", "the expression is a point"),
        ("enR + 1", "`enR` is a point, and a number is needed"),
        ("-enR", "`enR` is a point"),
        ("mean(enR, enL)", "`enR` is a point"),
        ("mean()", "mean takes numbers, none given"),
        ("procrustes_asymmetry(enR)", "takes 0 points, 1 given"),
        ("1 + 1", "is 2 on every face: it names no landmark"),
        ("d(enR, enL) / (1 - 1)", "divides by zero"),
        ("1 / 0", "divides by zero"),
        ("d(enR, enL)", "is a length, and a ratio or angle is needed"),
        ("d(enR, enL) * d(n, sn)", "is an area, and a ratio or angle is needed"),
        ("d(enR, enL) ** 3", "is a length to the power of 3"),
        ("d(enR, enL) + 3", "`d(enR, enL) + 3` adds a length to a ratio or angle"),
        ("area(enR, enL, n) - d(n, sn)", "adds an area to a length"),
        ("mean(d(enR, enL), 1)", "adds a length to a ratio"),
        ("9 ** 9 ** 9", "an exponent is one of"),
        ("d(enR, enL) ** 99", "an exponent is one of -3"),
        ("d(enR, enL) ** d(n, sn)", "an exponent is one of"),
        ("2 ** 3", "write the number itself"),
        ("1e10 * angle(enR, n, enL)", "is larger than 1,000,000,000"),
        ("1e999 * angle(enR, n, enL)", "is larger than"),
        ("99999 * 99999 * angle(enR, n, enL)", "is larger than"),
        ("1j * angle(enR, n, enL)", "'1j' is no number"),
        ("True * angle(enR, n, enL)", "`True` is no arithmetic"),
        ("angle(enR, n, enL) // 2", "is no arithmetic"),
        ("angle(enR, n, enL) if n else 1", "is no arithmetic"),
        ("angle(enR, n, enL) and 1", "is no arithmetic"),
        ("not angle(enR, n, enL)", "is no arithmetic"),
        ("(enR, enL)", "is no arithmetic"),
        ("d(*enR, n)", "`*enR` is no arithmetic"),
        ("d(a)(b)", "is no arithmetic"),
        ("lambda", "cannot be parsed"),
        ("enR.dtype", "'.' is not allowed"),
        ("__import__('os')", '"\'" is not allowed'),
        ("__import__(os)", "unknown function '__import__'"),
        ("eval(n)", "unknown function 'eval'"),
        ("[n for n in p1]", "'[' is not allowed"),
        ("n := p1", "':' is not allowed"),
        ("d(a=enR)", "'=' is not allowed"),
        ("d(enR, enL) × 2", "'×' is not allowed"),
        ("ｄ(enR, enL)", "is not allowed"),
        ("d(enR, enL) % 2", "'%' is not allowed"),
        ("d(enR, enL); n", "';' is not allowed"),
        ("d(enR, enL)\0", "is not allowed"),
        ("+".join(["angle(enR, n, enL)"] * 100), "characters, and 1,000 are enough"),
        ("-" * 900 + "1", "nested too deep|more than 300 parts|too complex|is 1 on every face"),
        ("(" * 400 + "1" + ")" * 400, "cannot be parsed"),
        ("+".join(["v(n,n)"] * 120), "more than 300 parts"),
    ],
)
def test_what_is_no_measurement_is_named(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, 0)
    assert any(one in str(caught.value) for one in message.split("|")), str(caught.value)


def test_millimetres_may_be_added_to_lengths_where_there_are_some() -> None:
    text = "(2 * d(enR, enL) - 3.909) / d(exR, exL)"
    parse(text, 0, in_mm=True)
    with pytest.raises(ExpressionError, match="size of the picture"):
        parse(text, 0)


def test_what_is_divided_by_is_told() -> None:
    parsed = parse("d(n, sn) / d(enR, enL) * mean(1, v(n, gn) / d(n, gn)) * d(n, sn) ** -1 * d(n, sn)", 0)
    assert [text for text, _ in parsed.divisors] == ["d(enR, enL)", "d(n, gn)", "d(n, sn)"]


points = st.sampled_from(PLACES)
lengths = st.tuples(st.sampled_from(["d", "v"]), points, points).map(lambda t: f"{t[0]}({t[1]}, {t[2]})")
ratios = st.recursive(
    st.one_of(
        st.tuples(lengths, lengths).map(lambda t: f"{t[0]} / (1 * {t[1]})"),
        st.tuples(points, points, points).map(lambda t: f"angle({', '.join(t)})"),
        st.floats(0.01, 100, allow_nan=False).map(lambda x: f"{x:.3f}"),
    ),
    lambda part: st.one_of(
        st.tuples(part, st.sampled_from("+-*"), part).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        part.map(lambda text: f"-{text}"),
        st.tuples(part, part).map(lambda t: f"mean({t[0]}, {t[1]})"),
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(ratios, st.floats(0.01, 1000))
def test_a_ratio_is_the_same_at_every_size(text: str, size: float) -> None:
    try:
        here = value_of(text, 0)
    except ExpressionError:
        assert not any(name in text for name in ("d(", "v(", "angle(")) or len(text) > 1000
        return
    there = value_of(text, 0, size)
    assert np.isclose(here, there, rtol=1e-6, atol=1e-9) or not np.isfinite([here, there]).all()


pieces = [
    "__class__",
    "import",
    "lambda",
    "exec",
    "open",
    "os",
    "if",
    "else",
    "for",
    "in",
    "**",
    "9e9",
    "0x1",
]
words = st.sampled_from([*PLACES[:6], *FUNCTIONS[:5], *pieces, "1_0", *"()(),*/+-.[]{}':=@#1…é \"\\\n"])
texts = st.one_of(
    st.text(max_size=60), st.lists(words, max_size=14).map(" ".join), st.lists(words).map("".join)
)


@settings(max_examples=400, deadline=None)
@given(texts, st.sampled_from([0, 1, 2]))
def test_nothing_but_arithmetic_of_landmarks_is_let_through(text: str, power: int) -> None:
    try:
        parsed = parse(text, power)
    except ExpressionError:
        return
    assert {*parsed.code.co_names} <= NAMES | {*FUNCTIONS}
    assert not {*parsed.code.co_names} & {*dir(builtins)}
    assert all(
        isinstance(constant, (int, float)) for constant in parsed.code.co_consts if constant is not None
    )
    tree = ast.parse(" ".join(text.split()), mode="eval")
    kinds = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant, ast.operator,
             ast.unaryop, ast.expr_context)  # fmt: skip
    assert all(isinstance(node, kinds) for node in ast.walk(tree))
    value_of(text, power)
