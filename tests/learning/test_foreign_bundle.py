"""Model files that somebody else made up or damaged: each is refused in one sentence, and nothing runs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_files import ARRAYS, model_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anthropo import __version__, container
from anthropo.errors import ModelError
from anthropo.learning.bundle import FORMAT_VERSION, read_bundle
from anthropo.learning.trained import Trained

Members = dict[str, bytes]
Refusal = Callable[..., str]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return model_file(tmp_path)


@pytest.fixture
def members(model: Path) -> Members:
    with zipfile.ZipFile(model) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """refusal(bytes): the sentence with which a file of these bytes is refused."""

    def read(data: bytes) -> str:
        path = tmp_path / "foreign.anthropo"
        path.write_bytes(data)
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(ModelError) as caught:
            read_bundle(path)
        assert sorted(tmp_path.rglob("*")) == before  # nothing unpacked
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        assert message.isprintable()
        assert message.endswith(".")
        return message.removeprefix(f"{path}: ")

    return read


def fingerprint(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def listed(members: Members, **keys: Any) -> Members:
    """The members with a manifest in which all hashes are right: what an attacker would make."""
    manifest = json.loads(members["manifest.json"])
    manifest |= {"files": {n: fingerprint(d) for n, d in members.items() if n != "manifest.json"}, **keys}
    return {**members, "manifest.json": json.dumps(manifest).encode()}


def packed(members: Members, **attributes: Any) -> bytes:
    """A zip of them; attributes of ZipInfo are set on the last."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i, (name, data) in enumerate(members.items()):
            info = zipfile.ZipInfo(name)
            if i == len(members) - 1:
                for key, value in attributes.items():
                    setattr(info, key, value)
            archive.writestr(info, data)
    return file.getvalue()


