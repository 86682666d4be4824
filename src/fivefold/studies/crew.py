"""Folds are trained here, or by several processes of which each has a thread of its own.

A process is `python -m fivefold.studies.crew PLAN NUMBER OF`; it trains every OF-th fold and prints a result a line.
"""

import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, redirect_stdout
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO

from .. import paths
from ..errors import FivefoldError, InputError, StudyError
from ..stages.lock import locked
from . import nested
from .crossval import Crossval, judge
from .jobs import train_all
from .plan import Plan, Result
from .processes import as_worker, environment


def results(crossval: Crossval, workers: int) -> Iterator[Result]:
    """Yield the result of each model on each fold, as they come.

    Raises:
        StudyError: a worker ended before its folds.
        BusyError: the same is running already.
    """
    folder = paths.crossval(crossval.plan.title)
    workers = min(workers, len(places_of(crossval)))
    with locked(folder):
        for old in folder.glob("*.log"):
            old.unlink()
        if workers == 1:
            with (folder / "fits.log").open("w", buffering=1) as log:
                yield from _quietly(crossval, places_of(crossval), folder / "work", log)
            return
        with closing(_by_workers(crossval.plan, workers, folder)) as found:
            yield from found


def places_of(crossval: Crossval) -> list[tuple[str, int]]:
    """Return each model with the number of each of its folds, from 0."""
    return [(name, number) for name in crossval.plan.names for number in range(len(crossval.divisions))]


def trained(crossval: Crossval, places: Sequence[tuple[str, int]], work: Path) -> Iterator[Result]:
    """Train models on folds, and yield what came of each."""
    for name in dict.fromkeys(name for name, _ in places):
        divisions = [crossval.divisions[number] for other, number in places if other == name]
        if crossval.plan.nested:
            yield from (nested.result(crossval, name, division, work) for division in divisions)
            continue
        model = crossval.params.models[name]
        jobs = (crossval.job(division, model, division.seed) for division in divisions)
        for division, (job, done) in zip(divisions, train_all(name, jobs, work), strict=True):
            yield judge(name, division, job, done)


def _quietly(crossval: Crossval, places: Sequence[tuple[str, int]], work: Path, log: IO[str]) -> Iterator[Result]:
    """Yield results, while all that trainings print goes to `log`."""
    coming = trained(crossval, places, work)
    while True:
        with redirect_stdout(log):
            result = next(coming, None)
        if result is None:
            return
        yield result


def _by_workers(plan: Plan, workers: int, folder: Path) -> Generator[Result, None, None]:
    """Yield what workers tell, until all have ended."""
    told: SimpleQueue[str | int] = SimpleQueue()
    command = [sys.executable, "-m", "fivefold.studies.crew", plan.model_dump_json()]
    living: dict[int, subprocess.Popen[str]] = {}
    try:
        for number in range(workers):
            with _log(folder, number).open("w") as log:
                living[number] = subprocess.Popen(
                    [*command, str(number), str(workers)], stdout=subprocess.PIPE, stderr=log, text=True,
                    stdin=subprocess.DEVNULL, env=environment(number),
                )  # fmt: skip
            Thread(target=_listen, args=(number, living[number], told), daemon=True).start()
        while living:
            said = told.get()
            if isinstance(said, str):
                yield Result.model_validate_json(said)
                continue
            if code := living.pop(said).wait():
                raise _ended(code, _log(folder, said))
    finally:
        for process in living.values():
            process.send_signal(signal.SIGTERM)
        for process in living.values():
            process.wait()


def _listen(number: int, process: subprocess.Popen[str], told: SimpleQueue[str | int]) -> None:
    """Hand on each line that a worker prints, then its number."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            told.put(line)
    told.put(number)


def _ended(code: int, log: Path) -> FivefoldError:
    """Return why a worker has ended."""
    if code < 0:
        return StudyError(f"a worker was killed by signal {-code}; free memory, or start fewer with --workers")
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    said = lines[-1].removeprefix("error: ") if lines else f"a worker failed without a word ({log})"
    return InputError(said) if code == InputError.exit_code else StudyError(said)


def _log(folder: Path, number: int) -> Path:
    return folder / f"worker-{number}.log"


def main() -> None:
    """Run as a process of its own."""
    plan, number, of = Plan.model_validate_json(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    as_worker(lambda: _tell(plan, number, of))


def _tell(plan: Plan, number: int, of: int) -> None:
    """Train every `of`-th place, from `number` on, and print what comes of each."""
    crossval = Crossval.read(plan)
    work = paths.crossval(plan.title) / f"work-{number}"
    for result in _quietly(crossval, places_of(crossval)[number::of], work, sys.stderr):
        print(result.model_dump_json(), flush=True)


if __name__ == "__main__":
    main()
