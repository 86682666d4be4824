"""The trainings that run, side by side: an epoch of all of them.

Shapes: m networks, d numbers of their weights that decay.

One training of a stack: its numbers, and what became of it so far.
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
from .layers import DropoutMask
from .losses import build_row_loss
from .model import BatchedModel, ParameterLayout, StackedWeights
from .optimizers import BatchedOptimizer, OptimizerState


@dataclass
class ModelState:
    """A training that runs, as `training.callbacks` would follow it.

    place: of its job among all.
    train, held_out: where its rows lie in the pools.
    lowest, best: the lowest validation loss, and its epoch; kept: the epoch that is kept; -1 for none.
    scale: what the schedule's learning rate is multiplied by; loss, since: by which it is lowered.
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
        """How it is trained."""
        return self.job.params.training

    @property
    def dropout(self) -> float:
        """The share of its units that is switched off."""
        network = self.job.params.network
        return network.dropout if isinstance(network, Mlp | PlainCnn) else 0.0

    def learning_rate(self, epoch: int, step: int) -> float:
        """Return the learning rate of a step of an epoch."""
        return self.training.optimizer.lr * (self.lr_lambda(epoch * self.steps_per_epoch + step) * self.lr_scale)

    def record_epoch(self, epoch: int, totals: Mapping[str, tuple[float, int]], n_correct: float | None) -> bool:
        """Learn how an epoch was, and return whether its weights are to be kept.

        sums: the sum of losses, and of rows, by split. hits: validation rows that were told rightly.
        """
        metrics: Metrics = {}
        for split, (total, rows) in totals.items():
            loss = total / rows
            if not math.isfinite(loss):
                self.error = f"{split}/loss must be finite, but is {loss} in epoch {epoch}; {self._suggest_remedy()}"
                return False
            metrics[f"{split}/loss"] = _to_float32(loss)
        if n_correct is not None:
            metrics["val/accuracy"] = _to_float32(n_correct / totals["val"][1])
        metrics["lr"] = self.learning_rate(epoch, self.steps_per_epoch - 1)
        self.metrics_by_epoch.append(metrics)
        loss = metrics["val/loss"]
        lower = loss < self.best_score
        if lower:
            self.best_score, self.best_epoch = loss, epoch
        if lower or self.training.checkpoint == "last":
            self.selected_epoch = epoch
        self._reduce_on_plateau(loss)
        return self.selected_epoch == epoch

    def is_finished(self, epoch: int) -> bool:
        """Return whether an epoch was the last."""
        training = self.training
        waited = training.patience and self.best_epoch >= 0 and epoch - self.best_epoch >= training.patience
        return bool(self.error or waited or epoch + 1 == training.max_epochs)

    def build_result(self) -> JobResult:
        """Return what came of it; the network must have the weights that are kept."""
        params, learning = self.job.params, self.task
        part = copy.deepcopy(learning.head_factory(self.network))  # others may have the same rows
        model = (
            build_inference_model(params.network, learning.schema, self.job.pipeline, self.network, part).cpu().eval()
        )
        saved = TrainedModel(model, learning.schema, params.network, params.training.loss, {})
        return JobResult(saved, self.metrics_by_epoch, self.selected_epoch + 1, self.error)

    def _suggest_remedy(self) -> str:
        """Return what to do about a loss that is not finite."""
        inputs = summarize_inputs(self.task, self.training, self.job.pipeline)
        return suggest_non_finite_remedy(
            summarize_training(self.job.params, inputs, self.metrics_by_epoch, {}, self.steps_per_epoch)
        )

    def _reduce_on_plateau(self, loss: float) -> None:
        """Lower the learning rate where the validation loss does not fall any more, if the schedule says so."""
        schedule = self.training.schedule
        if isinstance(schedule, PlateauSchedule):
            self.num_bad_epochs = 0 if loss < self.best_loss else self.num_bad_epochs + 1
            self.best_loss = min(loss, self.best_loss)
            if self.num_bad_epochs > schedule.patience:
                self.lr_scale, self.num_bad_epochs = self.lr_scale * schedule.factor, 0


def _to_float32(value: float) -> float:
    """Return a metric as Lightning keeps it, in 32 bits."""
    return float(np.float32(value))


class EpochTotals(NamedTuple):
    """Of an epoch, over the rows of each network: losses, and validation rows told rightly, None for values."""

    train: list[float]
    val: list[float]
    n_correct: list[float] | None


