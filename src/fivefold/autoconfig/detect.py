"""What a source is: its kind, and a dataset block for it.

A dataset block of records alone, where nothing is to be predicted.
"""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from ..data.columns.numbers import iso_dates
from ..data.columns.roles import PARTS
from ..data.readers import idx, ucr
from ..data.readers.csv import SUFFIXES, load_bundled, read_frame
from ..data.readers.npz import read_npz
from ..data.readers.ucr import read_ts
from ..errors import DataError
from .columns import amounts_of, cells_that_are_none, units_of
from .csv_dialect import Sniffed, dates_of, sniff
from .options import RECORDS, UNSUPERVISED, Said, Size, is_image, size_for
from .splits import SHARES, split_of
from .table import Block, Found, of_columns
from .target import listed, maybe_classes, task_of

NOTE = "no labels were found, so nothing is to be predicted (task unsupervised)"


def without_target(found: Found, source: Path, *notes: str) -> Found:
    """Return the block of the same records if nothing is to be predicted: drawn at random, if not by group or given.

    notes: what to say before what was said of the block.

    Raises:
        DataError: it is of a kind from which something has to be predicted.
    """
    block = found.block
    if block["kind"] not in RECORDS:
        raise DataError(
            f"--task {UNSUPERVISED} is of {', '.join(RECORDS)}, but {source} is taken for {block['kind']}; say another"
            " --kind, or leave out --task"
        )
    kept = {key: value for key, value in block.items() if key not in ("target", "log")}
    split = {"by": "random", **SHARES} if block["split"]["by"] == "stratified" else block["split"]
    return Found({**kept, "task": UNSUPERVISED, "split": split}, (*notes, *found.notes), found.texts)


def lie_flat(names: Iterable[str]) -> bool:
    """Say whether the images among these files all lie in one folder, or in train, test and the like."""
    folders = {path.parent for path in map(PurePosixPath, names) if is_image(path)}
    return len(folders) == 1 or (bool(folders) and all(folder.name.lower() in PARTS for folder in folders))


FOLDER, PAIR = "a folder or zip of images", "a folder of sequences"
GIVEN = {"by": "column", "validation": SHARES["validation"]}
"""As the source says it; if it has no validation rows, so many training rows become them."""

TRAINING = tuple(f"_train{suffix}" for suffix in ucr.SUFFIXES)
OF_LABELS = ("classification", "regression", UNSUPERVISED)
OWN: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    ".txt": (("text",), (), "the next character is told"),
    ".ts": (("sequences",), OF_LABELS, "the labels stand behind the values"),
    ".npz": (("images", "sequences"), OF_LABELS, "the array y holds the labels"),
    PAIR: (("sequences",), OF_LABELS, "the labels stand beside the values"),
    FOLDER: (("images",), ("classification", UNSUPERVISED), "the folder of an image is its label"),
}
"""What is no table: of which kinds it can be, which tasks it can ask, and where its target is."""

CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


def look(
    source: Path,
    target: str = "",
    kind: str = "",
    size: Size | None = None,
    dates: str = "",
    *,
    accept: bool = False,
    task: str = "",
    header: bool | None = None,
    series: str = "",
    step: str = "",
    time: str = "",
) -> Found:
    """Return a dataset block for `source`; what is left out, as in `Said`, is inferred.

    Raises:
        DataError: it cannot be told what the source is, or which column is the target; or an option does not fit it.
    """
    said = Said(target, kind, size, dates, task, header, series, step, time, accept).resolved()
    found = _look(source, said)
    if said.task == UNSUPERVISED:
        found = without_target(found, source)
    if size is None:
        return found
    if found.block["kind"] != "images":
        raise DataError(f"--size is for images, but {source} is taken for {found.block['kind']}; leave it out")
    return Found({**found.block, "size": list(size)}, found.notes)


def _look(source: Path, said: Said) -> Found:
    form = _form(source)
    if form in OWN:
        _check_options(form, said)
    if said.header is not None and not source.name.lower().endswith(CSV):
        raise DataError(f"--header and --no-header are for {', '.join(CSV)}, but the source is {source}; leave it out")
    if form == ".txt":
        return Found(_language())
    if form == PAIR:
        _, labels, _ = ucr.read_pair(source, labelled=False)
        return _labelled("sequences", labels, said.task, source, by_source=True)
    if form == ".ts":
        _, labels = read_ts(source, labelled=False)
        return _labelled("sequences", labels, said.task, source, by_source=False)
    if form == ".npz":
        return _npz(source, said)
    if source.is_file() and idx.holds(source):
        raise DataError(f"{source} must come with its labels; name the folder that holds the IDX files")
    if form == FOLDER:
        return _folder(source, said)
    if source.suffix == ".sklearn" and said.kind in ("", "images") and "digits" in source.read_text(errors="replace"):
        _, digit = load_bundled(source)
        if said.target not in ("", digit):
            raise DataError(
                f"--target must be left out or be {digit} for {source}, but is {said.target!r}; leave it out"
            )
        return Found(_images(by_source=False))
    if not source.name.lower().endswith(SUFFIXES):
        raise DataError(
            f"{source} must be {', '.join(SUFFIXES)}, .txt, .ts, .npz, .zip or a folder of images, but is none of them;"
            " convert it"
        )
    return _of_frame(source, said)


def _form(source: Path) -> str:
    if source.is_dir() and any(path.name.lower().endswith(TRAINING) for path in source.iterdir()):
        return PAIR
    return FOLDER if source.is_dir() or source.suffix == ".zip" else source.suffix


