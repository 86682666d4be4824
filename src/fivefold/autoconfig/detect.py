"""What a source is: its kind, and a dataset block for it.

A dataset block of records alone, where nothing is to be predicted.
"""

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

UNSUPERVISED_NOTE = "no labels were found, so nothing is to be predicted (task unsupervised)"


def make_unsupervised(proposal: DatasetProposal, source: Path, *notes: str) -> DatasetProposal:
    """Return the block of the same records if nothing is to be predicted: drawn at random, if not by group or given.

    notes: what to say before what was said of the block.

    Raises:
        DataError: it is of a kind from which something has to be predicted.
    """
    block = proposal.block
    if block["kind"] not in UNSUPERVISED_KINDS:
        raise DataError(
            f"--task {UNSUPERVISED} is of {', '.join(UNSUPERVISED_KINDS)}, but {source} is taken for {block['kind']}; say another"
            " --kind, or leave out --task"
        )
    kept = {key: value for key, value in block.items() if key not in ("target", "log_target")}
    split = {"by": "random", **DEFAULT_FRACTIONS} if block["split"]["by"] == "stratified" else block["split"]
    return DatasetProposal(
        {**kept, "task": UNSUPERVISED, "split": split}, (*notes, *proposal.notes), proposal.text_columns
    )


def is_flat_folder(names: Iterable[str]) -> bool:
    """Say whether the images among these files all lie in one folder, or in train, test and the like."""
    folders = {path.parent for path in map(PurePosixPath, names) if is_image(path)}
    return len(folders) == 1 or (bool(folders) and all(folder.name.lower() in SPLIT_ALIASES for folder in folders))


IMAGE_FOLDER, SEQUENCE_FOLDER = "a folder or zip of images", "a folder of sequences"
PREDEFINED_SPLIT = {"by": "predefined", "validation": DEFAULT_FRACTIONS["validation"]}
"""As the source says it; if it has no validation rows, so many training rows become them."""

TRAIN_SUFFIXES = tuple(f"_train{suffix}" for suffix in ucr.PAIR_SUFFIXES)
LABELED_TASKS = ("classification", "regression", UNSUPERVISED)
NON_TABULAR_SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    ".txt": (("text",), (), "the next character is told"),
    ".ts": (("sequences",), LABELED_TASKS, "the labels stand behind the values"),
    ".npz": (("images", "sequences"), LABELED_TASKS, "the array y holds the labels"),
    SEQUENCE_FOLDER: (("sequences",), LABELED_TASKS, "the labels stand beside the values"),
    IMAGE_FOLDER: (("images",), ("classification", UNSUPERVISED), "the folder of an image is its label"),
}
"""What is no table: of which kinds it can be, which tasks it can ask, and where its target is."""

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
    """Return a dataset block for `source`; what is left out, as in `Said`, is inferred.

    Raises:
        DataError: it cannot be told what the source is, or which column is the target; or an option does not fit it.
    """
    said = AddOptions(
        target, kind, size, dates, task, header, sequence_id, time_step, time, skip_invalid
    ).resolve_kind()
    found = _detect_dataset(source, said)
    if said.task == UNSUPERVISED:
        found = make_unsupervised(found, source)
    if size is None:
        return found
    if found.block["kind"] != "images":
        raise DataError(f"--size is for images, but {source} is taken for {found.block['kind']}; leave it out")
    return DatasetProposal({**found.block, "size": list(size)}, found.notes)


def _detect_dataset(source: Path, options: AddOptions) -> DatasetProposal:
    form = _source_format(source)
    if form in NON_TABULAR_SOURCES:
        _check_options(form, options)
    if options.header is not None and not source.name.lower().endswith(CSV_SUFFIXES):
        raise DataError(
            f"--header and --no-header are for {', '.join(CSV_SUFFIXES)}, but the source is {source}; leave it out"
        )
    if form == ".txt":
        return DatasetProposal(_language_block())
    if form == SEQUENCE_FOLDER:
        _, labels, _ = ucr.read_pair(source, labeled=False)
        return _propose_labeled("sequences", labels, options.task, source, is_predefined=True)
    if form == ".ts":
        _, labels = read_ts(source, labeled=False)
        return _propose_labeled("sequences", labels, options.task, source, is_predefined=False)
    if form == ".npz":
        return _propose_npz(source, options)
    if source.is_file() and idx.is_idx(source):
        raise DataError(f"{source} must come with its labels; name the folder that holds the IDX files")
    if form == IMAGE_FOLDER:
        return _propose_image_folder(source, options)
    if (
        source.suffix == ".sklearn"
        and options.kind in ("", "images")
        and "digits" in source.read_text(errors="replace")
    ):
        _, digit = load_bundled(source)
        if options.target not in ("", digit):
            raise DataError(
                f"--target must be left out or be {digit} for {source}, but is {options.target!r}; leave it out"
            )
        return DatasetProposal(_image_block(is_predefined=False))
    if not source.name.lower().endswith(TABLE_SUFFIXES):
        raise DataError(
            f"{source} must be {', '.join(TABLE_SUFFIXES)}, .txt, .ts, .npz, .zip or a folder of images, but is none of them;"
            " convert it"
        )
    return _propose_frame(source, options)


def _source_format(source: Path) -> str:
    if source.is_dir() and any(path.name.lower().endswith(TRAIN_SUFFIXES) for path in source.iterdir()):
        return SEQUENCE_FOLDER
    return IMAGE_FOLDER if source.is_dir() or source.suffix == ".zip" else source.suffix


