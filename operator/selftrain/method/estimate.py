"""What a run will take, on paper. Every formula stands here, with its assumption beside it.

FLOPs a token: 2 a parameter to read or write one, 6 to train on one, 8 with activations recomputed (Kaplan et al. 2020, arXiv
2001.08361, section 2.1). A parameter that has an adapter instead of a gradient needs 2 less. Attention itself is left out: below a
context of some thousand tokens it is a few percent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from selftrain.api.pair_files import Benchmark, Mode, PairFormat
from selftrain.api.recipes import NegativeKind, Objective
from selftrain.api.stages import ROUND, Stage
from selftrain.api.v1alpha1 import Spec
from selftrain.method.mixing import mixed

READ, TRAIN, PASS, RECOMPUTE = 2, 6, 4, 2
BYTES_A_TOKEN = 4
"""Text of English."""
COMPRESSION = 3
"""zstd on such text."""
STATE_BYTES = 16
"""Of a trained parameter in a full training state: bf16 weights and gradients, float32 weights and two moments."""
STATES_KEPT = 2
WEIGHT_BYTES = 2
Asked = Mapping[Mode, tuple[float, int]]
"""By mode: prompts about an item, and answers in each."""
PAIR: Asked = {Mode.PAIRWISE: (2, 2), Mode.RATING: (2, 1)}
"""Prompts about a pair, one an order or an answer, and answers in each."""
SHARING: Asked = {**PAIR, Mode.RATING: (6 / 9, 1)}
"""The same of RM-Bench, six of whose answers make nine pairs and are rated once."""
CONTEST: Asked = {Mode.PAIRWISE: (12, 2), Mode.RANKING: (1, 4), Mode.RATING: (4, 1)}
"""The same of an item of RewardBench 2 with its four answers. Its Ties, one item in 18, are taken for such ones."""
ASKED = {PairFormat.RM_BENCH: SHARING, PairFormat.REWARDBENCH2: CONTEST}
"""The formats whose items are not asked about as plain pairs are."""

GPUS = {"a100": 312e12, "h100": 989e12, "h200": 989e12, "l40s": 362e12}
"""FLOP/s in bfloat16 without sparsity, from NVIDIA's data sheets."""


@dataclass(frozen=True)
class Assumptions:
    """What nobody knows before the run. Shares are of the number before; efficiencies of the GPU's peak."""

    parameters: float
    instructions: float
    labelled: float = 0
    """Labelled pairs, which need no generator."""
    held_out: Mapping[str, float] = field(default_factory=dict)
    """By benchmark: its pairs, or the items of RewardBench 2."""
    instruction_tokens: float = 150
    answer_tokens: float = 350
    variation_tokens: float = 500
    """A variation and the answer to it."""
    judgment_tokens: float = 450
    template_tokens: float = 150
    """The judge prompt, or that of the classification, without its contents."""
    class_tokens: float = 20
    """A classification, where there is one."""
    wanted: float = 1
    """Instructions that classification leaves."""
    usable: float = 0.9
    """Instructions that give a pair."""
    kept: float = 0.8
    """Ordered pairs that give a training example."""
    sampling_efficiency: float = 0.1
    """Large batches of a large model, tensor parallel, are bound by memory."""
    reading_efficiency: float = 0.5
    training_efficiency: float = 0.4
    width: float = 4096
    """Inputs or outputs of a layer, which with the rank gives the size of low-rank adapters."""


@dataclass(frozen=True)
class Estimate:
    """A stage, all iterations together."""

    stage: Stage
    items: float
    """Completions, examples, or judgments on held-out pairs."""
    read_tokens: float
    """Of prompts. The samples of a prompt share its reading."""
    written_tokens: float
    """Sampled, or trained on."""
    gpu_hours: float
    storage_bytes: float


def estimate(spec: Spec, known: Assumptions, peak: float) -> Iterator[Estimate]:
    """Each stage of a run on GPUs of a peak in FLOP/s."""
    for stage in (Stage.GENERATE, *ROUND):
        yield STAGES[stage](spec, known, peak)


def _generate(spec: Spec, known: Assumptions, peak: float) -> Estimate:
    recipe = spec.resolved
    classified, answered = known.instructions if _classifies(spec) else 0, _wanted(spec, known, known.instructions)
    each = answered / sum(recipe.negatives.values())
    varied = each * recipe.negatives.get(NegativeKind.VARIATION, 0)
    rewritten = each * sum(weight for kind, weight in recipe.negatives.items() if kind.rewrites)
    whole = recipe.answers + (NegativeKind.WEAKER in recipe.negatives)  # as if that model were as large
    answers = answered * whole + rewritten
    written = classified * known.class_tokens + answers * known.answer_tokens + varied * known.variation_tokens
    read = classified * (known.instruction_tokens + known.template_tokens) + answered * known.instruction_tokens
    read += (varied + rewritten) * _prompt(known)
    texts = answered * known.usable * (2 * known.instruction_tokens + 2 * known.answer_tokens)
    return _sampled(Stage.GENERATE, (classified + answers + varied, read, written, texts), known, peak)


