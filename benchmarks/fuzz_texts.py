"""Tables and other texts that nobody honest makes, given to the commands that read them.

    python benchmarks/fuzz_texts.py --count 1000 --seed 1

Cohorts (CSV, TSV, XLSX), references, rules, parameter files (TOML, YAML), earlier results (CSV, JSON,
Parquet), landmark files, annotated faces (300-W, WebMorph, imglab, COCO, tables) and options. Needed:
pip install 'anthropo[test]'.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from fuzzing import Case, Make, Rng, command, main, pick
from PIL import Image
from skimage import data

import anthropo
from anthropo.errors import InputError
from anthropo.landmarks import read_annotations
from anthropo.plain import visible

#: What a shell would make if a file's content were ever executed.
CANARY = "executed"
_DEEP = 20_000
_LONG = 200_000
_PHOTOS = 4

#: What stands in the place of a cell, a value or a name; as bytes, since not all of it is text.
HOSTILE: tuple[bytes, ...] = (
    b"", b"\0", b" ", b"NaN", b"-inf", b"1e999", b"-0", b"0x1F", b"1_000", b"null", b"true", b"[]", b"{}",
    b"9" * 400, b"9" * 5000, b"-" + b"9" * 30, b"0." + b"0" * 500 + b"1", b"2026-02-30", b"12:00", b"1,5",
    b"=1+1", b"=cmd|' /C calc'!A0", b"@SUM(A1)", b"+1", b"-1", b"\t=1", b"'=1", b"\x1b[2J\x1b]0;x\x07",
    b"\x9b31m", "\u202eevil\u2066".encode(), "\u2028".encode(), "\ufeff".encode(), "a\u0301".encode(),
    "\U0001f600".encode(), b"\xed\xa0\x80", b"\xff\xfe", b'"\\ud800"', b"\\u0000", b'"', b"'", b'"""',
    b"\xc3", b"\\", b"\r", b"\n", b"\r\n\r\n", b"a" * _LONG, b"[" * _DEEP, b'{"a":' * _DEEP, b"- " * 3000,
    b"&a [*a, *a]", b"*a", b"!!python/object/apply:os.system ['touch executed']", b"<<: *a",
    b"../../../../etc/passwd", b"/dev/zero", b"/dev/stdin", b"\\\\host\\share\\a.png", b"a" * 300 + b".png",
    b"$(touch executed)", b"`touch executed`", b"%n%s%x", b"{0.__class__}", b"<script>alert(1)</script>",
    b"CON.png", b"http://127.0.0.1/a.png",
)  # fmt: skip

#: The same for JSON and Parquet, whose values have types.
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 10**400, 1e308, float("nan"), float("inf"), "", "\0", "\ud800", "\u202e",
    "\x1b[2J", "=1+1", "9" * 5000, "a" * _LONG, [], {}, [[]], [None] * 3, {"a": {"b": []}}, [0] * 10_000,
)  # fmt: skip


# --------------------------------------------------------------------------------------- sound texts


@lru_cache(maxsize=1)
def measured() -> dict[str, bytes]:
    """What `measure` writes of the example photo: a table in each format, and its landmarks."""
    with tempfile.TemporaryDirectory() as folder:
        names = ("t.csv", "t.json", "t.parquet", "l.json")
        for name in names[:3]:
            command("measure", anthropo.example_photo(), "-o", f"{folder}/{name}")
        command("measure", anthropo.example_photo(), "--save-landmarks", f"{folder}/l.json")
        return {name: (Path(folder) / name).read_bytes() for name in names}


def _cohort(rng: Rng, delimiter: str = ",") -> bytes:
    rows = [["photo", "label", "patient", "age", "sex", "note"]]
    rows += [
        [f"{i}.bmp", "AB"[i % 2], f"p{i}", f"{rng.integers(20, 39)}", "female", "x"] for i in range(_PHOTOS)
    ]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode()


def _packaged(package: str, name: str) -> bytes:
    lines = resources.files(package).joinpath(name).read_text("utf-8").splitlines()
    return "\n".join(lines[:25]).encode()


@lru_cache(maxsize=1)
def _parameters() -> bytes:
    from anthropo.networks.recipes import as_toml, load_recipe

    return as_toml(load_recipe("attributes")).encode()


@lru_cache(maxsize=1)
def _as_yaml() -> bytes:
    import yaml

    from anthropo.networks.recipes import load_recipe

    return bytes(yaml.safe_dump(load_recipe("attributes").parameters.to_json()).encode())


# ------------------------------------------------------------------------------------------- damage


def _worse(text: bytes, rng: Rng, separators: bytes = b",;\t=: \"'") -> bytes:
    """One to three changes of a text's cells, lines, bytes or encoding."""
    for _ in range(max(1, int(rng.integers(-2, 4)))):
        text = pick((_cell, _cell, _cell, _line, _bytes, _encoding), rng)(text, rng, separators)
    return text


