"""From a path to blocks in params.yaml that are known to work: the dataset is prepared in memory first.

A source that lies elsewhere comes into the project, wholly or not at all.
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
from ..config.datasets import DatasetConfig as DatasetParams
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


def copy_source(source: Path, target: Path) -> None:
    """Copy a file or a folder, but for hidden files, which no reader looks at; what links name comes in their place.

    Raises:
        DataError: a file cannot be read or written; nothing is left behind.
    """
    partial = target.with_name(f".{target.name}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_path(partial)  # of a copy that was killed
    try:
        if source.is_dir():
            shutil.copytree(source, partial, ignore=shutil.ignore_patterns(".*", "__MACOSX"))
        else:
            shutil.copyfile(source, partial)
        partial.replace(target)
    except OSError as error:  # of which shutil.Error is one
        raise DataError(
            f"{source} must be copied to {target}, but cannot be: {one_line_message(error)}; mend that"
        ) from None
    finally:
        _remove_path(partial)


def _remove_path(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


DATASET_ADAPTER: TypeAdapter[Any] = TypeAdapter(DatasetParams)
RAW_DIR = Path("data/raw")
MAX_CATEGORIES = 30
"""Categories of a column above which rare ones are merged."""


@dataclass(frozen=True)
class AddResult:
    """What `add` found, params.yaml with and without it, and what it says with it."""

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
    """Look at `source` and make blocks for it; nothing is written.

    size: HEIGHTxWIDTH to resize images to; empty infers whether and to what.
    dates: iso, day_first or month_first; empty infers it.
    accept: what checks find wrong becomes a warning: such cells are gaps, such images are left out; and so are
        rows of a table without a target.
    task, header, series, step, time: as in `Said`.
    in_place: refer to a source outside the project where it lies; else it will be copied to data/raw.

    Raises:
        DataError: it cannot be understood, or checks find what is wrong and it is not accepted; with the reason.
        ParamsError: the name is taken, or cannot be a name.
    """
    if not source.exists():
        raise DataError(f"a source must be a file or folder, but {source} does not exist; mend the path")
    if Path.cwd().resolve().is_relative_to(source.resolve()):
        raise DataError(f"a source must be data, but {source} holds this project; name a folder of data")
    name = name or _default_name(source)
    if not re.fullmatch(NAME_PATTERN, name):
        raise ParamsError(f"a name must match {NAME_PATTERN}, but is {name!r}; choose another with --name")
    require_unused_name(name)
    seed = load_params().seed
    place, copy_to = _locate_source(source, name, in_place=in_place)
    try:
        columns = {"series": sequence_id, "step": time_step, "time": time}
        found = detect_dataset(
            source,
            target,
            kind,
            parse_size(size),
            dates,
            skip_invalid=skip_invalid,
            task=task,
            header=header,
            **columns,
        )
    except OSError as error:
        raise DataError(f"{source} must be a file or folder that can be read, but is not: {error}; mend that") from None
    notes, empty, constant = found.notes, list[str](), list[str]()
    block = {"kind": found.block["kind"], "source": str(source), **found.block}
    if block["kind"] == "table":
        cleaning, empty, constant = _propose_cleaning(block, seed, skip_invalid=skip_invalid)
        block |= cleaning
    dataset, findings, allowed = _prepare_dataset(block, seed, skip_invalid=skip_invalid)
    if allowed:
        block["checks"] = allowed
        notes += (f"accepted: {', '.join(allowed)}; `checks` in params.yaml holds it",)
    block["source"] = place.as_posix()
    model = propose_model(name, dataset)
    before = paths.PARAMS.read_text(encoding="utf-8")
    after, params = insert_blocks(before, name, block, model)
    left_out = (tuple(empty), tuple(constant), found.text_columns)
    return AddResult(name, block, model, dataset, findings, before, after, params, source, copy_to, notes, *left_out)


def write_result(result: AddResult, dvc_yaml: str) -> None:
    """Copy the source if it lies outside the project, then write params.yaml, and `wiring` as dvc.yaml."""
    if result.copy_to is not None:
        copy_source(result.source, result.copy_to)
    fresh = {path: path.with_suffix(".fresh") for path in (paths.PARAMS, paths.DVC_YAML)}
    fresh[paths.PARAMS].write_text(result.yaml_after, encoding="utf-8")
    fresh[paths.DVC_YAML].write_text(dvc_yaml, encoding="utf-8")
    for path, written in fresh.items():
        written.replace(path)


def _propose_cleaning(
    block: dict[str, Any], seed: int, *, skip_invalid: bool
) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return what a table needs: columns that say nothing dropped, rare ones of many categories merged.

    The other values name the columns without any value, and those of one value.

    Raises:
        DataError: no column is left.
    """
    dataset, findings, _ = _prepare_dataset(
        {**block, "checks": {"identifier": "warning"}}, seed, skip_invalid=skip_invalid
    )
    schema = dataset.schema
    telling = {f.column for f in findings if f.rule == "leakage"}  # a number that tells the target is more than a name
    empty, constant = _uninformative_columns(dataset)
    silent = [*empty, *constant]
    if len(silent) == len(schema.columns):
        beside = f" beside {schema.target!r}" if schema.target else ""
        raise DataError(
            f"{block['source']}: a feature must have values that differ, but none{beside} has: {format_list(silent)}; clean"
            " the cells, or bring more columns"
        )
    drop = silent + [f.column for f in findings if f.rule == "identifier" and f.column not in {*telling, *silent}]
    if len(drop) == len(schema.columns):
        drop = silent  # better names than nothing
    many = any(
        len(c.categories) > MAX_CATEGORIES and c.type == "categorical" for c in schema.columns if c.name not in drop
    )
    return ({"drop": drop} if drop else {}) | ({"min_frequency": 0.01} if many else {}), empty, constant


