"""The DeepSpeed configuration that train settings stand for. Pure."""

from selftrain.api.training import Train

Settings = dict[str, object]


def deepspeed_settings(train: Train, ranks: int, *, bf16: bool) -> Settings:
    """Batch sizes are 1 throughout: the training loop says itself where an update ends and scales its losses."""
    settings: Settings = {
        "train_batch_size": ranks,
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": float(train.gradient_clipping),
        "bf16": {"enabled": bf16},
        "zero_optimization": _zero(train),
        # DeepSpeed's own CPU Adam is compiled where it runs, and pods have no compiler; PyTorch's fused one is as good.
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 1_000_000_000,
    }
    if bf16 and train.zero_stage:
        # An update may have many micro-batches: summed up in bfloat16, the small ones would be rounded away.
        settings["data_types"] = {"grad_accum_dtype": "fp32"}
    return settings


def _zero(train: Train) -> Settings:
    zero: Settings = {"stage": train.zero_stage}
    if train.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu"}
    if train.offload == "parameters":
        zero["offload_param"] = {"device": "cpu"}
    return zero
