"""Fit several small models as one tensor program: the results of `training.fit.fit` in a fraction of the time.

The time of a small network is determined by the number of operations, not by their size, and a stack of networks has as
many operations as one network.
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
"""Called with the index of a finished epoch, from 0, the indices of the jobs that trained in it, and their metrics;
returns the indices of the jobs that are to be stopped."""


def fit_vectorized(name: str, jobs: Sequence[Job], on_epoch: OnEpoch) -> list[JobResult | None]:
    """Train the networks of `jobs` together; return the result of each, None of those that `on_epoch` stopped.

    On a CPU dropout and noise are the same as in `fit`; on a GPU they have other random numbers.

    Raises:
        TrainingError: the jobs cannot be vectorized.
        ParamsError: a network does not fit the shape of the data, or the device is not available.
    """
    if reason := ineligible_reason(jobs):
        raise TrainingError(
            f"{name}: jobs must be eligible for vectorized training, but {reason}; train them one by one"
        )
    device = build_trainer(jobs[0].params.training, []).strategy.root_device
    states, pools = _build_states(name, jobs, device)
    stack = ModelStack(states, *pools, device)
    results: list[JobResult | None] = [None] * len(jobs)
    epoch = 0
    while stack.states:
        raise_if_stopped()
        _run_epoch(stack, epoch)
        active = sorted((state for state in stack.states if not state.error), key=lambda state: state.index)
        stopped = on_epoch(epoch, [state.index for state in active], [state.metrics_by_epoch[-1] for state in active])
        remaining = []
        for i, state in enumerate(stack.states):
            if state.index in stopped:
                continue
            if not state.is_finished(epoch):
                remaining.append(i)
                continue
            ParameterLayout(state.network).copy_to_network(
                stack.weights.snapshot[i], stack.weights.snapshot_running_stats[i]
            )
            state.network.to(device)
            results[state.index] = state.build_result()
        if len(remaining) < len(stack.states):
            if not remaining:
                break
            stack.take(remaining)
        epoch += 1
    return results


def _run_epoch(stack: ModelStack, epoch: int) -> None:
    """Train and validate all networks for one epoch, and save the weights of those whose epoch is selected."""
    totals = stack.run_epoch(epoch)
    selected = []
    for i, state in enumerate(stack.states):
        by_split = {
            "train": (totals.train[i], state.train_rows.n_rows),
            "val": (totals.val[i], state.validation_rows.n_rows),
        }
        if state.record_epoch(epoch, by_split, None if totals.n_correct is None else totals.n_correct[i]):
            selected.append(i)
    stack.weights.save_snapshot(selected)


def _build_states(
    name: str, jobs: Sequence[Job], device: torch.device
) -> tuple[list[ModelState], tuple[RowPool, RowPool]]:
    """Return the states of the jobs, sorted by decreasing number of rows, and their training and validation rows."""
    task_indices: dict[tuple[int, ...], int] = {}
    tasks: list[LearningTask] = []
    entries = []
    for index, job in enumerate(jobs):
        schema = training_schema(job.dataset.schema, job.params.training)
        network = init_network(name, job.params, schema, job.pipeline, job.seed)
        config = job.params.network
        is_denoising = isinstance(config, Autoencoder) and isinstance(config.variant, DenoisingVariant)
        # the noise of validation rows depends on the seed
        key = (id(job.dataset), id(job.pipeline), job.seed if is_denoising else 0)
        if key not in task_indices:
            task_indices[key] = len(tasks)
            tasks.append(
                build_learning_task(name, job.params, job.dataset, schema, job.pipeline, network, job.seed, device)
            )
        entries.append((index, job, network, task_indices[key]))
    train, train_ranges = _build_pool(jobs[0], tasks, [task.train for task in tasks])
    validation, validation_ranges = _build_pool(jobs[0], tasks, [task.validation for task in tasks])
    states = [
        ModelState(index, job, network, tasks[i], train_ranges[i], validation_ranges[i])
        for index, job, network, i in entries
    ]
    return sorted(states, key=lambda state: (-state.train_rows.n_rows, state.job.seed)), (train, validation)


def _build_pool(job: Job, tasks: Sequence[LearningTask], rows: Sequence[TensorPair]) -> tuple[RowPool, list[RowRange]]:
    """Return the rows of all tasks as one pool, and the range of each task in it."""
    pools, ranges, start = [], [], 0
    for task, (x, y) in zip(tasks, rows, strict=True):
        flat = x.flatten(1).contiguous()
        criterion = task.criterion
        if isinstance(criterion, SupervisedLoss) and criterion.n_classes:
            weights = None if criterion.class_weights is None else criterion.class_weights.to(x.device)
            pools.append(RowPool(flat, soft_targets(job.params, y, criterion.n_classes, weights), y))
        else:
            pools.append(RowPool(flat, flat if y is x else y.flatten(1).contiguous()))
        ranges.append(RowRange(start, len(x)))
        start += len(x)
    return RowPool.concatenate(pools), ranges
