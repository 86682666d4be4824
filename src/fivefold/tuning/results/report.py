"""What `fivefold study show` shows on the screen."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...tracking.study_results import Found, Group, TrialFacts
from ..execution.storage import browsed
from ..formatting import amount, named, rounded, short, written
from .facts import ranges

LONGEST = 28
"""Characters of a value that are shown."""
BAR = 30
"""Characters of the longest bar."""
COLOURS = {"complete": "green", "pruned": "yellow", "failed": "red", "running": "cyan", "waiting": "dim"}
NUMBERS = 12
"""Trials of a group that are named."""


def show(study: Found, top: int, console: Console) -> None:
    """Print what a study has found, and what comes next."""
    for part in parts(study, top, console.width):
        console.print(part, soft_wrap=isinstance(part, Text), highlight=False)


def parts(study: Found, top: int, width: int) -> Iterator[Text | Table]:
    """Yield what is printed, from top to bottom."""
    yield _head(study)
    yield Text(study.how)
    yield _counts(study)
    if study.lost:
        yield Text(f"{study.lost} of the running ones lost their worker; `{_go_on(study)}` takes them up", "yellow")
    if study.best is not None:
        yield from _best(study)
    if len(study.objectives) > 1:
        yield from _front(study, width)
    elif study.of("complete"):
        yield _title(f"best {min(top, len(study.of('complete')))} of {len(study.of('complete'))} complete trials")
        yield _trials(study, study.ranked()[:top], width)
    yield from _importance(study)
    yield from _groups("pruned", study.pruned)
    yield from _groups("failed", study.failed)
    yield _title("where")
    yield Text(f"{study.where}; to browse it: optuna-dashboard {browsed(study.where)}")
    yield from _next(study)


def _head(study: Found) -> Text:
    of = "" if study.name == study.model else f" of model {study.model}"
    after = ", ".join(
        f"{named(objective, study.metric)} ({study.better if objective == 'score' else 'lower'} is better)"
        for objective in study.objectives
    )
    folds = f"mean of {study.folds} folds" if study.folds > 1 else "on the validation rows"
    return Text.assemble((study.name, "bold"), f": study{of}, {after}, {folds}")


def _counts(study: Found) -> Text:
    said = Text(f"{sum(study.counts.values())} trials: ")
    there = [(state, count) for state, count in study.counts.items() if count]
    for place, (state, count) in enumerate(there):
        said.append(", " if place else "").append(f"{count} {state}", COLOURS[state])
    return said


def _title(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def number(value: float, sign: bool = False) -> str:
    """Return a score as it is shown."""
    return f"{value:+.4g}" if sign else f"{value:.4g}"


def scored(trial: TrialFacts) -> str:
    """Return a trial's score with its deviation over folds."""
    spread = "" if trial.deviation is None else f" ± {trial.deviation:.2g}"
    return "" if trial.score is None else f"{number(trial.score)}{spread}"


def _best(study: Found) -> Iterator[Text | Table]:
    best, base = study.trial(study.best), study.trial(study.baseline)
    if best is None:
        return
    yield Text.assemble("\nbest: ", (f"trial {best.number}, {study.metric} {scored(best)}", "bold green"))
    if best is base:
        yield Text("these are the values that params.yaml had: nothing that was tried is better")
    elif base is None:
        yield Text("what params.yaml had was not tried, or is not complete: how much was gained cannot be told")
    if study.gain is not None and base is not None:
        folds = "  ".join(number(each, sign=True) for each in study.gain.folds)
        yield Text(f"against params.yaml as it was, trial {base.number}, {study.metric} {scored(base)}:")
        yield Text(f"  {number(study.gain.mean, sign=True)}, above 0 being better; fold by fold {folds}")
        yield Text(
            f"  better on {study.gain.better} of {len(study.gain.folds)}; chosen as the best of"
            f" {len(study.of('complete'))} on these very folds, so expect less of new rows",
            "dim",
        )
    if study.differs:
        table = Table("key", "params.yaml", f"trial {best.number}", box=box.SIMPLE_HEAD, pad_edge=False)
        for key, (now, value) in study.differs.items():
            table.add_row(key, Text("" if now is None else written(now)), Text(written(value), "bold"))
        yield table
    else:
        yield Text("params.yaml has these values")


