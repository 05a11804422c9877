"""What a judge's numbers rest on: overlap with its training data, and the card that tells all."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from helpers.bench import Bench, manifest, rows, trained
from selftrain.api.records import Overlap
from selftrain.api.stages import Stage
from selftrain.storage.digests import file_digest
from selftrain.workers import evaluate
from selftrain.workers.card import write_card
from selftrain.workers.context import Context
from selftrain.workers.engine import Completion


def test_what_a_judge_was_trained_on_is_counted_in_each_benchmark(bench: Bench) -> None:
    """Two of a benchmark's instructions are among the run's. On the second one no verdict is ever given, so it is not trained on."""
    context = bench.context(Stage.EVALUATE)
    path = Path(context.work.spec.evaluate.benchmarks[0].uri.removeprefix("file://"))
    asked = [json.loads(line)["instruction"] for line in path.read_text().splitlines()]
    bench.write_instructions([*asked[:2], *(f"Do thing {number}." for number in range(10))])
    by_marker = bench.engine.say

    def say(text: str, seed: int) -> str | Completion:
        if "[[A]]" not in text:
            return by_marker(text, seed)
        return "[[C]]" if asked[1] in text else f"[[{'A' if text.find('Fine') < text.find('Off') else 'B'}]]"

    bench.engine.say = say
    trained(bench)
    evaluate.run(context, bench.load)
    assert [result.overlap for result in manifest(context).results] == [Overlap(pairs=len(asked), instructions=1, answers=0)] * 2
    seed = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(seed, bench.load)
    assert [result.overlap for result in manifest(seed).results] == [None, None]


@pytest.mark.parametrize(("start", "learnt"), [("previous", (1, 2)), ("seed", (2,))])
def test_what_a_judge_learnt_before_it_was_trained_further_is_counted_too(bench: Bench, start: str, learnt: tuple[int, ...]) -> None:
    """The run's instructions are the benchmark's, and each of two iterations judges the pairs of one half of them."""
    judging = {"shards": 3, "samples": 8, "maxTokens": 64, "slices": 2}
    spec: dict[str, Any] = {"iterations": 2, "judge": judging, "train": {"start": start}}
    context = bench.context(Stage.EVALUATE, 2, **spec)
    path = Path(context.work.spec.evaluate.benchmarks[0].uri.removeprefix("file://"))
    asked = [json.loads(line)["instruction"] for line in path.read_text().splitlines()]
    bench.write_instructions(asked)
    trained(bench, 2, **spec)
    evaluate.run(context, bench.load)
    instructions = {row["pair_id"]: row["instruction"] for row in rows(bench.context(Stage.GENERATE))}
    kept = {number: {instructions[row["pair_id"]] for row in rows(bench.context(Stage.SELECT, number, **spec))} for number in (1, 2)}
    assert kept[1] - kept[2]
    known = set().union(*(kept[number] for number in learnt))
    overlaps = [result.overlap for result in manifest(context).results]
    assert [told.instructions for told in overlaps if told] == [sum(instruction in known for instruction in asked)] * 2


def test_each_judge_has_a_card_beside_its_checkpoint(bench: Bench) -> None:
    """The Hub's own reader takes it, and its numbers are the manifest's. The seed has none."""
    seed = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(seed, bench.load)
    assert manifest(seed).card is None
    trained(bench)
    context = bench.context(Stage.EVALUATE)
    evaluate.run(context, bench.load)
    done = manifest(context)
    assert done.card is not None
    path = bench.folder / "store" / done.card.key
    assert path == bench.folder / "store" / context.layout.checkpoint(1, "0" * 64) / "README.md"
    assert (file_digest(path), path.stat().st_size) == (done.card.sha256, done.card.bytes)
    card = ModelCard.load(path)
    shares = [(found.dataset_name, found.metric_value) for found in card.data.eval_results]
    assert shares == [(result.benchmark, round(result.overall.correct / result.overall.total, 4)) for result in done.results]
    for result, before in zip(done.results, manifest(seed).results, strict=True):
        for name, tally in (("iteration 1", result.overall), ("seed", before.overall), ("always A", result.always_a)):
            assert f"| {name} | {tally.correct} of {tally.total} |" in card.text
    selected = manifest(bench.context(Stage.SELECT))
    assert selected.evidence is not None
    guessed = selected.evidence.probe["variation"]
    assert f"| variation | words | {guessed.correct} of {guessed.total} | {guessed.ties} | {guessed.right / guessed.total:.3f}" in card.text
    assert ", 0 too-long, 0 truncated, " in card.text, "of the evaluation's judgments"
    assert "file://" not in card.text, "where this machine keeps its files is of no use to anybody else"
    for digest in (*done.inputs.values(), *manifest(bench.context(Stage.GENERATE)).inputs.values(), *done.prompts.values()):
        assert digest in card.text


def test_the_card_is_written_by_train_where_nothing_is_evaluated(bench: Bench) -> None:
    spec = {"evaluate": {}}
    trained(bench, **spec)
    context = bench.context(Stage.TRAIN, **spec)
    part = write_card(context.store, context.work, manifest(context))
    assert part is not None
    assert context.store.read(part.key).startswith(b"---\n")
    measured = bench.context(Stage.TRAIN)
    assert write_card(measured.store, measured.work, manifest(measured)) is None, "here evaluate comes after it"


def test_a_card_says_the_same_whoever_writes_it(bench: Bench) -> None:
    trained(bench)
    context = bench.context(Stage.EVALUATE)
    evaluate.run(context, bench.load)
    done = manifest(context)
    (bench.folder / "store" / context.layout.manifest(context.work.step)).unlink()
    again = Context(context.work.model_copy(update={"attempt": 2}), context.store, context.scratch, 0, context.drain)
    evaluate.run(again, bench.load)
    assert (manifest(again).card, manifest(again).attempt) == (done.card, 2)
