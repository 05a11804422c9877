"""How a judge is fine-tuned."""

from typing import Annotated, Literal

from pydantic import Field

from selftrain.api.base import ABOVE_ZERO, BELOW_ONE, ApiModel, Decimal, Share
from selftrain.api.pods import PodSettings
from selftrain.api.recipes import Objective, Start

ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=128)]


class Lora(ApiModel):
    """Adapters of low rank (Hu et al. 2021, arXiv 2106.09685). They are merged at the end, so that a judge is a whole model."""

    rank: Annotated[int, Field(ge=1, le=1024)] = 16
    """Rank of an adapter."""
    alpha: Annotated[int, Field(ge=1, le=4096)] = 32
    """What an adapter adds is multiplied by alpha / rank."""
    dropout: Annotated[Share, BELOW_ONE] = "0"
    """Share of an adapter's inputs that is left out at random."""
    target_modules: Annotated[list[ModuleName], Field(min_length=1, max_length=64)] | None = None
    """Names of the linear layers that get an adapter, each with or without those of the modules around it (q_proj or
    layers.0.self_attn.q_proj). Absent means all linear layers but the output layer. Experts that transformers keeps as one tensor, as
    Mixtral's and Qwen3-MoE's are, are no linear layers: of such models attention alone gets adapters."""


class Train(PodSettings):
    """Fine-tunes the judge with DeepSpeed. The loss is on judgment tokens only (paper)."""

    objective: Objective | None = None
    """What is learnt: sft, the kept judgments (paper); dpo, right judgments rather than wrong or unparsed ones (release). Absent means
    the recipe's."""
    first_objective: Objective | None = None
    """The objective of the first iteration. Absent means that of all, or the recipe's."""
    start: Start | None = None
    """The model that training begins with, which is also DPO's reference: seed (paper) or previous, the judge of the iteration before
    (release). Absent means the recipe's."""
    dpo_beta: Decimal = "0.1"
    """DPO: weight of the distance to the reference. Source: release."""
    dpo_nll_scale: Decimal = "1.5"
    """DPO: weight of the better judgments' negative log-likelihood beside it: the mean over a judgment's tokens, so that each pair counts
    alike. Source: release."""
    learning_rate: Annotated[Decimal, ABOVE_ZERO] = "0.000001"
    """Peak learning rate of SFT. Source: paper Table 7."""
    dpo_learning_rate: Annotated[Decimal, ABOVE_ZERO] = "0.000000055"
    """Peak learning rate of DPO. Source: release, for 70 billion parameters; smaller models and adapters take more."""
    dpo_warmup_steps: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Updates of DPO until the peak. Source: release."""
    dpo_gradient_clipping: Decimal = "1"
    """Largest gradient norm in DPO; 0 means none. Source: release."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Shape of the learning rate after the warm-up. Source: release."""
    warmup_steps: Annotated[int, Field(ge=0, le=100_000)] = 100
    """Updates of SFT until the peak. Source: paper Table 7."""
    final_learning_rate_ratio: Share = "0.2"
    """Learning rate at the end as a share of the peak. Source: paper Table 7."""
    epochs: Annotated[int, Field(ge=1, le=100)] = 2
    """Passes over the training set. Source: paper, at most 2."""
    tokens_per_update: Annotated[int, Field(ge=1, le=100_000_000)] = 24576
    """Tokens (prompts included) an update over all ranks. Source: release, 3 ranks x 8192 in SFT; its DPO has 32 pairs of judgments an
    update, which may be 100,000 tokens."""
    micro_batch: Annotated[int, Field(ge=1, le=1024)] = 1
    """Packed sequences a rank runs at once."""
    sequence_length: Annotated[int, Field(ge=16, le=1_000_000)] = 4096
    """Length of a packed sequence in tokens. Examples longer than this or than the model's context are left out whole and counted, since
    cut off they would lose their verdict or what it is about. Source: release."""
    weight_decay: Decimal = "0.1"
    """AdamW weight decay. Source: release."""
    adam_beta1: Annotated[Share, BELOW_ONE] = "0.9"
    """AdamW first moment decay. Source: release."""
    adam_beta2: Annotated[Share, BELOW_ONE] = "0.95"
    """AdamW second moment decay. Source: release."""
    gradient_clipping: Decimal = "0"
    """Largest gradient norm in SFT; 0 means none. Source: release, none."""
    zero_stage: Annotated[int, Field(ge=0, le=3)] = 3
    """DeepSpeed ZeRO stage. The release used fully sharded data parallelism, which is stage 3."""
    offload: Literal["none", "optimizer", "parameters"] = "none"
    """What ZeRO keeps in CPU memory; parameters includes the optimizer and needs stage 3."""
    activation_checkpointing: bool = True
    """Recompute activations in the backward pass. Source: release."""
    lora: Lora | None = None
    """Train low-rank adapters only; absent means all weights (paper). Adapters want higher learning rates, tenfold or more."""
    nodes: Annotated[int, Field(ge=1, le=1024)] = 1
    """Pods that train together. The release used 3."""
    processes_per_node: Annotated[int, Field(ge=1, le=16)] = 1
    """Ranks a pod, one for each GPU."""
    save_every_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Updates between full states for resuming. The release saved every 500."""

    def aiming_at(self, objective: Objective) -> "Train":
        """The settings with those of the objective in place of the ones for SFT."""
        if objective is Objective.SFT:
            return self
        own = {"learning_rate": self.dpo_learning_rate, "warmup_steps": self.dpo_warmup_steps}
        return self.model_copy(update={**own, "gradient_clipping": self.dpo_gradient_clipping})
