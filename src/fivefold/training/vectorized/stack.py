"""Train the networks of a stack together: the state of each training, and an epoch of all of them.

Shapes: m networks, d parameters to which weight decay applies.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...config.networks.cnn import PlainCnn
from ...config.networks.mlp import Mlp
from ...config.optimizers import PlateauSchedule
from ...config.training import BCELoss, Training
from ...models.autoencoder.noise import Noise
from ...models.lightning import VALIDATION_BATCH_SIZE
from ...models.serialization import TrainedModel, build_inference_model
from ..batches import derive_seed
from ..callbacks import Metrics
from ..diagnostics.rules import suggest_non_finite_remedy
from ..diagnostics.summary import summarize_training
from ..objectives import LearningTask
from ..optimization import build_lr_lambda
from ..supervised import summarize_inputs
from .batches import BatchedLoader, RowPool, RowRange, ValidationLoader
from .job import Job, JobResult
from .layers import SharedGenerator
from .losses import build_row_loss
from .model import BatchedModel, ParameterLayout, StackedWeights
from .optimizers import BatchedOptimizer, OptimizerState


@dataclass
class ModelState:
    """The state of one training, with the functions of the callbacks `BestWeights` and `ReduceOnPlateau`.

    index: index of the job.
    train_rows, validation_rows: ranges of its rows in the pools.
    best_score, best_epoch: the lowest validation loss, and its epoch, counted from 0; -1: none.
    selected_epoch: the epoch of the snapshot, counted from 0; -1: none.
    lr_scale: factor of the learning rate, reduced on a plateau.
    best_loss, num_bad_epochs: state of the plateau schedule.
    error: why training was aborted; empty if it was not.
    """

    index: int
    job: Job
    network: nn.Module
    task: LearningTask
    train_rows: RowRange
    validation_rows: RowRange
    metrics_by_epoch: list[Metrics] = field(default_factory=list)
    best_score: float = math.inf
    best_epoch: int = -1
    selected_epoch: int = -1
    lr_scale: float = 1.0
    best_loss: float = math.inf
    num_bad_epochs: int = 0
    error: str = ""

    def __post_init__(self) -> None:
        steps = -(-self.train_rows.n_rows // self.training.batch_size)
        self.steps_per_epoch = steps
        self.lr_lambda: Callable[[int], float] = build_lr_lambda(
            self.training.schedule, self.training.max_epochs, steps
        )

    @property
    def training(self) -> Training:
        """The training parameters."""
        return self.job.params.training

    @property
    def dropout(self) -> float:
        """The dropout rate."""
        network = self.job.params.network
        return network.dropout if isinstance(network, Mlp | PlainCnn) else 0.0

    def learning_rate(self, epoch: int, step: int) -> float:
        """Return the learning rate of a step of an epoch."""
        return self.training.optimizer.lr * (self.lr_lambda(epoch * self.steps_per_epoch + step) * self.lr_scale)

    def record_epoch(self, epoch: int, totals: Mapping[str, tuple[float, int]], n_correct: float | None) -> bool:
        """Record the metrics of an epoch, and return whether its weights are selected.

        totals: sum of the losses and number of rows, by split.
        n_correct: number of validation rows that are classified correctly; None for values.
        """
        metrics: Metrics = {}
        for split, (total, n_rows) in totals.items():
            loss = total / n_rows
            if not math.isfinite(loss):
                self.error = f"{split}/loss must be finite, but is {loss} in epoch {epoch}; {self._suggest_remedy()}"
                return False
            metrics[f"{split}/loss"] = _to_float32(loss)
        if n_correct is not None:
            metrics["val/accuracy"] = _to_float32(n_correct / totals["val"][1])
        metrics["lr"] = self.learning_rate(epoch, self.steps_per_epoch - 1)
        self.metrics_by_epoch.append(metrics)
        loss = metrics["val/loss"]
        is_better = loss < self.best_score
        if is_better:
            self.best_score, self.best_epoch = loss, epoch
        if is_better or self.training.checkpoint == "last":
            self.selected_epoch = epoch
        self._reduce_on_plateau(loss)
        return self.selected_epoch == epoch

    def is_finished(self, epoch: int) -> bool:
        """Return whether an epoch was the last."""
        training = self.training
        out_of_patience = training.patience and self.best_epoch >= 0 and epoch - self.best_epoch >= training.patience
        return bool(self.error or out_of_patience or epoch + 1 == training.max_epochs)

    def build_result(self) -> JobResult:
        """Return the result; the network must have the weights of the selected epoch."""
        params, task, pipeline = self.job.params, self.task, self.job.pipeline
        head = copy.deepcopy(task.head_factory(self.network))  # jobs with the same rows share a task
        model = build_inference_model(params.network, task.schema, pipeline, self.network, head).cpu().eval()
        trained_model = TrainedModel(model, task.schema, params.network, params.training.loss, {})
        return JobResult(trained_model, self.metrics_by_epoch, self.selected_epoch + 1, self.error)

    def _suggest_remedy(self) -> str:
        """Return the remedy for a loss that is not finite."""
        input_stats = summarize_inputs(self.task, self.training, self.job.pipeline)
        return suggest_non_finite_remedy(
            summarize_training(self.job.params, input_stats, self.metrics_by_epoch, {}, self.steps_per_epoch)
        )

    def _reduce_on_plateau(self, loss: float) -> None:
        """Reduce the learning rate when the validation loss stops falling, if the schedule is `plateau`."""
        schedule = self.training.schedule
        if isinstance(schedule, PlateauSchedule):
            self.num_bad_epochs = 0 if loss < self.best_loss else self.num_bad_epochs + 1
            self.best_loss = min(loss, self.best_loss)
            if self.num_bad_epochs > schedule.patience:
                self.lr_scale, self.num_bad_epochs = self.lr_scale * schedule.factor, 0


def _to_float32(value: float) -> float:
    """Return a metric with the precision in which Lightning stores it."""
    return float(np.float32(value))


class EpochTotals(NamedTuple):
    """Sums of losses and numbers of correct validation rows, None for values, of each network in one epoch."""

    train: list[float]
    val: list[float]
    n_correct: list[float] | None


class ModelStack:
    """Networks that are trained together; those that are finished are removed by `take`.

    Args:
        states: sorted by decreasing number of rows, then by seed.
        train, validation: the rows of all networks.
    """

    def __init__(self, states: Sequence[ModelState], train: RowPool, validation: RowPool, device: torch.device) -> None:
        self.pools = train, validation
        self.n_classes = states[0].task.criterion.n_classes
        self.loss_fn = build_row_loss(states[0].job.params, self.n_classes)
        self.template = max(states, key=lambda state: state.dropout).network
        self.sample_shape = states[0].job.pipeline.output_shape(states[0].job.dataset.schema.shape)
        weights = StackedWeights.from_networks([state.network for state in states], device)
        self._set_states(states, weights, OptimizerState.from_weights(weights))

    def _set_states(
        self, states: Sequence[ModelState], weights: StackedWeights, optimizer_state: OptimizerState
    ) -> None:
        """Set the networks, and build the optimizers, generators and loaders for them."""
        self.states, self.weights, self.optimizer_state = list(states), weights, optimizer_state
        training = [state.training for state in states]
        self.n_decayed = ParameterLayout(self.template).n_decayed
        self.optimizer = BatchedOptimizer([t.optimizer for t in training], weights, optimizer_state, self.n_decayed)
        self.models_by_slice: dict[tuple[int, int], BatchedModel] = {}
        self.generators = self._build_generators()
        l1, norms, values = (
            weights.values.new_tensor(limits)[:, None]
            for limits in (
                [t.l1 for t in training],
                [t.gradient_clip_norm or math.inf for t in training],
                [t.gradient_clip_value or math.inf for t in training],
            )
        )
        self.l1 = l1 if l1.any() else None
        self.max_norms, self.max_values = (None if limit.isinf().all() else limit for limit in (norms, values))
        train, validation = self.pools
        self.train_loader = BatchedLoader(
            train,
            [state.train_rows for state in states],
            [state.job.seed for state in states],
            training[0].batch_size,
        )
        self.validation_loader = ValidationLoader(
            validation, [state.validation_rows for state in states], VALIDATION_BATCH_SIZE
        )

    def take(self, indices: Sequence[int]) -> None:
        """Keep only the networks at `indices`."""
        self._set_states(
            [self.states[i] for i in indices], self.weights.take(indices), self.optimizer_state.take(indices)
        )

    @torch.inference_mode()
    def run_epoch(self, epoch: int) -> EpochTotals:
        """Train all networks for one epoch, and evaluate them on the validation rows."""
        train = self._train_epoch(epoch)
        val, n_correct = self._validate()
        return EpochTotals(train.tolist(), val.tolist(), None if n_correct is None else n_correct.tolist())

    def _train_epoch(self, epoch: int) -> Tensor:
        """Do the optimizer steps of an epoch; return the sum of losses of each network, (m,)."""
        for shared in self.generators:
            shared.generator.manual_seed(derive_seed(self.states[shared.model_slice.start].job.seed, epoch))
        totals = torch.zeros(len(self.states), device=self.weights.values.device)
        for step, model_slice, x, targets in self.train_loader(epoch):
            model = self._model_for(model_slice)
            losses, gradient = self.loss_fn(model(self._add_noise(model_slice, x), training=True), targets)
            totals[model_slice] += losses.sum(1)
            model.backward(gradient.div_(x.shape[1]))
            self._adjust_gradients(model_slice)
            learning_rates = [state.learning_rate(epoch, step) for state in self.states[model_slice]]
            self.optimizer.step(model_slice, learning_rates, is_first_step=not epoch and not step)
        return totals

    def _validate(self) -> tuple[Tensor, Tensor | None]:
        """Return the sum of validation losses and the number of correct rows of each network, (m,) each."""
        model = self._model_for(slice(0, len(self.states)))
        totals = torch.zeros(len(self.states), device=self.weights.values.device)
        n_correct = torch.zeros_like(totals)
        for x, targets, classes, mask in self.validation_loader:
            out = model(x)
            totals += torch.where(mask, self.loss_fn(out, targets)[0], 0.0).sum(1)
            if classes is not None:
                is_binary = isinstance(self.states[0].training.loss, BCELoss)
                predicted = (out[..., 0] > 0).long() if is_binary else out.argmax(2)
                n_correct += (mask & (predicted == classes)).sum(1)
        return totals, n_correct if self.n_classes else None

    def _adjust_gradients(self, model_slice: slice) -> None:
        """Apply the L1 penalty and gradient clipping to a slice, in the order of `OptimizerStep.step`."""
        gradient = self.weights.gradient[model_slice]
        if self.l1 is not None:
            gradient[:, : self.n_decayed] += (
                self.l1[model_slice] * self.weights.values[model_slice, : self.n_decayed].sign()
            )
        if self.max_values is not None:
            gradient.clamp_(-self.max_values[model_slice], self.max_values[model_slice])
        if self.max_norms is not None:
            norms = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
            gradient *= (self.max_norms[model_slice] / (norms + 1e-6)).clamp_max(1.0)

    def _model_for(self, model_slice: slice) -> BatchedModel:
        """Return the networks of a slice as one program."""
        key = model_slice.start, model_slice.stop
        if key not in self.models_by_slice:
            generators = []
            for shared in self.generators:
                start = max(shared.model_slice.start, model_slice.start)
                stop = min(shared.model_slice.stop, model_slice.stop)
                if stop > start:
                    relative = slice(start - model_slice.start, stop - model_slice.start)
                    generators.append(SharedGenerator(relative, shared.generator))
            self.models_by_slice[key] = BatchedModel(
                self.template,
                self.sample_shape,
                self.weights,
                model_slice,
                [state.dropout for state in self.states],
                generators,
            )
        return self.models_by_slice[key]

    def _build_generators(self) -> list[SharedGenerator]:
        """Return the random generators of dropout and noise; networks with noise do not share them."""

        def group_key(i: int) -> tuple[int, ...]:
            state = self.states[i]
            return (state.job.seed, state.train_rows.n_rows, i if state.task.augment is not None else -1)

        generators = []
        for _, group in groupby(range(len(self.states)), group_key):
            indices = list(group)
            generator = torch.Generator(self.weights.values.device)
            generators.append(SharedGenerator(slice(indices[0], indices[-1] + 1), generator))
        return generators

    def _add_noise(self, model_slice: slice, x: Tensor) -> Tensor:
        """Return the input of denoising autoencoders for x, (m, b, f); x itself for other networks."""
        if self.states[0].task.augment is None:
            return x
        corrupted = []
        for i, rows in zip(range(model_slice.start, model_slice.stop), x, strict=True):
            noise = self.states[i].task.augment
            assert isinstance(noise, Noise)
            corrupted.append(noise.corrupt(rows, self.generators[i].generator))
        return torch.stack(corrupted)