def _check_options(source_format: str, options: AddOptions) -> None:
    """Refuse options that a form of source cannot follow."""
    kinds, tasks, where = NON_TABULAR_SOURCES[source_format]
    if options.task and options.task not in tasks:
        may = f"must be {' or '.join(tasks)}" if tasks else "must be left out"
        raise DataError(f"--task {may} for {source_format}, but is {options.task!r}; leave it out")
    if options.kind and options.kind not in kinds:
        raise DataError(
            f"--kind must be {' or '.join(kinds)} for {source_format}, but is {options.kind!r}; leave it out"
        )
    for option, name in options.column_options():
        raise DataError(f"{option} names a column, but {source_format} has none: {where}; leave out {option} {name}")


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
    """Return a block for images in folders, or for IDX files."""
    names = _list_paths(source)
    found = DatasetProposal(_image_block(is_predefined=len(idx.list_splits(source)) > 1 or _has_split_folders(source)))
    if not options.task and (is_flat_folder(names) or not idx.has_labels(source)):
        found = make_unsupervised(found, source, UNSUPERVISED_NOTE)
    if idx.is_idx(source) or options.size is not None:
        return found
    tables = sorted(name for name in names if name.lower().endswith((*TABLE_SUFFIXES, ".npz", ".ts", ".txt")))
    wanted, why = infer_image_size(source)
    if wanted is None and tables and not any(name.lower().endswith((".png", ".jpg", ".jpeg")) for name in names):
        what = "unpack it, and add one of them" if source.is_file() else "add one of them"
        raise DataError(f"{source} must hold PNG or JPEG files, but holds {format_list(tables)} and no image; {what}")
    return DatasetProposal({**found.block, "size": list(wanted)}, (*found.notes, why)) if wanted else found


def _list_paths(source: Path) -> list[str]:
    """Return the paths in a folder or zip; none if it cannot be read, since reading it says what is wrong."""
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
    tops = {part.lower() for parts in paths for part in parts[:2]} & set(SPLIT_ALIASES)
    return {SPLIT_ALIASES[top] for top in tops} >= {"train", "test"}


def _propose_npz(source: Path, options: AddOptions) -> DatasetProposal:
    arrays = read_npz(source, labeled=False)
    x, by_source = arrays["x"], "split" in arrays
    images = x.dtype == np.uint8 and x.ndim in (3, 4)
    wanted = options.kind or ("images" if images else "sequences")
    labels = pd.Series(arrays["y"].ravel()) if "y" in arrays else pd.Series([None] * len(x), dtype=object)
    found = _propose_labeled(wanted, labels, options.task, source, is_predefined=by_source)
    return DatasetProposal(found.block, (*found.notes, *_kind_notes(wanted, options.kind)))


def _propose_labeled(kind: str, labels: pd.Series, task: str, source: Path, *, is_predefined: bool) -> DatasetProposal:
    """Return a block of records with a label or a value each, or with none; words are classes, though they be 1 and 2.

    labels: missing where there are none.
    """
    alone = not task and bool(labels.isna().all())
    untold = not task
    task = task or (infer_task(labels) if pd.api.types.is_numeric_dtype(labels.dtype) else "classification")
    split = dict(PREDEFINED_SPLIT) if is_predefined else default_split(labels, task)
    normalize = "minmax" if kind == "images" else "standard"
    notes = note_possible_classes(labels) if untold and task == "regression" else ()
    found = DatasetProposal({"kind": kind, "task": task, "split": split, "normalize": normalize}, notes)
    return make_unsupervised(found, source, UNSUPERVISED_NOTE) if alone else found


def _propose_frame(source: Path, options: AddOptions) -> DatasetProposal:
    sniffed = sniff_csv(source) if source.name.lower().endswith(CSV_SUFFIXES) else CSVDialect()
    form = (
        sniffed.csv_format
        if options.header is None
        else sniffed.csv_format.model_copy(update={"header": options.header})
    )
    frame = read_frame(source, form)
    odd = nested_cells(frame)
    if odd:
        raise DataError(
            f"{source}: cells must be numbers, words or dates, but column {odd[0]!r} holds {odd[1]}; give each number a"
            " column of its own, or save images in a folder for each class"
        )
    form = form.model_copy(update={"dates": infer_date_format(frame, options.dates, source)})
    frame = normalize_dates(frame, form)
    how = form.model_dump(exclude_defaults=True)
    found = propose_dataset(frame, source, options)
    block = dict(found.block)
    taken = block.pop("kind")
    doubts = (sniffed.ambiguity,) if sniffed.ambiguity else ()
    kind = () if taken == "table" else _kind_notes(taken, options.kind)
    others = [found.block["target"]] if found.block["task"] == "classification" else options.time_columns
    written = () if taken == "text" else (*note_formatted_numbers(frame.drop(columns=list(others))), *note_units(frame))
    notes = (*doubts, *_leading_zero_notes(sniffed, found.block), *written, *found.notes, *kind)
    return DatasetProposal({"kind": taken, **({"format": how} if how else {}), **block}, notes, found.text_columns)


def _leading_zero_notes(dialect: CSVDialect, block: Block) -> Iterator[str]:
    """Yield what to say of columns whose zeros are lost; classes keep theirs, and only of a table types can be said."""
    for name, cell in dialect.code_columns.items() if block["kind"] == "table" else ():
        if name != block.get("target"):
            remedy = f"set `columns: {{{name}: {{type: categorical}}}}`"
            yield f"{name}: {cell} is read as a number; if it is a code, {remedy}"


def _kind_notes(inferred_kind: str, requested_kind: str) -> tuple[str, ...]:
    return () if requested_kind else (f"taken for {inferred_kind}; --kind says it otherwise",)
