"""Detect the kind of a source and propose a dataset block for it."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from ..data.columns.numbers import normalize_dates
from ..data.columns.roles import SPLIT_ALIASES
from ..data.readers import idx, ucr
from ..data.readers.csv import TABLE_SUFFIXES, load_bundled, read_frame
from ..data.readers.npz import read_npz
from ..data.readers.ucr import read_ts
from ..errors import DataError
from .columns import nested_cells, note_formatted_numbers, note_units
from .csv_dialect import CSVDialect, infer_date_format, sniff_csv
from .options import UNSUPERVISED, UNSUPERVISED_KINDS, AddOptions, ImageSize, infer_image_size, is_image
from .splits import DEFAULT_FRACTIONS, default_split
from .table import Block, DatasetProposal, propose_dataset
from .target import format_list, infer_task, note_possible_classes

UNSUPERVISED_NOTE = "no labels found, so the task is unsupervised"


def make_unsupervised(proposal: DatasetProposal, source: Path, *notes: str) -> DatasetProposal:
    """Return a proposal for the same data without a target; a stratified split becomes a random one.

    notes: to insert before those of the proposal.

    Raises:
        DataError: the kind of data requires a target.
    """
    block = proposal.block
    if block["kind"] not in UNSUPERVISED_KINDS:
        raise DataError(
            f"--task {UNSUPERVISED} is for {', '.join(UNSUPERVISED_KINDS)}, but {source} is detected as"
            f" {block['kind']}; choose another --kind, or omit --task"
        )
    options = {key: value for key, value in block.items() if key not in ("target", "log_target")}
    split = {"by": "random", **DEFAULT_FRACTIONS} if block["split"]["by"] == "stratified" else block["split"]
    return DatasetProposal(
        {**options, "task": UNSUPERVISED, "split": split}, (*notes, *proposal.notes), proposal.text_columns
    )


def is_flat_folder(names: Iterable[str]) -> bool:
    """Return whether all images among these files are in one folder, or in split folders such as train and test."""
    folders = {path.parent for path in map(PurePosixPath, names) if is_image(path)}
    return len(folders) == 1 or (bool(folders) and all(folder.name.lower() in SPLIT_ALIASES for folder in folders))


IMAGE_FOLDER, SEQUENCE_FOLDER = "a folder or zip of images", "a folder of sequences"
PREDEFINED_SPLIT = {"by": "predefined", "validation": DEFAULT_FRACTIONS["validation"]}
"""Split defined by the source; without validation rows, this fraction of the training rows is used."""

TRAIN_SUFFIXES = tuple(f"_train{suffix}" for suffix in ucr.PAIR_SUFFIXES)
LABELED_TASKS = ("classification", "regression", UNSUPERVISED)
NON_TABULAR_SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    ".txt": (("text",), (), "the next character is predicted"),
    ".ts": (("sequences",), LABELED_TASKS, "the labels follow the values"),
    ".npz": (("images", "sequences"), LABELED_TASKS, "the labels are in the array y"),
    SEQUENCE_FOLDER: (("sequences",), LABELED_TASKS, "the labels are in the same files as the values"),
    IMAGE_FOLDER: (("images",), ("classification", UNSUPERVISED), "the folder of an image is its label"),
}
"""Sources that are not tables: their possible kinds and tasks, and where the target is."""

CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


def detect_dataset(
    source: Path,
    target: str = "",
    kind: str = "",
    size: ImageSize | None = None,
    dates: str = "",
    *,
    skip_invalid: bool = False,
    task: str = "",
    header: bool | None = None,
    sequence_id: str = "",
    time_step: str = "",
    time: str = "",
) -> DatasetProposal:
    """Return a dataset block for `source`; options that are not given (see `AddOptions`) are inferred.

    Raises:
        DataError: the kind or the target cannot be inferred, or an option does not fit the source.
    """
    options = AddOptions(
        target, kind, size, dates, task, header, sequence_id, time_step, time, skip_invalid
    ).resolve_kind()
    proposal = _detect_dataset(source, options)
    if options.task == UNSUPERVISED:
        proposal = make_unsupervised(proposal, source)
    if size is None:
        return proposal
    if proposal.block["kind"] != "images":
        raise DataError(f"--size is for images, but {source} is detected as {proposal.block['kind']}; omit it")
    return DatasetProposal({**proposal.block, "size": list(size)}, proposal.notes)


def _detect_dataset(source: Path, options: AddOptions) -> DatasetProposal:
    source_format = _source_format(source)
    if source_format in NON_TABULAR_SOURCES:
        _check_options(source_format, options)
    if options.header is not None and not source.name.lower().endswith(CSV_SUFFIXES):
        raise DataError(
            f"--header and --no-header are for {', '.join(CSV_SUFFIXES)}, but the source is {source}; omit it"
        )
    if source_format == ".txt":
        return DatasetProposal(_language_block())
    if source_format == SEQUENCE_FOLDER:
        _, labels, _ = ucr.read_pair(source, labeled=False)
        return _propose_labeled("sequences", labels, options.task, source, is_predefined=True)
    if source_format == ".ts":
        _, labels = read_ts(source, labeled=False)
        return _propose_labeled("sequences", labels, options.task, source, is_predefined=False)
    if source_format == ".npz":
        return _propose_npz(source, options)
    if source.is_file() and idx.is_idx(source):
        raise DataError(
            f"an IDX file needs its labels, but {source} is a single file; specify the folder of the IDX files"
        )
    if source_format == IMAGE_FOLDER:
        return _propose_image_folder(source, options)
    if (
        source.suffix == ".sklearn"
        and options.kind in ("", "images")
        and "digits" in source.read_text(errors="replace")
    ):
        _, target_name = load_bundled(source)
        if options.target not in ("", target_name):
            raise DataError(
                f"--target must be omitted or {target_name} for {source}, but is {options.target!r}; omit it"
            )
        return DatasetProposal(_image_block(is_predefined=False))
    if not source.name.lower().endswith(TABLE_SUFFIXES):
        raise DataError(
            f"{source} must be {', '.join(TABLE_SUFFIXES)}, .txt, .ts, .npz, .zip or a folder of images, but is none of"
            " them; convert it"
        )
    return _propose_frame(source, options)


def _source_format(source: Path) -> str:
    if source.is_dir() and any(path.name.lower().endswith(TRAIN_SUFFIXES) for path in source.iterdir()):
        return SEQUENCE_FOLDER
    return IMAGE_FOLDER if source.is_dir() or source.suffix == ".zip" else source.suffix


def _check_options(source_format: str, options: AddOptions) -> None:
    """Raise a `DataError` for options that do not apply to a source that is not a table."""
    kinds, tasks, target_location = NON_TABULAR_SOURCES[source_format]
    if options.task and options.task not in tasks:
        rule = f"must be {' or '.join(tasks)}" if tasks else "must be omitted"
        raise DataError(f"--task {rule} for {source_format}, but is {options.task!r}; omit it")
    if options.kind and options.kind not in kinds:
        raise DataError(f"--kind must be {' or '.join(kinds)} for {source_format}, but is {options.kind!r}; omit it")
    for option, name in options.column_options():
        raise DataError(
            f"{option} needs a column, but {source_format} has none: {target_location}; omit {option} {name}"
        )


def _language_block() -> Block:
    split = {"by": "time", "validation": 0.05, "test": 0.1}
    return {
        "kind": "text",
        "task": "language_modeling",
        "tokenizer": "character",
        "lowercase": False,
        "max_length": 128,
        "split": split,
    }


def _image_block(*, is_predefined: bool) -> Block:
    split = dict(PREDEFINED_SPLIT) if is_predefined else {"by": "stratified", **DEFAULT_FRACTIONS}
    return {"kind": "images", "task": "classification", "split": split, "normalize": "minmax"}


def _propose_image_folder(source: Path, options: AddOptions) -> DatasetProposal:
    """Return a proposal for images in folders, or for IDX files."""
    names = _list_paths(source)
    is_predefined = len(idx.list_splits(source)) > 1 or _has_split_folders(source)
    proposal = DatasetProposal(_image_block(is_predefined=is_predefined))
    if not options.task and (is_flat_folder(names) or not idx.has_labels(source)):
        proposal = make_unsupervised(proposal, source, UNSUPERVISED_NOTE)
    if idx.is_idx(source) or options.size is not None:
        return proposal
    tables = sorted(name for name in names if name.lower().endswith((*TABLE_SUFFIXES, ".npz", ".ts", ".txt")))
    size, note = infer_image_size(source)
    if size is None and tables and not any(name.lower().endswith((".png", ".jpg", ".jpeg")) for name in names):
        remedy = "unpack it, and add one of them" if source.is_file() else "add one of them"
        raise DataError(
            f"{source} must contain PNG or JPEG files, but contains {format_list(tables)} and no images; {remedy}"
        )
    return DatasetProposal({**proposal.block, "size": list(size)}, (*proposal.notes, note)) if size else proposal


def _list_paths(source: Path) -> list[str]:
    """Return the paths in a folder or zip; none for an invalid zip, which the reader will report."""
    if source.is_dir():
        return [path.relative_to(source).as_posix() for path in source.rglob("*")]
    try:
        with zipfile.ZipFile(source) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError):
        return []


def _has_split_folders(source: Path) -> bool:
    if source.is_dir():
        names = {path.name.lower() for path in source.iterdir() if path.is_dir()}
        return bool(names) and names <= set(SPLIT_ALIASES)
    paths = [PurePosixPath(name).parent.parts for name in _list_paths(source)]
    splits = {folder.lower() for folders in paths for folder in folders[:2]} & set(SPLIT_ALIASES)
    return {SPLIT_ALIASES[split] for split in splits} >= {"train", "test"}


def _propose_npz(source: Path, options: AddOptions) -> DatasetProposal:
    arrays = read_npz(source, labeled=False)
    x, is_predefined = arrays["x"], "split" in arrays
    images = x.dtype == np.uint8 and x.ndim in (3, 4)
    kind = options.kind or ("images" if images else "sequences")
    labels = pd.Series(arrays["y"].ravel()) if "y" in arrays else pd.Series([None] * len(x), dtype=object)
    proposal = _propose_labeled(kind, labels, options.task, source, is_predefined=is_predefined)
    return DatasetProposal(proposal.block, (*proposal.notes, *_kind_notes(kind, options.kind)))


def _propose_labeled(kind: str, labels: pd.Series, task: str, source: Path, *, is_predefined: bool) -> DatasetProposal:
    """Return a proposal for samples with a class or a value each; strings are classes, even "1" and "2".

    labels: all missing if the source has none.
    """
    is_unlabeled = not task and bool(labels.isna().all())
    is_inferred = not task
    task = task or (infer_task(labels) if pd.api.types.is_numeric_dtype(labels.dtype) else "classification")
    split = dict(PREDEFINED_SPLIT) if is_predefined else default_split(labels, task)
    normalize = "minmax" if kind == "images" else "standard"
    notes = note_possible_classes(labels) if is_inferred and task == "regression" else ()
    proposal = DatasetProposal({"kind": kind, "task": task, "split": split, "normalize": normalize}, notes)
    return make_unsupervised(proposal, source, UNSUPERVISED_NOTE) if is_unlabeled else proposal


def _propose_frame(source: Path, options: AddOptions) -> DatasetProposal:
    dialect = sniff_csv(source) if source.name.lower().endswith(CSV_SUFFIXES) else CSVDialect()
    file_format = dialect.csv_format
    if options.header is not None:
        file_format = file_format.model_copy(update={"header": options.header})
    frame = read_frame(source, file_format)
    nested = nested_cells(frame)
    if nested:
        raise DataError(
            f"{source}: cells must be numbers, strings or dates, but column {nested[0]!r} contains {nested[1]}; use one"
            " column per number, or save images in one folder per class"
        )
    file_format = file_format.model_copy(update={"dates": infer_date_format(frame, options.dates, source)})
    frame = normalize_dates(frame, file_format)
    format_block = file_format.model_dump(exclude_defaults=True)
    proposal = propose_dataset(frame, source, options)
    block = dict(proposal.block)
    kind = block.pop("kind")
    format_notes = (dialect.ambiguity,) if dialect.ambiguity else ()
    kind_notes = () if kind == "table" else _kind_notes(kind, options.kind)
    unparsed = [proposal.block["target"]] if proposal.block["task"] == "classification" else options.time_columns
    number_notes: tuple[str, ...] = ()
    if kind != "text":
        number_notes = (*note_formatted_numbers(frame.drop(columns=list(unparsed))), *note_units(frame))
    zero_notes = _leading_zero_notes(dialect, proposal.block)
    notes = (*format_notes, *zero_notes, *number_notes, *proposal.notes, *kind_notes)
    format_block = {"format": format_block} if format_block else {}
    return DatasetProposal({"kind": kind, **format_block, **block}, notes, proposal.text_columns)


def _leading_zero_notes(dialect: CSVDialect, block: Block) -> Iterator[str]:
    """Yield notes on table columns that lose leading zeros; classes keep them, and only tables have column types."""
    for name, cell in dialect.code_columns.items() if block["kind"] == "table" else ():
        if name != block.get("target"):
            remedy = f"set `columns: {{{name}: {{type: categorical}}}}`"
            yield f"{name}: {cell} is parsed as a number; if it is a code, {remedy}"


def _kind_notes(inferred_kind: str, requested_kind: str) -> tuple[str, ...]:
    return () if requested_kind else (f"detected as {inferred_kind}; override with --kind",)
