"""A whole model as one ONNX graph: raw units in, probabilities or values out.

Proof that an ONNX file computes what the model computes, on real rows.
"""

import json
import logging
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from .data.dataset import Array
from .errors import ParityError
from .evaluation.predict import predict
from .models.inference import MultiTargetHead, RegressionHead, SigmoidHead, SoftmaxHead
from .models.serialization import TrainedModel, build_input_example, build_output_metadata, infer_signature


def export_onnx(trained_model: TrainedModel, example: Array, path: Path) -> None:
    """Write the model as ONNX, any number of rows a call.

    example: two raw records or rows of noise, or more, (n, ...): the graph takes their type and the shape of one.
    The file's metadata says what it takes and gives, as JSON under the key `fivefold`.
    """
    interface = infer_signature(trained_model.network_config, trained_model.schema)
    # what the exporter says while it works is about operators of packages that are not installed
    for room in ("torch.onnx", "onnxscript"):
        logging.getLogger(room).setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            trained_model.model,
            (torch.from_numpy(example.copy()),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("rows")},),
            input_names=[interface.input_name],
            output_names=[interface.output_name],
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = program.model_proto
    _strip_metadata(model.graph)
    schema = trained_model.schema
    facts = {
        "name": trained_model.metadata["name"],
        "fingerprint": trained_model.metadata["fingerprint"],
        "takes": {
            "features": schema.features,
            "shape": interface.input_shape,
            "dtype": interface.input_dtype,
            "columns": [column.model_dump() for column in schema.columns],
            "tokens": schema.tokenizer,
            "vocabulary": schema.vocabulary,
        },
        "gives": build_output_metadata(trained_model),
    }
    onnx.helper.set_model_props(model, {"fivefold": json.dumps(facts)})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _strip_metadata(graph: onnx.GraphProto) -> None:
    """Remove the exporter's notes: they hold paths of this machine, and change from run to run."""
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph):
        del part.metadata_props[:]
        part.doc_string = ""


BATCH_SIZES = (1, 7, 64)
TOLERANCE = 1e-4
MISSING_FRACTION = 0.1


def check_parity(trained_model: TrainedModel, x: Array, path: Path) -> dict[str, float]:
    """Compare the file with the model on raw records x (n, ...), at several batch sizes.

    Where the model fills in gaps, the same records are compared with gaps as well.

    Returns the largest difference by batch size: of probabilities, of values in deviations of the target, of records in
    the unit that features have, of codes and errors; as a share of the number told where that is larger.

    Raises:
        ParityError: a difference is above 1e-4.
    """
    interface = infer_signature(trained_model.network_config, trained_model.schema)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # as the model's: the difference is the same everywhere
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    fills = {"carry", "impute"} & set(trained_model.model.preprocess.step_kinds)
    differences: dict[str, float] = {}
    for size, records in product(BATCH_SIZES, (x, insert_missing_values(x)) if fills else (x,)):
        batch = build_input_example(interface, records, size)
        (found,) = session.run(None, {interface.input_name: batch})
        expected = predict(trained_model.model, batch)
        alike = (np.isnan(found) == np.isnan(expected)).all()
        apart = (
            float(np.nanmax(np.abs(found - expected) / _error_scale(trained_model.model.head, expected)))
            if alike
            else np.inf
        )
        differences[str(size)] = max(apart, differences.get(str(size), 0.0))
    worst = max(differences, key=lambda size: differences[size])
    if not differences[worst] <= TOLERANCE:
        raise ParityError(
            f"{path.name} must give what PyTorch gives to {TOLERANCE}, but differs by {differences[worst]:.2g} at batch"
            f" size {worst}; do not ship it, and report the network that does this"
        )
    return differences


def insert_missing_values(x: Array) -> Array:
    """Return records (n, ...) of which every tenth number is missing, but none wholly."""
    holes = np.where(np.random.default_rng(0).random(x.shape) < MISSING_FRACTION, np.nan, x)
    lost = np.isnan(holes).reshape(len(x), -1).all(axis=1)
    holes[lost] = x[lost]
    return holes


def _error_scale(output: nn.Module, values: Array) -> Array:
    """Return what counts as one: a probability, a deviation of the target, or the size of a large number itself."""
    if isinstance(output, MultiTargetHead):
        parts = ((part, values[:, columns]) for part, columns in zip(output.heads, output.columns, strict=True))
        return np.concatenate([_error_scale(part, told) * np.ones_like(told) for part, told in parts], axis=1)
    if isinstance(output, SoftmaxHead | SigmoidHead):
        return np.ones(1)
    if not isinstance(output, RegressionHead):
        undo = getattr(output, "inverse", None)  # of records that are told again
        unit = 1 if undo is None else undo.feature_units().numpy()
        return np.asarray(np.maximum(np.nan_to_num(np.abs(values)), unit))
    scale = np.repeat(output.state_dict()["scale"].numpy(), output.n_quantiles)
    return np.asarray(scale * np.abs(values) if output.log_target else scale)