def _cell(text: bytes, rng: Rng, separators: bytes) -> bytes:
    """Something hostile in the place of a cell or word, or beside it."""
    lines = text.split(b"\n")
    at = int(rng.integers(len(lines)))
    line = lines[at]
    places = [i for i, byte in enumerate(line) if byte in separators]
    start = pick([0, *(p + 1 for p in places)], rng)
    end = next((p for p in places if p >= start), len(line))
    lines[at] = line[:start] + pick(HOSTILE, rng) + line[end if rng.random() < 0.8 else start :]
    return b"\n".join(lines)


def _line(text: bytes, rng: Rng, separators: bytes) -> bytes:
    """A line twice, elsewhere, missing or many times; or none at all."""
    lines = text.split(b"\n")
    at, to = (int(i) for i in rng.integers(0, len(lines), 2))
    way = int(rng.integers(5))
    if way == 0:
        lines.insert(to, lines[at])
    elif way == 1:
        lines.insert(to, lines.pop(at))
    elif way == 2:
        del lines[at]
    elif way == 3:
        lines[at:at] = [lines[at]] * 2000
    else:
        lines = lines[:at]
    return b"\n".join(lines)


def _bytes(text: bytes, rng: Rng, separators: bytes) -> bytes:
    changed = bytearray(text)
    for at in rng.integers(0, len(text), 3) if text else ():
        changed[at] = int(rng.integers(256))
    return bytes(changed[: int(rng.integers(len(text)))] if text and rng.random() < 0.3 else changed)


def _encoding(text: bytes, rng: Rng, separators: bytes) -> bytes:
    read = text.decode("utf-8", "replace")
    return bytes(
        pick(
            (
                b"\xef\xbb\xbf" + text,
                read.encode("utf-16"),
                b"\xff\xfe" + text,
                read.encode("utf-32"),
                read.encode("cp1252", "replace"),
                text.replace(b"\n", b"\r"),
                text.replace(b"\n", b"\r\n"),
                text.replace(b",", pick((b";", b"\t", b"|", b",,"), rng)),
                b"sep=;\n" + text,
                text + b"\0" * 100,
            ),
            rng,
        )
    )


def _other_types(document: Any, rng: Rng) -> Any:
    """A JSON document with one to three values of other types, or names that nobody knows."""
    for _ in range(int(rng.integers(1, 4))):
        node, depth = document, int(rng.integers(1, 7))
        for _ in range(depth):
            keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = pick(keys, rng)
            if isinstance(node[key], (dict, list)) and node[key] and rng.random() < 0.8:
                node = node[key]
                continue
            if isinstance(node, dict) and rng.random() < 0.3:
                value = node.pop(key)
                if rng.random() < 0.5:
                    node[pick(("\ud800", "\0", "=1", "a" * 1000, "constructor", ""), rng)] = value
            else:
                node[key] = copy.deepcopy(pick(VALUES, rng))  # else one case would change the next
            break
    return document


def _json(name: str, sound: str, rng: Rng) -> Case:
    whole = measured()[sound]
    if rng.random() < 0.4:
        return Case(name, _worse(whole, rng))
    document = _other_types(json.loads(whole), rng)
    text = json.dumps(document, ensure_ascii=bool(rng.random() < 0.5))
    return Case(name, text.encode("utf-8", "surrogatepass"))


def _parquet(rng: Rng) -> Case:
    import pandas as pd

    whole = measured()["t.parquet"]
    if rng.random() < 0.6:
        changed = bytearray(whole)
        reach = len(whole) if rng.random() < 0.3 else min(len(whole), 20_000)
        for at in rng.integers(1, reach, 1 + int(rng.integers(6))):
            changed[-int(at)] = int(rng.integers(256))
        return Case(
            "t.parquet", bytes(changed[: None if rng.random() < 0.8 else int(rng.integers(len(whole)))])
        )
    frame = pd.read_parquet(io.BytesIO(whole)).astype(object)
    for _ in range(int(rng.integers(1, 4))):
        value = pick([v for v in VALUES if isinstance(v, (str, bool, float)) and v != "\ud800"], rng)
        frame[pick(list(frame.columns), rng)] = [value] * len(frame)
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return Case("t.parquet", buffer.getvalue())


