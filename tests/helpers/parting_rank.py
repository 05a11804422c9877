"""A rank like any other, except that stage 3 parts with the smallest weights too, as it does with those of real models.

DeepSpeed keeps what is smaller than 100,000 numbers on all ranks, and the micro model has nothing larger.
"""

import sys

from selftrain.api.training import Train
from selftrain.workers import train_rank, trainer, zero


def settings(train: Train, ranks: int, *, bf16: bool) -> zero.Settings:
    asked = zero.deepspeed_settings(train, ranks, bf16=bf16)
    return asked | {"zero_optimization": {**asked["zero_optimization"], "stage3_param_persistence_threshold": 0}}


if __name__ == "__main__":
    trainer.deepspeed_settings = settings
    sys.exit(train_rank.main())
