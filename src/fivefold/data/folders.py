"""What the folders above an image say: its class, and its part of the split if there are parts.

Folders that all images share say nothing. Of the others the outermost is the class, or the part if all of them are
named train, test and the like, with the class below it. Folders within that of a class say nothing: cat/batch1/1.png.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..errors import DataError
from .roles import PARTS

Folders = tuple[str, ...]


def classes_of(names: Sequence[PurePosixPath], source: Path) -> tuple[list[str], list[str] | None]:
    """Return the class of each image, and the part of each; None if there are no parts.

    Raises:
        DataError: an image lies outside the folder of a class or a part, or a class has no name that can be shown.
    """
    above, parts = _telling([name.parent.parts for name in names]), parts_of(names)
    inside = [bool(folders) and folders[0].lower() in PARTS for folders in above]
    if parts:
        above = _telling([folders[1:] for folders in above])
        if not any(above):
            raise DataError(
                f"{source}: every image must lie in the folder of its class, but {named(names[0])} lies in a part of"
                " the split; make a folder for each class there, or set `task: unsupervised`"
            )
    elif any(here and len(folders) > 1 for here, folders in zip(inside, above, strict=True)):
        beside = named(names[inside.index(False)])
        raise DataError(
            f"{source}: every image must lie in a part of the split where one does, but {beside} does not; move it"
        )
    for name, folders in zip(names, above, strict=True):
        if not folders:
            raise DataError(
                f"{source}: every image must lie in the folder of its class, but {named(name)} does not; move it, or"
                " set `task: unsupervised`"
            )
        if not folders[0].isprintable():
            raise DataError(f"{source}: a class must have a name that can be shown, but {named(name)} has none; rename")
    return [folders[0] for folders in above], parts


def parts_of(names: Sequence[PurePosixPath]) -> list[str] | None:
    """Return the part of each image, train, test and the like; None unless all lie in the folder of one."""
    tops = [folders[0].lower() if folders else "" for folders in _telling([name.parent.parts for name in names])]
    return tops if tops and set(tops) <= set(PARTS) else None


def _telling(above: list[Folders]) -> list[Folders]:
    """Return the folders of each image without those that all of them share, but for names of parts."""
    firsts = {folders[:1] for folders in above}
    shared = len(firsts) == 1 and any(len(folders) > 1 for folders in above)
    if shared and above[0][0].lower() not in PARTS:
        return _telling([folders[1:] for folders in above])
    return above


def named(name: PurePosixPath) -> str:
    """Return a path as a message in one line shows it."""
    return str(name) if str(name).isprintable() else ascii(str(name))