def _workbook(rng: Rng) -> Case:
    """A workbook with hostile cells, a damaged one, or one whose parts are bombs."""
    import openpyxl

    book = openpyxl.Workbook()
    for line in _cohort(rng).decode().splitlines():
        book.active.append(line.split(","))
    for _ in range(int(rng.integers(3))):
        value = pick(HOSTILE, rng).decode("utf-8", "replace")[:30_000]
        legal = openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub("", value)
        book.active.cell(int(rng.integers(1, 8)), int(rng.integers(1, 8))).value = legal
    file = io.BytesIO()
    book.save(file)
    way = rng.random()
    if way < 0.3:
        return Case("c.xlsx", file.getvalue())
    if way < 0.6:
        return Case("c.xlsx", _bytes(file.getvalue(), rng, b""))
    out = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        chosen = pick(names, rng)
        for name in names:
            content = old.read(name)
            if name == chosen:
                content = _part(content, rng)
            new.writestr(name, content)
    return Case("c.xlsx", out.getvalue())


def _part(content: bytes, rng: Rng) -> bytes:
    way = int(rng.integers(5))
    if way == 0:
        entities = b"".join(
            b'<!ENTITY e%d "%s">' % (i, b"&e%d;" % (i - 1) * 10 if i else b"lol" * 10) for i in range(10)
        )
        start = content.find(b"?>") + 2
        return (
            content[:start]
            + b"<!DOCTYPE x ["
            + entities
            + b"]>"
            + content[start:].replace(b"<v>", b"<v>&e9;")
        )
    if way == 1:
        return content + b" " * (100 << 20)
    if way == 2:
        return content.replace(b'r="A2"', b'r="XFD1048576"').replace(b'<row r="2"', b'<row r="1048576"')
    if way == 3:
        return b"<a>" * _DEEP
    return _worse(content, rng, b'<>"= ')


@lru_cache(maxsize=1)
def _points() -> tuple[tuple[float, float], ...]:
    """The landmarks of the first of the small photos."""
    with tempfile.TemporaryDirectory() as folder:
        _write_photos(Path(folder), 1)
        face = anthropo.observe(f"{folder}/0.bmp", anthropo.Settings(jitter=1, fine=False)).face
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in face.landmarks)


def _pts(_: Rng) -> bytes:
    lines = "".join(f"{x} {y}\n" for x, y in _points())
    return f"version: 1\nn_points: 68\n{{\n{lines}}}\n".encode()


def _tem(_: Rng) -> bytes:
    lines = "".join(f"{x}\t{y}\n" for x, y in _points())
    return f"{len(_points())}\n{lines}".encode()


def _imglab(_: Rng) -> bytes:
    parts = "".join(f"<part name='{i:02d}' x='{x:.0f}' y='{y:.0f}'/>\n" for i, (x, y) in enumerate(_points()))
    boxes = "".join(
        f"<image file='{i}.bmp'>\n<box top='30' left='30' width='120' height='120'>\n{parts}</box>\n"
        "</image>\n"
        for i in range(2)
    )
    return f"<?xml version='1.0'?>\n<dataset>\n<images>\n{boxes}</images>\n</dataset>\n".encode()


def _annotated_xml(rng: Rng) -> Case:
    content = _imglab(rng)
    return Case("faces.xml", _part(content, rng) if rng.random() < 0.3 else _worse(content, rng, b"<>'= "))


def _coco() -> dict[str, Any]:
    flat = [value for x, y in _points() for value in (x, y, 2)]
    return {
        "images": [{"id": i, "file_name": f"{i}.bmp"} for i in range(2)],
        "annotations": [{"id": i, "image_id": i, "keypoints": flat} for i in range(2)],
        "categories": [{"keypoints": [f"p{i}" for i in range(len(_points()))]}],
    }


def _annotated_json(rng: Rng) -> Case:
    text = json.dumps(_coco())
    if rng.random() < 0.4:
        return Case("faces.json", _worse(text.encode(), rng))
    document = _other_types(_coco(), rng)
    return Case("faces.json", json.dumps(document).encode("utf-8", "surrogatepass"))


def _annotated_table(rng: Rng) -> bytes:
    named = rng.random() < 0.5
    axes = [(f"p{i}_x", f"p{i}_y") if named else (f"x{i}", f"y{i}") for i in range(len(_points()))]
    header = ",".join(["photo", "patient", *(name for pair in axes for name in pair)])
    cells = ",".join(str(value) for pair in _points() for value in pair)
    return "\n".join([header, *(f"{i}.bmp,p{i},{cells}" for i in range(2)), ""]).encode()


def _annotated_index(rng: Rng) -> bytes:
    return b"photo,landmarks,patient\n0.bmp,0.pts,p0\n1.bmp,1.pts,p1\n"


def _options(rng: Rng) -> Case:
    """Values of options; a file of arguments, one a line."""
    option = pick(_OPTIONS, rng)
    value = pick(HOSTILE, rng).replace(b"\n", b" ").replace(b"\0", b"")[:100_000]
    return Case("options.txt", option.encode() + b"\n" + value)


_OPTIONS = (
    "--age", "--sex", "--scale", "--reference", "--landmarks", "--landmark-model", "--jitter", "--deadline",
    "--max-megapixels", "--frames", "-j", "--face", "-o", "--overlay",
)  # fmt: skip


