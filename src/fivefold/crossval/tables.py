"""What a person sees of a cross-validation: folds as they come, then tables, then what is known."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from .crossval import Crossval, Result
from .summary import Pair, Summary, decimals, in_row, number

WIDEST = 1000
"""Columns of a table at most; none is cut to fit a screen: no number may be."""


class Coming:
    """Shows each result as it comes: a line, above a bar on a terminal, which stands there within `bar`."""

    def __init__(self, crossval: Crossval, console: Console) -> None:
        self.crossval, self.console = crossval, console
        self.total = len(crossval.divisions) * len(crossval.plan.names)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            redirect_stdout=False,  # what trainings print goes into a file
            redirect_stderr=False,
        )
        self.task = self.bar.add_task("folds", total=self.total)

    def show(self, result: Result) -> None:
        """Tell of a fold."""
        self.bar.advance(self.task)
        self.console.print(self._line(result), markup=False, highlight=False, soft_wrap=True)

    def _line(self, result: Result) -> str:
        plan, goal = self.crossval.plan, self.crossval.goal.name
        which = f"fold {result.fold}/{plan.folds}"
        if plan.repeats > 1:
            which = f"repeat {result.repeat}/{plan.repeats} {which}"
        if result.error:
            return f"{result.model}  {which}  no score: {result.error}"
        said = f"{result.model}  {which}  {goal} {number(result.scores[goal])}"
        if (won := result.winner) is None:
            return f"{said}  epoch {result.kept_epoch} of {result.epochs}  {result.seconds:.1f} s"
        values = " ".join(f"{key.rpartition('.')[2]}={_short(value)}" for key, value in won.values.items())
        inner = f"inner {won.metric} {number(won.inner)} of {won.ended} trials ({won.trials - won.ended} given up)"
        return f"{said}  {inner}  {values}  {result.seconds:.1f} s"


def show(summary: Summary, console: Console) -> None:
    """Print estimates, comparisons, what is known and how it is meant."""
    tables = [_estimates(summary, name) for name in summary.estimates]
    tables += [_comparison(summary, pair) for pair in summary.pairs]
    for table in tables:
        table.width = Measurement.get(console, console.options.update(width=WIDEST), table).maximum
        console.print(table, crop=False, soft_wrap=True)
    if summary.estimates:
        _lines(console, summary.notes(), "dim")
    _lines(console, summary.known(), "bold")


def _lines(console: Console, lines: Sequence[str], style: str) -> None:
    for line in lines:
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _estimates(summary: Summary, name: str) -> Table:
    plan = summary.crossval.plan
    times = f", {plan.repeats} times" if plan.repeats > 1 else ""
    table = _table(
        f"{name}: {plan.folds} folds{times}", "metric", "mean", "deviation", "95 % interval", "worst", "best"
    )
    for metric, found in summary.estimates[name].items():
        scores = [result.scores[metric] for result in summary.of(name)]
        goal = summary.crossval.goals(name).get(metric)
        ends = sorted(scores, reverse=goal is not None and goal.better == "lower")
        places = decimals([found.mean], found.deviation)
        mean, deviation, low, high, worst, best = (
            in_row(value, places) for value in (found.mean, found.deviation, found.low, found.high, ends[0], ends[-1])
        )
        table.add_row(metric, mean, deviation, f"{low} to {high}", *((worst, best) if goal else ("", "")))
    return table


def _comparison(summary: Summary, pair: Pair) -> Table:
    several = len(summary.pairs) > 1
    table = _table(
        f"{pair.one} less {pair.other}, on the same folds", "metric", pair.one, pair.other, "difference", "95 %", "p",
        *(["of all"] if several else []),
    )  # fmt: skip
    for metric, found in pair.differences.items():
        means = [summary.estimates[name][metric].mean for name in (pair.one, pair.other)]
        places = decimals(means, found.mean)
        one, other, less, low, high = (in_row(value, places) for value in (*means, found.mean, found.low, found.high))
        of_all = [f"{pair.p[metric]:.2g}"] if several else []
        table.add_row(metric, one, other, less, f"{low} to {high}", f"{found.p:.2g}", *of_all)
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other, justify="right", no_wrap=True)
    return table


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