class ModelStack:
    """Networks that learn at once; those that end are taken out.

    Args:
        members: those with the most rows first, and of these those with the same seed together.
        train, held_out: the rows of all.
    """

    def __init__(self, states: Sequence[ModelState], train: RowPool, validation: RowPool, device: torch.device) -> None:
        self.pools = train, validation
        self.classes = states[0].task.criterion.n_classes
        self.loss_fn = build_row_loss(states[0].job.params, self.classes)
        networks = [member.network for member in states]
        self.template = max(states, key=lambda member: member.dropout).network
        self.sample_shape = states[0].job.pipeline.output_shape(states[0].job.dataset.schema.shape)
        weights = StackedWeights.from_networks(networks, device)
        self._set_states(states, weights, OptimizerState.from_weights(weights))

    def _set_states(
        self, states: Sequence[ModelState], weights: StackedWeights, optimizer_state: OptimizerState
    ) -> None:
        """Lay out all that follows from who is there."""
        self.states, self.weights, self.optimizer_state = list(states), weights, optimizer_state
        training = [member.training for member in states]
        self.n_decayed = ParameterLayout(self.template).n_decayed
        self.optimizer = BatchedOptimizer(
            [each.optimizer for each in training], weights, optimizer_state, self.n_decayed
        )
        self.models_by_slice: dict[tuple[int, int], BatchedModel] = {}
        self.generators = self._build_generators()
        l1, norms, values = (
            weights.values.new_tensor(numbers)[:, None]
            for numbers in (
                [each.l1 for each in training],
                [each.gradient_clip_norm or math.inf for each in training],
                [each.gradient_clip_value or math.inf for each in training],
            )
        )
        self.l1 = l1 if l1.any() else None
        self.max_norms, self.max_values = (None if limit.isinf().all() else limit for limit in (norms, values))
        seeds = [member.job.seed for member in states]
        train, held_out = self.pools
        self.train_loader = BatchedLoader(
            train, [member.train_rows for member in states], seeds, training[0].batch_size
        )
        self.validation_loader = ValidationLoader(
            held_out, [member.validation_rows for member in states], VALIDATION_BATCH_SIZE
        )

    def take(self, indices: Sequence[int]) -> None:
        """Go on with the networks at `which` alone."""
        self._set_states(
            [self.states[i] for i in indices], self.weights.take(indices), self.optimizer_state.take(indices)
        )

    @torch.inference_mode()
    def run_epoch(self, epoch: int) -> EpochTotals:
        """Learn for an epoch, and judge the rows held out."""
        train = self._train_epoch(epoch)
        val, hits = self._validate()
        return EpochTotals(train.tolist(), val.tolist(), None if hits is None else hits.tolist())

    def _train_epoch(self, epoch: int) -> Tensor:
        """Go through the batches of an epoch; return the sum of losses of each network, (m,)."""
        for chance in self.generators:
            chance.generator.manual_seed(derive_seed(self.states[chance.model_slice.start].job.seed, epoch))
        total = torch.zeros(len(self.states), device=self.weights.values.device)
        for step, span, x, told in self.train_loader(epoch):
            program = self._model_for(span)
            losses, gradient = self.loss_fn(program(self._add_noise(span, x), training=True), told)
            total[span] += losses.sum(1)
            program.backward(gradient.div_(x.shape[1]))
            self._adjust_gradients(span)
            rates = [member.learning_rate(epoch, step) for member in self.states[span]]
            self.optimizer.step(span, rates, is_first_step=not epoch and not step)
        return total

    def _validate(self) -> tuple[Tensor, Tensor | None]:
        """Return the sum of validation losses of each network, (m,), and how many rows were told rightly, (m,)."""
        program = self._model_for(slice(0, len(self.states)))
        total = torch.zeros(len(self.states), device=self.weights.values.device)
        right = torch.zeros_like(total)
        for x, told, classes, real in self.validation_loader:
            out = program(x)
            total += torch.where(real, self.loss_fn(out, told)[0], 0.0).sum(1)
            if classes is not None:
                two = isinstance(self.states[0].training.loss, BCELoss)
                guess = (out[..., 0] > 0).long() if two else out.argmax(2)
                right += (real & (guess == classes)).sum(1)
        return total, right if self.classes else None

    def _adjust_gradients(self, model_slice: slice) -> None:
        """Change the gradients of a span before a step, in the order of `training.descent`."""
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
        """Return the networks of a span as one program."""
        key = model_slice.start, model_slice.stop
        if key not in self.models_by_slice:
            dropout = [member.dropout for member in self.states]
            within = [
                DropoutMask(
                    slice(max(each.model_slice.start, model_slice.start) - model_slice.start, stop - model_slice.start),
                    each.generator,
                )
                for each in self.generators
                if (stop := min(each.model_slice.stop, model_slice.stop))
                > max(each.model_slice.start, model_slice.start)
            ]
            self.models_by_slice[key] = BatchedModel(
                self.template, self.sample_shape, self.weights, model_slice, dropout, within
            )
        return self.models_by_slice[key]

    def _build_generators(self) -> list[DropoutMask]:
        """Return where networks draw from; noise is drawn by each network itself."""

        def alike(i: int) -> tuple[int, ...]:
            member = self.states[i]
            return (member.job.seed, member.train_rows.n_rows, i if member.task.augment is not None else -1)

        found = []
        for _, which in groupby(range(len(self.states)), alike):
            places = list(which)
            generator = torch.Generator(self.weights.values.device)
            found.append(DropoutMask(slice(places[0], places[-1] + 1), generator))
        return found

    def _add_noise(self, model_slice: slice, x: Tensor) -> Tensor:
        """Return a batch as networks that denoise see it; others see it as it is."""
        if self.states[0].task.augment is None:
            return x
        seen = []
        for i, rows in zip(range(model_slice.start, model_slice.stop), x, strict=True):
            noise = self.states[i].task.augment
            assert isinstance(noise, Noise)
            seen.append(noise.corrupt(rows, self.generators[i].generator))
        return torch.stack(seen)
