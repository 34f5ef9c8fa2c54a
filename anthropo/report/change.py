"""What changed in a person or in a cohort, in words, on a terminal and as files."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anthropo._version import __version__
from anthropo.errors import InputError
from anthropo.files import write
from anthropo.groups.change import CHANGED, MOVED, NOT_COMPARED, RATE, SAME, Change, Paired, Status, part
from anthropo.measurement.compute import Z95
from anthropo.plain import minus, say, together
from anthropo.report.rendering import NOTE, as_csv, as_json, print_table
from anthropo.report.tables import number
from anthropo.workflows.change import ChangeResult, StatePhoto
from anthropo.workflows.change_cohort import CohortChange

Document = dict[str, Any]
SUFFIXES = (".html", ".csv", ".json")
_SHOWN = 24  # of a cohort's measurements on a terminal
_PER_PART = 2  # of those that moved, on a terminal: asymmetries, and each part of the face
_NAMED = 6  # measurements of one reason
#: What the words of the statuses mean.
MEANING = {
    CHANGED: "photos of one state would hardly differ so",
    MOVED: "photos of a face that kept still would hardly differ so; other photos of the same state may",
    SAME: "no larger than the error of two photos",
    NOT_COMPARED: "one of the states has no value that can be compared",
}


def signed_difference(value: float, unit: str) -> str:
    """A difference with its sign and the digits of its unit."""
    text = number(abs(value), unit) if math.isfinite(value) else "–" if math.isnan(value) else "∞"
    return text if math.isnan(value) else f"{'−' if value < 0 else '+'}{text}"


def interval(change: Change | Paired) -> str:
    """The 95 % interval of a difference, by the error that its status rests on."""
    lo, hi = change.lo, change.hi
    if isinstance(change, Change) and change.status == MOVED:
        lo, hi = (change.difference + side * Z95 * change.still_sd for side in (-1, 1))
    return (
        ""
        if math.isnan(lo)
        else f"{signed_difference(lo, change.entry.unit)} to {signed_difference(hi, change.entry.unit)}"
    )


def summary(result: ChangeResult) -> str:
    """What changed, in a sentence or two."""
    compared = sum(c.status != NOT_COMPARED for c in result.changes)
    sentences = []
    verbs: dict[Status, str] = {CHANGED: "changed", MOVED: "moved"}
    for status, verb in verbs.items():
        parts = [
            f"{name} ({of[status]} of {sum(n for s, n in of.items() if s != NOT_COMPARED)})"
            for name, of in result.parts.items()
            if of.get(status) and not (status == MOVED and of.get(CHANGED))
        ]
        if parts:
            sentences.append(f"{_listed(parts)} {verb}".capitalize() + ".")
    if not sentences:
        return f"Nothing changed beyond error, of {compared} measurements that were compared."
    return " ".join(sentences)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def names(photos: Sequence[StatePhoto]) -> str:
    """The photos of a state."""
    more = f" and {len(photos) - 1} more" if len(photos) > 1 else ""
    return f"{photos[0].photo}{more}"


def q_text(change: Change) -> str:
    """The false discovery rate that its status rests on."""
    q = change.q_still if change.status == MOVED else change.q
    return "" if math.isnan(q) else "< 0.001" if q < 0.001 else f"{q:.3f}"


def _row(change: Change) -> tuple[str, ...]:
    unit = change.entry.unit
    return (
        f"  {change.entry.name}", number(change.before, unit), number(change.after, unit),
        signed_difference(change.difference, unit), interval(change), unit, q_text(change),
    )  # fmt: skip


def _first(changes: Sequence[Change]) -> list[Change]:
    """The surest of the asymmetries and of each part of the face."""
    count: dict[str, int] = {}
    kept = []
    for change in changes:
        group = "" if change.asymmetry else change.part
        count[group] = count.get(group, 0) + 1
        if count[group] <= _PER_PART:
            kept.append(change)
    return kept


def print_change(result: ChangeResult, everything: bool = False) -> None:
    """What changed in one person: in words, then by part of the face, then each measurement."""
    title = f"patient {result.patient}: " if result.patient else ""
    say(f"{title}{names(result.before)} → {names(result.after)}", bold=True)
    say(summary(result))
    for remark in together(result.remarks):
        say(f"warning: {remark}", fg="yellow", err=True)
    for reason in result.left_out:
        say(f"left out: {reason}", fg="yellow", err=True)
    first, second = result.states
    columns = ("measurement", first, second, "difference", "95 % interval", "unit", "q")
    rows: list[tuple[str, ...]] = []
    hidden = 0
    for status in (CHANGED, MOVED, SAME) if everything else (CHANGED, MOVED):
        of = result.of(status)
        kept = of if everything or status == CHANGED else _first(of)
        hidden += len(of) - len(kept)
        if kept:
            rows.append((status, *[""] * 6))
            rows += [_row(change) for change in kept]
    if rows:
        print_table(columns, rows, left=("unit",), width=120)
    if hidden:
        say(f"… and {hidden} more that moved; --all or -o shows them.")
    kept_still = sum(c.status == SAME for c in result.changes)
    say(f"{kept_still} within error.")
    for reason, of_reason in reasons(result).items():
        more = f" and {len(of_reason) - _NAMED} more" if len(of_reason) > _NAMED else ""
        say(f"not compared, {reason}: {', '.join(of_reason[:_NAMED])}{more}", fg="yellow")
    doubts = list(dict.fromkeys(r for c in result.changes if c.status != NOT_COMPARED for r in c.remarks))
    for doubt in doubts:
        say(f"photo gate, {doubt}")
    say(
        f"Changed: {MEANING[CHANGED]}. Moved: {MEANING[MOVED]}.\nThe interval holds that error. q: false "
        f"discovery rate among all that are compared (Benjamini-Hochberg; at most {RATE:g}). ex-ex: fraction "
        f"of the outer-canthal distance. R, L: the subject's right and left. {NOTE}",
        dim=True,
    )


def reasons(result: ChangeResult) -> dict[str, list[str]]:
    """Why measurements were not compared, each reason with their ids."""
    by_reason: dict[str, list[str]] = {}
    for change in result.changes:
        if change.status == NOT_COMPARED:
            by_reason.setdefault(change.reason, []).append(change.id)
    return by_reason


# --------------------------------------------------------------------------------------- cohorts


def real(test: Paired) -> bool:
    """Whether a cohort's measurement changes on average beyond chance."""
    return test.q <= RATE


