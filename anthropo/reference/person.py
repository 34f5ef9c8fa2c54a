"""Who a person is, from what people write: age, dates, length of gestation and ancestry."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from anthropo.errors import InputError
from anthropo.plain import minus

MAX_AGE = 120
DAYS, MONTHS = 365.25, 12  # in a year
UNKNOWN = "unknown"
_LETTERS = re.ASCII | re.IGNORECASE  # of patterns, which are compiled where there is something to be read
WAYS = "years (8 or 8.5), months (18m), weeks (3w) or days (10d)"

# ----------------------------------------------------------------------------------------- sex


def parse_sex(text: str) -> str:
    """``female`` or ``male``, from f, w, female, m or male in any case; anything else is an InputError."""
    given = text.strip()
    sex = {"f": "female", "w": "female", "female": "female", "m": "male", "male": "male"}.get(given.lower())
    if sex is None:
        what = f"Sex {given!r} is unknown." if given else "The sex is empty."
        raise InputError(f"{what} Give female (f, w) or male (m).")
    return sex


# ----------------------------------------------------------------------------------------- age

_YEARS = {"y": 1.0, "m": 1 / MONTHS, "w": 7 / DAYS, "d": 1 / DAYS}  # the largest first
_NUMBER = r"(\d+(?:[.,]\d*)?|\.\d+)"
_UNIT = r"(?:(y)(?:rs?|ears?)?|(m)(?:o|os|onths?)?|(w)(?:ks?|eeks?)?|(d)(?:ays?)?)(?![a-z])"
_PART = rf"{_NUMBER}\s*{_UNIT}"
_PARTS = rf"{_PART}(?:(?:\s*,\s*|\s+and\s+|\s*){_PART})*"


class Age(NamedTuple):
    """An age in years: the youngest and the oldest that it can mean, and the finest unit it is given in."""

    youngest: float
    oldest: float
    unit: str  # y, m, w or d


def read_age(text: str) -> Age:
    """What an age in words means; an InputError if it is no age from 0 to 120 years.

    Years are ``8``, ``8.5`` or ``8 years``, months ``18m`` or ``18 months``, weeks ``3w``, days ``10 d``; or
    several of them, the larger one first. A whole number is completed ones: 8 is everything until the ninth
    birthday. With a decimal point an age is exact.

    Examples
    --------
    >>> read_age("8")
    Age(youngest=8.0, oldest=9.0, unit='y')
    >>> read_age("1y 6m").youngest, read_age("8.5").oldest
    (1.5, 8.5)
    """
    given = text.strip()
    ways = f"Give {WAYS}."
    if not given:
        raise InputError(f"The age is empty. {ways}")
    if given.startswith(("-", "−")):
        raise InputError(f"Age {given!r} is negative. {ways}")
    if re.fullmatch(_NUMBER, given, re.ASCII):
        parts = [(given, "y")]
    elif re.fullmatch(_PARTS, given, _LETTERS):
        parts = [(n, "".join(units).lower()) for n, *units in re.findall(_PART, given, _LETTERS)]
    else:
        parts = []
    numbers, units = [n.replace(",", ".") for n, _ in parts], [unit for _, unit in parts]
    in_order = units == [unit for unit in _YEARS if unit in units]
    if not parts or not in_order or any("." in number for number in numbers[:-1]):
        if _is_date(given):
            raise InputError(
                f"Age {given!r} is a date: dates belong in the columns `born` and `taken`. {ways}"
            )
        raise InputError(f"Age {given!r} is not an age. {ways}")
    age = sum(float(number) * _YEARS[unit] for number, unit in zip(numbers, units, strict=True))
    if age > MAX_AGE:
        raise InputError(f"Age {given!r} is above {MAX_AGE} years. {ways}")
    return Age(age, age if "." in numbers[-1] else age + _YEARS[units[-1]], units[-1])


def parse_age(text: str) -> float:
    """An age in years from what people write, see `read_age`; of completed years the youngest.

    Examples
    --------
    >>> parse_age("18 months")
    1.5
    """
    return read_age(text).youngest


def age_span(text: str) -> tuple[float, float]:
    """The youngest and the oldest age in years that an age in words can mean, see `read_age`.

    Examples
    --------
    >>> age_span("8"), age_span("8.5")
    ((8.0, 9.0), (8.5, 8.5))
    """
    return read_age(text)[:2]


def exact_age(years: float) -> str:
    """An age that is known to the day, as `read_age` reads it: with a decimal point.

    Rounded up, so that the day on which a month or year is completed counts.

    Examples
    --------
    >>> exact_age(5), exact_age(3 / 365.25)
    ('5.0', '0.00822')
    """
    text = f"{math.ceil(years * 1e5 - 1e-6) / 1e5:.5f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


# --------------------------------------------------------------------------------------- dates

_DATE_WAYS = "Write 2019-03-04, 04.03.2019 or 4 Mar 2019"
_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_TIME = r"(?:[T ]\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"  # a database's; of no use here
_ISO = rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}"
_DOTS = r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})"
_SLASHES = r"(\d{1,2})([/-])(\d{1,2})\2(\d{4})"
_WORDS = r"(?i)(\d{1,2})\.?[ -]?([a-z]{3,9})\.?,?[ -]?(\d{4})"
_AMERICAN = r"(?i)([a-z]{3,9})\.? (\d{1,2}),? (\d{4})"


def parse_date(text: str) -> date:
    """A day; an InputError if it is none, or could be two, which does not repeat it: dates are private.

    Examples
    --------
    >>> parse_date("04.03.2019") == parse_date("4 Mar 2019") == parse_date("2019-03-04")
    True
    """
    given = text.strip()
    if match := re.fullmatch(_ISO, given, re.ASCII):
        year, month, day = int(match[1]), int(match[3]), int(match[4])
    elif match := re.fullmatch(_DOTS, given, re.ASCII):
        day, month, year = (int(part) for part in match.groups())
    elif match := re.fullmatch(_SLASHES, given, re.ASCII):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if first <= 12 and second <= 12 and first != second:
            raise InputError(f"the first number may be the day or the month. {_DATE_WAYS}.")
        day, month = (first, second) if second <= 12 else (second, first)
    elif (match := re.fullmatch(_WORDS, given, re.ASCII)) and _month(match[2]):
        day, month, year = int(match[1]), _month(match[2]), int(match[3])
    elif (match := re.fullmatch(_AMERICAN, given, re.ASCII)) and _month(match[1]):
        month, day, year = _month(match[1]), int(match[2]), int(match[3])
    else:
        raise InputError(f"not a date that can be read. {_DATE_WAYS}.")
    try:
        return date(year, month, day)
    except ValueError:
        raise InputError(f"no such day in the calendar. {_DATE_WAYS}.") from None


def _month(name: str) -> int:
    """The number of a month by its English name, or the first letters of it; 0 where there is none."""
    return next((i for i, month in enumerate(_NAMES, start=1) if month.startswith(name.lower())), 0)


def _is_date(text: str) -> bool:
    return any(
        re.fullmatch(pattern, text, re.ASCII) for pattern in (_ISO, _DOTS, _SLASHES, _WORDS, _AMERICAN)
    )


def age_on(born: date, taken: date) -> float:
    """The age in years on a day: days of 365.25 to a year, and never less than the completed years.

    Examples
    --------
    >>> from datetime import date
    >>> born = date(2019, 3, 4)
    >>> age_on(born, date(2023, 3, 4)), round(age_on(born, date(2019, 3, 14)) * 365.25, 6)
    (4.0, 10.0)
    """
    completed = taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
    return max((taken - born).days / DAYS, float(completed))


@dataclass(frozen=True, slots=True)
class Dated:
    """The age on a photo that a row of a table states, by dates or in words."""

    age: str  # as `read_age` reads it; empty where it cannot be told
    why: str = ""  # a sentence, where dates that are given tell no age


def dated(born: str, taken: str, age: str, today: date | None = None) -> Dated:
    """The age of a person born on one day on a photo taken on another; `age` is what is stated beside them.

    Dates come before an age in words, which is used where one of them is missing.

    Examples
    --------
    >>> dated("2019-03-04", "4 Mar 2024", age="").age
    '5.00206'
    >>> dated("2019-03-04", "", age="").why
    'The date of birth is given, and not when the photo was taken. Fill in the column `taken`, or `age`.'
    """
    if not born or not taken:
        if age or not born:
            return Dated(age)
        missing = "The date of birth is given, and not when the photo was taken."
        return Dated("", f"{missing} Fill in the column `taken`, or `age`.")
    days = []
    for name, text in (("born", born), ("taken", taken)):
        try:
            day = parse_date(text)
        except InputError as error:
            return Dated("", f"Column `{name}`: {error}")
        if day > (today or date.today()):
            return Dated("", f"Column `{name}`: the date is in the future. Correct it.")
        days.append(day)
    if days[1] < days[0]:
        return Dated("", "The photo was taken before the person was born. Correct `born` or `taken`.")
    years = age_on(*days)
    if years > MAX_AGE:
        return Dated("", f"By `born` and `taken` the age is above {MAX_AGE} years. Correct one of them.")
    if age:
        try:
            youngest, oldest = age_span(age)
        except InputError:
            return Dated(exact_age(years))
        if not youngest - 1 <= years <= oldest + 1:
            by_dates = f"age {age.strip()} is given, and by `born` and `taken` it is {years:.3g} years"
            return Dated("", f"{by_dates[0].upper()}{by_dates[1:]}. Correct one of them.")
    return Dated(exact_age(years))


# ----------------------------------------------------------------------------------- gestation

_TERM, _EARLY = 40, 37  # weeks; a child that is born before the second is born early
_SHORTEST, _LONGEST = 20, 45
CORRECTED_UNTIL = 2.0  # years
_GESTATION = r"(\d{1,3})\s*(?:w|wks?|weeks?)?(?:(?:\s*\+\s*|\s+|(?<=[a-z]))(\d)\s*(?:d|days?|/7)?)?"


def parse_gestation(text: str) -> float:
    """The length of a gestation in weeks; an InputError if it is none from 20 to 45 weeks.

    Examples
    --------
    >>> parse_gestation("31w"), parse_gestation("31+4") == parse_gestation("31w4d") == 31 + 4 / 7
    (31.0, True)
    """
    given = text.strip()
    ways = "Give completed weeks (31w), or weeks and days (31+4)."
    match = re.fullmatch(_GESTATION, given, _LETTERS)
    days = int(match[2] or 0) if match else 7
    if match is None or days > 6:
        raise InputError(f"Gestation {given!r} is no number of weeks. {ways}")
    weeks = int(match[1]) + days / 7
    if not _SHORTEST <= weeks <= _LONGEST:
        raise InputError(f"Gestation {given!r} is not from {_SHORTEST} to {_LONGEST} weeks. {ways}")
    return weeks


def written_gestation(given: float | str) -> str:
    """A length of gestation, in weeks or as people write it, as it is written in clinics.

    Examples
    --------
    >>> written_gestation("31w 4d"), written_gestation(31)
    ('31+4', '31')
    """
    weeks = parse_gestation(given) if isinstance(given, str) else given
    whole, days = divmod(round(weeks * 7), 7)
    return f"{whole}+{days}" if days else f"{whole}"


def gestation_at(age: float, text: str) -> float | None:
    """The gestation in weeks that an age in years is corrected by; None where none is given or needed.

    An InputError if it cannot be used, of a child below two years.
    """
    return parse_gestation(text) if text and age < CORRECTED_UNTIL else None


def born_early(age: float, gestation: float | None) -> float:
    """Years to take off an age in years: of a child below two years who was born before 37 weeks; else 0.

    Examples
    --------
    >>> born_early(0.5, 30) * 365.25 / 7, born_early(0.5, 38), born_early(2, 30)
    (10.0, 0.0, 0.0)
    """
    if gestation is None or gestation >= _EARLY or age >= CORRECTED_UNTIL:
        return 0.0
    return (_TERM - gestation) * 7 / DAYS


def age_basis(youngest: float, oldest: float, gestation: float | None) -> str:
    """From which birth an age below two years is counted; empty of older people.

    Examples
    --------
    >>> age_basis(0.5, 0.5, None), age_basis(0.5, 0.5, 31 + 4 / 7)
    ('birth at term is assumed', 'corrected age 4.1 months, born at 31+4 weeks')
    """
    if youngest >= CORRECTED_UNTIL:
        return ""
    if gestation is None:
        return "birth at term is assumed"
    born = f"born at {written_gestation(gestation)} weeks"
    early = born_early(youngest, gestation)
    if not early:
        return f"{born}, at term"
    in_weeks = youngest - early < 0.25
    per_year = DAYS / 7 if in_weeks else MONTHS
    ends = [minus(f"{(age - early) * per_year:.1f}") for age in (youngest, oldest)]
    words = " to ".join(dict.fromkeys(ends))
    return f"corrected age {words} {'weeks' if in_weeks else 'months'}, {born}"


# ------------------------------------------------------------------------------------ ancestry


def parse_ancestry(text: str) -> str | None:
    """The name of a group as it was written; None where nothing is, or that it is unknown.

    Which names there are is the matter of each reference.

    Examples
    --------
    >>> parse_ancestry(" East Asian "), parse_ancestry("Unknown")
    ('East Asian', None)
    """
    name = " ".join(text.split())
    return name if name and name.casefold() != UNKNOWN else None
