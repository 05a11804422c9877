"""What trainers in this process need, made once."""

import os
import socket

import pytest

from helpers.fixtures import MODEL
from helpers.trainers import example
from selftrain.storage.tables import EXAMPLES, write_table
from selftrain.workers.corpus import write_corpus


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "examples.parquet"
    write_table([example(i) for i in range(80)], EXAMPLES, path)
    return path


@pytest.fixture(scope="session")
def corpus(table, tmp_path_factory):
    return write_corpus(MODEL, [table], 256, tmp_path_factory.mktemp("corpus"), contrasts=False)


@pytest.fixture(scope="session")
def torch():
    os.environ["DS_ACCELERATOR"] = "cpu"
    os.environ.update(MASTER_ADDR="127.0.0.1", RANK="0", WORLD_SIZE="1", LOCAL_RANK="0")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        os.environ["MASTER_PORT"] = str(probe.getsockname()[1])
    import torch

    torch.set_num_threads(1)
    import deepspeed

    deepspeed.ops.__compatible_ops__ = {}
    deepspeed.init_distributed("gloo")
    return torch  # its process group ends with the process: vLLM's engine ends it with its own, whoever made it


@pytest.fixture(scope="session")
def contrast_table(tmp_path_factory):
    """Each example beside a worse completion."""
    path = tmp_path_factory.mktemp("contrasts") / "examples.parquet"
    rows = [example(i) | {"rejected": f"{example(i + 3)['completion'][:40]} [[{'BA'[i % 2]}]]"} for i in range(40)]
    write_table(rows, EXAMPLES, path)
    return path


@pytest.fixture(scope="session")
def contrasts(contrast_table, tmp_path_factory):
    return write_corpus(MODEL, [contrast_table], 256, tmp_path_factory.mktemp("corpus"), contrasts=True)