def npy(array: np.ndarray, **header: Any) -> bytes:
    """A .npy file whose header says something else."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {**np.lib.format.header_data_from_array_1_0(array), **header})
    return file.getvalue() + array.tobytes()


# -------------------------------------------------------------------------- not a model at all


def test_no_such_file_and_things_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none: no such model file\. Give the file"):
        read_bundle(tmp_path / "none")
    with pytest.raises(ModelError, match="not a file"):
        read_bundle(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="not a file"):
        read_bundle(tmp_path / "pipe")  # would wait for ever


def test_a_photo_a_foreign_zip_and_an_empty_file(refusal: Refusal, astronaut_png: Path) -> None:
    assert refusal(astronaut_png.read_bytes()).startswith("not a model of anthropo. Give the file")
    assert refusal(b"").startswith("an empty file")
    assert "(no manifest.json)" in refusal(packed({"word/document.xml": b"<x/>"}))
    assert "not a model of anthropo" in refusal(packed({"manifest.json": b'{"manifest_version": 3}'}))
    assert "not a model of anthropo" in refusal(packed({"manifest.json": b"[]"}))
    assert "has not written" in refusal(b"PK\5\6" + bytes(18))  # the empty zip


def test_every_truncation_is_refused(model: Path, refusal: Refusal) -> None:
    data = model.read_bytes()
    for end in [*range(60), *range(60, len(data), 97), *range(len(data) - 60, len(data))]:
        refusal(data[:end])
    assert refusal(data[:-1]).startswith("cut short")
    assert refusal(data[: len(data) // 2]).startswith("cut short")


def test_bytes_around_the_zip(model: Path, members: Members, refusal: Refusal) -> None:
    data = model.read_bytes()
    assert "bytes follow its end" in refusal(data + b"x")
    assert "not a model" in refusal(b"#!/bin/sh\n" + data)
    assert "has not written" in refusal(b"PK\3\4" + data)
    commented = data[:-2] + struct.pack("<H", 22) + b"PK\5\6" + bytes(18)
    assert "anthropo has not written" in refusal(commented)


def test_a_newer_format_says_what_to_do(members: Members, refusal: Refusal) -> None:
    newer = listed(members, format_version=FORMAT_VERSION + 1, anthropo="9.8.7", labels="of another kind")
    message = (
        f"made by anthropo 9.8.7 in model format {FORMAT_VERSION + 1}; this is anthropo {__version__}, which "
        f"reads up to format {FORMAT_VERSION}. Update anthropo."
    )
    assert refusal(packed(newer)) == message
    # nor do ways of packing that came later hide it
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", newer["manifest.json"])
        archive.writestr("new.zst", b"")
    assert refusal(file.getvalue()) == message
    assert "\x1b" not in refusal(
        packed(listed(members, format_version=FORMAT_VERSION + 1, anthropo="\x1b[2J" * 99))
    )


def test_a_model_of_0_1_0_is_told_from_a_damaged_one(members: Members, tmp_path: Path) -> None:
    path = tmp_path / "old.anthropo"
    path.write_bytes(packed(listed(members, format_version=1, anthropo="0.1.0")))
    with pytest.raises(ModelError) as caught:
        Trained.load(path)
    assert str(caught.value) == (
        f"{path}: made by anthropo 0.1.0 in model format 1; this is anthropo {__version__}, which reads "
        "models from format 2 on. Train it again, or use that version."
    )


@pytest.mark.parametrize("version", [0, -1, "1", 1.0, True, None])
def test_a_format_version_that_is_none(members: Members, refusal: Refusal, version: Any) -> None:
    assert "no format version" in refusal(packed(listed(members, format_version=version)))


# -------------------------------------------------------------------------- hostile: members


def test_missing_extra_and_altered_members(members: Members, refusal: Refusal) -> None:
    without = {n: d for n, d in members.items() if n != "arrays/trees/0.npy"}
    assert "arrays/trees/0.npy is missing from it" in refusal(packed(without))
    assert "setup.py is in it but not in its manifest.json" in refusal(packed({**members, "setup.py": b""}))
    altered = {**members, "arrays/trees/0.npy": b"[]"}
    assert "arrays/trees/0.npy does not match its SHA-256" in refusal(packed(altered))
    other_size = json.loads(members["manifest.json"])
    other_size["files"]["arrays/empty.npy"]["size"] = 1
    assert "arrays/empty.npy does not match" in refusal(
        packed({**members, "manifest.json": json.dumps(other_size).encode()})
    )


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "a/../../evil", "/etc/evil", "a//b", "a/./b", "\\\\host\\evil", "..\\evil", "C:\\evil",
        "C:evil", "evil/", "~/evil", ".evil", "a\nb", "a\x1b[2Jb", "ä", "a" * 200, "a b", "", "a\0.txt",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere(members: Members, refusal: Refusal, name: str) -> None:
    # zipfile mends some names when it writes: put them in afterwards, in both headers
    evil = name.encode()
    place = b"@" * len(evil)
    data = (
        packed({**members, place.decode(): b"evil"}).replace(place, evil)
        if evil
        else packed({**members, "": b""})
    )
    assert "is not allowed" in refusal(data)


def test_a_member_twice(members: Members, refusal: Refusal) -> None:
    for name in ("manifest.json", "arrays/trees/0.npy"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for n, d in members.items():
                archive.writestr(n, d)
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(name, members[name])
        assert f"{name} is in it twice" in refusal(file.getvalue())


def test_links_and_devices(members: Members, refusal: Refusal) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFDIR, stat.S_IFIFO):
        data = packed(listed({**members, "x": b"/etc/passwd"}), external_attr=(kind | 0o777) << 16)
        assert "its member x is a link or a device" in refusal(data)


def test_encrypted_members(members: Members, refusal: Refusal) -> None:
    data = bytearray(packed(listed({**members, "x": b"0123456789ab"})))
    data[data.rindex(b"PK\1\2") + 8] |= 1
    assert "its member x is encrypted" in refusal(bytes(data))
    data = bytearray(packed(members))
    data[data.index(b"PK\1\2") + 8] |= 1
    assert "manifest.json is encrypted" in refusal(bytes(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members(members: Members, refusal: Refusal, method: int) -> None:
    assert "its member x is compressed" in refusal(
        packed(listed({**members, "x": bytes(10_000)}), compress_type=method)
    )


@pytest.mark.parametrize("name", ["x", "manifest.json"])
@pytest.mark.parametrize("method", [1, 9, 93, 99])
def test_compression_that_python_does_not_know(
    members: Members, refusal: Refusal, method: int, name: str
) -> None:
    data = bytearray(packed(listed({**members, "x": b"abc"})))
    local, central = (data.index if name == "manifest.json" else data.rindex,) * 2
    struct.pack_into("<H", data, local(b"PK\3\4") + 8, method)
    struct.pack_into("<H", data, central(b"PK\1\2") + 10, method)
    assert refusal(bytes(data)).startswith("its member x is compressed" if name == "x" else "damaged")


def test_members_that_overlap_multiply_nothing(members: Members, refusal: Refusal) -> None:
    names = {f"x{i}": b"a" * 1000 for i in range(50)}
    data = packed(listed({**members, **names}))
    shared = bytearray(data)
    start = data.index(b"PK\3\4", data.index(b"x0") - 40)
    at = data.index(b"PK\1\2")
    while data[at : at + 4] == b"PK\1\2":  # every x points to the first
        length = struct.unpack_from("<H", data, at + 28)[0]
        if data[at + 46 : at + 47] == b"x":
            struct.pack_into("<L", shared, at + 42, start)
        at += 46 + length
    assert "overlap or leave gaps" in refusal(bytes(shared))


def test_bytes_hidden_between_members(model: Path, refusal: Refusal) -> None:
    data = bytearray(model.read_bytes())
    cd = data.index(b"PK\1\2")
    data[cd:cd] = b"hidden payload"
    struct.pack_into("<L", data, len(data) - 6, cd + 14)
    assert "overlap or leave gaps" in refusal(bytes(data))


def test_zip64_records_are_not_believed(model: Path, refusal: Refusal) -> None:
    data = model.read_bytes()
    cd_size, cd_offset = struct.unpack_from("<LL", data, len(data) - 10)
    n = struct.unpack_from("<H", data, len(data) - 12)[0]
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, n, n, 1 << 40, cd_offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(data) - 22, 1)
    for size, offset in ((cd_size, cd_offset), (cd_size + 76, cd_offset), (0xFFFFFFFF, 0xFFFFFFFF)):
        end = data[-22:-10] + struct.pack("<LLH", size, offset, 0)
        assert "has not written" in refusal(data[:-22] + record + locator + end)


def test_sizes_that_lie(members: Members, refusal: Refusal) -> None:
    data = packed(listed({**members, "x": b"0123456789"}))
    for offset in (20, 24):  # compressed, uncompressed
        for size in (0, 9, 11, 1 << 31, 0xFFFFFFFF):
            lying = bytearray(data)
            struct.pack_into("<L", lying, data.rindex(b"PK\1\2") + offset, size)
            refusal(bytes(lying))


def test_too_many_members(members: Members, refusal: Refusal) -> None:
    many = {f"x{i}": b"" for i in range(container.MAX_MEMBERS + 1)}
    assert f"more than {container.MAX_MEMBERS} members" in refusal(packed({**members, **many}))


# --------------------------------------------------------------------------- hostile: arrays


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('executed')",)


def test_pickle_is_never_loaded(members: Members, refusal: Refusal) -> None:
    file = io.BytesIO()
    np.save(file, np.array([_Payload()], dtype=object), allow_pickle=True)
    for smuggled in (file.getvalue(), pickle.dumps(_Payload())):
        data = packed(listed({**members, "arrays/weights.npy": smuggled}))
        assert "arrays/weights.npy is not a plain numeric array" in refusal(data)
    # nor is it kept under a name that no array has
    smuggled = pickle.dumps(_Payload())
    message = refusal(packed(listed({**members, "trees/0.json": smuggled})))
    assert "trees/0.json is not a .npy array" in message


@pytest.mark.parametrize(
    "content",
    [
        npy(np.zeros(3), descr="|O"),
        npy(np.zeros(3), descr="|V8"),
        npy(np.zeros(3), descr=">f8"),
        npy(np.zeros(3), descr="<f16"),
        npy(np.zeros(3), descr="<U2"),
        npy(np.zeros(3), descr=[("a", "<f8")]),
        npy(np.zeros(3), fortran_order=True),
        npy(np.zeros(3)).replace(b"(3,)", b"3+0,"),
        npy(np.zeros(3)).replace(b"(3,)", b"(-3)"),
        npy(np.zeros(3)).replace(b"\x01\x00", b"\x02\x00", 1),
        npy(np.zeros(3))[:9],
        npy(np.zeros(3))[:40],
        b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535,
        b"",
    ],
)
def test_arrays_that_are_not_plain_numbers(members: Members, refusal: Refusal, content: bytes) -> None:
    data = packed(listed({**members, "arrays/weights.npy": content}))
    assert "arrays/weights.npy is not a plain numeric array" in refusal(data)


@pytest.mark.parametrize(
    "shape",
    [
        (1 << 40,),
        (10**14, 10**14),
        (2,),
        (4,),
        (),
        (0,),
        (1 << 32, 1 << 32),
        (3, 0),
        (0, 10**14),
        (3, *[1] * 9),
    ],
)
def test_shapes_that_lie(members: Members, refusal: Refusal, shape: tuple[int, ...]) -> None:
    content = npy(np.zeros(0 if shape == (0, 10**14) else 3), shape=shape)
    data = packed(listed({**members, "arrays/weights.npy": content}))
    assert "arrays/weights.npy has another size than it states" in refusal(data)


def test_truth_values_that_are_none(members: Members, refusal: Refusal) -> None:
    content = npy(np.array([0, 1, 2], np.uint8), descr="|b1")
    assert "truth values" in refusal(packed(listed({**members, "arrays/weights.npy": content})))


# ------------------------------------------------------------------------- hostile: manifest


@pytest.mark.parametrize(
    "text",
    [
        "", "{", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', '{"a": 1, "a": 2}',
        '{"b": {"a": 1, "a": 1}}', "[" * 100_000, '{"a":' * 100_000, '{"a": ' + "9" * 1_000_000 + "}",
        '{"a": 1234567890123456789012345}', "\ufeff{}", "{} {}",
    ],
)  # fmt: skip
def test_json_that_is_none_or_that_bites(refusal: Refusal, text: str) -> None:
    assert "is not valid JSON" in refusal(packed({"manifest.json": text.encode()}))


def test_a_manifest_that_is_no_utf8(refusal: Refusal) -> None:
    assert "is not valid JSON" in refusal(packed({"manifest.json": b'{"format": "\xff"}'}))


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"labels": "ab"}, "manifest > labels is not a list"),
        ({"labels": [None]}, "manifest > labels is not a list"),
        ({"labels": ["a", 1]}, "manifest > labels is not of the type str"),
        ({"encoder": {"size": "150"}}, "manifest > encoder > size is not of the type int"),
        ({"encoder": ["face-resnet"]}, "manifest > encoder is not an object"),
        ({"cohort": {"subgroups": {"sex": {"F": "x"}}}}, "subgroups > sex > F is not"),
        ({"files": []}, "manifest > files is not an object"),
        ({"title": "a\u001b[2Jb"}, "control characters"),
        ({"\x07": 1}, "control characters"),
        ({"labels": ["\ud800"]}, "control characters"),
        ({"x": json.loads("[" * 40 + "]" * 40)}, "nested too deeply"),
    ],
)
def test_a_manifest_of_other_kinds(
    members: Members, refusal: Refusal, keys: dict[str, Any], fault: str
) -> None:
    data = {**members, "manifest.json": json.dumps(json.loads(members["manifest.json"]) | keys).encode()}
    assert fault in refusal(packed(data))


def test_any_known_key_may_be_null(members: Members, tmp_path: Path) -> None:
    from anthropo.learning.card import card, describe
    from anthropo.learning.manifest import Manifest

    for key in {field.name for field in fields(Manifest)} - {"format", "format_version", "files"}:
        path = tmp_path / "null"
        path.write_bytes(packed(listed(members, **{key: None})))
        manifest = Manifest.from_json(read_bundle(path).manifest)
        assert card(manifest)
        assert describe(manifest)


# -------------------------------------------------------------------------------- bombs, fuzz

_MEASURE = """
import resource, sys
from anthropo.errors import ModelError
from anthropo.learning.bundle import read_bundle
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_bundle(sys.argv[1])
except ModelError as error:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)
"""


@pytest.mark.parametrize("name", ["manifest.json", "x", "brackets"])
def test_a_bomb_takes_little_memory(tmp_path: Path, members: Members, name: str) -> None:
    path = tmp_path / "bomb.anthropo"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if name == "brackets":  # the densest JSON that the limit lets through
            archive.writestr("manifest.json", b"[" + b"[]," * (container.MAX_MANIFEST // 3 - 2) + b"[]]")
        else:
            for n, d in members.items():
                if n != name:
                    archive.writestr(n, d)
            with archive.open(name, "w") as bomb:
                for _ in range(300):
                    bomb.write(bytes(1 << 20))
    assert path.stat().st_size < 2 << 20
    run = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path)], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    mib, message = run.stdout.split(" ", 1)
    assert int(mib) < 200, message


def test_a_manifest_that_states_little_and_unpacks_to_much(members: Members, refusal: Refusal) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * (50 << 20))
    data = bytearray(file.getvalue())
    struct.pack_into("<L", data, data.index(b"PK\1\2") + 24, 100)
    assert "damaged" in refusal(bytes(data))


@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_damage_is_refused_or_harmless(model: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(model.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "word"]))
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        if kind == "flip" and content:
            content[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del content[at : at + data.draw(st.integers(1, 50))]
        elif kind == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=50))
        else:
            content[at : at + 4] = data.draw(st.sampled_from([b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f"]))
    path = tmp_path / "fuzzed"
    path.write_bytes(content)
    try:
        read = read_bundle(path)
    except ModelError:
        return
    # damage where nothing is kept, such as a time
    assert all(read.arrays[n].tobytes() == a.tobytes() for n, a in ARRAYS.items())


@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_damage_to_the_directory(model: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(model.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(content.index(b"PK\1\2"), len(content) - 1))] = data.draw(
            st.integers(0, 255)
        )
        if b"PK\1\2" not in content:
            break
    path = tmp_path / "fuzzed"
    path.write_bytes(content)
    with contextlib.suppress(ModelError):
        read = read_bundle(path)
        assert all(read.arrays[n].tobytes() == a.tobytes() for n, a in ARRAYS.items())
