"""SelfTrainRun, version v1alpha1: the only source of the CRD, the chart's copy of it, and the API reference.

Defaults are the paper's (Wang et al. 2024, arXiv 2408.02666) or, where it is silent, those of its released code
(facebookresearch/RAM, projects/self_taught_evaluator); each field says which. They stand in the schema, so a stored
resource records what was run and an upgrade of the operator cannot change it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from selftrain.api.base import ABOVE_ZERO, ApiModel, Decimal, DnsLabel, DnsName, InputUri, KeyedBy, Share, Text
from selftrain.api.instructions import Classify, Instructions
from selftrain.api.pair_files import BENCHMARKS_ONLY, Benchmark, Labelled, Mode, PairFormat
from selftrain.api.patience import Deadlines, Retries
from selftrain.api.pods import PodSettings
from selftrain.api.prompts import Prompts
from selftrain.api.recipes import RECIPES, NegativeKind, Recipe
from selftrain.api.stages import Stage
from selftrain.api.status import Status
from selftrain.api.training import Train

GROUP = "selftrain.dev"
VERSION = "v1alpha1"
KIND = "SelfTrainRun"
PLURAL = "selftrainruns"
NAME_LIMIT = 40
"""Longest name of a run: Job names add the step and the attempt, pod host names an index, within 63 characters."""

StoreUri = Annotated[str, Field(pattern=r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]*)?|file:///[^\s]*)$", max_length=512)]


class SecretKey(ApiModel):
    """One key of a Secret in the run's namespace."""

    secret_name: DnsName
    """Name of the Secret."""
    key: Annotated[str, Field(min_length=1, max_length=253)] = "token"
    """Key in the Secret."""


class ModelSource(ApiModel):
    """A model in Hugging Face layout: config, safetensors, tokenizer with chat template."""

    uri: InputUri
    """s3://bucket/prefix, hf://owner/name@revision, pvc://claim/path, or file:///path (local runs only)."""
    token_secret: SecretKey | None = None
    """Token for a gated model on the Hub."""


class Credentials(ApiModel):
    """Where the pods' store credentials come from. Absent means the identity of the service account."""

    secret_name: DnsName
    """Secret in the run's namespace with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""


class StoreSpec(ApiModel):
    """The bucket that holds everything the run makes."""

    uri: StoreUri
    """s3://bucket/prefix, or file:///path (local runs only). The run writes below prefix/namespace/name-uid."""
    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s/]+/?$", max_length=253)] | None = None
    """Endpoint of an S3-compatible server; absent means AWS."""
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]+$", max_length=32)] = "us-east-1"
    """Region of the bucket."""
    credentials: Credentials | None = None
    """Secret with credentials; absent means the pods' service account."""


class EngineArgument(ApiModel):
    """One further argument of the vLLM engine. Names are an allow list: nothing that loads code or opens a port."""

    name: Literal[
        "attention_backend",
        "block_size",
        "cpu_offload_gb",
        "disable_custom_all_reduce",
        "enable_chunked_prefill",
        "enable_expert_parallel",
        "enforce_eager",
        "gpu_memory_utilization",
        "kv_cache_dtype",
        "load_format",
        "max_num_batched_tokens",
    ]
    """Name as in vLLM's EngineArgs."""
    value: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=64)]
    """Value; numbers and booleans are read as JSON."""


class SamplingStage(PodSettings):
    """What the vLLM stages share."""

    stage: ClassVar[Stage]

    temperature: Decimal = "0.7"
    """Sampling temperature; 0 takes the likeliest token always, so several samples would be equal. Source: release README."""
    top_p: Annotated[Share, ABOVE_ZERO] = "0.9"
    """Nucleus of the sampling. Source: release README. On CPUs 1.0 is twice as fast."""
    max_tokens: Annotated[int, Field(ge=1, le=131072)] = 4096
    """Longest completion in tokens. Source: release README."""
    shards: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Parts the work is cut into, more if they would exceed 8192 completions; each is committed on its own and never done twice."""
    parallelism: Annotated[int, Field(ge=1, le=1000)] = 1
    """Pods that share the shards, each with an engine of its own."""
    tensor_parallel_size: Annotated[int, Field(ge=1, le=64)] = 1
    """GPUs a layer is split over."""
    pipeline_parallel_size: Annotated[int, Field(ge=1, le=64)] = 1
    """GPUs the layers are split over, within one pod."""
    max_model_length: Annotated[int, Field(ge=64, le=10_000_000)] | None = None
    """Longest prompt plus completion in tokens; absent means the model's own limit."""
    max_sequences: Annotated[int, Field(ge=1, le=65536)] = 256
    """Most sequences decoded at once."""
    quantization: Literal["awq", "bitsandbytes", "compressed-tensors", "fp8", "gptq"] | None = None
    """Quantization of the weights while sampling; absent means as stored."""
    engine_arguments: Annotated[list[EngineArgument], Field(max_length=16), KeyedBy("name")] = []
    """Further vLLM engine arguments."""


