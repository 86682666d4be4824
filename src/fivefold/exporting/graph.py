"""A whole model as one ONNX graph: raw units in, probabilities or values out."""

import json
import logging
import warnings
from pathlib import Path

import onnx
import torch

from ..data.dataset import Array
from ..models.serialization import Saved, gives_of, interface_of


def export(saved: Saved, example: Array, path: Path) -> None:
    """Write the model as ONNX, any number of rows a call.

    example: two raw records or rows of noise, or more, (n, ...): the graph takes their type and the shape of one.
    The file's metadata says what it takes and gives, as JSON under the key `fivefold`.
    """
    interface = interface_of(saved.network, saved.schema)
    # what the exporter says while it works is about operators of packages that are not installed
    for room in ("torch.onnx", "onnxscript"):
        logging.getLogger(room).setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            saved.model,
            (torch.from_numpy(example.copy()),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("rows")},),
            input_names=[interface.input],
            output_names=[interface.output],
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = program.model_proto
    _strip(model.graph)
    schema = saved.schema
    facts = {
        "name": saved.facts["name"],
        "fingerprint": saved.facts["fingerprint"],
        "takes": {
            "features": schema.features,
            "shape": interface.takes,
            "dtype": interface.takes_dtype,
            "columns": [column.model_dump() for column in schema.columns],
            "tokens": schema.tokens,
            "vocabulary": schema.vocabulary,
        },
        "gives": gives_of(saved),
    }
    onnx.helper.set_model_props(model, {"fivefold": json.dumps(facts)})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _strip(graph: onnx.GraphProto) -> None:
    """Remove the exporter's notes: they hold paths of this machine, and change from run to run."""
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph):
        del part.metadata_props[:]
        part.doc_string = ""