def ordered(tests: Sequence[Paired]) -> list[Paired]:
    """The surest first."""
    return sorted(tests, key=lambda t: (t.q, t.p, -abs(t.g) if math.isfinite(t.g) else 0.0))


def cohort_summary(result: CohortChange) -> str:
    """What changed on average, in a sentence."""
    n, tests = len(result.people), result.tests
    who = f"{n} patient{'' if n == 1 else 's'}, {result.states[0]} → {result.states[1]}"
    if not tests:
        return f"{who}: too few for a mean."
    sure = [t for t in tests if real(t)]
    parts: dict[str, int] = {}
    for test in sure:
        parts[part(test.entry)] = parts.get(part(test.entry), 0) + 1
    words = f" ({', '.join(f'{name} {k}' for name, k in parts.items())})" if parts else ""
    return f"{who}: {len(sure)} of {len(tests)} measurements change on average{words}."


def print_cohort(result: CohortChange, everything: bool = False) -> None:
    """What changed on average, then in how many patients, then who was left out."""
    say(cohort_summary(result), bold=True)
    tests = ordered(result.tests)
    shown = tests if everything else [t for t in tests if real(t)][:_SHOWN]
    if shown:
        columns = (
            "measurement",
            "n",
            "mean difference",
            "95 % interval",
            "unit",
            "g",
            "p",
            "q",
            "changed",
            "moved",
        )
        print_table(columns, [_test_row(t) for t in shown], left=("unit",), width=140)
    if len(shown) < len(tests):
        say(f"… and {len(tests) - len(shown)} more; --all or -o shows them.")
    for remark in result.remarks:
        say(f"warning: {remark}", fg="yellow", err=True)
    whose = {remark: f"patient {person.patient}: " for person in result.people for remark in person.remarks}
    for remark in together(list(whose)):
        say(f"warning: {whose.get(remark, '')}{remark}", fg="yellow", err=True)
    for person in result.people:
        for reason in person.left_out:
            say(f"left out: {reason}", fg="yellow", err=True)
    for _, reason in result.left_out:
        say(f"left out: {reason}", fg="yellow", err=True)
    least = 2 / 2 ** max((t.n for t in tests), default=0)  # the smallest p that signs can give
    if tests and tests[0].test == "sign-flip" and least > RATE:
        say(
            f"So few patients cannot show a change on average: the smallest p possible is {least:.2g}. With "
            "10 or more they can."
        )
    say(
        "g: mean over the standard deviation of the differences between patients. p: exact sign-flip test up "
        "to 12 patients, else paired t test. q: false discovery rate (Benjamini-Hochberg). changed, moved: "
        f"patients in whom it did by itself. {NOTE}",
        dim=True,
    )  # fmt: skip


