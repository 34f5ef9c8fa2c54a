"""Terms that somebody has judged by eye."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from conftest import Copies, Invoke

from anthropo.errors import InputError
from anthropo.reference import call_traits, grow, read_observed, read_rules
from anthropo.reference.phenopacket import phenopacket

RULES = read_rules()
PTOSIS, COARSE = "HP:0000508", "HP:0000319"


def test_an_answer_is_for_a_side_or_for_both() -> None:
    assert read_observed("", RULES) == {}
    assert read_observed(f"{PTOSIS}:R=yes; {COARSE}=no;", RULES) == {
        (PTOSIS, "R"): True,
        (COARSE, "mid"): False,
    }
    assert read_observed(f"{PTOSIS.lower()} = Absent", RULES) == {(PTOSIS, "R"): False, (PTOSIS, "L"): False}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ptosis", "'ptosis' is no answer. Write HP:0000319=yes, or =no."),
        ("HP:0000319", "'HP:0000319' is no answer."),
        ("HP:9999999=yes", "HP:9999999 is none of the terms of the rules."),
        ("HP:0000506=yes", "HP:0000506 (Telecanthus) is measured; only terms that are left to the eye"),
        (f"{COARSE}:R=yes", "has no sides. Leave :R out."),
        (f"{PTOSIS}=yes; {PTOSIS}:L=no", "is there with yes and with no. Keep one of them."),
    ],
)
def test_what_is_no_answer_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        read_observed(text, RULES)
    assert says in str(refused.value)
    assert str(refused.value).startswith("Column `observed`: ")


def test_a_seen_term_is_called_and_has_evidence_of_its_own_in_a_phenopacket() -> None:
    head = grow("head_circumference", 44, sex="female", age=(4.0, 4.0))
    observed = read_observed(f"{PTOSIS}:R=yes; {PTOSIS}:L=no; {COARSE}=no", RULES)
    traits = call_traits([head.measurement], [head.score], RULES, observed=observed)
    of = {(t.hpo_id, t.side): t for t in traits}
    assert (of[PTOSIS, "R"].status, of[PTOSIS, "R"].reason) == ("present", "judged by eye")
    assert of[PTOSIS, "L"].status == "absent"
    assert of["HP:0000252", "mid"].status == "present"  # by its measurement, as before
    packet = phenopacket("p", [], [], traits, [head], sex="female", age="4")
    features = {feature["type"]["id"]: feature for feature in packet["phenotypicFeatures"]}
    assert features[PTOSIS]["description"].startswith("Judged by eye.")
    assert features[PTOSIS]["modifiers"] == [{"id": "HP:0012834", "label": "Right"}]
    assert [one["evidenceCode"]["id"] for one in features[PTOSIS]["evidence"]] == ["ECO:0000352"]
    assert features[COARSE]["excluded"]
    codes = {one["evidenceCode"]["id"] for one in features["HP:0000252"]["evidence"]}
    assert codes == {"ECO:0000501"}


def test_the_column_is_read_from_a_table_and_a_wrong_answer_is_a_note(
    invoke: Invoke, tmp_path: Path, copies: Copies
) -> None:
    copies(tmp_path, "a.png", "b.png")
    table, out = tmp_path / "people.csv", tmp_path / "traits.csv"
    table.write_text(
        f"photo,sex,age,observed\na.png,female,31,{COARSE}=yes\nb.png,female,31,{COARSE}=perhaps\n"
    )
    result = invoke("traits", table, "-o", out)
    assert result.exit_code == 3
    assert "b.png: Column `observed`: 'HP:0000319=perhaps' is no answer." in result.stderr
    rows = {(Path(row["photo"]).name, row["hpo_id"]): row for row in csv.DictReader(out.open())}
    assert rows["a.png", COARSE]["status"] == "present"
    assert rows["a.png", COARSE]["reason"] == "judged by eye"
    assert rows["b.png", COARSE]["status"] == "not assessed"
    result = invoke("traits", tmp_path / "a.png", "--sex", "female", "--age", "31", "-o", tmp_path / "p.json")
    assert "ECO:0000352" not in json.dumps(json.loads((tmp_path / "p.json").read_text()))