def _judge(spec: Spec, known: Assumptions, peak: float) -> Estimate:
    ordered = _ordered(spec, known) * spec.iterations
    judgments = ordered * spec.judge.samples
    written = judgments * known.judgment_tokens
    return _sampled(Stage.JUDGE, (judgments, ordered * _prompt(known), written, written), known, peak)


def _select(spec: Spec, known: Assumptions, _peak: float) -> Estimate:
    examples = sum(_examples(spec, known))
    texts = examples * (_prompt(known) + known.judgment_tokens)
    return Estimate(Stage.SELECT, examples, 0, 0, 0, _stored(texts))


def _train(spec: Spec, known: Assumptions, peak: float) -> Estimate:
    """Two sequences an example for DPO, and one more reading of both for the reference."""
    recompute = RECOMPUTE if spec.train.activation_checkpointing else 0
    trained = _trained(spec, known)
    update = (TRAIN + recompute) * trained + ((PASS + recompute) * known.parameters if spec.train.lora else 0)
    tokens = flops = 0.0
    for iteration, examples in enumerate(_examples(spec, known), start=1):
        contrast = _contrasts(spec, iteration)
        own = examples * (_prompt(known) + known.judgment_tokens) * (2 if contrast else 1)
        tokens += own * spec.train.epochs
        flops += own * (spec.train.epochs * update + (READ * known.parameters if contrast else 0))
    states = STATES_KEPT * STATE_BYTES * trained
    storage = spec.iterations * WEIGHT_BYTES * known.parameters + states
    hours = flops / (peak * known.training_efficiency) / 3600
    return Estimate(Stage.TRAIN, sum(_examples(spec, known)), 0, tokens, hours, storage)


def _trained(spec: Spec, known: Assumptions) -> float:
    """Parameters that need gradients and optimizer state. Adapters of rank r beside all n x n matrices have 2 r / n of their size."""
    return known.parameters * (2 * spec.train.lora.rank / known.width if spec.train.lora else 1)


def _evaluate(spec: Spec, known: Assumptions, peak: float) -> Estimate:
    """Each benchmark by the seed and every judge; pairs that choose a judge by all but the seed, which is scored before they are made."""
    judgments = 2 * _wanted(spec, known, spec.held_out) * known.usable * spec.iterations
    read = judgments * _prompt(known)
    for entry in spec.evaluate.benchmarks:
        prompts, answers = _asked(entry)
        asked = known.held_out.get(entry.name, 0) * prompts
        voters = [number for number in range(spec.iterations + 1) if entry.votes == 1 and spec.majority_in(number)]
        again = len(voters) * spec.evaluate.majority_of
        judgments += asked * (entry.votes * (spec.iterations + 1) + again)
        read += asked * (spec.iterations + 1) * _prompt(known, answers)
    written = judgments * known.judgment_tokens
    return _sampled(Stage.EVALUATE, (judgments, read, written, written), known, peak)


def _asked(entry: Benchmark) -> tuple[float, int]:
    """Prompts about an item, and answers in each."""
    return ASKED.get(entry.format, PAIR)[entry.mode]


def _sampled(stage: Stage, numbers: tuple[float, float, float, float], known: Assumptions, peak: float) -> Estimate:
    items, read, written, texts = numbers
    work = read / known.reading_efficiency + written / known.sampling_efficiency
    return Estimate(stage, items, read, written, work * READ * known.parameters / peak / 3600, _stored(texts))


def _classifies(spec: Spec) -> bool:
    return spec.instructions is not None and spec.instructions.classify is not None


def _wanted(spec: Spec, known: Assumptions, instructions: float) -> float:
    """Of so many instructions those that get an answer."""
    return instructions * (known.wanted if _classifies(spec) else 1)


def _ordered(spec: Spec, known: Assumptions) -> float:
    """Ordered pairs that an iteration judges."""
    orders = 2 if spec.judge.orders == "both" else 1
    return (_synthetic(spec, known) + known.labelled) * orders / spec.resolved.slices


def _synthetic(spec: Spec, known: Assumptions) -> float:
    """Pairs made of instructions that are not held out."""
    return _wanted(spec, known, max(0, known.instructions - spec.held_out)) * known.usable


def _examples(spec: Spec, known: Assumptions) -> list[float]:
    """Of each iteration. For DPO as many an ordered pair as it may have; of a source that is there in excess the rest is left out."""
    each = _ordered(spec, known) * known.kept
    if spec.labelled and spec.labelled.share:
        sources = round(known.labelled), round(_synthetic(spec, known))
        each *= sum(mixed(*sources, Fraction(spec.labelled.share))) / max(1, sum(sources))
    return [each * (spec.resolved.contrasts if _contrasts(spec, iteration) else 1) for iteration in range(1, spec.iterations + 1)]


def _contrasts(spec: Spec, iteration: int) -> bool:
    return spec.resolved.objective_of(iteration) is Objective.DPO


def _prompt(known: Assumptions, answers: int = 2) -> float:
    return known.instruction_tokens + answers * known.answer_tokens + known.template_tokens


def _stored(tokens: float) -> float:
    return tokens * BYTES_A_TOKEN / COMPRESSION


STAGES = {
    Stage.GENERATE: _generate,
    Stage.JUDGE: _judge,
    Stage.SELECT: _select,
    Stage.TRAIN: _train,
    Stage.EVALUATE: _evaluate,
}
