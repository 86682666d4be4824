"""`fivefold add`: propose blocks for params.yaml, verified by preparing the dataset in memory.

A source outside the project is copied into it, completely or not at all.
"""

import re
import shutil
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from .. import paths
from ..config.base import NAME_PATTERN
from ..config.datasets import DatasetConfig
from ..config.loading import load_params
from ..config.schema import Params
from ..data.dataset import Dataset
from ..data.prepare import prepare
from ..data.schema import CheckResult
from ..errors import CheckError, DataError, ParamsError, one_line_message
from .default_model import propose_model
from .detect import detect_dataset
from .options import parse_size
from .target import format_list
from .write import insert_blocks, require_unused_name

DATASET_ADAPTER: TypeAdapter[Any] = TypeAdapter(DatasetConfig)
RAW_DIR = Path("data/raw")
MAX_CATEGORIES = 30
"""Maximum number of categories of a column; with more, rare ones are merged."""


@dataclass(frozen=True)
class AddResult:
    """The inferred blocks, the prepared dataset, and params.yaml before and after the insertion."""

    name: str
    dataset_block: dict[str, Any]
    model_block: dict[str, Any]
    dataset: Dataset
    check_results: list[CheckResult]
    yaml_before: str
    yaml_after: str
    params: Params
    source: Path
    copy_to: Path | None
    notes: tuple[str, ...] = ()
    empty_columns: tuple[str, ...] = ()
    constant_columns: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()


def add(
    source: Path,
    *,
    target: str = "",
    name: str = "",
    kind: str = "",
    size: str = "",
    in_place: bool = False,
    skip_invalid: bool = False,
    dates: str = "",
    task: str = "",
    header: bool | None = None,
    sequence_id: str = "",
    time_step: str = "",
    time: str = "",
) -> AddResult:
    """Infer a dataset block and a model block for `source`, without writing anything.

    Args:
        source: file or folder of data.
        target: column to predict; empty infers it from the column names.
        name: of the dataset and the model; empty derives it from the file name.
        kind: table, images, sequences, series or text; empty infers it.
        size: HEIGHTxWIDTH to resize images to; empty infers whether to resize and to what size.
        in_place: refer to a source outside the project by its path; otherwise it will be copied to data/raw.
        skip_invalid: turn errors of the checks into warnings: invalid cells become missing values, unreadable images
            and rows of a table without a target are dropped.
        dates: iso, dayfirst or monthfirst; empty infers it.
        task, header, sequence_id, time_step, time: see `AddOptions`.

    Raises:
        DataError: the source cannot be interpreted, or the checks report errors and `skip_invalid` is false.
        ParamsError: the name is invalid or already in use.
    """
    if not source.exists():
        raise DataError(f"a source must be a file or folder, but {source} does not exist; fix the path")
    if Path.cwd().resolve().is_relative_to(source.resolve()):
        raise DataError(f"a source must be data, but {source} contains this project; specify a folder of data")
    name = name or _default_name(source)
    if not re.fullmatch(NAME_PATTERN, name):
        raise ParamsError(f"a name must match {NAME_PATTERN}, but is {name!r}; choose another with --name")
    require_unused_name(name)
    seed = load_params().seed
    final_source, copy_to = _locate_source(source, name, in_place=in_place)
    try:
        proposal = detect_dataset(
            source,
            target,
            kind,
            parse_size(size),
            dates,
            skip_invalid=skip_invalid,
            task=task,
            header=header,
            sequence_id=sequence_id,
            time_step=time_step,
            time=time,
        )
    except OSError as error:
        raise DataError(
            f"{source} must be a readable file or folder, but is not: {error}; fix its access rights"
        ) from None
    notes, empty, constant = proposal.notes, list[str](), list[str]()
    block = {"kind": proposal.block["kind"], "source": str(source), **proposal.block}
    if block["kind"] == "table":
        cleaning, empty, constant = _propose_cleaning(block, seed, skip_invalid=skip_invalid)
        block |= cleaning
    dataset, check_results, demoted = _prepare_dataset(block, seed, skip_invalid=skip_invalid)
    if demoted:
        block["checks"] = demoted
        notes += (f"errors reported as warnings: {', '.join(demoted)} (see `checks` in params.yaml)",)
    block["source"] = final_source.as_posix()
    model = propose_model(name, dataset)
    before = paths.PARAMS.read_text(encoding="utf-8")
    after, params = insert_blocks(before, name, block, model)
    dropped = (tuple(empty), tuple(constant), proposal.text_columns)
    return AddResult(
        name, block, model, dataset, check_results, before, after, params, source, copy_to, notes, *dropped
    )


def write_result(result: AddResult, dvc_yaml: str) -> None:
    """Copy a source outside the project into it, then write params.yaml, and `dvc_yaml` as dvc.yaml."""
    if result.copy_to is not None:
        copy_source(result.source, result.copy_to)
    temporary = {path: path.with_suffix(".tmp") for path in (paths.PARAMS, paths.DVC_YAML)}
    temporary[paths.PARAMS].write_text(result.yaml_after, encoding="utf-8")
    temporary[paths.DVC_YAML].write_text(dvc_yaml, encoding="utf-8")
    for path, written in temporary.items():
        written.replace(path)


