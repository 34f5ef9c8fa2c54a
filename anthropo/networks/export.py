"""A network as an ONNX file for devices without torch: one graph, from grey levels to probabilities.

=============  ================================================================================
input          what it is
=============  ================================================================================
pictures       uint8 (n, views, size, size, 3), RGB: the network's views of each photo in their
               order; of a case its photos, where one that is black throughout does not exist
metadata       float32 (n, q), of cases that have metadata: see the file's own metadata
=============  ================================================================================

=============  ================================================================================
output         what it is
=============  ================================================================================
probabilities  float32 (n, labels), averaged over the views
embedding      float32 (n, views × numbers): each view's embedding, one after the other
=============  ================================================================================

n, and of cases the number of photos, may change from call to call. The file's metadata tell labels, views,
size, alignment and the rest of what has to be known to cut the pictures, as JSON.
"""

from __future__ import annotations

import copy
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anthropo import __version__
from anthropo.encoder.runtime import open_session
from anthropo.errors import ModelError, WeightsError, not_installed
from anthropo.files import write
from anthropo.learning.model_readers import as_written
from anthropo.networks.architectures import Attributes, Cases, Separate
from anthropo.networks.bench_worker import EMBEDDING, METADATA, PICTURES, PROBABILITIES
from anthropo.networks.network import Network, as_probabilities
from anthropo.quiet import hushed
from anthropo.showing import fielded

if TYPE_CHECKING:
    import pandas as pd

Pixels = NDArray[np.uint8]

