"""Settings from the control group, versions 1 and 2."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from selftrain.workers.machine import GIB, Machine, environment, kv_cache_bytes, read_machine

MACHINE = Machine(cpus=(0, 1, 2, 3), quota=None, memory=16 * GIB, bfloat16=True, accelerator=False)


def root(folder: Path, groups: str, files: dict[str, str]) -> Path:
    """A file system with control groups."""
    everything = {
        "proc/self/cgroup": groups,
        "proc/cpuinfo": "flags\t: fpu avx512_bf16",
        "proc/meminfo": f"MemTotal: 1 kB\nMemAvailable: {8 * GIB // 1024} kB\n",
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }
    for name, text in everything.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_version_2(tmp_path: Path) -> None:
    machine = read_machine(root(tmp_path, "0::/\n", {"cpu.max": "150000 100000\n", "memory.max": f"{4 * GIB}\n"}))
    assert (machine.quota, machine.memory, machine.bfloat16) == (1.5, 4 * GIB, True)
    assert machine.cpus == tuple(sorted(os.sched_getaffinity(0)))


def test_version_2_without_limits(tmp_path: Path) -> None:
    machine = read_machine(root(tmp_path, "0::/user\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"}))
    assert (machine.quota, machine.memory) == (None, 8 * GIB)


def test_the_tightest_group_counts(tmp_path: Path) -> None:
    files = {
        "pod/cpu.max": "400000 100000",
        "pod/app/cpu.max": "max 100000",
        "pod/memory.max": str(2 * GIB),
        "pod/app/memory.max": str(3 * GIB),
    }
    machine = read_machine(root(tmp_path, "0::/pod/app\n", files))
    assert (machine.quota, machine.memory) == (4.0, 2 * GIB)


def test_version_1(tmp_path: Path) -> None:
    groups = "4:memory:/kubepods/pod1\n3:cpu,cpuacct:/kubepods/pod1\n1:name=systemd:/\n"
    files = {
        "cpu,cpuacct/kubepods/pod1/cpu.cfs_quota_us": "250000",
        "cpu,cpuacct/kubepods/pod1/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/kubepods/pod1/memory.limit_in_bytes": str(3 * GIB),
    }
    machine = read_machine(root(tmp_path, groups, files))
    assert (machine.quota, machine.memory) == (2.5, 3 * GIB)


def test_version_1_in_a_container(tmp_path: Path) -> None:
    """The path is the host's; what is mounted is the group itself."""
    files = {"memory/memory.limit_in_bytes": str(3 * GIB), "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}
    machine = read_machine(root(tmp_path, "4:memory:/kubepods/pod1\n3:cpu:/kubepods/pod1\n", files))
    assert (machine.quota, machine.memory) == (None, 3 * GIB)


def test_this_machine_can_be_read() -> None:
    machine = read_machine()
    assert machine.threads >= 1
    assert machine.memory > 0


@pytest.mark.parametrize(("quota", "threads"), [(None, 4), (1.5, 2), (0.2, 1), (64.0, 4)])
def test_threads(quota: float | None, threads: int) -> None:
    assert replace(MACHINE, quota=quota).threads == threads


def test_all_processors_are_used_and_bound(tmp_path: Path) -> None:
    settings = environment(MACHINE, 1, tmp_path)
    assert (settings["OMP_NUM_THREADS"], settings["OMP_PLACES"]) == ("4", "{0,1,2,3}")
    assert settings["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"


def test_under_a_quota_nothing_is_bound(tmp_path: Path) -> None:
    settings = environment(replace(MACHINE, quota=2.0), 1, tmp_path)
    assert (settings["OMP_NUM_THREADS"], settings["VLLM_CPU_OMP_THREADS_BIND"]) == ("2", "nobind")
    assert "OMP_PLACES" not in settings


def test_ranks_share_the_processors(tmp_path: Path) -> None:
    assert environment(MACHINE, 2, tmp_path)["VLLM_CPU_OMP_THREADS_BIND"] == "0,1|2,3"


def test_gpus_are_left_to_the_engine(tmp_path: Path) -> None:
    settings = environment(replace(MACHINE, accelerator=True), 8, tmp_path)
    assert not {"OMP_NUM_THREADS", "VLLM_ENABLE_V1_MULTIPROCESSING"} & settings.keys()


def test_caches_go_where_the_worker_may_write(tmp_path: Path) -> None:
    assert environment(MACHINE, 1, tmp_path)["VLLM_CACHE_ROOT"] == f"{tmp_path}/vllm"


def test_memory_for_keys_and_values() -> None:
    assert kv_cache_bytes(MACHINE, weights=2 * GIB, needed=100 * GIB) == (16 - 2 - 3) * GIB // 2
    assert kv_cache_bytes(MACHINE, weights=2 * GIB, needed=GIB) == GIB
    assert kv_cache_bytes(MACHINE, weights=0, needed=1) == GIB // 4
    assert kv_cache_bytes(replace(MACHINE, memory=GIB), weights=0, needed=GIB) == GIB // 4
