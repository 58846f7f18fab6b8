"""The passes over the training recordings, and the accuracy after each."""

import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from retempo.exporters.bin_laws import SATURATING
from retempo.exporters.description import InputSpec
from retempo.training.augmentation import augment
from retempo.training.batches import Batch, BinPlan, Kept, batches
from retempo.training.config import FitConfig, TrainConfig
from retempo.training.datasets import Dataset
from retempo.training.errors import DatasetError, DivergedError
from retempo.training.history import Epoch
from retempo.training.layers import planned_layers
from retempo.training.network import NetworkModule, mean_over_steps
from retempo.training.progress import Progress

# Below it the logarithm of a probability would run away.
_LEAST_PROBABILITY = 1e-8


def new_module(config: TrainConfig, spec: InputSpec, labels: Sequence[str]) -> NetworkModule:
    """Return an untrained network, drawn from torch's random numbers.

    Raises:
        TrainingError: see `planned_layers`.
    """
    shapes = planned_layers(config.network, spec, len(labels))
    return NetworkModule(shapes, config.network.dropout)


def run_epochs(
    module: NetworkModule,
    config: TrainConfig,
    plan: BinPlan,
    dataset: Dataset,
    held_out: Dataset | None,
    progress: Progress,
) -> list[Epoch]:
    """Train a module in place, by torch's random numbers and those of `[fit] seed`.

    Raises:
        DivergedError: the loss or a weight left the finite numbers.
        DatasetError: the recordings of a batch are one bin in all.
    """
    fit = config.fit
    rng = np.random.default_rng([fit.seed, 0])
    recordings = Kept(dataset)
    watched = None if held_out is None else Kept(held_out)
    optimizer = torch.optim.Adam(module.parameters(), fit.learning_rate)
    steps = fit.epochs * -(-len(dataset) // fit.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    began = time.perf_counter()
    epochs: list[Epoch] = []
    for number in range(1, fit.epochs + 1):
        epoch_began = time.perf_counter()
        learning_rate = float(schedule.get_last_lr()[0])
        loss, train_accuracy = _pass(module, config, plan, recordings, rng, optimizer, schedule)
        _check_finite(module, loss, number, fit)
        epoch = Epoch(
            number=number,
            loss=loss,
            train_accuracy=train_accuracy,
            held_out_accuracy=None if watched is None else accuracy(module, watched, plan),
            learning_rate=learning_rate,
            wall_s=time.perf_counter() - epoch_began,
        )
        epochs.append(epoch)
        left_s = (time.perf_counter() - began) / number * (fit.epochs - number)
        progress.epoch(epoch, fit.epochs, left_s)
    return epochs


def accuracy(module: NetworkModule, recordings: Kept, plan: BinPlan) -> float:
    """Return the share of recordings that the module, in evaluation, labels rightly."""
    module.eval()
    right = 0
    with torch.inference_mode():
        for batch in batches(recordings, plan, range(len(recordings)), size=100):
            scores = mean_over_steps(module(batch.x, batch.offsets), batch.offsets)
            right += int((scores.argmax(1) == batch.targets).sum())
    return right / len(recordings)


def _pass(
    module: NetworkModule,
    config: TrainConfig,
    plan: BinPlan,
    recordings: Kept,
    rng: np.random.Generator,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> tuple[float, float]:
    """One pass in random order; returns its mean loss and its accuracy."""
    module.train()
    order = rng.permutation(len(recordings)).tolist()
    geometry = recordings.dataset.geometry
    vary = partial(augment, geometry=geometry, config=config.augment, dt_us=plan.dt_us, rng=rng)
    loss_sum, right = 0.0, 0
    for batch in batches(recordings, plan, order, config.fit.batch, vary):
        if len(batch.x) < 2:
            raise DatasetError(
                f"{recordings.dataset.name}: a batch of one bin in all has no spread to normalise "
                "by; raise [fit] batch or lower [input] dt"
            )
        # Inputs that saturate are not fewer by the share of the events that was dropped.
        if plan.layout.spec.bin_mode not in SATURATING:
            batch.x.div_(1.0 - config.augment.drop)
        loss, correct = _step(module, optimizer, batch, config.fit)
        schedule.step()
        loss_sum += loss * len(batch.targets)
        right += correct
    return loss_sum / len(recordings), right / len(recordings)


def _step(
    module: NetworkModule, optimizer: torch.optim.Optimizer, batch: Batch, config: FitConfig
) -> tuple[float, int]:
    scores = mean_over_steps(module(batch.x, batch.offsets), batch.offsets)
    logs = torch.log(scores + _LEAST_PROBABILITY)
    smooth = config.label_smoothing
    loss = (1.0 - smooth) * nn.functional.nll_loss(logs, batch.targets) - smooth * logs.mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(module.parameters(), config.gradient_clip)
    optimizer.step()
    module.project_()
    return float(loss.detach()), int((scores.argmax(1) == batch.targets).sum())


def _check_finite(module: NetworkModule, loss: float, number: int, config: FitConfig) -> None:
    if not np.isfinite(loss):
        what = f"the loss became {loss}"
    # A dead network has a finite loss, whatever its weights.
    elif not all(bool(values.isfinite().all()) for values in module.state_dict().values()):
        what = "a weight left the finite numbers"
    else:
        return
    raise DivergedError(
        f"{what} in epoch {number}; lower [fit] learning_rate, now {config.learning_rate:g}, or "
        f"[fit] gradient_clip, now {config.gradient_clip:g}"
    )