class Negative(ApiModel):
    """A kind of worse answer."""

    kind: NegativeKind
    """A variation is a good answer to a similar but different instruction (paper). A disagreement is an answer that most of the
    generator's other answers to the same instruction contradict; it needs generate.answers above 1, and answers short enough to be
    equal. The generator can also rewrite its better answer: with one mistake (error), with another result (final-answer) or without
    one thing that the instruction asks for (constraint). And a weaker model can answer (weaker), which spec.weaker names."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """How often this kind is tried first, beside the others' weights. Where it yields nothing, the next kind is tried."""


class Generate(SamplingStage):
    """Writes an answer to each instruction and a worse one. Runs once, pairs are fixed."""

    stage = Stage.GENERATE

    answers: Annotated[int, Field(ge=1, le=256)] | None = None
    """Answers an instruction. Of several, the one that most agree on is the better answer of the pair. Absent means the recipe's."""
    negatives: Annotated[list[Negative], Field(min_length=1, max_length=8), KeyedBy("kind")] | None = None
    """Kinds of worse answers. Absent means the recipe's."""


class Judge(SamplingStage):
    """Samples judgments of every pair with the newest judge."""

    stage = Stage.JUDGE

    samples: Annotated[int, Field(ge=1, le=1024)] = 15
    """Judgments an ordered pair. Source: paper, N = 15."""
    orders: Literal["both", "random"] = "both"
    """Show every pair in both orders, or in one drawn by the run's seed. Source: release README, both."""
    slices: Annotated[int, Field(ge=1, le=50)] | None = None
    """Disjoint parts of the pairs, by instruction; every iteration judges the next one, and after the last the first again. For fresh
    instructions in every iteration, give as many as there will ever be iterations: parts stay as they are when iterations are added.
    Absent means the recipe's: 1 is all pairs in every iteration."""


class Select(PodSettings):
    """Keeps one correct judgment an ordered pair, drawn at random, and balances the verdicts A and B (paper).

    A correct judgment that judge.maxTokens cut off is not kept and counted as truncated: who learns it learns to go on after the verdict.
    The released code keeps it. For DPO a worse judgment is a wrong one or one without a verdict, and none that was cut off either.
    """

    minimum_pass_rate: Share | None = None
    """Keep an ordered pair only if at least this share of its judgments is right: luck gets through a single one. Absent means the
    recipe's."""
    require_mirror: bool | None = None
    """Keep an ordered pair only if the same pair passes in the other order too; needs judge.orders both. Absent means the recipe's."""
    contrasts: Annotated[int, Field(ge=1, le=1024)] | None = None
    """For DPO: pairs of a right and a wrong or unparsed judgment, an ordered pair at most. Absent means the recipe's."""


class Evaluate(SamplingStage):
    """Scores the seed and every judge on held-out pairs, both orders. Temperature and topP count for votes above 1."""

    stage = Stage.EVALUATE

    max_tokens: Annotated[int, Field(ge=1, le=131072)] = 2048
    """Longest judgment in tokens. Source: release run_model.py."""
    shards: Annotated[int, Field(ge=1, le=100_000)] = 8
    """Parts the work is cut into, more if they would exceed 8192 completions; each is committed on its own and never done twice."""
    benchmarks: Annotated[list[Benchmark], Field(max_length=32), KeyedBy("name")] = []
    """Benchmarks; without any, the run trains without measuring."""
    majority_of: Annotated[int, Field(ge=1, le=1024)] = 32
    """Judgments a prompt by whose majority the seed and the last judge are scored once more, on benchmarks with one vote: a judge worth
    its training beats the seed's votes too. It costs as much as so many evaluations of both; 1 turns it off. Source: paper, 32 votes of
    the last judge."""