def _text(name: str, sound: Callable[[Rng], bytes], rng: Rng) -> Case:
    return Case(name, _worse(sound(rng), rng))


KINDS: dict[str, Make] = {
    "cohorts, CSV": partial(_text, "cohort.csv", _cohort),
    "cohorts, TSV": partial(_text, "cohort.tsv", partial(_cohort, delimiter="\t")),
    "cohorts, XLSX": _workbook,
    "cohorts with labels": partial(_text, "labelled.csv", _cohort),
    "references": partial(
        _text, "reference.csv", lambda _: _packaged("anthropo.reference.norms", "frl-adults.csv")
    ),
    "rules": partial(_text, "rules.csv", lambda _: _packaged("anthropo.reference", "traits.csv")),
    "parameters, TOML": partial(_text, "p.toml", lambda _: _parameters()),
    "parameters, YAML": partial(_text, "p.yaml", lambda _: _as_yaml()),
    "earlier results, CSV": partial(_text, "t.csv", lambda _: measured()["t.csv"]),
    "earlier results, JSON": partial(_json, "t.json", "t.json"),
    "earlier results, Parquet": _parquet,
    "landmark files": partial(_json, "landmarks.json", "l.json"),
    "annotated faces, 300-W": partial(_text, "0.pts", _pts),
    "annotated faces, WebMorph": partial(_text, "0.tem", _tem),
    "annotated faces, imglab": _annotated_xml,
    "annotated faces, COCO": _annotated_json,
    "annotated faces, table": partial(_text, "faces.csv", _annotated_table),
    "annotated faces, table of .pts": partial(_text, "index.csv", _annotated_index),
    "options": _options,
}


# --------------------------------------------------------------------------------------------- use


@lru_cache(maxsize=1)
def _photos() -> tuple[bytes, ...]:
    """A face, cropped a little differently each time, as bitmaps."""
    files = [io.BytesIO() for _ in range(_PHOTOS)]
    for i, file in enumerate(files):
        Image.fromarray(data.astronaut()[30 + i : 230, 130:330]).save(file, "BMP")
    return tuple(file.getvalue() for file in files)


def _write_photos(folder: Path, count: int = _PHOTOS) -> None:
    for i, photo in enumerate(_photos()[:count]):
        (folder / f"{i}.bmp").write_bytes(photo)


def use(path: Path) -> str:
    """Give a text to the command that reads it."""
    photo, folder = anthropo.example_photo(), path.parent
    match path.name:
        case "cohort.csv" | "cohort.tsv" | "c.xlsx":
            _write_photos(folder)
            said = command("measure", path, "-o", folder / "out.csv")
        case "labelled.csv":
            _write_photos(folder)
            said = command(
                "train",
                path,
                "-o",
                folder / "m.anthropo",
                "--cache",
                "none",
                "--allow-duplicates",
                "--no-judge",
            )
        case "reference.csv":
            said = command("measure", photo, "--reference", path, "--sex", "female", "--age", "31")
        case "rules.csv":
            said = command("traits", photo, "--rules", path, "--sex", "female", "--age", "31")
        case "p.toml" | "p.yaml":
            shown = ("--recipe", "attributes", "--parameters", path, "--show-parameters")
            said = command("finetune", folder, *shown)
        case "t.csv" | "t.json" | "t.parquet":
            _write_photos(folder, 1)
            said = command("measure", folder / "0.bmp", "-o", path)
        case "0.pts" | "0.tem" | "faces.xml" | "faces.json" | "faces.csv" | "index.csv":
            said = _annotated(path)
        case "landmarks.json":
            said = command("measure", photo, "--landmarks", path)
        case _:
            _write_photos(folder, 1)
            option, _, value = path.read_text("utf-8", "surrogateescape").partition("\n")
            if option in ("-o", "--overlay"):
                value = str(folder / value.replace("/", "_"))
            said = command(
                "measure", folder / "0.bmp", f"{option}={value}" if option[:2] == "--" else option + value
            )
    if list(folder.rglob(CANARY)) or Path(CANARY).exists():
        raise AssertionError("something was executed")
    return said


def _annotated(path: Path) -> str:
    """Read annotated faces; where that is possible, judge the packaged model on them."""
    folder = path.parent
    whole = path.suffix in (".pts", ".tem") or path.name == "index.csv"
    if path.name == "index.csv":
        for i in range(2):
            (folder / f"{i}.pts").write_bytes(_pts(np.random.default_rng(0)))
    _write_photos(folder, 1 if path.suffix in (".pts", ".tem") else 2)
    given = folder if whole else path
    try:
        read_annotations(given)
    except InputError as error:
        return str(visible(str(error)))
    return command("landmarks", "evaluate", given, "-j", "1")


if __name__ == "__main__":
    main(__file__, __doc__ or "", KINDS, use)