def copy_source(source: Path, target: Path) -> None:
    """Copy a file or a folder, without hidden files, which no reader uses; links are replaced by their targets.

    Raises:
        DataError: a file cannot be read or written; nothing is left behind.
    """
    partial = target.with_name(f".{target.name}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_path(partial)  # left by an interrupted copy
    try:
        if source.is_dir():
            shutil.copytree(source, partial, ignore=shutil.ignore_patterns(".*", "__MACOSX"))
        else:
            shutil.copyfile(source, partial)
        partial.replace(target)
    except OSError as error:  # includes shutil.Error
        raise DataError(
            f"{source} must be copied to {target}, but cannot be: {one_line_message(error)}; fix that"
        ) from None
    finally:
        _remove_path(partial)


def _remove_path(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _propose_cleaning(
    block: dict[str, Any], seed: int, *, skip_invalid: bool
) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return options of a table that drop uninformative columns and merge rare categories.

    Also returns the columns without any value, and those with a single value.

    Raises:
        DataError: no column is left.
    """
    dataset, check_results, _ = _prepare_dataset(
        {**block, "checks": {"identifier": "warning"}}, seed, skip_invalid=skip_invalid
    )
    schema = dataset.schema
    # an identifier that predicts the target may be a feature
    predictive = {result.column for result in check_results if result.rule == "leakage"}
    empty, constant = _uninformative_columns(dataset)
    uninformative = [*empty, *constant]
    if len(uninformative) == len(schema.columns):
        besides = f" besides {schema.target!r}" if schema.target else ""
        raise DataError(
            f"{block['source']}: at least one feature must vary, but no column{besides} does:"
            f" {format_list(uninformative)}; clean the cells, or add columns"
        )
    identifiers = [result.column for result in check_results if result.rule == "identifier"]
    drop = uninformative + [column for column in identifiers if column not in {*predictive, *uninformative}]
    if len(drop) == len(schema.columns):
        drop = uninformative  # identifiers are better than no features
    many = any(
        len(c.categories) > MAX_CATEGORIES and c.type == "categorical" for c in schema.columns if c.name not in drop
    )
    return ({"drop": drop} if drop else {}) | ({"min_frequency": 0.01} if many else {}), empty, constant


def _uninformative_columns(dataset: Dataset) -> tuple[list[str], list[str]]:
    """Return the columns of a table without any value, and those with a single value."""
    first, arrays = dataset.train.x[:1], [split.x for split in dataset.splits().values()]
    missing = np.all([np.isnan(x).all(axis=0) for x in arrays], axis=0)
    identical = np.all([(x == first).all(axis=0) for x in arrays], axis=0)
    empty, constant, start = list[str](), list[str](), 0
    for column in dataset.schema.columns:
        features = slice(start, start := start + len(column.features))
        if missing[features].all():
            empty.append(column.name)
        elif identical[features].all():
            constant.append(column.name)
    return empty, constant


def _prepare_dataset(
    block: dict[str, Any], seed: int, *, skip_invalid: bool
) -> tuple[Dataset, list[CheckResult], dict[str, str]]:
    """Return the dataset, the results of its checks, and the rules whose level was lowered to warning."""
    demoted: dict[str, str] = {}
    while True:
        checks = {**block.get("checks", {}), **demoted}
        try:
            return *prepare(DATASET_ADAPTER.validate_python({**block, "checks": checks}, strict=False), seed), demoted
        except CheckError as error:
            if not skip_invalid:
                raise DataError(
                    f"{error.summary}; or add it with --skip-invalid: {_describe_consequence(error.rules)}"
                ) from None
            demoted |= dict.fromkeys(error.rules, "warning")


def _describe_consequence(rules: Iterable[str]) -> str:
    """Return what happens to data that violate rules whose level is warning."""
    if "corrupt" in rules:
        return "such images are dropped"
    return "such cells become missing values" if {"mixed_types", "non_finite"} & set(rules) else "it becomes a warning"


def _default_name(source: Path) -> str:
    file_name = source.name if source.name.strip(".") else source.resolve().name  # for `.` and `..`
    ascii_name = unicodedata.normalize("NFKD", file_name).encode("ascii", "ignore").decode()  # "été" becomes "ete"
    stem = ascii_name.split(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "_", stem).strip("_-")[:63]


def _locate_source(source: Path, name: str, *, in_place: bool) -> tuple[Path, Path | None]:
    """Return the path of the source in params.yaml, and where to copy it, if it must be copied."""
    project = Path.cwd().resolve()
    if source.resolve().is_relative_to(project):
        return source.resolve().relative_to(project), None
    if in_place:
        return source.resolve(), None
    target = RAW_DIR / (name if source.is_dir() else name + "".join(source.suffixes))
    if target.exists():
        raise DataError(f"{source} would be copied to {target}, which already exists; choose another --name")
    return target, target