class Spec(ApiModel):
    """What to run. Everything that defines the result is immutable."""

    recipe: Literal["paper", "release", "improved"] = "paper"
    """Preset of the method for the fields that say so: paper is Self-Taught Evaluators as published; release is SFT and then DPO, as the
    released model was trained, in one iteration of each (iterations 2, judge.slices 2); improved adds near misses to the pairs, keeps
    judgments only where both orders are judged right, and goes on from the judge before on fresh instructions."""
    iterations: Annotated[int, Field(ge=1, le=50)] = 5
    """Rounds of judge, select, train and evaluate; may be raised later. Source: paper."""
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 42
    """Random seed, from which all others derive. Source: release."""
    suspend: bool = False
    """Stop after the current shards and keep everything; false goes on."""
    model: ModelSource
    """The seed judge. The first iteration is trained from it, and the later ones too if train.start is seed (paper). Models that can
    choose are asked to answer without thinking first: the judgment itself is the reasoning that is learnt."""
    generator: ModelSource | None = None
    """The model that writes answers; absent means the seed. The paper used Mixtral 8x22B. If it always thinks first, between <think> and
    </think>, that counts for generate.maxTokens and is no part of an answer."""
    weaker: ModelSource | None = None
    """A model that answers worse than the generator, a smaller one or an older checkpoint: what it says is the worse answer of the kind
    weaker, for which it answers every instruction before the generator does."""
    store: StoreSpec
    """Where results are kept."""
    instructions: Instructions | None = None
    """The unlabelled instructions; absent means that only labelled pairs are used."""
    labelled: Labelled | None = None
    """Labelled pairs beside the synthetic ones, or instead of them."""
    prompts: Prompts = Prompts()
    """Templates that replace the built-in ones."""
    pods: PodSettings = PodSettings()
    """Settings for the pods of all stages."""
    generate: Generate = Generate()
    """Answers and variations."""
    judge: Judge = Judge()
    """Judgments."""
    select: Select = Select()
    """Rejection sampling."""
    train: Train = Train()
    """Fine-tuning."""
    evaluate: Evaluate = Evaluate()
    """Scores."""
    deadlines: Deadlines = Deadlines()
    """When to stop waiting."""
    retries: Retries = Retries()
    """How often to try again."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=300, le=31_536_000)] = 604_800
    """Seconds a finished Job is kept for its logs and for the operator to see why it failed. The run itself and its data
    are never deleted."""

    @property
    def resolved(self) -> Recipe:
        """The method's choices for this run: its own where they are set, else the recipe's."""
        preset, generate, select = RECIPES[self.recipe], self.generate, self.select
        own = {kind.kind: kind.weight for kind in generate.negatives} if generate.negatives else None
        return Recipe(
            answers=preset.answers if generate.answers is None else generate.answers,
            negatives=preset.negatives if own is None else own,
            minimum_pass_rate=preset.minimum_pass_rate if select.minimum_pass_rate is None else select.minimum_pass_rate,
            require_mirror=preset.require_mirror if select.require_mirror is None else select.require_mirror,
            first_objective=self.train.first_objective or self.train.objective or preset.first_objective,
            objective=self.train.objective or preset.objective,
            start=self.train.start or preset.start,
            contrasts=select.contrasts or preset.contrasts,
            slices=self.judge.slices or preset.slices,
        )

    @property
    def held_out(self) -> int:
        """Instructions that are not for training."""
        return self.instructions.validation or 0 if self.instructions else 0

    def majority_in(self, iteration: int) -> int | None:
        """Votes by which an iteration's judge, 0 being the seed, is scored once more; None if it is not."""
        return self.evaluate.majority_of if self.evaluate.majority_of > 1 and iteration in (0, self.iterations) else None

    @model_validator(mode="after")
    def _consistent(self) -> "Spec":
        for rule in RULES:
            if not rule.holds(self):
                raise ValueError(rule.message)
        return self


