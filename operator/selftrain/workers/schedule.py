"""The learning rate of every update, and after which of them the state is stored. Pure."""

from math import cos, pi

from selftrain.api.training import Train


def learning_rate(settings: Train, step: int, steps: int) -> float:
    """Learning rate of update `step` of `steps`, counted from 0.

    It rises in equal steps to the peak, which update `warmup_steps` has, and falls from there to its final share, which
    the last update has. A run that is shorter than its warm-up ends while the rate still rises.
    """
    peak, warmup = float(settings.learning_rate), settings.warmup_steps
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    last = max(1, steps - 1 - warmup)
    return peak * _shape(settings, min(1.0, (step - warmup) / last))


def _shape(settings: Train, progress: float) -> float:
    """Share of the peak when `progress` of the way after the warm-up is done."""
    final = float(settings.final_learning_rate_ratio)
    match settings.schedule:
        case "cosine":
            return final + (1 - final) * (1 + cos(pi * progress)) / 2
        case "linear":
            return 1 - (1 - final) * progress
        case "constant":
            return 1.0


def is_saved(settings: Train, done: int, count: int, *, drained: bool) -> bool:
    """Whether the state after so many of `count` updates is stored: now and then, and always where the pod is about to stop.

    After the last one the model is next, unless the pod has to stop before.
    """
    return drained or (done % settings.save_every_steps == 0 and done < count)
