"""The seam around DeepSpeed: a causal language model, its optimizer, and one update at a time."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import nan
from pathlib import Path
from typing import Any

import deepspeed
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.integrations import HfDeepSpeedConfig

from selftrain.api.training import Train
from selftrain.workers import attention, neighbours
from selftrain.workers.batches import Batch
from selftrain.workers.lora import add_adapters, merge
from selftrain.workers.objectives import Objective, sums_of
from selftrain.workers.ranks import Ranks
from selftrain.workers.zero import deepspeed_settings

ADAM_EPSILON = 1e-8
"""Source: release."""


class Trainer:
    """One rank's share of the model. Every method but `device` is for all ranks together.

    Batches must not be packed where `packs` is false: the model would see from one example into the next.
    """

    def __init__(self, folder: Path, settings: Train, ranks: Ranks, *, bf16: bool) -> None:
        config = deepspeed_settings(settings, ranks.count, bf16=bf16)
        # While this object lives, transformers loads a stage 3 model straight into its partitions.
        self._partitioned = HfDeepSpeedConfig(config) if settings.zero_stage == 3 else None  # noqa: PLR2004
        self._ranks, self._lora = ranks, settings.lora
        model = _load(folder, torch.bfloat16 if bf16 else torch.float32)
        if self._lora:
            add_adapters(model, self._lora)
        if settings.activation_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        self._engine: Any = deepspeed.initialize(model=model, optimizer=_adam(settings, model), config=config)[0]
        if settings.zero_stage == 0:
            self._engine.optimizer.state.clear()  # DeepSpeed allocates the moments by a step without gradients, and counts it
        self._engine.train()
        self.packs = self._keeps_neighbours_apart()

    @property
    def device(self) -> torch.device:
        """Where batches belong."""
        return torch.device(self._engine.device)

    def update(self, batches: Iterable[Batch], objective: Objective, rate: float) -> float:
        """One update; returns this rank's share of its loss, which is not a number if the update was left out.

        DeepSpeed leaves it out where a gradient is not finite, and says so nowhere else.
        """
        for group in self._engine.optimizer.param_groups:
            group["lr"] = rate
        loss = 0.0
        remaining = list(batches)
        for number, batch in enumerate(remaining, start=1):
            self._engine.set_gradient_accumulation_boundary(number == len(remaining))
            share = objective(self._logarithms(batch), batch)
            # DeepSpeed takes the mean over the ranks; ours is over the update, so the number of ranks is undone here.
            self._engine.backward(share * self._ranks.count)
            loss += share.item()
        self._engine.step()
        return loss if self._engine.was_step_applied() else nan

    def measure(self, batches: Iterable[Batch]) -> dict[int, float]:
        """Logarithm of the probability of each sequence's completion as the model is now. All ranks need equally many batches."""
        found: dict[int, float] = {}
        with self._as_it_is():
            for batch in batches:
                found |= dict(zip(batch.sequences, sums_of(self._logarithms(batch), batch).tolist(), strict=False))
        return found

    def save(self, folder: Path, tag: str) -> list[Path]:
        """Write the full state; returns the files that this rank wrote. Every rank has a folder of its own.

        Weights that are not trained are not part of it: they are where the model was loaded from.
        """
        (folder / tag).mkdir(parents=True, exist_ok=True)
        self._engine.save_checkpoint(str(folder), tag=tag, save_latest=False, exclude_frozen_parameters=True)
        return sorted((folder / tag).glob("*.pt"))

    def load(self, folder: Path, tag: str) -> None:
        """Go on from a full state."""
        self._engine.load_checkpoint(str(folder), tag=tag, load_module_strict=self._lora is None)

    def weights(self) -> dict[str, torch.Tensor] | None:
        """All weights, adapters merged, on the first rank; None on the others. Stage 3 gathers them layer by layer."""
        state: dict[str, torch.Tensor] = (
            self._engine._zero3_consolidated_16bit_state_dict()  # noqa: SLF001 - DeepSpeed's public call only writes pickles
            if self._partitioned
            else self.model.state_dict()
        )
        if not self._ranks.is_first:
            return None
        return merge(state, self._lora) if self._lora else state

    @property
    def model(self) -> PreTrainedModel:
        """The model itself, for its configuration. Under stage 3 its tensors are empty."""
        model = self._engine.module
        assert isinstance(model, PreTrainedModel)  # noqa: S101 - it is what was given to DeepSpeed
        return model

    def _keeps_neighbours_apart(self) -> bool:
        """All ranks find the same, but must not act on it if one did not."""
        text = self.model.config.get_text_config()
        if getattr(text, "attention_chunk_size", None):
            return False  # chunks are counted from where the row begins, and longer than what is tried here
        with self._as_it_is():
            asked = neighbours.questions(text.vocab_size, self.device)
            before, after = (self._logarithms(batch) for batch in asked)
        return self._ranks.total([neighbours.unmoved(before, after)]) == [self._ranks.count]

    @contextmanager
    def _as_it_is(self) -> Iterator[None]:
        """Without dropout and gradients."""
        self._engine.eval()
        with torch.no_grad():
            yield
        self._engine.train()

    def _logarithms(self, batch: Batch) -> torch.Tensor:
        """Logarithm of the probability of every token of the completions, in float32."""
        output = self._engine(
            input_ids=batch.inputs, position_ids=batch.positions, bounds=batch.bounds, logits_to_keep=batch.kept, use_cache=False
        )
        return -functional.cross_entropy(output.logits.flatten(0, 1).float(), batch.targets, reduction="none")


def _load(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The model, with block attention where its kind allows."""
    attention.register()
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    assert isinstance(model, PreTrainedModel)  # noqa: S101 - the factory's signature does not say so
    if attention.suits(model):
        model.set_attn_implementation(attention.NAME)
    return model


def _adam(settings: Train, model: PreTrainedModel) -> torch.optim.Optimizer:
    """AdamW over all parameters that are trained, norms included, as in the release. Every update sets its own learning rate."""
    return torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=0.0,
        betas=(float(settings.adam_beta1), float(settings.adam_beta2)),
        eps=ADAM_EPSILON,
        weight_decay=float(settings.weight_decay),
        fused=True,
    )
