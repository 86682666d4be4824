"""How a study goes, for a person: a table on a terminal that changes as trials end, plain lines elsewhere; a sum."""

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console, Group
from rich.live import Live as Screen
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..formatting import amount
from ..identity import FOLDS, REASON
from ..search import Search
from .trials import Trials

SHOWN = 8
"""Trials that ended last, on the screen."""

MARKS = {TrialState.COMPLETE: "green", TrialState.PRUNED: "yellow", TrialState.FAIL: "red", TrialState.RUNNING: "cyan"}
ENDS = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


class Live:
    """A context in which `show` is called with all trials now and then."""

    def __init__(self, search: Search, trials: Trials, total: int, console: Console | None = None) -> None:
        self.search, self.trials, self.total = search, trials, total
        self.console = console or Console()
        self.screen = Screen(console=self.console, auto_refresh=False, transient=True)
        self.began = time.monotonic()
        self.said: set[int] = set()
        self.before = -1
        self.waits = False
        self.sum = (0, "")  # of so many trials that have ended

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.screen.stop()
        if self.sum[1]:
            self.console.print(self.sum[1], markup=False, highlight=False, soft_wrap=True)

    def show(self, every: Sequence[FrozenTrial]) -> None:
        """Show how it goes."""
        if self.before < 0:
            ended = [trial.number for trial in every if trial.state.is_finished()]
            self.before = len(ended)
            self.said = set(ended)
            if 0 < self.before < self.total:
                self.console.print(f"{self.trials.name} goes on: {self.before} of {self.total} trials are done")
            elif self.before == self.total:
                self.console.print(f"{self.trials.name} has its {self.total} trials; say more with --trials")
        if (done := sum(trial.state.is_finished() for trial in every)) != self.sum[0]:
            self.sum = done, summed(self.search, self.trials, self.total)
        if self.console.is_terminal:
            self.screen.update(Group(self._head(every), self._table(every)), refresh=True)
            return
        for trial in every:
            if trial.state.is_finished() and trial.number not in self.said:
                self.said.add(trial.number)
                print(line(self.search, self.trials, trial, len(self.said), self.total), flush=True)

    def wait(self, trials: int) -> None:
        """Say, once, that this run waits for so many trials of others."""
        if not self.waits:
            self.waits = True
            self.console.print(
                f"{self.trials.name}: no place is free; waiting for {trials} trials that other workers have"
            )

    def _head(self, every: Sequence[FrozenTrial]) -> Group:
        counts = Counter(trial.state for trial in every)
        ended = sum(counts[state] for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
        best = self.trials.best()
        parts = [f"{ended} of {self.total} trials"]
        if counts[TrialState.PRUNED]:
            parts.append(f"{counts[TrialState.PRUNED]} pruned")
        if counts[TrialState.FAIL]:
            parts.append(f"{counts[TrialState.FAIL]} failed")
        if best is not None:
            parts.append(f"best {self.search.goal.name} {best.value:.4g} in trial {best.number}")
        parts.append(self._left(ended))
        line = Table.grid()
        line.add_row(ProgressBar(total=self.total, completed=ended, width=min(60, self.console.width)))
        return Group(Text(f"{self.trials.name}: " + " · ".join(part for part in parts if part), style="bold"), line)

    def _left(self, ended: int) -> str:
        """Return how long it will take, judged by the trials of this run."""
        mine = ended - self.before
        if mine < 1:
            return ""
        seconds = (time.monotonic() - self.began) / mine * (self.total - ended)
        return f"{_clock(seconds)} left"

    def _table(self, every: Sequence[FrozenTrial]) -> Table:
        table = Table(box=None, pad_edge=False)
        for title in ("trial", "", self.search.goal.name, "folds", "values"):
            table.add_column(title, justify="right" if title in ("trial", self.search.goal.name) else "left")
        running = sorted(
            (trial for trial in every if trial.state == TrialState.RUNNING), key=lambda trial: trial.number
        )
        ended = sorted(
            (trial for trial in every if trial.state.is_finished() and trial.datetime_complete),
            key=lambda trial: trial.datetime_complete or 0,
        )
        for trial in [*ended[-SHOWN:], *running]:
            table.add_row(
                str(trial.number),
                Text(trial.state.name.lower(), style=MARKS[trial.state]),
                _score(self.search, trial),
                f"{len(trial.user_attrs.get(FOLDS, []))}/{self.search.study.folds}",
                Text(_values(trial), overflow="ellipsis", no_wrap=True),
            )
        return table


def line(search: Search, trials: Trials, trial: FrozenTrial, ended: int, total: int) -> str:
    """Return what is said of a trial when it ends, as number `ended` of `total`."""
    score, best = _score(search, trial), trials.best()
    parts = [
        trials.name,
        f"{ended}/{total}",
        f"trial {trial.number} {trial.state.name.lower()}",
        f"{search.goal.name} {score}" if score else "",
        trial.user_attrs.get(REASON, ""),
        _values(trial),
        "best" if best is not None and best.number == trial.number else "",
    ]
    return "  ".join(part for part in parts if part)


def summed(search: Search, trials: Trials, total: int) -> str:
    """Return in a line how many trials have ended, in which way, and which is the best; "" if none has ended."""
    counts = Counter(trial.state for trial in trials.all() if trial.state.is_finished())
    ended = counts.total()
    if not ended:
        return ""
    how = ", ".join(f"{counts[state]} {word}" for state, word in ENDS.items() if counts[state])
    said = f"{trials.name}: {ended if ended >= total else f'{ended} of {total}'} trials: {how}"
    if (best := trials.best()) is not None:
        return f"{said}; best trial {best.number}, {search.goal.name} {_score(search, best)}"
    if counts[TrialState.COMPLETE]:
        return f"{said}; {len(trials.study.best_trials)} trials on the front"
    return said


def _score(search: Search, trial: FrozenTrial) -> str:
    if trial.values:
        return "  ".join(map(amount, search.study.objectives, trial.values))
    last = trial.intermediate_values
    return f"{last[max(last)]:.4g}" if last else ""


def _values(trial: FrozenTrial) -> str:
    return " ".join(
        f"{key.rpartition('.')[2]}={value:.3g}" if isinstance(value, float) else f"{key.rpartition('.')[2]}={value}"
        for key, value in trial.params.items()
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
