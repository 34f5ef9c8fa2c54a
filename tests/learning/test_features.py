from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import Copies, sentence_of
from numpy.typing import NDArray
from PIL import Image

from anthropo import observation
from anthropo.encoder.cache import Store
from anthropo.encoder.encoders import load_encoder
from anthropo.encoder.regions import DEFAULT_REGIONS, crops, middle_square
from anthropo.errors import InputError, WeightsError
from anthropo.face.landmarker import Face
from anthropo.learning import features as module
from anthropo.learning.cohort import Case, Cohort, Finding
from anthropo.learning.cohort_checks import validate
from anthropo.learning.entries import measurement_ids
from anthropo.learning.features import Features, extract, feature_frame, subset
from anthropo.measurement.compute import measure_face
from anthropo.measurement.registry import registry
from anthropo.parallel import threads
from anthropo.photo import Photo
from anthropo.settings import Settings

FAST = Settings(jitter=2, fine=False)


class Encoder(SimpleNamespace):
    """Embeds a chip as the means of its quarters, in the interface of `anthropo.encoder`."""

    def __init__(self, digest: str = "quarters") -> None:
        super().__init__(
            name="quarters",
            digest=digest,
            how=digest,
            weights="",
            size=32,
            dimension=4,
            seen=[],
            align="canonical",
        )

    def embed(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> NDArray[np.float32]:
        chips = middle_square(photo, 32)[None] if face is None else crops(photo, face, regions, 32)
        self.seen.append(len(chips))
        n = len(chips)
        return chips.reshape(n, 2, 16, 2, 16, 3).mean((2, 4, 5)).reshape(n, 4).astype(np.float32)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Photos that are really decoded from here on."""
    seen: list[str] = []
    real = module.read_photo

    def counting(path: str, **options: Any) -> Any:
        seen.append(path)
        return real(path, **options)

    for reading in (module, observation):  # pictures without a face; faces
        monkeypatch.setattr(reading, "read_photo", counting)
    return seen


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, astronaut: NDArray[np.uint8]) -> list[str]:
    """40 photos: 30 of different shades and sizes, every fourth without a face."""
    folder = tmp_path_factory.mktemp("people")
    face = astronaut[30:260, 110:340]
    rng = np.random.default_rng(0)
    paths = []
    for i in range(40):
        path = folder / f"{i:02}.png"
        if i % 4 == 3:
            picture = rng.integers(0, 255, (120, 120, 3), dtype=np.uint8)
        else:
            picture = np.clip(face * (0.7 + i / 100), 0, 255).astype(np.uint8)
        Image.fromarray(picture).resize((200 + i, 200 + i)).save(path)
        paths.append(str(path))
    return paths


def cohort_of(paths: list[str], **changes: Any) -> Cohort:
    cases = tuple(
        Case(path, "xy"[i % 2], f"p{i}", {"age": str(i) if i % 3 else "", "site": "ns"[i // 2 % 2]})
        for i, path in enumerate(paths)
    )
    return Cohort(cases, "c.csv", changes.pop("metadata", {"age": "age", "site": "category"}), **changes)


def assert_equal(a: Features, b: Features) -> None:
    for name in ("photos", "labels", "patients", "measurements", "digests", "prints"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert list(a.regions) == list(b.regions)
    for name, embedding in a.regions.items():
        np.testing.assert_array_equal(embedding, b.regions[name])
    assert a.left_out == b.left_out
    assert repr(a.metadata) == repr(b.metadata)


def test_ten_of_forty_photos_without_a_face_are_listed_and_left_out(people: list[str]) -> None:
    steps: list[None] = []
    found = extract(
        cohort_of(people),
        FAST,
        Encoder(),
        regions=("face", "nose"),
        jobs=2,
        on_progress=lambda: steps.append(None),
    )
    assert len(steps) == 40
    assert len(found) == 30
    assert [photo for photo, _ in found.left_out] == people[3::4]
    assert all(reason == f"{photo}: " + reason.split(": ", 1)[1] for photo, reason in found.left_out)
    assert all("no face found" in reason for _, reason in found.left_out)
    rest = [i for i in range(40) if i % 4 != 3]
    assert found.photos.tolist() == [people[i] for i in rest]
    assert found.labels.tolist() == ["xy"[i % 2] for i in rest]
    assert found.patients.tolist() == [f"p{i}" for i in rest]
    assert found.digests[0] == hashlib.sha256(Path(people[0]).read_bytes()).hexdigest()
    assert found.regions["nose"].shape == (30, 4)
    assert found.regions["nose"].dtype == np.float32
    assert not np.array_equal(found.regions["nose"], found.regions["face"])
    assert found.metadata["age"][1] == 1.0
    assert math.isnan(found.metadata["age"][0])  # type: ignore[arg-type]
    assert found.metadata["site"][:3] == ["n", "n", "s"]


def test_measurements_are_those_of_measure_face(astronaut_jpg: Path) -> None:
    from anthropo.face.fine import refine
    from anthropo.face.landmarker import FIRST_DECODE, read_faces
    from anthropo.photo import read_photo

    settings = Settings(jitter=4)
    found = extract(cohort_of([str(astronaut_jpg)]), settings, Encoder(), regions=("face",))
    photo = read_photo(astronaut_jpg, short_side=FIRST_DECODE)
    face = refine(photo, read_faces(photo, face="one", jitter=4)[0])
    expected = {m.id: m.value for m in measure_face(face, photo)}
    assert found.measurement_ids == tuple(e.id for e in registry().values() if not e.needs_mm)
    assert {registry()[name].unit for name in found.measurement_ids}.isdisjoint({"mm", "mm²"})
    np.testing.assert_array_equal(found.measurements[0], [expected[i] for i in found.measurement_ids])
    assert np.isfinite(found.measurements).sum() > 30
    assert np.isnan(found.measurements).any()  # the astronaut smiles, which voids some
    assert set(found.regions) == {"face"}


def test_the_order_and_the_numbers_do_not_depend_on_the_jobs(people: list[str]) -> None:
    encoder = load_encoder()
    one = extract(cohort_of(people[:12]), FAST, encoder, regions=("face", "eyes"), jobs=1)
    many = extract(cohort_of(people[:12]), FAST, encoder, regions=("face", "eyes"), jobs=7)
    assert_equal(one, many)
    assert one.regions["face"].shape == (9, 128)


def test_a_second_run_opens_no_photo(people: list[str], tmp_path: Path, looked_at: list[str]) -> None:
    store = Store(tmp_path / "store")
    first = extract(cohort_of(people[:12]), FAST, Encoder(), regions=("face",), store=store)
    assert sorted(looked_at) == people[:12]
    looked_at.clear()
    encoder = Encoder()
    second = extract(cohort_of(people[:12]), FAST, encoder, regions=("face",), store=store, jobs=3)
    assert looked_at == []
    assert encoder.seen == []
    assert_equal(first, second)


@pytest.mark.parametrize("change", ["settings", "encoder", "regions", "photo"])
def test_what_a_result_depends_on_is_computed_anew(
    change: str, tmp_path: Path, copies: Copies, looked_at: list[str]
) -> None:
    (path,) = copies(tmp_path, "a.png")
    store = Store(tmp_path / "store")
    extract(cohort_of([str(path)]), FAST, Encoder(), regions=("face",), store=store)
    looked_at.clear()
    settings = Settings(jitter=4, fine=False) if change == "settings" else FAST
    encoder = Encoder("other" if change == "encoder" else "quarters")
    regions = ("nose",) if change == "regions" else ("face",)
    if change == "photo":
        Image.open(path).resize((500, 500)).save(path)
    extract(cohort_of([str(path)]), settings, encoder, regions=regions, store=store)
    assert looked_at == [str(path)]


def test_damaged_and_foreign_entries_are_computed_anew(
    people: list[str], tmp_path: Path, looked_at: list[str]
) -> None:
    store = Store(tmp_path / "store")
    cohort = cohort_of(people[:3])
    first = extract(cohort, FAST, Encoder(), regions=("face",), store=store)
    files = sorted(p for p in (tmp_path / "store").rglob("*") if p.is_file())
    assert len(files) == 3
    files[0].write_bytes(files[0].read_bytes()[:-40])
    looked_at.clear()
    assert_equal(first, extract(cohort, FAST, Encoder(), regions=("face",), store=store))
    assert len(looked_at) == 1

    class Foreign:
        """Has arrays of another shape under every key."""

        def get(self, key: str) -> dict[str, NDArray[Any]]:
            return {"measurements": np.zeros(3), "print": np.zeros(3), "embeddings": np.zeros((1, 4))}

        def put(self, key: str, arrays: dict[str, NDArray[Any]]) -> None: ...

    assert_equal(first, extract(cohort, FAST, Encoder(), regions=("face",), store=Foreign()))  # type: ignore[arg-type]


def test_crafted_entries_are_computed_anew(people: list[str], tmp_path: Path, looked_at: list[str]) -> None:
    store = Store(tmp_path / "store")
    cohort = cohort_of(people[:1])
    first = extract(cohort, FAST, Encoder(), regions=("face",), store=store)
    entries: list[dict[str, NDArray[Any]]] = []
    keys: list[str] = []

    class Crafted:
        """Gives the genuine arrays, but for those that are changed."""

        def __init__(self, **changes: NDArray[Any] | None) -> None:
            self.changes = changes

        def get(self, key: str) -> dict[str, NDArray[Any]] | None:
            keys.append(key)
            arrays = {**(store.get(key) or {}), **self.changes}
            entries.append(arrays)
            return {name: array for name, array in arrays.items() if array is not None}

        def put(self, key: str, arrays: dict[str, NDArray[Any]]) -> None: ...

    def text(data: bytes) -> NDArray[np.uint8]:
        return np.frombuffer(data, np.uint8)

    looked_at.clear()
    assert_equal(first, extract(cohort, FAST, Encoder(), regions=("face",), store=Crafted()))  # type: ignore[arg-type]
    assert looked_at == []
    genuine = entries.pop()
    alone: dict[str, Any] = dict.fromkeys(genuine)
    for changes in (
        {"measurements": genuine["measurements"] * np.inf},
        {"measurements": genuine["measurements"].astype(complex)},
        {"measurements": genuine["measurements"].astype(np.float32)},
        {"measurements": np.full_like(genuine["measurements"], 1e300)},
        {"embeddings": genuine["embeddings"] * np.float32(np.nan)},
        {"embeddings": np.full_like(genuine["embeddings"], 1e38)},
        {"embeddings": genuine["embeddings"].astype(np.complex64)},
        {"print": genuine["print"] * np.float32(np.inf)},
        {"shape": genuine["shape"] * np.float32(np.nan)},
        {"portrait": genuine["portrait"].astype(np.float64)},
        {"gate": np.full(genuine["gate"].shape, 7, np.uint8).view(np.bool_)},
        {"gate": None},
        {"more": np.zeros(3)},
        {"reason": text(b"no face")},
        {**alone, "reason": text(b"\xff\xfe")[:0]},
        {**alone, "reason": text(b"no \x1b[2Jface")},
        {**alone, "reason": np.zeros(3)},
        {**alone, "reason": text(b"x" * 5000)},
        alone,
    ):
        looked_at.clear()
        other = Crafted(**changes)
        again = extract(cohort, FAST, Encoder(), regions=("face",), store=other)  # type: ignore[arg-type]
        assert_equal(first, again)
        assert looked_at == people[:1], changes
    assert len(set(keys)) == 1


def test_a_reason_that_was_kept_names_the_photo_at_hand(
    tmp_path: Path, faceless_png: Path, looked_at: list[str]
) -> None:
    store = Store(tmp_path / "store")
    other = tmp_path / "other name.png"
    other.write_bytes(faceless_png.read_bytes())
    for path in (faceless_png, other):
        found = extract(cohort_of([str(path)]), FAST, Encoder(), store=store)
        assert len(found) == 0
        ((photo, reason),) = found.left_out
        assert photo == str(path)
        assert reason.startswith(f"{path}: no face found")
    assert looked_at == [str(faceless_png)]


def test_files_that_are_no_photos_are_left_out(
    tmp_path: Path, astronaut_png: Path, two_faces_png: Path
) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no photo")
    paths = [str(astronaut_png), str(text), str(tmp_path / "absent.png"), str(tmp_path), str(two_faces_png)]
    store = Store(tmp_path / "store")
    for _ in range(2):
        found = extract(cohort_of(paths), FAST, Encoder(), store=store)
        assert found.photos.tolist() == [str(astronaut_png)]
        reasons = [reason.split(": ", 1)[1] for _, reason in found.left_out]
        assert "not a photo that" in reasons[0]
        assert reasons[1] == "no such file."
        assert reasons[2] == "a folder, not a photo."
        assert "2 faces found" in reasons[3]
    (tmp_path / "absent.png").write_bytes(astronaut_png.read_bytes())  # a missing file is not remembered
    assert len(extract(cohort_of(paths), FAST, Encoder(), store=store)) == 2


def test_memory_that_ran_out_is_not_remembered(
    tmp_path: Path, astronaut_png: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "embed", lambda *_: (_ for _ in ()).throw(MemoryError()))
        found = extract(cohort_of([str(astronaut_png)]), FAST, Encoder(), store=store)
    assert "not enough memory. Use fewer jobs." in found.left_out[0][1]
    assert len(extract(cohort_of([str(astronaut_png)]), FAST, Encoder(), store=store)) == 1


def test_an_interrupted_run_is_continued(
    people: list[str], tmp_path: Path, looked_at: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "AHEAD", 1)
    store = Store(tmp_path / "store")
    cohort = cohort_of(people[:12])
    count = 0

    def interrupt() -> None:
        nonlocal count
        count += 1
        if count == 5:
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        extract(cohort, FAST, Encoder(), regions=("face",), jobs=2, store=store, on_progress=interrupt)
    assert threading.active_count() == before
    assert len(looked_at) <= 5 + 2
    looked_at.clear()
    found = extract(cohort, FAST, Encoder(), regions=("face",), jobs=2, store=store)
    assert 12 - 5 - 2 <= len(looked_at) <= 12 - 5
    assert_equal(found, extract(cohort, FAST, Encoder(), regions=("face",)))


def test_what_cannot_be_used_is_one_error(people: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="face 'all' cannot be learned from"):
        extract(cohort_of(people), Settings(face="all"), Encoder())
    with pytest.raises(InputError, match="region 'ear': unknown"):
        extract(cohort_of(people), FAST, Encoder(), regions=("ear",))
    with pytest.raises(WeightsError):
        extract(cohort_of(people), Settings(landmark_model=str(tmp_path / "absent.dat")), Encoder())


def test_the_regions_that_earned_their_place_are_the_default(astronaut_png: Path) -> None:
    found = extract(cohort_of([str(astronaut_png)]), FAST, Encoder())
    assert tuple(found.regions) == DEFAULT_REGIONS
    assert "background" not in found.regions


def test_measurements_alone(astronaut_png: Path) -> None:
    found = extract(cohort_of([str(astronaut_png)]), FAST, Encoder(), regions=())
    assert found.regions == {}
    assert found.measurements.shape == (1, len(measurement_ids()))


# ---------------------------------------------------------------------------------- without a face


@pytest.fixture(scope="module")
def spots(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Eight pictures of bright dots on skin colour, half of them wide."""
    folder = tmp_path_factory.mktemp("spots")
    rng = np.random.default_rng(1)
    paths = []
    for i in range(8):
        picture = np.full((240, 240 + 80 * (i % 2), 3), (190, 150, 130), dtype=np.uint8)
        for y, x in rng.integers(10, 230, (12, 2)):
            picture[y - 8 : y + 8, x - 8 : x + 8] = rng.integers(40, 255, 3)
        path = folder / f"{i}.png"
        Image.fromarray(picture).save(path)
        paths.append(str(path))
    return paths


def test_nobody_is_identified_who_need_not_be(
    people: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packaged face network looks as well where another encodes, but only to find people twice."""
    asked: list[str] = []

    def identity(photo: Photo, face: Face) -> NDArray[np.float32]:
        asked.append(photo.source)
        return np.full(128, 0.5, np.float32)

    monkeypatch.setattr(module, "face_identity", identity)
    cohort, store = cohort_of(people[:3]), Store(tmp_path)
    quick = extract(cohort, FAST, Encoder(), regions=("face",), store=store, identify=False)
    assert (quick.identities, asked) == (None, [])
    full = extract(cohort, FAST, Encoder(), regions=("face",), store=store)  # what is kept lacks them
    assert full.identities is not None
    assert full.identities.shape == (3, 128)
    assert len(asked) == 3
    assert_equal(quick, full)
    encoder = Encoder()
    again = extract(cohort, FAST, encoder, regions=("face",), store=store, identify=False)
    assert encoder.seen == []  # what has more than is needed will do
    np.testing.assert_array_equal(again.identities, full.identities)


WITHOUT = Settings(no_face=True)


def test_without_a_face_the_middle_square_is_the_region_and_nothing_is_measured(spots: list[str]) -> None:
    found = extract(cohort_of(spots), WITHOUT, Encoder(), jobs=2)
    assert (len(found), found.left_out) == (8, ())
    assert found.measurements.shape == (8, 0)
    assert found.measurement_ids == ()
    assert list(found.regions) == ["image"]
    picture = np.asarray(Image.open(spots[1]))  # 320 wide
    expected = Image.fromarray(picture[:, 40:280]).resize((32, 32), Image.Resampling.BICUBIC)
    chip = np.asarray(expected, dtype=np.float64).reshape(2, 16, 2, 16, 3)
    np.testing.assert_allclose(found.regions["image"][1], chip.mean((1, 3, 4)).ravel(), atol=0.1)
    frame = feature_frame(found, ("age", "site"))
    assert list(frame.columns) == [*(f"image/{i}" for i in range(4)), "meta:age", "meta:site"]


def test_what_was_kept_without_a_face_is_not_taken_for_a_face(
    astronaut_png: Path, tmp_path: Path, looked_at: list[str]
) -> None:
    store, cohort = Store(tmp_path / "store"), cohort_of([str(astronaut_png)])
    for _ in range(2):
        without = extract(cohort, WITHOUT, Encoder(), store=store)
        assert len(looked_at) == 1
    face = extract(cohort, FAST, Encoder(), regions=("face",), store=store)
    assert len(looked_at) == 2
    assert face.measurements.shape == (1, len(measurement_ids()))
    assert not np.array_equal(face.prints, without.prints)


def test_files_that_are_no_pictures_are_left_out_without_a_face_too(spots: list[str], tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no photo")
    found = extract(cohort_of([spots[0], str(text)]), WITHOUT, Encoder())
    assert len(found) == 1
    assert "not a photo that" in found.left_out[0][1]


def test_regions_of_a_face_cannot_be_had_without_one(spots: list[str]) -> None:
    with pytest.raises(InputError, match="Without a face the only region is image"):
        extract(cohort_of(spots), WITHOUT, Encoder(), regions=("face",))
    with pytest.raises(InputError, match="nothing to measure"):
        WITHOUT.fingerprint()


def test_a_copy_of_a_picture_without_a_face_is_a_duplicate(spots: list[str], tmp_path: Path) -> None:
    copy = tmp_path / "copy.jpg"
    Image.open(spots[0]).transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((200, 200)).save(copy, quality=60)
    cohort = cohort_of([*spots, str(copy)])
    found = validate(cohort, extract(cohort, WITHOUT, Encoder()))
    (error,) = [f for f in found if f.category == "duplicate"]
    assert error.level == "error"
    assert f"{spots[0]} = {copy} (0.9" in error.message


def test_subset_and_table(people: list[str]) -> None:
    found = extract(cohort_of(people[:8]), FAST, Encoder(), regions=("face",))
    some = subset(found, [4, 0])
    assert some.photos.tolist() == [found.photos[4], found.photos[0]]
    assert some.metadata["site"] == [found.metadata["site"][4], found.metadata["site"][0]]
    np.testing.assert_array_equal(some.regions["face"], found.regions["face"][[4, 0]])
    np.testing.assert_array_equal(some.prints, found.prints[[4, 0]])
    assert some.left_out == ()
    assert_equal(subset(found, found.labels == "x"), subset(found, np.flatnonzero(found.labels == "x")))

    frame = feature_frame(found, ("age", "site"))
    regions, metadata = [f"face/{i}" for i in range(4)], ["meta:age", "meta:site"]
    assert list(frame.columns) == [*measurement_ids(), *regions, *metadata]
    np.testing.assert_array_equal(frame[regions].to_numpy(), found.regions["face"])
    np.testing.assert_array_equal(frame[list(measurement_ids())].to_numpy(), found.measurements)
    assert frame["meta:site"].tolist() == found.metadata["site"]
    assert frame["meta:age"].dtype == np.float64
    # nobody is learned from by age, sex or ancestry who did not ask for it
    assert list(feature_frame(found).columns) == [*measurement_ids(), *regions]
    assert list(feature_frame(found, ["site"]).columns) == [*measurement_ids(), *regions, "meta:site"]
    with pytest.raises(
        InputError, match=r"metadata='bmi': no such column to learn from\. There are age, site\."
    ):
        feature_frame(found, ("bmi",))


# ---------------------------------------------------------------------------------- validation


@pytest.fixture
def validated(tmp_path: Path) -> Callable[..., list[Finding]]:
    def run(cohort: Cohort, **options: Any) -> list[Finding]:
        return validate(cohort, extract(cohort, FAST, Encoder(), regions=("face",), jobs=2), **options)

    return run


def test_validation_says_everything_at_once(
    validated: Callable[..., list[Finding]], people: list[str], faceless_png: Path, tmp_path: Path
) -> None:
    absent = str(tmp_path / "absent.png")
    cases = (
        Case(people[0], "x", "p1"), Case(people[0], "y", "p2"), Case(people[1], "y", "p2"),
        Case(str(faceless_png), "z", "p3"), Case(absent, "x", "p4"),
    )  # fmt: skip
    found = validated(Cohort(cases, "c.csv"))
    messages = [f.message for f in found]
    assert [f.level for f in found[:2]] == ["error", "error"]
    assert any("listed more than once" in m for m in messages)
    assert any("one photo under different patients" in m for m in messages)
    assert any("2 of 4 photos cannot be used" in m for m in messages)
    assert f"{absent}: no such file." in messages
    assert sum("no such file" in m or "do not exist" in m for m in messages) == 1  # said once
    assert any(m.startswith(f"{faceless_png}: no face found") for m in messages)
    assert any("no usable photo with z;" in m for m in messages)


def test_labels_are_counted_without_the_photos_that_are_left_out(
    validated: Callable[..., list[Finding]], people: list[str], faceless_png: Path
) -> None:
    cases = (Case(people[0], "x", "p1"), Case(str(faceless_png), "y", "p2"))
    assert any(
        f.level == "error" and "one label only, x" in f.message for f in validated(Cohort(cases, "c.csv"))
    )
    (error, *_) = validated(Cohort(cases[1:], "c.csv"))
    assert (error.level, "1 of 1 photos cannot be used" in error.message) == ("error", True)


def test_duplicates_are_refused_unless_allowed(
    validated: Callable[..., list[Finding]], people: list[str]
) -> None:
    cohort = cohort_of(people[:2])  # the same face, lighter and larger
    (error,) = [f for f in validated(cohort) if f.category == "duplicate"]
    assert error.level == "error"
    assert "pass allow_duplicates=True" in error.message
    (allowed,) = [f for f in validated(cohort, allow_duplicates=True) if f.category == "duplicate"]
    assert allowed.level == "warning"


def test_a_cohort_beyond_memory_is_refused_before_any_photo_is_read(
    copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_at: list[str]
) -> None:
    paths = copies(tmp_path, *(f"{i}.png" for i in range(3)))
    cohort = Cohort(tuple(Case(str(path), "a", str(i)) for i, path in enumerate(paths)), "cohort.csv")
    fits = extract(Cohort(cohort.cases[:2], "cohort.csv"), FAST, Encoder(), regions=("face",))
    arrays = (fits.measurements, fits.prints, fits.shapes, fits.portraits, fits.gate, fits.hidden)
    each = sum(
        array[0].nbytes for array in (*arrays, fits.identities, fits.regions["face"]) if array is not None
    )
    del looked_at[:]
    monkeypatch.setattr(module.memory, "most", 3 * each - 1)
    said = sentence_of(InputError, extract, cohort, FAST, Encoder(), regions=("face",))
    assert said == (
        f"cohort.csv: 3 photos of {each / 1e3:.0f} kB each need 0.0 GB of memory, and half of what there is "
        "here are 0.0 GB. At most 2 photos fit: list fewer, or use a machine with more memory."
    )
    assert looked_at == []
    monkeypatch.setattr(module.memory, "most", 3 * each)
    assert len(extract(cohort, FAST, Encoder(), regions=("face",))) == 3