#: How far an ONNX file's answers may be from torch's; of embeddings in units of their largest number.
TOLERANCE = 1e-4
#: Photos that are enough to find the range of every layer.
CALIBRATION = 32
_OPSET = 17
# What an ONNX file says of the network's pictures.
_DESCRIBED = ("size", "grey", "mean", "std", "alignment", "crops", "dimension", "metadata")
_TRIAL = 3  # pictures that both are compared on where no photo is given
# The layers that take the time. What turns grey levels into inputs and outputs into probabilities stays
# float: there 256 steps are too few.
_QUANTISED = ("Conv", "Pad", "Add", "Concat", "Relu", "Clip", "MaxPool", "AveragePool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An ONNX file that was written, and how far its answers are from the network's."""

    size: int  # bytes
    difference: float  # largest from torch's probabilities
    embedding_difference: float  # the same of embeddings, in units of their largest number
    agreement: float  # share of the compared photos whose first label is the same
    compared: int  # photos

    __repr__ = fielded

    def to_frame(self) -> pd.DataFrame:
        """A table of one row."""
        import pandas as pd

        return pd.DataFrame([asdict(self)])


# ------------------------------------------------------------------------------------------ the graph


class _Graph(nn.Module):
    """A network from grey levels to probabilities and embeddings, with operations that ONNX has."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        about = network.about
        self.task, self.loss = network.task, about.parameters.loss
        self.head = about.spec.head
        self.size, self.inputs = network.size, network.normalised
        self.views = nn.ModuleList(_Split(module) for module in network.modules)

    def forward(self, pictures: Tensor, metadata: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.task == "cases":
            module: Any = self.views[0]
            single = module(self.inputs(pictures.reshape(-1, self.size, self.size, 3)))
            there = (pictures.to(torch.float32).amax((2, 3, 4)) > 0).to(torch.float32)
            summed = (single.reshape(*pictures.shape[:2], -1) * there[:, :, None]).sum(1)
            mean = summed / there.sum(1, keepdim=True).clamp(min=1)
            return self._probabilities(module.heads[0].judge(mean, metadata)), mean
        probabilities, embeddings = [], []
        for at, view in enumerate(self.views):
            outputs, features = view(self.inputs(pictures[:, at]))
            probabilities.append(self._probabilities(outputs))
            embeddings.append(features)
        return torch.stack(probabilities).mean(0), torch.cat(embeddings, 1)

    def _probabilities(self, outputs: Tensor) -> Tensor:
        return as_probabilities(outputs, self.task, self.head, self.loss)


class _Split(nn.Module):
    """A module as a body that is run once, and what stands on it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        networks: list[Any] = list(module.networks) if isinstance(module, Separate) else [module]
        self.bodies = nn.ModuleList(network.body for network in networks)
        self.heads = nn.ModuleList(map(copy.deepcopy, networks))  # which get what their bodies have given
        for head in self.heads:
            head.body = nn.Identity()

    def forward(self, x: Tensor) -> Any:
        outputs, embeddings = [], []
        head: Any
        for body, head in zip(self.bodies, self.heads, strict=True):
            seen = body(x)
            pooled = seen.mean((2, 3))
            embeddings.append(pooled)
            if isinstance(head, Cases):
                return pooled  # averaged over the photos before it is judged
            outputs.append(head.everything(seen)[0] if isinstance(head, Attributes) else head.judge(pooled))
        return torch.cat(outputs, 1), torch.cat(embeddings, 1)


# --------------------------------------------------------------------------------------------- export


def require_onnx() -> Any:
    """The library onnx, with onnxruntime installed beside it."""
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise WeightsError(
            not_installed("An ONNX file", "onnx and onnxruntime", "cnn", error=error)
        ) from None
    return onnx


def export(
    network: Network, path: Path, *, int8: bool = False, photos: Pixels | None = None, source: str = ""
) -> Exported:
    """Write a network as ONNX and compare its answers with torch's.

    With `int8` it has eight-bit integers in place of floats: with `photos`, (n, views, size, size, 3) uint8,
    of weights and activations, which makes a CPU faster; without them of weights only, which only makes the
    file smaller. Answers are compared on the photos, or on noise. The file remembers `source`, the SHA-256 of
    the network's file.
    """
    require_onnx()
    graph = _Graph(network).eval()
    data = _described(_traced(graph, network), network, int8, source)
    trial = _trial(network) if photos is None or not len(photos) else photos[:CALIBRATION]
    exported = _compared(data, graph, network, trial)
    if max(exported.difference, exported.embedding_difference) > TOLERANCE:
        raise ModelError(
            f"{path}: not written, since its answers would differ from the network's by "
            f"{exported.difference:.2g} (embeddings {exported.embedding_difference:.2g}), where "
            f"{TOLERANCE:g} is allowed. Another version of torch or onnxruntime may do better."
        )
    if int8:
        data = _quantised(data, network, None if photos is None else trial)
        exported = _compared(data, graph, network, trial)
    write(path, data)
    return exported


def _traced(graph: _Graph, network: Network) -> bytes:
    """The graph as ONNX, without a word about it on the terminal."""
    pictures = torch.from_numpy(_trial(network))
    axes = {name: {0: "n"} for name in (PICTURES, PROBABILITIES, EMBEDDING)}
    given: tuple[Tensor, ...] = (pictures,)
    names = [PICTURES]
    if network.task == "cases":
        axes[PICTURES][1] = "photos"
        if size := network.about.spec.metadata:
            given, names = (pictures, torch.zeros(len(pictures), size)), [PICTURES, METADATA]
            axes[METADATA] = {0: "n"}
    with tempfile.TemporaryDirectory() as folder, hushed(stdout=True), torch.inference_mode():
        made = Path(folder) / "plain.onnx"
        torch.onnx.export(
            graph,
            given,
            made,
            input_names=names,
            output_names=[PROBABILITIES, EMBEDDING],
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,  # the newer exporter needs another library and twenty times the time
        )
        return made.read_bytes()


def _described(data: bytes, network: Network, int8: bool, source: str) -> bytes:
    """With the metadata that a user of the file needs."""
    onnx = require_onnx()
    model = onnx.load_from_string(data)
    described, depth = network.about.to_json(), "photos of a case" if network.task == "cases" else "views"
    properties = {
        "anthropo": __version__,
        "network_sha256": source,
        "recipe": network.recipe,
        "task": network.task,
        "labels": list(network.labels),
        "views": list(network.views),
        "pictures": f"uint8 RGB, (n, {depth}, size, size, 3)",
        **{key: described[key] for key in _DESCRIBED},
        "precision": "int8" if int8 else "float32",
        "weights": as_written(network.manifest.weights),
        "use": "research only; not a medical device",
    }
    onnx.helper.set_model_props(
        model,
        {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in properties.items()},
    )
    model.producer_name, model.producer_version = "anthropo", __version__
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _quantised(data: bytes, network: Network, photos: Pixels | None) -> bytes:
    """Eight-bit integers in the layers that take the time."""
    from onnxruntime import quantization

    onnx = require_onnx()
    with tempfile.TemporaryDirectory() as folder, hushed(stdout=True):
        plain, ready, made = (Path(folder) / f"{name}.onnx" for name in ("plain", "ready", "made"))
        plain.write_bytes(data)
        quantization.shape_inference.quant_pre_process(plain, ready, skip_symbolic_shape=True)
        if photos is None:
            quantization.quantize_dynamic(
                ready, made, op_types_to_quantize=["Conv"], weight_type=quantization.QuantType.QUInt8
            )
        else:
            # of what is not in a body little time is spent, and answers are there
            others = [node.name for node in onnx.load(ready).graph.node if "/bodies." not in node.name]
            one_by_one = (feeds(network, photos[i : i + 1]) for i in range(len(photos)))
            quantization.quantize_static(
                ready,
                made,
                SimpleNamespace(get_next=lambda: next(one_by_one, None)),  # as a CalibrationDataReader has it
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(_QUANTISED),
                nodes_to_exclude=others,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        model = onnx.load(made)
    properties = {p.key: p.value for p in onnx.load_from_string(data).metadata_props}
    onnx.helper.set_model_props(model, properties)
    return bytes(model.SerializeToString())


def feeds(
    network: Network, pictures: Pixels, metadata: NDArray[np.float32] | None = None
) -> dict[str, NDArray[Any]]:
    """Inputs of the ONNX file by name; metadata that are not given are missing."""
    given: dict[str, NDArray[Any]] = {PICTURES: pictures}
    size = network.about.spec.metadata or 0
    if size:
        if metadata is None:
            metadata = np.zeros((len(pictures), size), np.float32)
            metadata[:, 1::2] = 1
        given[METADATA] = metadata
    return given


def _trial(network: Network) -> Pixels:
    """Pictures to compare on: noise that is coarse, fine, and dark."""
    random, side = np.random.default_rng(0), network.size
    depth = 2 if network.task == "cases" else len(network.views)
    coarse = random.integers(0, 256, (_TRIAL, depth, -(-side // 16), -(-side // 16), 3), dtype=np.uint8)
    coarse = coarse.repeat(16, 2).repeat(16, 3)[:, :, :side, :side]
    fine = random.integers(-20, 21, coarse.shape)
    light = np.array([1.0, 0.6, 0.2]).reshape(-1, 1, 1, 1, 1)
    pictures: Pixels = np.clip(coarse * light + fine, 0, 255).astype(np.uint8)
    if network.task == "cases":
        pictures[0, 1] = 0  # a photo that does not exist
    return pictures


def _compared(data: bytes, graph: _Graph, network: Network, photos: Pixels) -> Exported:
    """How far the file's answers are from torch's, on photos taken one by one and together."""
    session = open_session(data, 0, spinning=True)
    given = feeds(network, photos)
    together = session.run([PROBABILITIES, EMBEDDING], given)
    one = {name: values[:1] for name, values in given.items()}
    alone = session.run([PROBABILITIES, EMBEDDING], one)
    with torch.inference_mode():
        wanted = [out.numpy() for out in graph(*(torch.from_numpy(v) for v in given.values()))]
    # the graph is another writing of the network, which is therefore asked as well
    asked = network.probabilities(network.by_view(photos), given.get(METADATA))
    scale = float(np.abs(wanted[1]).max()) or 1.0
    apart = (together[0] - wanted[0], alone[0] - wanted[0][:1], together[0] - asked)
    probabilities = max(float(np.abs(difference).max()) for difference in apart)
    embeddings = max(np.abs(together[1] - wanted[1]).max(), np.abs(alone[1] - wanted[1][:1]).max())
    same = together[0].argmax(1) == wanted[0].argmax(1)
    return Exported(
        size=len(data),
        difference=probabilities,
        embedding_difference=float(embeddings) / scale,
        agreement=float(same.mean()),
        compared=len(photos),
    )