def _check_options(form: str, said: Said) -> None:
    """Refuse options that a form of source cannot follow."""
    kinds, tasks, where = OWN[form]
    if said.task and said.task not in tasks:
        may = f"must be {' or '.join(tasks)}" if tasks else "must be left out"
        raise DataError(f"--task {may} for {form}, but is {said.task!r}; leave it out")
    if said.kind and said.kind not in kinds:
        raise DataError(f"--kind must be {' or '.join(kinds)} for {form}, but is {said.kind!r}; leave it out")
    for option, name in said.columns():
        raise DataError(f"{option} names a column, but {form} has none: {where}; leave out {option} {name}")


def _language() -> Block:
    split = {"by": "time", "validation": 0.05, "test": 0.1}
    return {"kind": "text", "task": "language", "level": "character", "lowercase": False, "length": 128, "split": split}


def _images(*, by_source: bool) -> Block:
    split = dict(GIVEN) if by_source else {"by": "stratified", **SHARES}
    return {"kind": "images", "task": "classification", "split": split, "normalize": "minmax"}


def _folder(source: Path, said: Said) -> Found:
    """Return a block for images in folders, or for IDX files."""
    names = _names(source)
    found = Found(_images(by_source=len(idx.parts(source)) > 1 or _has_parts(source)))
    if not said.task and (lie_flat(names) or not idx.has_labels(source)):
        found = without_target(found, source, NOTE)
    if idx.holds(source) or said.size is not None:
        return found
    tables = sorted(name for name in names if name.lower().endswith((*SUFFIXES, ".npz", ".ts", ".txt")))
    wanted, why = size_for(source)
    if wanted is None and tables and not any(name.lower().endswith((".png", ".jpg", ".jpeg")) for name in names):
        what = "unpack it, and add one of them" if source.is_file() else "add one of them"
        raise DataError(f"{source} must hold PNG or JPEG files, but holds {listed(tables)} and no image; {what}")
    return Found({**found.block, "size": list(wanted)}, (*found.notes, why)) if wanted else found


def _names(source: Path) -> list[str]:
    """Return the paths in a folder or zip; none if it cannot be read, since reading it says what is wrong."""
    if source.is_dir():
        return [path.relative_to(source).as_posix() for path in source.rglob("*")]
    try:
        with zipfile.ZipFile(source) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError):
        return []


def _has_parts(source: Path) -> bool:
    if source.is_dir():
        names = {path.name.lower() for path in source.iterdir() if path.is_dir()}
        return bool(names) and names <= set(PARTS)
    paths = [PurePosixPath(name).parent.parts for name in _names(source)]
    tops = {part.lower() for parts in paths for part in parts[:2]} & set(PARTS)
    return {PARTS[top] for top in tops} >= {"train", "test"}


def _npz(source: Path, said: Said) -> Found:
    arrays = read_npz(source, labelled=False)
    x, by_source = arrays["x"], "split" in arrays
    images = x.dtype == np.uint8 and x.ndim in (3, 4)
    wanted = said.kind or ("images" if images else "sequences")
    labels = pd.Series(arrays["y"].ravel()) if "y" in arrays else pd.Series([None] * len(x), dtype=object)
    found = _labelled(wanted, labels, said.task, source, by_source=by_source)
    return Found(found.block, (*found.notes, *_taken(wanted, said.kind)))


def _labelled(kind: str, labels: pd.Series, task: str, source: Path, *, by_source: bool) -> Found:
    """Return a block of records with a label or a value each, or with none; words are classes, though they be 1 and 2.

    labels: missing where there are none.
    """
    alone = not task and bool(labels.isna().all())
    untold = not task
    task = task or (task_of(labels) if pd.api.types.is_numeric_dtype(labels.dtype) else "classification")
    split = dict(GIVEN) if by_source else split_of(labels, task)
    normalize = "minmax" if kind == "images" else "standard"
    notes = maybe_classes(labels) if untold and task == "regression" else ()
    found = Found({"kind": kind, "task": task, "split": split, "normalize": normalize}, notes)
    return without_target(found, source, NOTE) if alone else found


def _of_frame(source: Path, said: Said) -> Found:
    sniffed = sniff(source) if source.name.lower().endswith(CSV) else Sniffed()
    form = sniffed.form if said.header is None else sniffed.form.model_copy(update={"header": said.header})
    frame = read_frame(source, form)
    odd = cells_that_are_none(frame)
    if odd:
        raise DataError(
            f"{source}: cells must be numbers, words or dates, but column {odd[0]!r} holds {odd[1]}; give each number a"
            " column of its own, or save images in a folder for each class"
        )
    form = form.model_copy(update={"dates": dates_of(frame, said.dates, source)})
    frame = iso_dates(frame, form)
    how = form.model_dump(exclude_defaults=True)
    found = of_columns(frame, source, said)
    block = dict(found.block)
    taken = block.pop("kind")
    doubts = (sniffed.doubt,) if sniffed.doubt else ()
    kind = () if taken == "table" else _taken(taken, said.kind)
    others = [found.block["target"]] if found.block["task"] == "classification" else said.times
    written = () if taken == "text" else (*amounts_of(frame.drop(columns=list(others))), *units_of(frame))
    notes = (*doubts, *_codes(sniffed, found.block), *written, *found.notes, *kind)
    return Found({"kind": taken, **({"format": how} if how else {}), **block}, notes, found.texts)


def _codes(sniffed: Sniffed, block: Block) -> Iterator[str]:
    """Yield what to say of columns whose zeros are lost; classes keep theirs, and only of a table types can be said."""
    for name, cell in sniffed.codes.items() if block["kind"] == "table" else ():
        if name != block.get("target"):
            remedy = f"set `columns: {{{name}: {{type: categorical}}}}`"
            yield f"{name}: {cell} is read as a number; if it is a code, {remedy}"


def _taken(found: str, kind: str) -> tuple[str, ...]:
    return () if kind else (f"taken for {found}; --kind says it otherwise",)
