"""Export of a model with its preprocessing and head as one ONNX graph, and verification of the graph."""

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
    """Write a model as an ONNX graph with a dynamic batch size.

    example: at least two raw input rows or noise vectors, (n, ...); defines dtype and shape of the input.

    The metadata key `fivefold` of the file holds a JSON description of input and output.
    """
    signature = infer_signature(trained_model.network_config, trained_model.schema)
    # the exporter warns about operators of packages that are not installed
    for name in ("torch.onnx", "onnxscript"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            trained_model.model,
            (torch.from_numpy(example.copy()),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("rows")},),
            input_names=[signature.input_name],
            output_names=[signature.output_name],
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = program.model_proto
    _strip_metadata(model.graph)
    schema = trained_model.schema
    metadata = {
        "name": trained_model.metadata["name"],
        "fingerprint": trained_model.metadata["fingerprint"],
        "input": {
            "features": schema.features,
            "shape": signature.input_shape,
            "dtype": signature.input_dtype,
            "columns": [column.model_dump() for column in schema.columns],
            "tokens": schema.tokenizer,
            "vocabulary": schema.vocabulary,
        },
        "output": build_output_metadata(trained_model),
    }
    onnx.helper.set_model_props(model, {"fivefold": json.dumps(metadata)})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _strip_metadata(graph: onnx.GraphProto) -> None:
    """Remove annotations of the exporter, which contain local paths and differ between runs."""
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph):
        del part.metadata_props[:]
        part.doc_string = ""


BATCH_SIZES = (1, 7, 64)
TOLERANCE = 1e-4
"""Maximum difference between ONNX and PyTorch outputs, in the units of `check_parity`."""

MISSING_FRACTION = 0.1
"""Fraction of input values set to NaN to verify imputation."""


def check_parity(trained_model: TrainedModel, x: Array, path: Path) -> dict[str, float]:
    """Compare an ONNX file with the model on raw input rows x (n, ...), at several batch sizes.

    If the preprocessing imputes missing values, the rows are also compared with missing values.

    Returns:
        The maximum difference by batch size. Probabilities and latent codes are compared as they are, regression
        outputs in standard deviations of the target, reconstructions in units of the features; values larger than
        their unit are compared relative to their size.

    Raises:
        ParityError: a difference is above 1e-4.
    """
    signature = infer_signature(trained_model.network_config, trained_model.schema)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # same as PyTorch, so that differences are reproducible
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    imputes = {"forward_fill", "impute"} & set(trained_model.model.preprocess.step_kinds)
    differences: dict[str, float] = {}
    for size, rows in product(BATCH_SIZES, (x, insert_missing_values(x)) if imputes else (x,)):
        batch = build_input_example(signature, rows, size)
        (actual,) = session.run(None, {signature.input_name: batch})
        expected = predict(trained_model.model, batch)
        difference = np.inf
        if (np.isnan(actual) == np.isnan(expected)).all():
            scale = _error_scale(trained_model.model.head, expected)
            difference = float(np.nanmax(np.abs(actual - expected) / scale))
        differences[str(size)] = max(difference, differences.get(str(size), 0.0))
    worst = max(differences, key=lambda size: differences[size])
    if not differences[worst] <= TOLERANCE:
        raise ParityError(
            f"{path.name} must match PyTorch to {TOLERANCE}, but differs by {differences[worst]:.2g} at batch size"
            f" {worst}; do not deploy it, and report the network as a bug"
        )
    return differences


def insert_missing_values(x: Array) -> Array:
    """Return rows (n, ...) with a tenth of the values set to NaN; rows that would be entirely NaN are unchanged."""
    masked = np.where(np.random.default_rng(0).random(x.shape) < MISSING_FRACTION, np.nan, x)
    is_empty = np.isnan(masked).reshape(len(x), -1).all(axis=1)
    masked[is_empty] = x[is_empty]
    return masked


def _error_scale(head: nn.Module, values: Array) -> Array:
    """Return the unit of differences: 1 for probabilities, the standard deviation of a target, or a feature's unit."""
    if isinstance(head, MultiTargetHead):
        parts = ((part, values[:, columns]) for part, columns in zip(head.heads, head.columns, strict=True))
        return np.concatenate(
            [_error_scale(part, part_values) * np.ones_like(part_values) for part, part_values in parts], axis=1
        )
    if isinstance(head, SoftmaxHead | SigmoidHead):
        return np.ones(1)
    if not isinstance(head, RegressionHead):
        inverse = getattr(head, "inverse", None)  # heads of reconstructions and generated samples
        unit = 1 if inverse is None else inverse.feature_units().numpy()
        return np.asarray(np.maximum(np.nan_to_num(np.abs(values)), unit))
    scale = np.repeat(head.state_dict()["scale"].numpy(), head.n_quantiles)
    return np.asarray(scale * np.abs(values) if head.log_target else scale)
