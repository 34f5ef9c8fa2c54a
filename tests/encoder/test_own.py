"""Networks of one's own in ONNX files: torch's embeddings, their alignment, and files from anywhere."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from own_networks import ARCFACE, ArcFaceLike, arcface_like, spot

import anthropo
from anthropo.encoder import onnx_file
from anthropo.encoder.arcface import TEMPLATE, arcface_square, five_points
from anthropo.encoder.exported import ExportedEncoder, load_onnx
from anthropo.encoder.onnx_file import look_through, shuffled_weights
from anthropo.encoder.onnx_graph import Graph, _field
from anthropo.encoder.own import OnnxEncoder
from anthropo.encoder.several import Encoders, asked_of
from anthropo.errors import InputError, PhotoError, WeightsError
from anthropo.face.scheme import MIRROR
from anthropo.networks.encoder import network_encoder
from anthropo.networks.export import export
from anthropo.observation import Observation
from anthropo.photo import Photo

sys.path.insert(0, str(Path(__file__).parent.parent / "networks"))
import nets

# ------------------------------------------------------------------------------------ the same as in torch


@pytest.fixture(scope="module")
def arc(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ArcFaceLike]:
    path = tmp_path_factory.mktemp("arc") / "arc.onnx"
    return path, arcface_like(path)


@pytest.fixture(scope="module")
def seen() -> Observation:
    return anthropo.observe(anthropo.example_photo(), anthropo.Settings(jitter=2, fine=False))


def load(path: Path) -> Any:
    return anthropo.load_encoder(f"onnx:{path}")


def quick(path: Path) -> Any:
    """The same without the first run in a process of its own."""
    return load_onnx(path, tried=True)


def test_an_arcface_like_network_gives_what_torch_gives(
    arc: tuple[Path, ArcFaceLike], seen: Observation
) -> None:
    path, network = arc
    encoder = load(path)
    assert (encoder.name, encoder.size, encoder.dimension) == ("onnx:arc.onnx", 112, 512)
    assert (encoder.views, encoder.licence) == (("face",), "none: made for a test")
    assert not encoder.commercial_use
    assert not encoder.permissive
    chip = encoder.chips(seen.photo, seen.face, ["face"])
    x = torch.from_numpy((chip[..., ::-1].astype(np.float32) - 127.5) / 127.5).permute(0, 3, 1, 2)
    grey = chip.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    y = torch.from_numpy((grey[..., None].repeat(3, -1) - 127.5) / 127.5).permute(0, 3, 1, 2)
    with torch.no_grad():
        wanted = (network(x) + network(x.flip(3))) / 2
        with_grey = (wanted + (network(y) + network(y.flip(3))) / 2) / 2
    found = encoder.embed(seen.photo, seen.face, ["face"])
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted.numpy()).max())
    averaged = replace(encoder, grey=True).embed(seen.photo, seen.face, ["face"])
    np.testing.assert_allclose(averaged, with_grey, atol=1e-4 * np.abs(wanted.numpy()).max())
    assert not np.allclose(averaged, found, atol=1e-3 * np.abs(found).max())


@pytest.mark.parametrize("kind", [{"grey": True}, {"task": "cases"}])
def test_what_export_wrote_needs_no_sidecar(kind: dict[str, Any], tmp_path: Path, seen: Observation) -> None:
    network = nets.network(**kind)
    network.save(tmp_path / "net.anthropo")
    export(network, tmp_path / "net.onnx")
    read = load if kind.get("grey") else quick
    ours, theirs = read(tmp_path / "net.onnx"), network_encoder(tmp_path / "net.anthropo")
    assert isinstance(ours, ExportedEncoder)
    assert (ours.views, ours.dimension, ours.size) == (theirs.views, theirs.dimension, theirs.size)
    face = None if ours.views == ("image",) else seen.face
    for regions in (ours.views, ours.views[-1:]):
        found, wanted = (one.embed(seen.photo, face, regions) for one in (ours, theirs))
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
    again = pickle.loads(pickle.dumps(replace(ours, grey=True)))
    assert again.grey
    np.testing.assert_array_equal(
        again.embed(seen.photo, face, ours.views),
        replace(ours, grey=True).embed(seen.photo, face, ours.views),
    )


def test_an_encoder_travels_by_name_and_others_are_refused(
    arc: tuple[Path, ArcFaceLike], seen: Observation, tmp_path: Path
) -> None:
    path = tmp_path / "moved.onnx"
    path.write_bytes(arc[0].read_bytes())
    path.with_suffix(".toml").write_text(ARCFACE)
    encoder = quick(path)
    sent = pickle.dumps(encoder)
    assert len(sent) < 400
    again = pickle.loads(sent)
    np.testing.assert_array_equal(
        again.embed(seen.photo, seen.face, ["face"]), encoder.embed(seen.photo, seen.face, ["face"])
    )
    assert again.digest == encoder.digest == quick(arc[0]).digest
    path.with_suffix(".toml").write_text(ARCFACE.replace("BGR", "RGB"))
    with pytest.raises(WeightsError, match="another file or sidecar"):
        pickle.loads(sent)


@pytest.mark.parametrize(
    ("was", "becomes", "changes"),
    [
        ('"BGR"', '"RGB"', True), ("mean = 127.5", "mean = 127", True), ("scale = 127.5", "scale = 1", True),
        ('"arcface"', '"photo"', True), ('"arcface"', '"chip"', True), ("made for a test", "mine", False),
    ],
)  # fmt: skip
def test_the_digest_is_of_all_that_embeddings_depend_on(
    arc: tuple[Path, ArcFaceLike], tmp_path: Path, was: str, becomes: str, changes: bool
) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(arc[0].read_bytes())
    path.with_name("other.onnx.toml").write_text(ARCFACE.replace(was, becomes))
    assert (quick(path).digest != quick(arc[0]).digest) == changes


# ------------------------------------------------------------------------------------------- alignment


def test_the_template_is_reached(seen: Observation) -> None:
    square = arcface_square(seen.face.landmarks, 112)
    placed = np.column_stack([(TEMPLATE + 0.5) / 112, np.ones(5)]) @ square.T
    apart = np.linalg.norm(placed - five_points(seen.face.landmarks), axis=1)
    assert apart.max() < 0.1 * np.ptp(seen.face.landmarks[:, 0])
    # a face that is as the template is laid on it exactly
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[30], points[48], points[54] = TEMPLATE
    exact = np.column_stack([(TEMPLATE + 0.5) / 112, np.ones(5)]) @ arcface_square(points, 112).T
    np.testing.assert_allclose(exact, TEMPLATE, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-180, 180), st.floats(0.2, 5), st.floats(-500, 500), st.floats(-500, 500),
    st.lists(st.floats(-8, 8), min_size=10, max_size=10),
)  # fmt: skip
def test_alignment_goes_with_shift_roll_and_scale(
    roll: float, scale: float, x: float, y: float, noise: list[float]
) -> None:
    points = np.zeros((68, 2))
    five = TEMPLATE + np.reshape(noise, (5, 2))
    points[36:42], points[42:48], points[30], points[48], points[54] = five
    angle = np.radians(roll)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = points @ turn.T + (x, y)
    before, after = arcface_square(points, 112), arcface_square(moved, 112)
    np.testing.assert_allclose(after[:, :2], turn @ before[:, :2], atol=1e-6 * scale)
    np.testing.assert_allclose(after[:, 2], turn @ before[:, 2] + (x, y), atol=1e-5 * max(scale, 1))


def test_a_mirrored_face_gives_the_mirrored_chip(arc: tuple[Path, ArcFaceLike], seen: Observation) -> None:
    encoder = quick(arc[0])
    turned = np.ascontiguousarray(seen.photo.pixels[:, ::-1])
    width = turned.shape[1]
    landmarks = (seen.face.landmarks * (-1, 1) + (width - 1, 0))[MIRROR]
    chip = encoder.chips(seen.photo, seen.face, ["face"])[0].astype(float)
    mirrored = encoder.chips(Photo.from_array(turned), replace(seen.face, landmarks=landmarks), ["face"])
    # the published template is not quite symmetric: the mirrored face lies less than two pixels beside it
    apart = [np.abs(np.roll(mirrored[0][:, ::-1].astype(float), by, 1) - chip).mean() for by in range(-2, 3)]
    assert min(apart) < 4
    assert np.abs(mirrored[0].astype(float) - chip).mean() > 3 * min(apart)  # or anything would do


def test_photo_and_chip_alignment(tmp_path: Path, seen: Observation) -> None:
    whole = quick(spot(tmp_path / "a.onnx", slice(0, 32), slice(0, 32)))
    assert whole.views == ("image",)
    bright = whole.embed(seen.photo, seen.face, ["image"])[0]
    height, width = seen.photo.pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = seen.photo.pixels[top : top + side, left : left + side]
    np.testing.assert_allclose(bright[1:], middle.mean((0, 1)) / 255, atol=0.02)
    chip = quick(spot(tmp_path / "b.onnx", slice(0, 32), slice(0, 32), alignment="chip"))
    assert chip.views == ()
    assert chip.embed(seen.photo, seen.face, ["eyes", "mouth"]).shape == (2, 4)
    with pytest.raises(InputError, match="sees image alone, and no region eyes"):
        whole.embed(seen.photo, seen.face, ["eyes"])


def test_several_encoders_have_regions_of_their_own(arc: tuple[Path, ArcFaceLike], tmp_path: Path) -> None:
    face, arcface = anthropo.load_encoder(), quick(arc[0])
    both = Encoders(each=(face, arcface))
    assert both.views[-1] == "face@onnx:arc.onnx"
    asked = asked_of(both, ["mouth@face-resnet", "face@onnx:arc.onnx"])
    assert [(one.name, plain) for one, plain, _ in asked] == [
        ("face-resnet", ("mouth",)),
        ("onnx:arc.onnx", ("face",)),
    ]
    with pytest.raises(InputError, match="no such encoder"):
        asked_of(both, ["face"])
    again = pickle.loads(pickle.dumps(both))
    assert (again.name, again.digest, again.size) == (both.name, both.digest, 150)


# --------------------------------------------------------------------------------- a sidecar that lies

SOUND = 'size = 32\nmean = 0\nscale = 255\ncolour = "RGB"\nalignment = "photo"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SOUND.replace("32", "48"), "takes picture: float32 (any, 3, 32, 32); its sidecar says"),
        (SOUND.replace("RGB", "grey"), "its sidecar says pictures (1, 32, 32)"),
        (SOUND + 'layout = "NHWC"\n', "its sidecar says pictures (32, 32, 3)"),
        (SOUND.replace("mean = 0", "mean = [0, 1]"), "mean = [0, 1]: has 2 numbers for 3 channels"),
        (SOUND.replace("mean = 0", "mean = nan"), "mean = nan: needs to be between -1000 and 1000"),
        (SOUND.replace("mean = 0", 'mean = "a"'), "mean = a: needs to be a number, or a list of three"),
        (SOUND.replace("255", "0.5"), "scale = 0.5: needs to be 1 or more"),
        (SOUND.replace("255", "[1, 2, 0]"), "needs to be 1 or more"),
        (SOUND.replace('"RGB"', '"CMYK"'), "colour = CMYK: needs to be RGB, BGR or grey"),
        (SOUND.replace("photo", "portrait"), "alignment = portrait: needs to be chip, arcface or photo"),
        (SOUND.replace("size = 32", "size = 1e9"), "size = 1000000000.0: needs to be a whole number from 16"),
        (SOUND.replace("size", "sise"), "no option 'sise'. Did you mean size?"),
        (SOUND.replace('colour = "RGB"\n', ""), "colour is missing: order of the channels"),
        (SOUND + "dimension = 5\n", "states dimension = 5, and the file states 4"),
        (SOUND + 'output = "fc1"\n', "no output 'fc1', which its sidecar names. There are embedding"),
        (SOUND.replace("RGB", "\\u202e"), r"colour = \u202e: needs to be RGB, BGR or grey"),
        (SOUND + "permissive = true\n", "permissive = true needs licence and data"),
        (SOUND + 'commercial_use = "yes"\n', "commercial_use = yes: needs to be true or false"),
        ("size = ", "not valid TOML"),
    ],
)  # fmt: skip
def test_a_sidecar_that_lies(tmp_path: Path, text: str, says: str) -> None:
    path = spot(tmp_path / "net.onnx", slice(0, 8), slice(0, 8))
    path.with_suffix(".toml").write_text(text)
    with pytest.raises(InputError) as error:
        load(path)
    assert says in str(error.value)


def test_no_sidecar_and_no_file(tmp_path: Path) -> None:
    path = spot(tmp_path / "net.onnx", slice(0, 8), slice(0, 8))
    path.with_suffix(".toml").unlink()
    with pytest.raises(InputError, match=r"no net\.onnx\.toml beside it, which says how"):
        load(path)
    with pytest.raises(WeightsError, match="no such weights file"):
        load(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="the file holds its weights"):
        anthropo.load_encoder(f"onnx:{path}", weights=path)


def test_a_permissive_run_asks_the_sidecar(tmp_path: Path) -> None:
    path = spot(tmp_path / "net.onnx", slice(0, 8), slice(0, 8))
    with (
        anthropo.permissive(),
        pytest.raises(anthropo.LicenceError, match="does not state that code, weights"),
    ):
        load(path)
    text = SOUND + 'permissive = true\nlicence = "MIT"\ndata = "CC0"\n'
    path.with_suffix(".toml").write_text(text)
    with anthropo.permissive():
        assert quick(path).permissive


# ---------------------------------------------------------------------------------- files from anywhere


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    path.with_suffix(".toml").write_text(SOUND)
    return path


def graph_of(*nodes: bytes, initial: bytes = b"") -> bytes:
    """A model of one picture and one output, with these nodes between."""
    graph = Graph()
    picture = graph.input("picture", ("n", 3, 32, 32))
    flat = graph.node("Flatten", graph.node("GlobalAveragePool", picture))
    graph.output(flat, "embedding", ("n", 3))
    graph._parts += [*nodes, initial]
    return graph.to_bytes()


def node(operator: str, domain: str = "", attribute: bytes = b"") -> bytes:
    parts = [_field(1, b"picture"), _field(2, b"unused"), _field(4, operator.encode())]
    parts += [_field(7, domain.encode())] if domain else []
    return _field(1, b"".join([*parts, attribute]))


EXTERNAL = _field(5, _field(1, 3) + _field(2, 1) + _field(8, b"w") + _field(13, _field(1, b"location")))
INNER = _field(5, _field(1, b"then_branch") + _field(6, node("Loop")) + _field(20, 5))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not an ONNX file, damaged or incomplete"),
        (b"PK\x03\x04" + bytes(100), "not an ONNX file"),
        (graph_of()[:-40], "not an ONNX file, damaged or incomplete"),
        (graph_of(node("Relu", "com.microsoft")), "the operator 'Relu' of 'com.microsoft'"),
        (graph_of(node("Anything", "evil.domain")), "the operator 'Anything' of 'evil.domain'"),
        (graph_of(node("Loop")), "the operator Loop, which no network of pictures needs"),
        (graph_of(node("If", attribute=INNER)), "the operator Loop, which no network"),
        (graph_of(initial=EXTERNAL), "its weights are in another file, and nothing but"),
        (graph_of(initial=_field(5, _field(1, 3) + _field(2, 1) + _field(14, 1))), "in another file"),
        (graph_of() + _field(25, b"\x0a\x01f"), "functions of its own"),
        (graph_of() + _field(20, b""), "instructions for training"),
        (graph_of(initial=_field(5, _field(1, 1 << 40) + _field(2, 1))), "more numbers than a file can have"),
        (graph_of(node("NoSuchOperator")), "ONNX Runtime cannot run it"),
        (graph_of() + _field(7, graph_of()), "not an ONNX file"),
    ],
)  # fmt: skip
def test_a_file_that_asks_for_what_no_network_needs(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(WeightsError) as error:
        load(written(tmp_path / "net.onnx", data))
    assert says in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "net.onnx"))


def test_files_are_looked_through_before_anything_runs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anthropo.encoder import own

    def never(*_: Any) -> Any:
        raise AssertionError("it was run")

    monkeypatch.setattr(own, "try_out", never)
    for data in (graph_of(node("X", "evil")), graph_of(initial=EXTERNAL)):
        with pytest.raises(WeightsError):
            load(written(tmp_path / "net.onnx", data))


def test_a_few_bytes_that_want_all_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anthropo.encoder import onnx_trial

    monkeypatch.setattr(onnx_trial, "_MEMORY", 1 << 30)
    graph = Graph()
    picture = graph.input("picture", ("n", 3, 32, 32))
    large = graph.constant(np.array([1, 3, 1 << 15, 1 << 15], np.int64))
    mean = graph.node(
        "GlobalAveragePool", graph.node("Expand", graph.node("GlobalAveragePool", picture), large)
    )
    graph.output(graph.node("Flatten", mean), "embedding", ("n", 3))
    with pytest.raises(WeightsError, match=r"memory|cannot run it"):
        load(written(tmp_path / "net.onnx", graph.to_bytes()))


@pytest.mark.parametrize(
    ("operators", "says"),
    [
        (("Log",), "not finite for a grey picture and one of noise"),
        (("RandomNormalLike",), "gives another answer to the same picture each time"),
    ],
)
def test_answers_that_are_none(tmp_path: Path, operators: tuple[str, ...], says: str) -> None:
    graph = Graph()
    x = graph.node("Flatten", graph.node("GlobalAveragePool", graph.input("picture", ("n", 3, 32, 32))))
    if operators == ("Log",):
        x = graph.node("Log", graph.node("Sub", x, x))
    else:
        x = graph.node("RandomNormalLike", x)
    graph.output(x, "embedding", ("n", 3))
    with pytest.raises(WeightsError, match=says):
        load(written(tmp_path / "net.onnx", graph.to_bytes()))


def test_a_photo_without_numbers_is_one_photo(tmp_path: Path) -> None:
    graph = Graph()  # the logarithm of how red a picture is
    mean = graph.node("Flatten", graph.node("GlobalAveragePool", graph.input("picture", ("n", 3, 32, 32))))
    graph.output(graph.node("Log", mean), "embedding", ("n", 3))
    encoder = load(written(tmp_path / "net.onnx", graph.to_bytes()))
    dark = Photo.from_array(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(PhotoError, match=r"the encoder onnx:net\.onnx gives no finite numbers for it"):
        encoder.embed(dark, None, ["image"])


def test_inputs_and_outputs_that_do_not_fit(tmp_path: Path) -> None:
    graph = Graph()
    two = graph.node("Add", graph.input("a", ("n", 3, 32, 32)), graph.input("b", ("n", 3, 32, 32)))
    graph.output(graph.node("Flatten", graph.node("GlobalAveragePool", two)), "embedding", ("n", 3))
    with pytest.raises(WeightsError, match="needs 2 inputs"):
        load(written(tmp_path / "two.onnx", graph.to_bytes()))
    graph = Graph()
    picture = graph.input("picture", (1, 3, 32, 32))  # one at a time
    graph.output(graph.node("GlobalAveragePool", picture), "map", (1, 3, 1, 1))
    graph.output(picture, "whole", (1, 3, 32, 32))
    path = written(tmp_path / "one.onnx", graph.to_bytes())
    with pytest.raises(InputError, match=r"has 2 outputs \(map, whole\)\. Name the embedding as `output`"):
        load(path)
    path.with_suffix(".toml").write_text(SOUND + 'output = "whole"\n')
    with pytest.raises(WeightsError, match="an embedding has"):
        load(path)
    path.with_suffix(".toml").write_text(SOUND + 'output = "map"\n')
    assert load(path).embed(
        Photo.from_array(np.full((40, 40, 3), 51, np.uint8)), None, ["image"]
    ).tolist() == [pytest.approx([0.2, 0.2, 0.2], rel=1e-4)]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_in_one_sentence(data: st.DataObject) -> None:
    """Cut, changed and repeated bytes: looked through or refused, and nothing else."""
    sound = bytearray(graph_of(node("Relu")))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(len(sound) - 1, 0)))
        how = data.draw(st.sampled_from(["byte", "cut", "twice", "insert"]))
        if how == "byte" and sound:
            sound[at] = data.draw(st.integers(0, 255))
        elif how == "cut":
            del sound[at:]
        elif how == "twice":
            sound[at:at] = sound[at : at + data.draw(st.integers(0, 60))]
        else:
            sound[at:at] = data.draw(st.binary(max_size=12))
    said = ""
    try:
        found = look_through(bytes(sound), "net.onnx")
        assert found.operators
        assert "Loop" not in found.operators
    except WeightsError as error:
        said = str(error)
    assert not said or said.startswith("net.onnx: ")
    assert "\n" not in said


def test_too_deep_and_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = node("Relu")
    for _ in range(12):
        inner = node("If", attribute=_field(5, _field(1, b"then_branch") + _field(6, inner) + _field(20, 5)))
    with pytest.raises(WeightsError, match="graphs more than 8 deep"):
        look_through(graph_of(inner), "net.onnx")
    monkeypatch.setattr(onnx_file, "_MOST_NODES", 10)
    with pytest.raises(WeightsError, match="more than 10 operations"):
        look_through(graph_of(*[node("Relu")] * 11), "net.onnx")
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 10)
    with pytest.raises(WeightsError, match="at most 1 GB"):
        look_through(graph_of(), "net.onnx")


def test_a_shuffled_network_knows_nothing(arc: tuple[Path, ArcFaceLike], seen: Observation) -> None:
    data = arc[0].read_bytes()
    file = look_through(data, "arc.onnx")
    assert file.parameters == pytest.approx(sum(p.numel() for p in arc[1].parameters()), rel=0.01)
    shuffled = shuffled_weights(data, file, 1)
    assert len(shuffled) == len(data)
    assert shuffled != data
    encoder = quick(arc[0])
    assert isinstance(encoder, OnnxEncoder)
    nothing = encoder.randomised(1).embed(seen.photo, seen.face, ["face"])
    assert np.isfinite(nothing).all()
    known = encoder.embed(seen.photo, seen.face, ["face"])
    assert abs(np.corrcoef(known.ravel(), nothing.ravel())[0, 1]) < 0.5
