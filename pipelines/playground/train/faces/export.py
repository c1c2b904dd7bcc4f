"""Trained networks become ONNX files that insightface loads, with weights in half precision."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch
from torch import nn

from pipelines.playground.train.faces.networks import CROP

OUTPUTS = [f"{kind}_{stride}" for kind in ("score", "bbox", "kps") for stride in (8, 16, 32)]
"""In the order that insightface's `SCRFD` reads; it goes by place, not by name."""

SMALL = 256
"""Tensors with fewer elements keep float32."""


def export_detector(network: nn.Module, file: Path) -> None:
    """Write the detector for one picture of any height and width that are multiples of 32."""
    sizes = {"input": {2: "height", 3: "width"}, **{name: {0: name} for name in OUTPUTS}}
    _export(network, torch.zeros(1, 3, 128, 128), file, OUTPUTS, sizes)


def export_recogniser(network: nn.Module, file: Path) -> None:
    """Write a recogniser for any number of crops."""
    _export(network, torch.zeros(1, 3, CROP, CROP), file, ["embedding"], {"input": {0: "count"}, "embedding": {0: "count"}})


def _export(network: nn.Module, example: torch.Tensor, file: Path, outputs: list[str], sizes: dict) -> None:
    import onnx

    with io.BytesIO() as written, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package says that there is a newer one
        torch.onnx.export(
            network.eval(), (example,), written, input_names=["input"], output_names=outputs, dynamic_axes=sizes, opset_version=17,
            dynamo=False,
        )  # fmt: skip
        model = onnx.load_from_string(written.getvalue())
    halve(model)
    onnx.checker.check_model(model)
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(file))


def halve(model) -> None:
    """Keep the large float32 tensors of an onnx.ModelProto in float16, cast back where they are used: half the file's size."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph, casts = model.graph, []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= SMALL:
            stored = f"{tensor.name}.half"
            casts.append(helper.make_node("Cast", [stored], [tensor.name], name=f"Widen_{tensor.name}", to=TensorProto.FLOAT))
            graph.initializer.remove(tensor)
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), stored))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
