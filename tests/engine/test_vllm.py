"""The real vLLM with the micro model, loaded once: samples depend on their request alone, and so stages resume exactly."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from helpers.bench import marker
from helpers.fixtures import MODEL
from helpers.steps import INSTRUCTIONS, context, manifest, rows
from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.records import Drop, Shard
from selftrain.api.stages import Stage
from selftrain.api.v1alpha1 import Generate
from selftrain.workers import generate, judge, select
from selftrain.workers.chat import encode, load_tokenizer
from selftrain.workers.context import Context
from selftrain.workers.engine import Completion, Request, Sampling
from selftrain.workers.machine import environment, read_machine
from selftrain.workers.sampling import Sampler, load_sampler

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # the engine's own warnings are its makers' affair
PROMPTS = [f"{'Take your time. ' * 8}Which number comes after {number}?" for number in range(40)]
"""So long that they share blocks of the KV cache."""


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampler]:
    """The only engine of this process: one that is thrown away ends the process group of all others."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(read_machine(), 1, tmp_path_factory.mktemp("cache")).items():
            patch.setitem(os.environ, name, value)
        yield load_sampler(MODEL, Generate(max_tokens=48, max_sequences=32, top_p="1.0"), [])


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    tokenizer = load_tokenizer(MODEL)
    sampling = Sampling(4, 1.0, 1.0, 48)
    return [Request(encode(tokenizer, [{"role": "user", "content": text}]), seed, sampling) for seed, text in enumerate(PROMPTS)]


def completions(sampler: Sampler, *batches: Sequence[Request]) -> dict[int, list[Completion]]:
    """Completions by the request's seed, which is its number here."""
    results = sampler.engine.sample(batches)
    return {
        request.seed: samples for batch, found in zip(batches, results, strict=True) for request, samples in zip(batch, found, strict=True)
    }


def test_no_interpreter_is_started_to_look_at_the_model(sampler: Sampler) -> None:
    if read_machine().accelerator:
        pytest.skip("on GPUs the engine looks at models in a child on purpose")
    assert not list(Path(os.environ["VLLM_CACHE_ROOT"]).glob("modelinfos/*Llama*"))


def test_samples_do_not_depend_on_order_or_batch(sampler: Sampler, requests: list[Request]) -> None:
    first = completions(sampler, requests)
    assert len({sample.text for samples in first.values() for sample in samples}) > len(requests), "they are drawn at all"
    assert completions(sampler, requests[::-1]) == first
    assert completions(sampler, *(requests[i : i + 5] for i in range(0, len(requests), 5))) == first
    assert completions(sampler, *([request] for request in requests[::-3])) == {r.seed: first[r.seed] for r in requests[::-3]}


def test_another_seed_draws_something_else(sampler: Sampler, requests: list[Request]) -> None:
    one = requests[0]
    results = next(sampler.engine.sample([[one, Request(one.prompt, 99, one.sampling)]]))
    assert results[0] != results[1]


def test_a_prompt_is_computed_once(sampler: Sampler, requests: list[Request]) -> None:
    from vllm import SamplingParams
    from vllm.inputs import tokens_input

    prompt, once = list(requests[0].prompt), SamplingParams(max_tokens=1)
    first, again = (sampler.engine.llm.generate([tokens_input(prompt)], once, use_tqdm=False)[0] for _ in range(2))
    assert first.prompt_token_ids == again.prompt_token_ids == prompt
    assert again.num_cached_tokens > len(prompt) - 33, "all but the last block, which has at most 32 tokens"


def test_greedy_is_greedy(sampler: Sampler, requests: list[Request]) -> None:
    greedy = Sampling(1, 0.0, 1.0, 48)
    asked = [Request(requests[0].prompt, seed, greedy) for seed in (1, 2)]
    (one,), (other,) = next(sampler.engine.sample([asked]))
    assert one == other
    assert one.finish == "stop"
    assert "<|im_end|>" not in one.text


def test_the_token_limit_is_told(sampler: Sampler, requests: list[Request]) -> None:
    ((cut,),) = next(sampler.engine.sample([[Request(requests[0].prompt, 1, Sampling(1, 0.0, 1.0, 2))]]))
    assert (cut.finish, cut.tokens) == ("length", 2)


def test_the_limit_is_the_models(sampler: Sampler) -> None:
    assert sampler.engine.limit == 2048


def test_stages_resume_byte_by_byte(sampler: Sampler, tmp_path: Path) -> None:
    generate.run(context(tmp_path, Stage.GENERATE), lambda *_: sampler)
    judging = context(tmp_path, Stage.JUDGE)
    judge.run(judging, lambda *_: sampler)
    before = manifest(judging.work)
    assert before.counts["judgments"] == 8 * manifest(context(tmp_path, Stage.GENERATE).work).counts["pairs"] > 0
    assert before.counts["unparsed"] < before.counts["judgments"] / 4
    for key in (judging.layout.manifest(judging.work.step), *(marker(judging, number) for number in (1, 3))):
        judging.store.delete([key])
    judge.run(context(tmp_path, Stage.JUDGE), lambda *_: sampler)
    assert manifest(judging.work).parts == before.parts
    selecting = context(tmp_path, Stage.SELECT)
    select.run(selecting)
    kept = manifest(selecting.work).counts
    assert kept["kept A"] == kept["kept B"] > 0


def markers(stage: Context) -> list[Shard]:
    return [Shard.model_validate_json(stage.store.read(marker(stage, number))) for number in range(3)]


def test_what_is_no_classification_is_counted(sampler: Sampler, tmp_path: Path) -> None:
    """The micro model answers the instruction instead, and no grammar makes it name a class: nobody gets an answer."""
    generating = context(tmp_path, Stage.GENERATE, instructions={**INSTRUCTIONS, "classify": {"categories": ["coding"]}})
    written = []
    for _ in range(2):
        with pytest.raises(UserError, match="unclassified") as error:
            generate.run(generating, lambda *_: sampler)
        assert error.value.reason is Reason.NO_PAIRS
        written.append(markers(generating))
        generating.store.delete([marker(generating, 1)])
    first, again = written
    assert [marker.part for marker in again] == [marker.part for marker in first]
    assert all(marker.drops == {Drop.UNCLASSIFIED: marker.counts["instructions"]} and marker.tokens > 0 for marker in first)


def test_the_generator_rewrites_its_answers(sampler: Sampler, tmp_path: Path) -> None:
    """The micro model knows the tags and no more; what it says between them stands for a worse answer."""
    kinds = ("error", "final-answer", "constraint")
    negatives = [{"kind": kind} for kind in kinds]
    generating = context(tmp_path, Stage.GENERATE, generate={"shards": 3, "maxTokens": 64, "maxSequences": 32, "negatives": negatives})
    generate.run(generating, lambda *_: sampler)
    counts, drops = manifest(generating.work).counts, manifest(generating.work).drops
    assert counts["pairs"] + sum(drops.values()) == counts["rows"] == 24
    pairs = [row for row in rows(generating.work) if row["dropped"] is None]
    assert {row["kind"] for row in pairs} == set(kinds)
    assert all(row["rejected"] not in ("", row["chosen"]) and "<" not in row["rejected"] for row in pairs)
