"""Model files and networks that nobody honest makes: each is refused by `inspect`, or works.

    python benchmarks/fuzz_models.py models --count 1000 --seed 1 [--keep FOLDER] [--only NUMBER]
    python benchmarks/fuzz_models.py networks --count 1000 --seed 1
    python benchmarks/fuzz_models.py translations --count 1000 --seed 1
    python benchmarks/fuzz_models.py encoders --count 1000 --seed 1   (ONNX files: hostile_onnx.py)

Good files are made first: models of every classifier and task, networks of every task, translations. A case
damages one: values of the manifest of another type or at the edge of their range, parts that are missing,
twice or of another file, arrays of other shapes, types and numbers, and bytes of the zip. The hashes fit
again, as those of somebody who means it would, except where bytes are damaged.

What `inspect` accepts has to work: a model classifies a photo, with probabilities that are some, or says that
it is made for another installation, and one of five explains its answer; a network answers about noise, and
one of five becomes an ONNX file whose answers are its own; a translation gives pictures of noise, the same
ones twice; an encoder finite embeddings of a face.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hostile_onnx
import numpy as np
from fuzzing import Case, Rng, command, parser_of, pick, run
from PIL import Image

import anthropo
from anthropo.learning.entries import measurement_ids
from anthropo.learning.features import Features
from anthropo.learning.judging import cross_validate
from anthropo.learning.training import make_trained

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "networks"))

#: What may be said of a model that `inspect` has accepted: that it is made for another installation.
EXCUSES = (
    "trained with the encoder", "trained on photos measured with", "not beside it", "--encoder-weights",
    "timm",
)  # fmt: skip

_EXPLAINED = _EXPORTED = 5  # one of so many models explains its answer, and of networks becomes ONNX

Members = dict[str, bytes]

# ------------------------------------------------------------------------------------ good files


def _features(rng: Rng, people: dict[str, int], *, metadata: bool = False) -> Features:
    """People as a cohort's photos would be measured."""
    names = [f"{label} {i}" for label, n in people.items() for i in range(n)]
    labels = [label for label, n in people.items() for _ in range(n)]
    at = np.array([list(people).index(label) for label in labels])
    n, ids = len(names), measurement_ids()
    apart = rng.normal(size=(len(people), len(ids)))
    face = rng.normal(size=(len(people), 128))
    return Features(
        photos=np.array(names),
        labels=np.array(labels),
        patients=np.array(names),
        measurements=rng.normal(size=(n, len(ids))) + apart[at],
        measurement_ids=ids,
        regions={
            region: (rng.normal(size=(n, 128)) + face[at]).astype(np.float32) for region in ("face", "eyes")
        },
        metadata={"age": rng.uniform(1, 60, n).tolist(), "site": ["arm", "leg"] * (n // 2)}
        if metadata
        else {},
        digests=np.array([hashlib.sha256(name.encode()).hexdigest() for name in names]),
        prints=np.zeros((n, 625), np.float32),
    )


def _members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@cache
def _all_members(folder: Path, pattern: str) -> list[Members]:
    return [_members(path) for path in sorted(folder.glob(pattern))]


def folder_of_good_files() -> Path:
    """Where the good files of this run lie, which its processes share."""
    return Path(os.environ.get("ANTHROPO_GOOD_FILES") or Path(os.environ["ANTHROPO_CACHE"]) / "good")


def models(few: int | None = None) -> list[Members]:
    """Members of good models, of all or of so many."""
    folder = folder_of_good_files()
    if not (folder / "models").exists():
        folder.mkdir(parents=True, exist_ok=True)
        rng, encoder, settings = np.random.default_rng(0), anthropo.load_encoder(), anthropo.Settings()
        two, three = {"a": 14, "control": 14}, {"a": 12, "b": 12, "control": 12}
        several = {"ptosis": 14, "ptosis; long philtrum": 14, "long philtrum": 14}
        made = [
            (two, "labels", anthropo.Options(classifier="svm")),
            ({"control": 24}, "normality", anthropo.Options(controls="control")),
            (three, "labels", anthropo.Options(classifier="xgboost", metadata=("age", "site"))),
            ({**three, "rare": 4}, "labels", anthropo.Options(classifier="svm-rbf")),
            (several, "attributes", anthropo.Options(classifier="svm")),
        ]
        for at, (people, task, options) in enumerate(made[:few]):
            features = _features(rng, people, metadata=bool(options.metadata))
            refits = ()
            if task != "normality":
                refits = cross_validate(
                    features, options, task, repeats=1, baselines=False, keep_refits=True
                ).refits
            model = make_trained(features, options, task, encoder, settings, refits=refits)
            model.save(folder / f"model{at}")
        (folder / "models").touch()
    return _all_members(folder, "model[0-9]")


def networks(few: int | None = None) -> list[Members]:
    """Members of good networks, of all or of so many."""
    folder = folder_of_good_files()
    if not (folder / "networks").exists():
        from nets import network

        folder.mkdir(parents=True, exist_ok=True)
        made = [
            network("labels", views=("face",)),
            network("cases"),
            network("labels", views=("image",), grey=True),
            network("grades"),
            network("attributes", views=("eyes",), labels=("x", "y")),
            network("attributes", views=("face",), labels=("x", "y"), separate=True),
        ]
        for at, one in enumerate(made[:few]):
            one.save(folder / f"network{at}")
        (folder / "networks").touch()
    return _all_members(folder, "network[0-9]")


def translations(few: int | None = None) -> list[Members]:
    """Members of good translations, of all or of so many."""
    folder = folder_of_good_files()
    if not (folder / "translations").exists():
        from anthropo.translation.file import About, Side, Translation
        from anthropo.translation.networks import Generator
        from anthropo.translation.options import load_parameters

        folder.mkdir(parents=True, exist_ok=True)
        side = Side(photos=9, people=8, held_out_photos=2, held_out_people=2)
        for at, (upsampling, skip) in enumerate((("resize", True), ("transposed", False))[:few]):
            options = load_parameters(size=32, channels=2, blocks=1, upsampling=upsampling, skip=skip)
            about = About(parameters=options, domains={"A": side, "B": side}, licence="mine")
            both = (Generator(2, 1, upsampling, skip), Generator(2, 1, upsampling, skip))
            Translation(about, both).save(folder / f"translation{at}")
        (folder / "translations").touch()
    return _all_members(folder, "translation[0-9]")


def packed(members: Members, *, listed: bool = True, method: int = zipfile.ZIP_STORED) -> bytes:
    """A file of these members; hashes and sizes in its manifest are right if `listed`."""
    if listed:
        manifest = json.loads(members["manifest.json"])
        manifest["files"] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in members.items()
            if name != "manifest.json"
        }
        members = {**members, "manifest.json": json.dumps(manifest).encode()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


# ---------------------------------------------------------------------------------- the manifest

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 17, 255, 2048, 65_536, 100_000, 10**9, 2**31, 2**63, -(2**63), 10**19,
    0.0, 0.5, 1.0, 2.0, -1.5, 1e-300, 1e300, "", "a", "face", "image", "control", "meta:age", "x" * 5000,
    "\u202e", [], [None], [1], ["a"], [[]], {}, {"a": 1}, {"a": {}},
)  # fmt: skip


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of a JSON value; of a long list the first few."""
    yield place
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*place, key))
    if isinstance(value, list):
        for at in range(min(len(value), 3)):
            yield from _places(value[at], (*place, at))


def _place(manifest: dict[str, Any], rng: Rng, *parts: str) -> tuple[Any, ...]:
    """A place below one of the parts, or anywhere; figures of the validation are many and matter less."""
    there = [part for part in parts if part in manifest]
    if there and rng.random() < 0.75:
        part = str(rng.choice(there))
        every = [(part, *place) for place in _places(manifest[part])]
    else:
        every = [
            place for place in _places(manifest) if place and (len(place) < 4 or place[0] != "validation")
        ]
    return pick(every, rng)


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def _edited(members: Members, rng: Rng, edit: Callable[[dict[str, Any]], None]) -> Members:
    manifest = json.loads(members["manifest.json"])
    for _ in range(1 + int(rng.random() < 0.2)):
        edit(manifest)
    return {**members, "manifest.json": json.dumps(manifest).encode()}


_PARTS = ("model", "network", "settings", "encoder")


def sound(members: Members, others: list[Members], rng: Rng) -> bytes:
    """Nothing: what is sound has to be accepted."""
    return packed(members)


def values(members: Members, others: list[Members], rng: Rng) -> bytes:
    """A value of another type, or at the edge."""

    def edit(manifest: dict[str, Any]) -> None:
        place = _place(manifest, rng, *_PARTS)
        _at(manifest, place[:-1])[place[-1]] = pick(_VALUES, rng)

    return packed(_edited(members, rng, edit))


def numbers(members: Members, others: list[Members], rng: Rng) -> bytes:
    """A number that is somewhat another, or much."""

    def edit(manifest: dict[str, Any]) -> None:
        every = [
            p
            for p in _places(manifest)
            if p and p[0] != "validation" and isinstance(_at(manifest, p), (int, float))
        ]
        place = pick(every, rng)
        old = _at(manifest, place)
        changed = (old + 1, old - 1, -old, old * 1000, old / 3, old * 1e30, int(old) * 7, 0)
        _at(manifest, place[:-1])[place[-1]] = pick(changed, rng)

    return packed(_edited(members, rng, edit))


def structure(members: Members, others: list[Members], rng: Rng) -> bytes:
    """Entries that are missing, twice, many, renamed, exchanged, or from another file."""
    foreign = json.loads(pick(others, rng)["manifest.json"])

    def edit(manifest: dict[str, Any]) -> None:
        place = _place(manifest, rng, *_PARTS)
        inside, key = _at(manifest, place[:-1]), place[-1]
        way = int(rng.integers(7))
        if way == 0:
            del inside[key]
        elif way == 1 and isinstance(inside, list):
            inside.insert(0, inside[key])
        elif way == 2 and isinstance(inside, list):
            inside += [f"more {i}" for i in range(int(10 ** rng.uniform(0, 5)))]
        elif way == 3 and isinstance(inside, dict):
            inside[f"{key}2"] = inside.pop(key)
        elif way == 4 and isinstance(inside[key], dict):
            one = next(iter(inside[key].values()), 1)
            inside[key] |= {f"more {i}": one for i in range(int(10 ** rng.uniform(0, 4)))}
        elif way == 5:
            other = _place(manifest, rng, *_PARTS)
            _at(manifest, other[:-1])[other[-1]] = json.loads(json.dumps(inside[key]))
        else:
            part = str(rng.choice(list(foreign)))
            manifest[part] = foreign[part]

    return packed(_edited(members, rng, edit))


def text(members: Members, others: list[Members], rng: Rng) -> bytes:
    """JSON that is none, or bites: keys twice, digits without end, nesting."""
    whole = members["manifest.json"]
    at = int(rng.integers(len(whole)))
    deep = int(10 ** rng.uniform(1, 5))
    ways = (
        whole.replace(b'"labels"', b'"labels": [], "labels"', 1),
        whole.replace(b": 1", b": 1" + b"0" * deep, 1),
        whole.replace(b"true", b"NaN", 1),
        whole.replace(b"null", b"[" * deep + b"]" * deep, 1),
        whole.replace(b'"model"', b'"x": ' + b'{"a":' * deep + b"1" + b"}" * deep + b', "model"', 1),
        whole[:at] + bytes([int(rng.integers(256))]) + whole[at + 1 :],
        whole[:at],
        whole.decode("utf-8", "replace").encode("utf-16"),
    )
    return packed({**members, "manifest.json": pick(ways, rng)}, listed=False)


# ------------------------------------------------------------------------------------ the arrays

_EDGES = (0.0, -1.0, 1.0, 1e-30, 1e8, -1e8, 1e20, 3e38, math.nan, math.inf, -math.inf)
_DTYPES = ("|b1", "|i1", "<i4", "<i8", "|u1", "<u4", "<f2", "<f4", "<f8", ">f4", "<c8", "|O", "<U4", "<M8[s]")


def _npy(array: np.ndarray[Any, Any], header: bytes | None = None) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    data = file.getvalue()
    if header is None:
        return data
    start = 10 + struct.unpack_from("<H", data, 8)[0]
    header += b" " * ((-len(header) - 11) % 64) + b"\n"
    return data[:8] + struct.pack("<H", len(header)) + header + data[start:]


def _array(members: Members, rng: Rng) -> tuple[str, np.ndarray[Any, Any]]:
    names = [name for name in members if name.endswith(".npy")]
    name = str(rng.choice(names))
    return name, np.load(io.BytesIO(members[name]))


def arrays(members: Members, others: list[Members], rng: Rng) -> bytes:
    """Arrays of another shape, type or header, missing, exchanged, or from another file."""
    name, array = _array(members, rng)
    second, other = _array(members, rng)
    way = int(rng.integers(10))
    made = {
        0: lambda: {name: _npy(array[:-1] if array.ndim and len(array) else array)},
        1: lambda: {name: _npy(np.concatenate([array, array]) if array.ndim else array)},
        2: lambda: {name: _npy(array[..., None])},
        3: lambda: {name: _npy(array.reshape(-1))},
        4: lambda: {name: _npy(array.T if array.ndim > 1 else array[:0])},
        5: lambda: {name: _npy(array.astype(str(rng.choice(_DTYPES[:9]))))},
        6: lambda: {name: _npy(other), second: _npy(array)},
        7: lambda: {name: _npy(array, _header(array, rng))},
        8: lambda: {name: members[second]},
    }.get(way)
    with np.errstate(all="ignore"):
        if made is not None:
            return packed({**members, **made()})
    return packed({key: data for key, data in members.items() if key != name})


def _header(array: np.ndarray[Any, Any], rng: Rng) -> bytes:
    shape = [int(n) for n in array.shape]
    big = int(10 ** rng.uniform(1, 15))
    shapes = (shape, [*shape, 1], [big, *shape], [0, big], [big] * 9, [-n for n in shape])
    chosen = pick(shapes, rng)
    descr = str(rng.choice(_DTYPES)) if rng.random() < 0.5 else array.dtype.str
    order = rng.random() < 0.1
    return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {tuple(chosen)}, }}".encode()


def entries(members: Members, others: list[Members], rng: Rng) -> bytes:
    """Numbers of an array at the edge, or with bits that flipped."""
    name, array = _array(members, rng)
    flat = array.reshape(-1).copy()
    if not len(flat):
        return packed(members)
    some = rng.integers(0, len(flat), 1 + int(rng.integers(4)))
    with np.errstate(all="ignore"):
        if rng.random() < 0.3:
            flat[:] = np.array(pick(_EDGES[:7], rng)).astype(array.dtype)
        elif rng.random() < 0.6:
            flat[some] = np.array(_EDGES)[rng.integers(0, len(_EDGES), len(some))].astype(array.dtype)
        else:
            raw = flat.view(np.uint8).copy()
            raw[rng.integers(0, len(raw), 3)] ^= np.uint8(1 << int(rng.integers(8)))
            flat = raw.view(array.dtype) if array.dtype != bool else (raw % 2).view(bool)
    return packed({**members, name: _npy(flat.reshape(array.shape))})


# --------------------------------------------------------------------------------------- the zip


def container(members: Members, others: list[Members], rng: Rng) -> bytes:
    """Bytes of the zip, members that are compressed, twice, not listed, or of another file."""
    good = packed(members)
    way = int(rng.integers(6))
    if way == 0:
        damaged = bytearray(good)
        for at in rng.integers(0, len(good), 1 + int(rng.integers(8))):
            damaged[at] ^= 1 << int(rng.integers(8))
        return bytes(damaged)
    if way == 1:  # the directory at the end
        damaged = bytearray(good)
        for at in rng.integers(good.rindex(b"PK\1\2") - 500, len(good), 1 + int(rng.integers(3))):
            damaged[at] = int(rng.integers(256))
        return bytes(damaged)
    if way == 2:
        return good[: int(rng.integers(len(good)))]
    if way == 3:
        return packed(members, method=zipfile.ZIP_DEFLATED)
    if way == 4:
        return packed({**members, "arrays/more.npy": bytes(1000)}, listed=bool(rng.random() < 0.5))
    other = pick(others, rng)
    return packed({**other, "manifest.json": members["manifest.json"]})


KINDS = (sound, values, numbers, structure, text, arrays, entries, container)


# ----------------------------------------------------------------------------------------- using


def _kinds(good: Callable[[], list[Members]], name: str) -> dict[str, Callable[[Rng], Case]]:
    def of(kind: Callable[[Members, list[Members], Rng], bytes]) -> Callable[[Rng], Case]:
        def make(rng: Rng) -> Case:
            every = good()
            return Case(name, kind(pick(every, rng), every, rng))

        return make

    return {kind.__name__: of(kind) for kind in KINDS}


@cache
def _photo() -> Path:
    """A small photo with a face."""
    path = Path(tempfile.mkdtemp()) / "photo.png"
    Image.open(anthropo.example_photo()).convert("RGB").crop((60, 0, 400, 340)).save(path)
    return path


def use_model(path: Path, *, used: bool = True) -> str:
    """Inspect a model, and if that goes well classify a photo, if it is to be used."""
    if refused := command("inspect", path):
        return _one(refused)
    if not used:
        return ""
    answer = path.with_name("answer.json")
    said = command("classify", "--model", path, _photo(), "-o", answer)
    if said:
        if not any(excuse in said for excuse in EXCUSES):
            raise AssertionError(f"inspect accepted it, and then: {said[-400:]!a}")
        return ""
    for one in json.loads(answer.read_text()):
        shares = [r["probability"] for r in one.get("ranked") or ()]
        numbers = [*shares, *(v for v in (one.get("typicality"), one.get("distance")) if v is not None)]
        if not all(isinstance(v, (int, float)) and math.isfinite(v) and v >= 0 for v in numbers):
            raise AssertionError(f"nonsense: {one!a}"[:400])
        if shares and one["task"] != "multilabel" and abs(sum(shares) - 1) > 1e-6:
            raise AssertionError(f"probabilities that add up to {sum(shares)}")
    if _one_of(_EXPLAINED, path):
        model = anthropo.load_model(path)
        assert isinstance(model, anthropo.Model)
        case = model.explain(_photo(), heatmaps=False)
        terms = [c.log_odds for label in case.explanation.labels for c in label.contributions]
        if not np.isfinite(terms).all():
            raise AssertionError("nonsense: an explanation of no numbers")
    return ""


def use_network(path: Path, *, used: bool = True) -> str:
    """Inspect a network, and if that goes well ask it about noise; write it as ONNX if it is to be used."""
    from anthropo.networks.network import Network

    if refused := command("inspect", path):
        return _one(refused)
    network = Network.load(path)
    noise = np.random.default_rng(0).integers(0, 256, (2, network.size, network.size, 3), dtype=np.uint8)
    shares = network.probabilities(dict.fromkeys(network.views, noise))
    if not np.isfinite(shares).all() or shares.min() < 0 or shares.max() > 1 + 1e-6:
        raise AssertionError(f"nonsense: {shares.tolist()}")
    if not used or not _one_of(_EXPORTED, path):
        return ""
    said = command("export", path, "-o", path.with_name("net.onnx"))
    if said and "its answers would differ" not in said:
        raise AssertionError(f"inspect accepted it, and then: {said[-400:]!a}")
    return ""


def use_translation(path: Path, *, used: bool = True) -> str:
    """Inspect a translation, and if that goes well translate noise."""
    from anthropo.translation.file import load_translation

    if refused := command("inspect", path):
        return _one(refused)
    made = load_translation(path)
    noise = np.random.default_rng(0).integers(0, 256, (2, made.size, made.size, 3), dtype=np.uint8)
    once, again = made.translate(noise, "B"), made.translate(noise, "B")
    if once.shape != noise.shape or not np.array_equal(once, again):
        raise AssertionError("nonsense: other pictures the second time")
    return ""


def _one_of(number: int, path: Path) -> bool:
    """Whether a file is one of so many, whichever case it is."""
    return hashlib.sha256(path.read_bytes()).digest()[0] % number == 0


def _one(refused: str) -> str:
    """A refusal, which has to be one sentence about the file."""
    if len(refused) > 1500 or ".anthropo" not in refused:
        raise AssertionError(f"no sentence about the file: {refused[:400]!a}")
    return refused


TARGETS = {
    "models": (_kinds(models, "m.anthropo"), use_model),
    "networks": (_kinds(networks, "net.anthropo"), use_network),
    "translations": (_kinds(translations, "ab.anthropo"), use_translation),
    "encoders": hostile_onnx.TARGET,
}

if __name__ == "__main__":
    parser = parser_of(__doc__ or "")
    parser.add_argument("target", choices=TARGETS)
    options = parser.parse_args()
    run(options, *TARGETS[options.target], __file__, options.target)
