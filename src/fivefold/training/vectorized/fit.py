"""Fit several small models at once: what `training.fit.fit` gives for each, in a fraction of the time.

What costs time in a small network is the number of operations, not their size; a stack has those of one network.
"""

from collections.abc import Callable, Collection, Sequence

import torch

from ...config.networks.autoencoder import Autoencoder, DenoisingVariant
from ...errors import TrainingError
from ...models.losses import SupervisedLoss
from ...stages.signals import raise_if_stopped
from ..callbacks import Metrics
from ..fit import build_trainer
from ..objectives import LearningTask, TensorPair, build_learning_task, training_schema
from ..supervised import init_network
from .batches import RowPool, RowRange
from .eligibility import ineligible_reason
from .job import Job, JobResult
from .losses import soft_targets
from .model import ParameterLayout
from .stack import ModelStack, ModelState

OnEpoch = Callable[[int, Sequence[int], Sequence[Metrics]], Collection[int]]
"""Called with the number of a finished epoch, from 0, the jobs that have gone through it, by their places, and their
metrics; returns the places of those that are to be stopped now."""


def fit_vectorized(name: str, jobs: Sequence[Job], on_epoch: OnEpoch) -> list[JobResult | None]:
    """Train the networks of `jobs` at once; return what came of each, None of those that `on_epoch` stopped.

    On a CPU dropout and noise fall as in `fit`; on a GPU by other chance.

    Raises:
        TrainingError: the jobs cannot be stacked.
        ParamsError: a network does not fit the shape of the data, or training does not fit the machine.
    """
    if reason := ineligible_reason(jobs):
        raise TrainingError(f"{name}: jobs of a stack must be alike, but {reason}; train them one by one")
    device = build_trainer(jobs[0].params.training, []).strategy.root_device
    members, pools = _build_states(name, jobs, device)
    stack = ModelStack(members, *pools, device)
    outcomes: list[JobResult | None] = [None] * len(jobs)
    epoch = 0
    while stack.states:
        raise_if_stopped()
        _run_epoch(stack, epoch)
        going = sorted((member for member in stack.states if not member.error), key=lambda member: member.index)
        stopped = on_epoch(epoch, [member.index for member in going], [member.metrics_by_epoch[-1] for member in going])
        left = []
        for i, member in enumerate(stack.states):
            if member.index in stopped:
                continue
            if not member.is_finished(epoch):
                left.append(i)
                continue
            ParameterLayout(member.network).copy_to_network(
                stack.weights.snapshot[i], stack.weights.snapshot_running_stats[i]
            )
            member.network.to(device)
            outcomes[member.index] = member.build_result()
        if len(left) < len(stack.states):
            if not left:
                break
            stack.take(left)
        epoch += 1
    return outcomes


def _run_epoch(stack: ModelStack, epoch: int) -> None:
    """Have all networks learn for an epoch, and keep those that were better than before."""
    sums = stack.run_epoch(epoch)
    better = []
    for i, member in enumerate(stack.states):
        found = {
            "train": (sums.train[i], member.train_rows.n_rows),
            "val": (sums.val[i], member.validation_rows.n_rows),
        }
        if member.record_epoch(epoch, found, None if sums.n_correct is None else sums.n_correct[i]):
            better.append(i)
    stack.weights.save_snapshot(better)


def _build_states(
    name: str, jobs: Sequence[Job], device: torch.device
) -> tuple[list[ModelState], tuple[RowPool, RowPool]]:
    """Return the trainings of `jobs`, those with the most rows first, and their training and validation rows."""
    places: dict[tuple[int, ...], int] = {}
    learnings: list[LearningTask] = []
    found = []
    for place, job in enumerate(jobs):
        schema = training_schema(job.dataset.schema, job.params.training)
        network = init_network(name, job.params, schema, job.pipeline, job.seed)
        chosen = job.params.network
        noisy = isinstance(chosen, Autoencoder) and isinstance(
            chosen.variant, DenoisingVariant
        )  # rows held out too, by seed
        key = (id(job.dataset), id(job.pipeline), job.seed if noisy else 0)
        if key not in places:
            places[key] = len(learnings)
            learnings.append(
                build_learning_task(name, job.params, job.dataset, schema, job.pipeline, network, job.seed, device)
            )
        found.append((place, job, network, places[key]))
    train, trains = _build_pool(jobs[0], learnings, [learning.train for learning in learnings])
    held_out, held = _build_pool(jobs[0], learnings, [learning.validation for learning in learnings])
    members = [
        ModelState(place, job, network, learnings[which], trains[which], held[which])
        for place, job, network, which in found
    ]
    return sorted(members, key=lambda member: (-member.train_rows.n_rows, member.job.seed)), (train, held_out)


def _build_pool(job: Job, tasks: Sequence[LearningTask], rows: Sequence[TensorPair]) -> tuple[RowPool, list[RowRange]]:
    """Return the rows of all, and where those of each lie."""
    pools, reaches, start = [], [], 0
    for learning, (x, y) in zip(tasks, rows, strict=True):
        flat = x.flatten(1).contiguous()
        objective = learning.criterion
        if isinstance(objective, SupervisedLoss) and objective.n_classes:
            weights = None if objective.class_weights is None else objective.class_weights.to(x.device)
            pools.append(RowPool(flat, soft_targets(job.params, y, objective.n_classes, weights), y))
        else:
            pools.append(RowPool(flat, flat if y is x else y.flatten(1).contiguous()))
        reaches.append(RowRange(start, len(x)))
        start += len(x)
    return RowPool.concatenate(pools), reaches
