"""Bring back what DVC removed: it deletes a stage's outputs before it runs the stage."""

import hashlib
import shutil
from pathlib import Path

BACKUP_FOLDER = "kept"
"""Folder, in a stage's work folder, of what its last run wrote and DVC does not cache."""


def back_up(path: Path, work_dir: Path) -> None:
    """Keep a copy of an output that DVC does not cache."""
    (work_dir / BACKUP_FOLDER).mkdir(exist_ok=True)
    shutil.copyfile(path, work_dir / BACKUP_FOLDER / path.name)


def restore_outputs(stage: str, work_dir: Path) -> None:
    """Put back the outputs that dvc.lock has for `stage` and that are not there, as they were before DVC ran it.

    They come from DVC's cache, or from what `keep` kept. An output of which neither has a whole copy stays away.
    """
    from dvc.repo import Repo  # only a stage that failed waits for this import

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