class Metadata(ApiModel):
    """The part of the metadata the planner reads."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=NAME_LIMIT)]
    namespace: DnsLabel = "default"
    uid: Annotated[str, Field(min_length=1, max_length=64)] = "local"
    generation: int = 1
    creation_timestamp: Text | None = None


class SelfTrainRun(ApiModel):
    """One run of the method, from a seed model and instructions to a better judge."""

    api_version: Literal["selftrain.dev/v1alpha1"] = "selftrain.dev/v1alpha1"
    kind: Literal["SelfTrainRun"] = "SelfTrainRun"
    metadata: Metadata
    spec: Spec
    """What to run."""
    status: Status = Status()
    """What was observed."""


SHARDED_PARAMETERS = 3
"""The ZeRO stage that shards parameters, without which they cannot be offloaded."""
SAMPLING = ("generate", "judge", "evaluate")


def _fits(stage: str) -> Callable[[Spec], bool]:
    def holds(spec: Spec) -> bool:
        settings: SamplingStage = getattr(spec, stage)
        return settings.max_model_length is None or settings.max_model_length > settings.max_tokens

    return holds


def _is_greedy(stage: SamplingStage) -> bool:
    return float(stage.temperature) == 0


def _votes(evaluate: Evaluate) -> bool:
    return any(benchmark.votes > 1 or evaluate.majority_of > 1 for benchmark in evaluate.benchmarks)


def _resolved(field: str, of: Callable[[Recipe], bool | int], own: str | None = None) -> str:
    """CEL for a field that a recipe chooses where it is absent; `own` is what is made of it where it is not."""
    presets = ", ".join(f"'{name}': {json.dumps(of(recipe))}" for name, recipe in RECIPES.items())
    return f"(has(self.{field}) ? {own or f'self.{field}'} : {{{presets}}}[self.recipe])"


def _tries(kind: NegativeKind) -> str:
    """CEL for whether a kind is among the run's."""
    return _resolved(
        "generate.negatives", lambda recipe: kind in recipe.negatives, f"self.generate.negatives.exists(n, n.kind == '{kind}')"
    )


CLASSIFY = "self.instructions.classify"
HIGHEST = f"(has({CLASSIFY}.maximumComplexity) ? {CLASSIFY}.maximumComplexity : {CLASSIFY}.scale)"


def _is_range(wanted: Classify | None) -> bool:
    return wanted is None or wanted.minimum_complexity <= (wanted.maximum_complexity or wanted.scale) <= wanted.scale


@dataclass(frozen=True)
class Rule:
    """A rule across fields of the spec, as CEL for the API server and as Python for local runs; a test holds the two together."""

    cel: str
    message: str
    holds: Callable[[Spec], bool]


