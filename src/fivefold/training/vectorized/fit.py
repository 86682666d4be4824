"""Fit several small models at once: what `training.fit.fit` gives for each, in a fraction of the time.

What costs time in a small network is the number of operations, not their size; a stack has those of one network.
"""

from collections.abc import Callable, Collection, Sequence

import torch

from ...config.networks.autoencoder import Autoencoder, Denoising
from ...errors import TrainingError
from ...models.losses import Objective
from ...stages.signals import stop_if_asked
from ..callbacks import Metrics
from ..fit import trainer_of
from ..objectives import Learning, Rows, learning_of, told
from ..supervised import untrained
from .batches import Pool, Reach
from .eligibility import why_not
from .job import Job, Outcome
from .losses import shares
from .model import Layout
from .stack import Member, ModelStack

OnEpoch = Callable[[int, Sequence[int], Sequence[Metrics]], Collection[int]]
"""Called with the number of a finished epoch, from 0, the jobs that have gone through it, by their places, and their
metrics; returns the places of those that are to be stopped now."""


def fit_stack(name: str, jobs: Sequence[Job], on_epoch: OnEpoch) -> list[Outcome | None]:
    """Train the networks of `jobs` at once; return what came of each, None of those that `on_epoch` stopped.

    On a CPU dropout and noise fall as in `fit`; on a GPU by other chance.

    Raises:
        TrainingError: the jobs cannot be stacked.
        ParamsError: a network does not fit the shape of the data, or training does not fit the machine.
    """
    if reason := why_not(jobs):
        raise TrainingError(f"{name}: jobs of a stack must be alike, but {reason}; train them one by one")
    device = trainer_of(jobs[0].params.training, []).strategy.root_device
    members, pools = _members(name, jobs, device)
    stack = ModelStack(members, *pools, device)
    outcomes: list[Outcome | None] = [None] * len(jobs)
    epoch = 0
    while stack.members:
        stop_if_asked()
        _judge(stack, epoch)
        going = sorted((member for member in stack.members if not member.error), key=lambda member: member.place)
        stopped = on_epoch(epoch, [member.place for member in going], [member.epochs[-1] for member in going])
        left = []
        for i, member in enumerate(stack.members):
            if member.place in stopped:
                continue
            if not member.ends(epoch):
                left.append(i)
                continue
            Layout(member.network).fill(stack.weights.kept[i], stack.weights.kept_running[i])
            member.network.to(device)
            outcomes[member.place] = member.outcome()
        if len(left) < len(stack.members):
            if not left:
                break
            stack.take(left)
        epoch += 1
    return outcomes


def _judge(stack: ModelStack, epoch: int) -> None:
    """Have all networks learn for an epoch, and keep those that were better than before."""
    sums = stack.epoch(epoch)
    better = []
    for i, member in enumerate(stack.members):
        found = {"train": (sums.train[i], member.train.n), "val": (sums.val[i], member.held_out.n)}
        if member.judge(epoch, found, None if sums.hits is None else sums.hits[i]):
            better.append(i)
    stack.weights.keep(better)


def _members(name: str, jobs: Sequence[Job], device: torch.device) -> tuple[list[Member], tuple[Pool, Pool]]:
    """Return the trainings of `jobs`, those with the most rows first, and their training and validation rows."""
    places: dict[tuple[int, ...], int] = {}
    learnings: list[Learning] = []
    found = []
    for place, job in enumerate(jobs):
        schema = told(job.dataset.schema, job.params.training)
        network = untrained(name, job.params, schema, job.chain, job.seed)
        chosen = job.params.network
        noisy = isinstance(chosen, Autoencoder) and isinstance(chosen.variant, Denoising)  # rows held out too, by seed
        key = (id(job.dataset), id(job.chain), job.seed if noisy else 0)
        if key not in places:
            places[key] = len(learnings)
            learnings.append(learning_of(name, job.params, job.dataset, schema, job.chain, network, job.seed, device))
        found.append((place, job, network, places[key]))
    train, trains = _laid(jobs[0], learnings, [learning.train for learning in learnings])
    held_out, held = _laid(jobs[0], learnings, [learning.held_out for learning in learnings])
    members = [
        Member(place, job, network, learnings[which], trains[which], held[which])
        for place, job, network, which in found
    ]
    return sorted(members, key=lambda member: (-member.train.n, member.job.seed)), (train, held_out)


def _laid(job: Job, learnings: Sequence[Learning], rows: Sequence[Rows]) -> tuple[Pool, list[Reach]]:
    """Return the rows of all, and where those of each lie."""
    pools, reaches, start = [], [], 0
    for learning, (x, y) in zip(learnings, rows, strict=True):
        flat = x.flatten(1).contiguous()
        objective = learning.objective
        if isinstance(objective, Objective) and objective.classes:
            weights = None if objective.weights is None else objective.weights.to(x.device)
            pools.append(Pool(flat, shares(job.params, y, objective.classes, weights), y))
        else:
            pools.append(Pool(flat, flat if y is x else y.flatten(1).contiguous()))
        reaches.append(Reach(start, len(x)))
        start += len(x)
    return Pool.of(pools), reaches
