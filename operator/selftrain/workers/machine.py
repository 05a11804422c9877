"""Settings that make an engine fast on the machine it finds. On CPUs the installed defaults cost a factor of two.

Numbers are read from the control group (versions 1 and 2) that the process runs in; what follows from them is pure.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from math import ceil
from pathlib import Path

GIB = 1 << 30
RESERVE = 2 * GIB
"""Memory left for the interpreter, the engine's libraries and activations."""


@dataclass(frozen=True)
class Machine:
    """What this process may use."""

    cpus: tuple[int, ...]
    """Processors it may run on."""
    quota: float | None
    """Processors' worth of time it may use; None means no limit."""
    memory: int
    """Bytes it may use."""
    bfloat16: bool
    """Whether the processor multiplies bfloat16 in hardware; emulated it is several times slower than float32."""
    accelerator: bool
    """Whether the installed engine is one for GPUs."""

    @property
    def threads(self) -> int:
        """Threads that run at once. More than the quota allows would be throttled in the middle of every step."""
        return max(1, min(len(self.cpus), ceil(self.quota) if self.quota else len(self.cpus)))


def environment(machine: Machine, ranks: int, cache: Path) -> dict[str, str]:
    """Environment of an engine with `ranks` processes; to be set before its libraries are imported."""
    common = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CACHE_ROOT": str(cache / "vllm"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
    }
    if machine.accelerator:
        return common
    # The engine in the worker's own process loads in a quarter of the time: nothing is imported twice.
    cpu = common | {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    if machine.threads < len(machine.cpus):  # which processors the quota will be spent on is the kernel's choice
        return cpu | {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(max(1, machine.threads // ranks))}
    if ranks > 1:  # the engine starts a process a rank and binds it
        return cpu | {"VLLM_CPU_OMP_THREADS_BIND": "|".join(_listed(part) for part in _shares(machine.cpus, ranks))}
    # One place for all, as the engine itself does it: with a place a processor, the first library that binds the process
    # leaves the others a single one, and several libraries bring an OpenMP of their own.
    return cpu | {"OMP_NUM_THREADS": str(machine.threads), "OMP_PLACES": f"{{{_listed(machine.cpus)}}}", "OMP_PROC_BIND": "true"}


def kv_cache_bytes(machine: Machine, weights: int, needed: int) -> int:
    """Memory for keys and values on CPUs: what the longest sequences need at most, and at most half of what weights leave."""
    left = machine.memory - RESERVE - weights * 3 // 2  # the file's pages may be held beside the loaded weights
    return max(GIB // 4, min(needed, left // 2))


def read_machine(root: Path = Path("/")) -> Machine:
    """The machine as this process sees it."""
    groups = tuple(_groups(root))
    limits = [int(text) for text in _values(groups, ("memory.max", "memory.limit_in_bytes"))]
    flags = (root / "proc/cpuinfo").read_text().split()
    return Machine(
        cpus=tuple(sorted(os.sched_getaffinity(0))),
        quota=min(_quotas(groups), default=None),
        memory=min([*limits, _available(root)]),
        bfloat16=not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags),
        accelerator=not any(d.name.lower() == "vllm-cpu" or d.version.endswith("+cpu") for d in distributions(name="vllm-cpu"))
        and not any(d.version.endswith("+cpu") for d in distributions(name="vllm")),
    )


def _shares(cpus: tuple[int, ...], ranks: int) -> Iterator[tuple[int, ...]]:
    for rank in range(ranks):
        yield cpus[rank * len(cpus) // ranks : (rank + 1) * len(cpus) // ranks] or cpus[:1]


def _listed(cpus: tuple[int, ...]) -> str:
    return ",".join(map(str, cpus))


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the control groups this process is in, each with its parents: the tightest limit counts.

    In a container the path is often the host's, and only the mount's own folder exists: it is a parent of all.
    """
    mount = root / "sys/fs/cgroup"
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for base in (mount, *(mount / name for name in ("unified", controllers) if name)):
            here = base / path.lstrip("/")
            yield from (folder for folder in (here, *here.parents) if folder.is_relative_to(base) and folder.is_dir())


def _values(groups: tuple[Path, ...], names: tuple[str, ...]) -> Iterator[str]:
    for folder in groups:
        for name in names:
            if (folder / name).is_file() and (text := (folder / name).read_text().strip()) != "max":
                yield text


def _quotas(groups: tuple[Path, ...]) -> Iterator[float]:
    for text in _values(groups, ("cpu.max",)):
        quota, period = text.split()
        if quota != "max":
            yield int(quota) / int(period)
    for folder in groups:
        quota_file, period_file = folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"
        if quota_file.is_file() and (spent := int(quota_file.read_text())) > 0:
            yield spent / int(period_file.read_text())


def _available(root: Path) -> int:
    line = next(line for line in (root / "proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024