def _uninformative_columns(dataset: Dataset) -> tuple[list[str], list[str]]:
    """Return the columns of a table that have no value in any row, and those that have one value in all of them."""
    first, sets = dataset.train.x[:1], [records.x for records in dataset.splits().values()]
    missing = np.all([np.isnan(x).all(axis=0) for x in sets], axis=0)
    same = np.all([(x == first).all(axis=0) for x in sets], axis=0)
    empty, constant, place = list[str](), list[str](), 0
    for column in dataset.schema.columns:
        features = slice(place, place := place + len(column.features))
        if missing[features].all():
            empty.append(column.name)
        elif same[features].all():
            constant.append(column.name)
    return empty, constant


def _prepare_dataset(
    block: dict[str, Any], seed: int, *, skip_invalid: bool
) -> tuple[Dataset, list[CheckResult], dict[str, str]]:
    """Return the dataset, what was found, and the rules that had to be made warnings."""
    allowed: dict[str, str] = {}
    while True:
        checks = {**block.get("checks", {}), **allowed}
        try:
            return *prepare(DATASET_ADAPTER.validate_python({**block, "checks": checks}, strict=False), seed), allowed
        except CheckError as error:
            if not skip_invalid:
                raise DataError(
                    f"{error.summary}; or add it with --accept: {_describe_consequence(error.rules)}"
                ) from None
            allowed |= dict.fromkeys(error.rules, "warning")


def _describe_consequence(rules: Iterable[str]) -> str:
    """Return what becomes of what breaks rules that are warnings."""
    if "corrupt" in rules:
        return "such images are left out"
    return "such cells are gaps" if {"mixed_types", "non_finite"} & set(rules) else "it is a warning"


def _default_name(source: Path) -> str:
    known = source.name if source.name.strip(".") else source.resolve().name  # of `.` and `..`
    plain = unicodedata.normalize("NFKD", known).encode("ascii", "ignore").decode()  # été becomes ete
    stem = plain.split(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "_", stem).strip("_-")[:63]


def _locate_source(source: Path, name: str, *, in_place: bool) -> tuple[Path, Path | None]:
    """Return where the source will lie, and where to copy it if it is not there yet."""
    here = Path.cwd().resolve()
    if source.resolve().is_relative_to(here):
        return source.resolve().relative_to(here), None
    if in_place:
        return source.resolve(), None
    target = RAW_DIR / (name if source.is_dir() else name + "".join(source.suffixes))
    if target.exists():
        raise DataError(f"{source} would be copied to {target}, but something lies there; choose another --name")
    return target, target