def _test_row(t: Paired) -> tuple[str, ...]:
    unit = t.entry.unit
    return (
        t.entry.name, str(t.n), signed_difference(t.mean, unit), interval(t), unit,
        minus(f"{t.g:+.2f}") if math.isfinite(t.g) else "–", f"{t.p:.2g}", f"{t.q:.2g}", str(t.changed),
        str(t.moved),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------ files


def document(result: ChangeResult) -> Document:
    """One person's change as JSON has it."""
    return {
        "anthropo": __version__,
        "patient": result.patient,
        "states": list(result.states),
        "summary": summary(result),
        "remarks": list(result.remarks),
        "left_out": list(result.left_out),
        "face_distance": _plain(result.distance),
        "references": list(result.references),
        "photos": [
            {
                "photo": photo.photo,
                "state": state,
                "sha256": photo.digest,
                "gate_failed": [check.name for check in photo.failed],
                "landmarks_by_hand": photo.by_hand,
            }
            for state, photos in zip(result.states, (result.before, result.after), strict=True)
            for photo in photos
        ],
        "measurements": [{k: _plain(v) for k, v in row.items()} for row in result.rows()],
    }


def cohort_document(result: CohortChange) -> Document:
    """A cohort's change as JSON has it."""
    tests = result.tests_frame().to_dict("records")
    return {
        "anthropo": __version__,
        "cohort": result.cohort,
        "states": list(result.states),
        "summary": cohort_summary(result),
        "remarks": list(result.remarks),
        "left_out": [{"patient": patient, "reason": reason} for patient, reason in result.left_out],
        "tests": [{str(k): _plain(v) for k, v in row.items()} for row in tests],
        "patients": [document(person) for person in result.people],
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it, which knows no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_change(result: ChangeResult | CohortChange, path: str | os.PathLike[str]) -> list[Path]:
    """Write what changed as a page, a table or JSON.

    Parameters
    ----------
    result : ChangeResult or CohortChange
    path : path
        Its suffix says what is written: .html, .csv or .json. The tests of a cohort go to a second CSV beside
        the first, ``NAME.tests.csv``.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    InputError
        If a file cannot be written.

    Examples
    --------
    >>> import anthropo
    >>> from PIL import Image
    >>> from anthropo.report import write_change
    >>> Image.open(anthropo.example_photo()).resize((400, 400)).save("smaller.png")
    >>> result = anthropo.change(anthropo.example_photo(), "smaller.png")
    >>> [path.name for path in write_change(result, "change.csv")]
    ['change.csv']
    """
    from anthropo.report.change_page import cohort_page, page

    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: the suffix says what is written. Use {', '.join(SUFFIXES)}.")
    if suffix == ".csv":
        write(target, as_csv(result.to_frame()))
        if isinstance(result, CohortChange):
            beside = target.with_suffix(".tests.csv")
            write(beside, as_csv(result.tests_frame()))
            return [target, beside]
    elif suffix == ".json":
        write(
            target, as_json(document(result) if isinstance(result, ChangeResult) else cohort_document(result))
        )
    else:
        write(target, page(result) if isinstance(result, ChangeResult) else cohort_page(result))
    return [target]
