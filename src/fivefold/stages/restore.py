"""Restore the outputs of a failed stage, which DVC deletes before it runs the stage."""

import hashlib
import shutil
from pathlib import Path

BACKUP_FOLDER = "backup"
"""Folder, in the work folder of a stage, with copies of outputs that DVC does not cache."""


def back_up(path: Path, work_dir: Path) -> None:
    """Copy an output that DVC does not cache to the work folder."""
    (work_dir / BACKUP_FOLDER).mkdir(exist_ok=True)
    shutil.copyfile(path, work_dir / BACKUP_FOLDER / path.name)


def restore_outputs(stage: str, work_dir: Path) -> None:
    """Restore the missing outputs of `stage` in the state recorded in dvc.lock.

    They are taken from the DVC cache or from the copies of `back_up`; outputs without a complete copy stay missing.
    """
    from dvc.repo import Repo  # slow import, needed by failed stages only

    with Repo() as repo:
        for out in repo.stage.get_target(stage).outs:
            if out.exists or not out.hash_info:
                continue
            copy = work_dir / BACKUP_FOLDER / Path(out.fs_path).name
            if out.use_cache:
                if not out.changed_cache():
                    out.checkout()
            elif copy.exists() and _md5(copy) == out.hash_info.value:
                Path(out.fs_path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(copy, out.fs_path)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
