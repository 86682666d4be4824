"""Progress of a study on the console: a live table on a terminal, plain lines elsewhere, and a final summary."""

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..formatting import format_objective
from ..identity import FOLD_SCORES, REASON
from ..search import Search
from .trials import TrialQueue

MAX_SHOWN_TRIALS = 8
"""Finished trials in the live table, the latest ones."""

STATE_STYLES = {
    TrialState.COMPLETE: "green",
    TrialState.PRUNED: "yellow",
    TrialState.FAIL: "red",
    TrialState.RUNNING: "cyan",
}
STATE_LABELS = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


class StudyProgress:
    """Context manager whose `update` is called with all trials now and then."""

    def __init__(self, search: Search, trials: TrialQueue, total: int, console: Console | None = None) -> None:
        self.search, self.trials, self.total = search, trials, total
        self.console = console or Console()
        self.live_display = Live(console=self.console, auto_refresh=False, transient=True)
        self.start_time = time.monotonic()
        self.reported: set[int] = set()
        self.n_finished_before = -1
        self.is_waiting = False
        self.summary = (0, "")  # number of finished trials, and the line about them

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live_display.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.live_display.stop()
        if self.summary[1]:
            self.console.print(self.summary[1], markup=False, highlight=False, soft_wrap=True)

    def update(self, all_trials: Sequence[FrozenTrial]) -> None:
        """Show the current state of all trials."""
        if self.n_finished_before < 0:
            finished = [trial.number for trial in all_trials if trial.state.is_finished()]
            self.n_finished_before = len(finished)
            self.reported = set(finished)
            if 0 < self.n_finished_before < self.total:
                self.console.print(
                    f"{self.trials.name} resumed: {self.n_finished_before} of {self.total} trials are finished"
                )
            elif self.n_finished_before == self.total:
                self.console.print(f"{self.trials.name} already has {self.total} trials; raise --trials for more")
        if (done := sum(trial.state.is_finished() for trial in all_trials)) != self.summary[0]:
            self.summary = done, summary_line(self.search, self.trials, self.total)
        if self.console.is_terminal:
            self.live_display.update(
                Group(self._render_header(all_trials), self._render_table(all_trials)), refresh=True
            )
            return
        for trial in all_trials:
            if trial.state.is_finished() and trial.number not in self.reported:
                self.reported.add(trial.number)
                print(trial_line(self.search, self.trials, trial, len(self.reported), self.total), flush=True)

    def report_waiting(self, n_trials: int) -> None:
        """Print, once, that this run waits for `n_trials` trials of other workers."""
        if not self.is_waiting:
            self.is_waiting = True
            self.console.print(f"{self.trials.name}: no trial is free; waiting for {n_trials} trials of other workers")

    def _render_header(self, all_trials: Sequence[FrozenTrial]) -> Group:
        counts = Counter(trial.state for trial in all_trials)
        n_finished = sum(counts[state] for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
        best = self.trials.best_trial()
        parts = [f"{n_finished} of {self.total} trials"]
        if counts[TrialState.PRUNED]:
            parts.append(f"{counts[TrialState.PRUNED]} pruned")
        if counts[TrialState.FAIL]:
            parts.append(f"{counts[TrialState.FAIL]} failed")
        if best is not None:
            parts.append(f"best {self.search.objective_metric.name} {best.value:.4g} in trial {best.number}")
        parts.append(self._time_left(n_finished))
        line = Table.grid()
        line.add_row(ProgressBar(total=self.total, completed=n_finished, width=min(60, self.console.width)))
        return Group(Text(f"{self.trials.name}: " + " · ".join(part for part in parts if part), style="bold"), line)

    def _time_left(self, n_finished: int) -> str:
        """Return the estimated time left, from the trials of this run."""
        n_done_here = n_finished - self.n_finished_before
        if n_done_here < 1:
            return ""
        seconds = (time.monotonic() - self.start_time) / n_done_here * (self.total - n_finished)
        return f"{_format_duration(seconds)} left"

    def _render_table(self, all_trials: Sequence[FrozenTrial]) -> Table:
        table = Table(box=None, pad_edge=False)
        for title in ("trial", "", self.search.objective_metric.name, "folds", "values"):
            table.add_column(
                title, justify="right" if title in ("trial", self.search.objective_metric.name) else "left"
            )
        running = sorted(
            (trial for trial in all_trials if trial.state == TrialState.RUNNING), key=lambda trial: trial.number
        )
        finished = sorted(
            (trial for trial in all_trials if trial.state.is_finished() and trial.datetime_complete),
            key=lambda trial: trial.datetime_complete or 0,
        )
        for trial in [*finished[-MAX_SHOWN_TRIALS:], *running]:
            table.add_row(
                str(trial.number),
                Text(trial.state.name.lower(), style=STATE_STYLES[trial.state]),
                _format_score(self.search, trial),
                f"{len(trial.user_attrs.get(FOLD_SCORES, []))}/{self.search.study.folds}",
                Text(_format_values(trial), overflow="ellipsis", no_wrap=True),
            )
        return table


def trial_line(search: Search, trials: TrialQueue, trial: FrozenTrial, n_finished: int, total: int) -> str:
    """Return the line about a trial that has ended, as number `n_finished` of `total`."""
    score, best = _format_score(search, trial), trials.best_trial()
    parts = [
        trials.name,
        f"{n_finished}/{total}",
        f"trial {trial.number} {trial.state.name.lower()}",
        f"{search.objective_metric.name} {score}" if score else "",
        trial.user_attrs.get(REASON, ""),
        _format_values(trial),
        "best" if best is not None and best.number == trial.number else "",
    ]
    return "  ".join(part for part in parts if part)


def summary_line(search: Search, trials: TrialQueue, total: int) -> str:
    """Return a line with the number of finished trials by state and the best one; "" if none has finished."""
    counts = Counter(trial.state for trial in trials.get_trials() if trial.state.is_finished())
    n_finished = counts.total()
    if not n_finished:
        return ""
    by_state = ", ".join(f"{counts[state]} {label}" for state, label in STATE_LABELS.items() if counts[state])
    line = f"{trials.name}: {n_finished if n_finished >= total else f'{n_finished} of {total}'} trials: {by_state}"
    if (best := trials.best_trial()) is not None:
        return f"{line}; best trial {best.number}, {search.objective_metric.name} {_format_score(search, best)}"
    if counts[TrialState.COMPLETE]:
        return f"{line}; {len(trials.study.best_trials)} trials on the Pareto front"
    return line


def _format_score(search: Search, trial: FrozenTrial) -> str:
    if trial.values:
        return "  ".join(map(format_objective, search.study.objectives, trial.values))
    reports = trial.intermediate_values
    return f"{reports[max(reports)]:.4g}" if reports else ""


def _format_values(trial: FrozenTrial) -> str:
    return " ".join(
        f"{key.rpartition('.')[2]}={value:.3g}" if isinstance(value, float) else f"{key.rpartition('.')[2]}={value}"
        for key, value in trial.params.items()
    )


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
