"""A dataset block of records alone, where nothing is to be predicted."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ..data.columns.roles import PARTS
from ..errors import DataError
from .dividing import SHARES
from .said import RECORDS, UNSUPERVISED
from .sizes import is_image
from .tabular import Found

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
