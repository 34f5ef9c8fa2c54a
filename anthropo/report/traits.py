"""Traits on a terminal, and as tables and phenopackets in files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anthropo.batch.records import Record
from anthropo.errors import InputError, parameter
from anthropo.files import write
from anthropo.plain import say
from anthropo.reference.growth import MEASURES
from anthropo.reference.phenopacket import as_json
from anthropo.reference.rules import SUBJECTIVE
from anthropo.reference.traits import (
    ABSENT,
    BORDERLINE,
    INCONCLUSIVE,
    LOOK,
    NOT_ASSESSED,
    NOT_GIVEN,
    PRESENT,
    STATUSES,
    Trait,
    z_words,
)
from anthropo.report.clinical import write_clinical
from anthropo.report.rendering import as_csv
from anthropo.report.tables import distance_words, print_gate, quantity
from anthropo.report.traits_page import page
from anthropo.workflows.trait_calling import Findings, PersonTraits

_TITLES = {LOOK: "look at (left to the eye, and unusual when measured)"}


def evidence_words(trait: Trait) -> str:
    """The evidence of one trait on a line."""
    parts = []
    for e in trait.evidence if trait.status != NOT_ASSESSED else ():
        # of a rule of several measurements, those that are what it asks for
        if e.score and (trait.status != LOOK or trait.rule.asks(e.measurement).holds(e.score.z, e.score.z)):
            how = ", ".join(filter(None, (e.score.grade, e.score.ancestry)))
            value = quantity(e.value, e.unit)
            words = z_words(e.score, trait.confidence)
            parts.append(
                f"{e.measurement} {value}, z {words}, {e.score.reference}" + (f" ({how})" if how else "")
            )
    if trait.reason and (not parts or trait.reason.startswith(("references", "no trait"))):
        parts.append(trait.reason)
    if trait.status in (PRESENT, BORDERLINE) and trait.supports:
        parts.append("also " + ", ".join(f"{e.measurement} {z_words(e.score)}" for e in trait.supports))
    return "; ".join(parts)


def print_traits(person: PersonTraits, everything: bool) -> None:
    """One person's traits; what is absent and not assessed is counted, or with `everything` listed."""
    record = person.record
    if isinstance(record, Record):
        say(f"{person.item.path}{f', face {record.index}' if record.index else ''}", bold=True)
        print_gate(record.gate)
        if words := distance_words(record):
            say(words)
    else:
        say(person.item.path, bold=True)
        for photo in record.photos:
            if photo.gate_failed:
                say(f"gate: {photo.photo}: {' '.join(photo.gate_failed)}", fg="yellow")
    if person.moved:
        say(f"landmarks placed by hand: {', '.join(person.moved)}")
    if record.age_basis:
        say(f"age for z-scores: {record.age_basis}")
    for g in person.growth:
        if not g.reason:
            words = f"z {z_words(g.score)}, centile {g.centile:.3g}, {g.chart}"
            words += f" ({g.assumption})" if g.assumption else ""
            say(f"{MEASURES[g.id].name.lower()} {g.value:g} {g.unit}: {words}")
    rows = []
    for status in STATUSES if everything else (PRESENT, BORDERLINE, LOOK):
        traits = [t for t in person.traits if t.status == status]
        if status in (PRESENT, BORDERLINE) or traits:
            rows.append((_TITLES.get(status, status), "", "", "" if traits else "none"))
        rows += [(f"  {t.label}", t.side, t.hpo_id, evidence_words(t)) for t in traits]
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        say("  ".join([*cells, row[3]]).rstrip(), bold=not row[2])
    if not everything:
        say(
            f"inconclusive, z itself within the limit: {sum(t.status == INCONCLUSIVE for t in person.traits)}"
        )
        say(f"absent: {sum(t.status == ABSENT for t in person.traits)}")
        for line in _missing(person.traits):
            say(line)
    say(
        f"Present or absent: the whole {100 * person.traits[0].confidence:g} % interval of z is beyond, or "
        "within, the limit; borderline: z is beyond, a part of its interval within. R, L: the subject's "
        "right and left.\nResearch use only, not a medical device.",
        dim=True,
    )


def _missing(traits: Sequence[Trait]) -> list[str]:
    """Reasons why traits are not assessed, commonest first."""
    counts: Counter[str] = Counter()
    eye = 0
    for t in traits:
        if t.status == NOT_ASSESSED and t.rule.kind == SUBJECTIVE:
            eye += 1
        elif t.status == NOT_ASSESSED:
            name, _, rest = t.reason.partition(": ")
            if name in MEASURES and rest == NOT_GIVEN:
                why = f"{rest}: {parameter(name)}"
            else:
                why = rest if name in {e.measurement for e in t.evidence} | {*MEASURES} else t.reason
            counts[why.partition(": they count as ")[0]] += 1  # whose number differs for each
    lines = [f"not assessed: {counts.total()}"] + [f"  {n}: {reason}" for reason, n in counts.most_common()]
    return [*lines, f"left to the eye: {eye}  (--all lists everything)"]


@dataclass(frozen=True, slots=True)
class FindingsTarget:
    """Where findings are written: a .csv, a .html, the .json of one phenopacket, or a folder of these."""

    path: Path
    identity: str | None = None  # name of the person in a phenopacket
    one_page: bool = False  # of a .html: the clinical report, a page for each person

    @property
    def kind(self) -> str:
        """The file's suffix; empty for a folder."""
        return "" if self.path.is_dir() else self.path.suffix.lower()

    def check(self, people: int) -> None:
        """Refuse, by an InputError, one phenopacket of several people."""
        if self.kind == ".json" and people > 1:
            raise InputError(
                f"{self.path}: a phenopacket is of one person, and there are {people}. Pass "
                f"{parameter('patient', True)} for several photos of one, or name a folder "
                f"({self.path.stem}/) for one of each."
            )

    def write(self, findings: Findings) -> None:
        """Write the findings."""
        if self.kind:
            self.check(len(findings.measured) if self.kind == ".json" else 1)
            if self.one_page and findings.measured:
                write_clinical(self.path, findings)
                return
            write_traits(self.path, findings, identity=self.identity)
            return
        for person in findings.measured:
            packet = person.phenopacket(self.identity)
            write(self.path / f"{packet['id']}.json", as_json(packet))


def write_traits(path: Path, traits: Findings | PersonTraits, *, identity: str | None = None) -> None:
    """Write traits as a file, by its suffix.

    Parameters
    ----------
    path : pathlib.Path
        With the suffix .html, for a page to read, .csv, or .json, for the phenopacket of one person.
    traits : anthropo.PersonTraits or Findings
        As `anthropo.traits` returns them.
    identity : str, optional
        The person's name in a phenopacket; from the photos' hashes when left out.

    Raises
    ------
    InputError
        If the suffix is another one, there are several people for a phenopacket, or the file cannot be
        written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import anthropo
    >>> from anthropo.report import write_traits
    >>> write_traits(Path("t.html"), anthropo.traits(anthropo.example_photo(), sex="female", age=31))
    >>> "<h3>Present</h3>" in Path("t.html").read_text()
    True
    """
    findings = Findings(people=(traits,)) if isinstance(traits, PersonTraits) else traits
    suffix = path.suffix.lower()
    if suffix == ".csv":
        write(path, as_csv(findings.to_frame(), None))
    elif suffix == ".html":
        write(path, page(findings))
    elif suffix == ".json" and len(findings.measured) <= 1:
        for person in findings.measured:
            write(path, as_json(person.phenopacket(identity)))
    else:
        raise InputError(
            f"{path}: traits are written to a .html or .csv, and those of one person to a .json as well."
        )