RULES = (
    Rule(
        "has(self.instructions) || has(self.labelled)",
        "instructions or labelled is needed",
        lambda spec: spec.instructions is not None or spec.labelled is not None,
    ),
    Rule(
        f"!has(self.instructions) || !has({CLASSIFY}) || {CLASSIFY}.minimumComplexity <= {HIGHEST} && {HIGHEST} <= {CLASSIFY}.scale",
        "instructions.classify: maximumComplexity must be at least minimumComplexity and at most scale",
        lambda spec: _is_range(spec.instructions.classify if spec.instructions else None),
    ),
    Rule(
        "!has(self.labelled) || !has(self.labelled.share) || has(self.instructions)",
        "labelled.share needs instructions",
        lambda spec: spec.labelled is None or spec.labelled.share is None or spec.instructions is not None,
    ),
    Rule(
        "self.train.offload != 'parameters' || self.train.zeroStage == 3",
        "train.offload: parameters needs train.zeroStage 3",
        lambda spec: spec.train.offload != "parameters" or spec.train.zero_stage == SHARDED_PARAMETERS,
    ),
    Rule(
        "self.train.offload == 'none' || self.train.zeroStage >= 1",
        "train.offload needs train.zeroStage 1 or more",
        lambda spec: spec.train.offload == "none" or spec.train.zero_stage >= 1,
    ),
    Rule(
        f"{_resolved('generate.answers', lambda recipe: recipe.answers)} > 1 || !{_tries(NegativeKind.DISAGREEMENT)}",
        "generate.negatives: disagreement needs generate.answers above 1",
        lambda spec: spec.resolved.answers > 1 or NegativeKind.DISAGREEMENT not in spec.resolved.negatives,
    ),
    Rule(
        f"double(self.generate.temperature) > 0.0 || {_resolved('generate.answers', lambda recipe: recipe.answers)} == 1",
        "generate.answers above 1 needs generate.temperature above 0",
        lambda spec: not _is_greedy(spec.generate) or spec.resolved.answers == 1,
    ),
    Rule(
        "double(self.judge.temperature) > 0.0 || self.judge.samples == 1",
        "judge.samples above 1 needs judge.temperature above 0",
        lambda spec: not _is_greedy(spec.judge) or spec.judge.samples == 1,
    ),
    Rule(
        "double(self.evaluate.temperature) > 0.0 || self.evaluate.benchmarks.all(b, b.votes == 1 && self.evaluate.majorityOf == 1)",
        "votes and evaluate.majorityOf above 1 need evaluate.temperature above 0",
        lambda spec: not _is_greedy(spec.evaluate) or not _votes(spec.evaluate),
    ),
    Rule(
        f"has(self.weaker) == {_tries(NegativeKind.WEAKER)}",
        "weaker and the kind weaker of generate.negatives need each other",
        lambda spec: (spec.weaker is not None) == (NegativeKind.WEAKER in spec.resolved.negatives),
    ),
    Rule(
        f"!{_resolved('select.requireMirror', lambda recipe: recipe.require_mirror)} || self.judge.orders == 'both'",
        "select.requireMirror needs judge.orders both",
        lambda spec: not spec.resolved.require_mirror or spec.judge.orders == "both",
    ),
    Rule(
        f"self.evaluate.benchmarks.all(b, b.mode != '{Mode.RANKING}' || b.format == '{PairFormat.REWARDBENCH2}')",
        "evaluate.benchmarks: mode ranking is for format rewardbench2",
        lambda spec: all(b.mode is not Mode.RANKING or b.format is PairFormat.REWARDBENCH2 for b in spec.evaluate.benchmarks),
    ),
    Rule(
        f"self.evaluate.benchmarks.all(b, b.mode != '{Mode.RATING}' || b.format != '{PairFormat.MT_BENCH}')",
        "evaluate.benchmarks: format mt-bench has no mode rating, since people's votes are about two answers",
        lambda spec: all(b.mode is not Mode.RATING or b.format is not PairFormat.MT_BENCH for b in spec.evaluate.benchmarks),
    ),
    Rule(
        f"!has(self.labelled) || !(self.labelled.format in {json.dumps(BENCHMARKS_ONLY)})",
        "labelled.format: mt-bench and rewardbench2 are for benchmarks only",
        lambda spec: spec.labelled is None or spec.labelled.format not in BENCHMARKS_ONLY,
    ),
    Rule(
        "self.train.tokensPerUpdate >= self.train.sequenceLength",
        "train.tokensPerUpdate must be at least train.sequenceLength",
        lambda spec: spec.train.tokens_per_update >= spec.train.sequence_length,
    ),
    *(
        Rule(
            f"!has(self.{stage}.maxModelLength) || self.{stage}.maxModelLength > self.{stage}.maxTokens",
            f"{stage}.maxModelLength must be larger than {stage}.maxTokens",
            _fits(stage),
        )
        for stage in SAMPLING
    ),
)

MUTABLE = frozenset({"suspend", "iterations", "pods", "deadlines", "retries", "ttl_seconds_after_finished"})
"""Fields of the spec that may change while the run goes on. `iterations` may only grow."""
WHERE_NOT_WHAT = frozenset(PodSettings.model_fields) | {"parallelism"}
"""Settings of a stage that say where and how fast it runs; two stages that differ only in these make the same data."""
FITTING = frozenset(
    {
        "activation_checkpointing",
        "max_sequences",
        "micro_batch",
        "nodes",
        "offload",
        "pipeline_parallel_size",
        "processes_per_node",
        "save_every_steps",
        "tensor_parallel_size",
        "zero_stage",
    }
)
"""Settings by which a stage fits its machines. Results differ by rounding, so a stage under way begins anew with others."""