def _front(study: Found, width: int) -> Iterator[Text | Table]:
    front = [trial for trial in study.of("complete") if trial.number in study.front]
    if front:
        yield _title(
            f"Pareto front: {len(front)} of {len(study.of('complete'))} complete trials, that none beats in all"
        )
        first_down = study.objectives[0] == "score" and study.better == "higher"
        yield _trials(study, sorted(front, key=lambda trial: trial.objectives, reverse=first_down), width)


def _trials(study: Found, trials: Sequence[TrialFacts], width: int) -> Table:
    """Return a table of trials, with as many keys as fit."""
    single = len(study.objectives) == 1
    heads = ["trial", study.metric, "folds"]
    if not single:
        heads = ["trial", *(named(objective, study.metric) for objective in study.objectives)]
    searched = ranges(study)
    rows = []
    for trial in trials:
        folds = [scored(trial), " ".join(f"{fold:.3g}" for fold in trial.folds)]
        rows.append([str(trial.number), *(folds if single else map(amount, study.objectives, trial.objectives))])
    shown = [rounded(searched, trial.values) for trial in trials]
    names = short(searched)
    columns = {names[key]: [_cell(values, key) for values in shown] for key in _by_weight(study, list(searched))}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if head == "folds" else "right", no_wrap=True)
        width -= 2 + max(len(head), *(len(row[place]) for row in rows))
    kept = list[list[str]]()
    for name, cells in columns.items():
        width -= 2 + max(len(name), *map(len, cells))
        if width < 0:
            table.caption = f"{len(columns) - len(kept)} more keys: --json has them"
            break
        table.add_column(name, no_wrap=True)
        kept.append(cells)
    for row, *cells in zip(rows, *kept, strict=True):
        table.add_row(*map(Text, (*row, *cells)))
    return table


def _by_weight(study: Found, keys: list[str]) -> list[str]:
    """Return keys in their order, or where it is known, the weightiest first."""
    return [*study.importance.shares, *(key for key in keys if key not in study.importance.shares)]


def _cell(values: dict[str, Any], key: str) -> str:
    text = written(values[key]) if key in values else "-"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _importance(study: Found) -> Iterator[Text | Table]:
    yield _title("what matters: share of the differences in rank that a key explains")
    if study.importance.note:
        yield Text(study.importance.note)
        return
    yield Text(f"{study.importance.method}, {study.importance.trials} trials, complete and pruned", "dim")
    table = Table.grid(padding=(0, 2))
    most = max(study.importance.shares.values()) or 1.0
    for key, share in study.importance.shares.items():
        table.add_row(key, Text(f"{share:.0%}", justify="right"), Text("█" * round(BAR * share / most), "cyan"))
    yield table


def _groups(what: str, groups: Sequence[Group]) -> Iterator[Text]:
    if groups:
        yield _title(f"{what}: {sum(len(group.trials) for group in groups)}")
    for group in groups:
        named = ", ".join(map(str, group.trials[:NUMBERS])) + (", ..." if len(group.trials) > NUMBERS else "")
        yield Text.assemble(f"{len(group.trials):>3} {group.text}", (f"  (trial {named})", "dim"))


def _run(study: Found) -> str:
    return f"fivefold study run {study.model}" + ("" if study.name == study.model else f" --name {study.name}")


def _go_on(study: Found) -> str:
    return f"{_run(study)} --trials {study.total}"


def _next(study: Found) -> Iterator[Text]:
    """Yield the command that comes next."""
    yield _title("next")
    living = study.counts["running"] - study.lost
    left = study.counts["waiting"] + study.lost
    if left and not living:
        yield Text(f"{_go_on(study)}    # goes on with the {left} trials that are left")
    if study.best is not None and study.best != study.baseline:
        yield Text(f"fivefold study adopt {study.name}    # writes the values of trial {study.best} into params.yaml")
    elif study.front and len(study.objectives) > 1:
        example = study.front[0]
        yield Text(f"fivefold study adopt {study.name} --trial {example}    # or another one of the front")
    elif not study.of("complete"):
        if living:
            yield Text("wait for the first trial")
        elif not left:
            yield Text(f"{_go_on(study)}    # begins anew once models.{study.model} is mended as the reasons say")
    else:
        yield Text(f"widen the ranges of models.{study.model}.search, or raise --trials: {_run(study)} --trials N")
