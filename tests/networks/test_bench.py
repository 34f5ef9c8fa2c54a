"""What a network costs and is worth, on pictures of noise."""

from __future__ import annotations

from pathlib import Path

import nets
import noise
import numpy as np
import pytest

from anthropo.errors import InputError, ModelError
from anthropo.learning.cohort import read_cohort
from anthropo.learning.intervals import Interval
from anthropo.networks import bench as module
from anthropo.networks.bench import (
    BenchedNetwork,
    answer_apart,
    bench_file,
    calibration_photos,
    photos_of,
    remarks,
)
from anthropo.settings import Settings

SETTINGS = Settings(no_face=True)


def cohort_of(folder: Path, **columns: list[str]) -> Path:
    return noise.write_cohort(folder, ["a", "b", "c", "unknown"] * 3, **columns)


def test_three_runtimes_side_by_side(tmp_path: Path) -> None:
    network = nets.network(views=("image",))
    network.save(tmp_path / "net.anthropo")
    cohort = read_cohort(cohort_of(tmp_path / "c"))
    photos = photos_of(network, cohort, SETTINGS)
    assert photos.pictures.shape == (9, 1, nets.SIZE, nets.SIZE, 3)
    assert len(photos.left_out) == 3
    assert photos.left_out[0][1].endswith("3.png: the network does not know its label, unknown.")
    by = calibration_photos(network, [case.photo for case in cohort.cases], SETTINGS)
    assert len(by) == 12
    found = bench_file(str(tmp_path / "net.anthropo"), photos, by, folder=tmp_path)
    assert [m.runtime for m in found] == ["torch", "ONNX", "ONNX int8"]
    torch, plain, int8 = found
    assert torch.parameters == plain.parameters == network.parameters
    assert torch.file_bytes == (tmp_path / "net.anthropo").stat().st_size
    assert int8.file_bytes < plain.file_bytes / 3
    assert (torch.largest_difference, torch.times_torch, torch.auroc_lost) == (0, 1, 0)
    assert 0 < plain.largest_difference < 1e-4 < int8.largest_difference
    wanted = network.probabilities({"image": photos.pictures[:, 0]}).argmax(1) == photos.units.target
    assert torch.accuracy.value == pytest.approx(wanted.mean())
    assert plain.times_torch == pytest.approx(torch.ms / plain.ms)
    # a process with torch in it needs more than one without
    assert torch.memory_bytes is not None
    assert plain.memory_bytes is not None
    assert 20e6 < plain.memory_bytes < torch.memory_bytes


def test_cases_are_answered_with_their_photos_and_metadata(tmp_path: Path, timed_here: None) -> None:
    network = nets.network("cases")
    network.save(tmp_path / "net.anthropo")
    table = noise.write_cohort(
        tmp_path / "c", list("aabbc"), ["p0", "p0", "p1", "p2", "p3"],
        age=["20", "20", "", "50", "30"], site=["arm", "arm", "arm", "", "arm"],
    )  # fmt: skip
    photos = photos_of(network, read_cohort(table), SETTINGS)
    assert photos.pictures.shape == (4, 2, nets.SIZE, nets.SIZE, 3)
    assert photos.units.metadata is not None
    np.testing.assert_allclose(photos.units.metadata[:, :2], [[-1, 0], [0, 1], [2, 0], [0, 0]])
    by = calibration_photos(network, [str(p) for p in sorted((tmp_path / "c").glob("*.png"))], SETTINGS)
    torch, plain, _ = bench_file(str(tmp_path / "net.anthropo"), photos, by)
    assert plain.largest_difference < 1e-4
    p = network.probabilities({"image": photos.pictures}, photos.units.metadata)
    assert torch.accuracy.value == pytest.approx((p.argmax(1) == photos.units.target).mean())


def test_attributes_have_mean_figures(tmp_path: Path, timed_here: None) -> None:
    network = nets.network("attributes", views=("image",))
    network.save(tmp_path / "net.anthropo")
    table = noise.write_cohort(tmp_path / "c", ["a; b", "b", "c", "", "a; c", "a"])
    photos = photos_of(network, read_cohort(table, multilabel=True), SETTINGS)
    assert photos.units.target.tolist()[0] == [1, 1, 0]
    found = bench_file(str(tmp_path / "net.anthropo"), photos, photos.pictures)
    assert found[1].largest_difference < 1e-4
    assert 0 <= found[0].auroc.value <= 1
    assert np.isnan(found[0].auroc.lo)


def test_a_cohort_of_other_labels_is_refused(tmp_path: Path) -> None:
    network = nets.network(views=("image",))
    table = noise.write_cohort(tmp_path / "c", ["x", "y"])
    with pytest.raises(InputError, match=r"which was trained on a, b, c; labels are x, y\."):
        photos_of(network, read_cohort(table), SETTINGS)
    with pytest.raises(InputError, match=r"No photo to calibrate by can be used; the first: .* no such file"):
        calibration_photos(network, [str(tmp_path / "none.png")], SETTINGS)


def test_a_runtime_that_fails_is_one_sentence(tmp_path: Path) -> None:
    network = nets.network(views=("image",))
    photos = photos_of(network, read_cohort(cohort_of(tmp_path / "c")), SETTINGS)
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    with pytest.raises(ModelError, match=r"broken\.onnx: could not be run with ONNX \("):
        answer_apart("ONNX", tmp_path / "broken.onnx", "labels", photos, 1, tmp_path)


def test_remarks_on_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(runtime: str, ms: float, lost: float) -> BenchedNetwork:
        figure = Interval(0.9)
        return BenchedNetwork(
            network="n", recipe="r", runtime=runtime, auroc=figure, accuracy=figure, parameters=1,
            file_bytes=1, memory_bytes=None, ms=ms, times_torch=1, largest_difference=0, auroc_lost=lost,
        )  # fmt: skip

    assert remarks([measured("ONNX", 10, 0), measured("ONNX int8", 5, 0.001)]) == []
    monkeypatch.setattr(module, "has_int8_products", lambda: False)
    slow, worse = remarks([measured("ONNX", 10, 0), measured("ONNX int8", 9, 0.02)])
    assert slow.startswith(
        "n: int8 is 1.11 × as fast as ONNX, less than 1.5 ×: this CPU has no fast products"
    )
    assert worse == "n: int8 loses 0.020 of AUROC. Keep the float file."
