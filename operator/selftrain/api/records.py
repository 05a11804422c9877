"""What crosses the border between workers: the work order of a pod, markers and manifests in the store, small enums."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from selftrain.api.base import SINCE, ApiModel
from selftrain.api.conditions import Reason
from selftrain.api.names import Layout
from selftrain.api.pods import PodSettings
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import Metadata, Spec

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hex."""


class Verdict(StrEnum):
    """Which of the two answers shown is better, by position."""

    A = "A"
    B = "B"


class Order(StrEnum):
    """In which order a pair is shown: AB shows the chosen answer as A, BA shows it as B."""

    AB = "AB"
    BA = "BA"

    @property
    def gold(self) -> Verdict:
        """The verdict that is right by construction."""
        return Verdict.A if self is Order.AB else Verdict.B


class Split(StrEnum):
    """The side of an instruction, and with it of all that is made of it."""

    TRAIN = "train"
    VALIDATION = "validation"


CUT = "length"
"""The finish of a completion that ended at maxTokens, in the engine's word."""


class Drop(StrEnum):
    """Why a row was left out. Every stage counts: in = kept + dropped by reason."""

    TIE = "tie"
    """generate, evaluate: people call neither answer of a pair better"""
    NO_EXPERT = "no-expert"
    """evaluate: a vote of MT-Bench that none of its experts gave; its code counts those of its authors and of models apart"""
    NO_TEXT = "no-text"
    """instructions: the field is missing or empty, or what is said is not text alone"""
    MULTI_TURN = "multi-turn"
    """instructions: a conversation in which the person speaks more than once"""
    FILTERED = "filtered"
    """instructions: a column has another value than instructions.where asks for"""
    DUPLICATE = "duplicate"
    """instructions: the same text was seen before, but for case and spacing; generate, evaluate: the same pair was"""
    LANGUAGE = "language"
    """instructions: the text is in another language than instructions.languages"""
    NEAR_DUPLICATE = "near-duplicate"
    """instructions: much like an earlier one, by instructions.nearDuplicates"""
    TOO_LONG = "too-long"
    """generate, judge, train: does not fit the model's context or the sequence length; evaluate counts such prompts and keeps them"""
    UNCLASSIFIED = "unclassified"
    """generate: the classification lacks its three lines, or says something unknown in them"""
    CATEGORY = "category"
    """generate: not among the categories of instructions.classify"""
    COMPLEXITY = "complexity"
    """generate: less or more complex than instructions.classify asks for"""
    LENGTH = "length"
    """generate: not among the lengths of instructions.classify"""
    TRUNCATED = "truncated"
    """generate: a completion ended at maxTokens; select: right, but it ended at judge.maxTokens. Those that are kept are counted"""
    EMPTY_ANSWER = "empty-answer"
    """generate: the answer has no text"""
    MALFORMED = "malformed"
    """generate: the variation or the rewritten answer lacks its tagged blocks"""
    SAME_INSTRUCTION = "same-instruction"
    """generate: the variation is the instruction itself"""
    SAME_ANSWER = "same-answer"
    """generate, evaluate: both answers are equal; synthetic ones also if they differ in what is around all of them (method/pairs.bare)"""
    NO_MAJORITY = "no-majority"
    """generate: answers repeat, and none is given more often than all others together; or all differ, and no other kind was asked for"""
    UNANIMOUS = "unanimous"
    """generate: all answers agree, and no other kind of worse answer was asked for"""
    WRONG = "wrong"
    """select: the verdict is not the one that is right by construction"""
    UNPARSED = "unparsed"
    """select: no verdict, or two different ones"""
    LOW_PASS_RATE = "low-pass-rate"  # noqa: S105 - no password
    """select: right, but too few judgments of the ordered pair were"""
    MIRROR_NOT_KEPT = "mirror-not-kept"
    """select: right, but the pair was not judged right in the other order; train: the other order does not fit"""
    NO_CONTRAST = "no-contrast"
    """select: all judgments of the ordered pair are right, or none is"""
    NOT_DRAWN = "not-drawn"
    """select: right, but another right judgment of the ordered pair was drawn"""
    UNBALANCED = "unbalanced"
    """select: drawn, but its verdict was in the majority; train: it is since examples that do not fit are left out"""
    NOT_MIXED = "not-mixed"
    """select: drawn, but there are enough of its source for labelled.share"""


class Part(ApiModel):
    """One object that a manifest lists. Readers check size and digest."""

    key: str
    sha256: Digest
    bytes: int
    rows: int | None = None


class Shard(ApiModel):
    """Marker of a finished shard. It is written after its data, with If-None-Match."""

    work: Digest
    part: Part
    of: int
    """Shards that the stage is cut into."""
    counts: dict[str, int] = {}
    drops: dict[Drop, int] = {}
    tokens: int = 0
    """Completion tokens sampled."""
    seconds: float = 0.0
    """Engine time."""


class Tally(ApiModel):
    """Verdicts on one group of held-out pairs, both orders. `strict` counts pairs right in both."""

    correct: int = 0
    total: int = 0
    unparsed: int = 0
    a_verdicts: int = 0
    strict_correct: int = 0
    pairs: int = 0
    effective: Annotated[float | None, SINCE] = None
    """As many independent judgments would be as uncertain, since those of one item are not. Absent where all are independent."""
    strict_effective: Annotated[float | None, SINCE] = None
    """The same of pairs right in both orders."""


Interval = tuple[float, float]
"""Both ends of a 95 % interval of a share."""


class Official(ApiModel):
    """A benchmark's score by its own rules, shares between 0 and 1, as `selftrain score` tells it."""

    overall: float | None
    """None where a part is missing without which the benchmark has no overall score."""
    interval: Annotated[Interval | None, SINCE] = None
    count: Annotated[int | None, SINCE] = None
    """Items that were scored, or people's votes."""
    parts: dict[str, float]
    """By the benchmark's own names."""
    intervals: Annotated[dict[str, Interval] | None, SINCE] = None
    """Of the parts."""
    counts: Annotated[dict[str, int] | None, SINCE] = None
    """Of the parts."""
    beside: Annotated[dict[str, float] | None, SINCE] = None
    """Other overall scores in use: strict, without ties, with Prior Sets; and the strict ones of parts."""
    complete: bool = True
    """Whether all of the benchmark's items are there."""


VALIDATION = "validation pairs"
"""Stands in place of a benchmark's name for the pairs of held-out instructions. It has a space, so no benchmark is called this."""


class Overlap(ApiModel):
    """Held-out items of which a text also occurs in what the judge was trained on (method/overlap), once however many pairs show it."""

    pairs: int
    instructions: int
    """Items whose instruction was found."""
    answers: int
    """Items of whose answers one was found."""


class BenchmarkResult(ApiModel):
    """Result of one judge on one benchmark."""

    benchmark: str
    votes: int
    overall: Tally
    parts: dict[str, Tally] = {}
    """By subset of the benchmark."""
    orders: dict[Order, Tally] = {}
    """By order; pairs and strict_correct stay 0."""
    always_a: Tally = Tally()
    """Baseline: says A whatever it sees."""
    longer_wins: Tally = Tally()
    """Baseline: says the longer answer is better; equal lengths count as wrong."""
    random: float | None = None
    """Baseline: how many a random judge is expected to have right; nothing is drawn. Absent means half of all, as for pairs."""
    lenient: Tally = Tally()
    """The same judgments as benchmarks read them, by the first verdict that is looked for."""
    disagreements: int = 0
    """Judgments that the two readings understand differently."""
    official: Official | None = None
    """The benchmark's own score, where it has one, from the lenient reading, which is the benchmarks' own."""
    overlap: Annotated[Overlap | None, SINCE] = None
    """With what the judge was trained on; None for the seed, whose training data nobody here knows."""
    voted: "BenchmarkResult | None" = None
    """In the results of the seed and the last judge: the same by majority of evaluate.majorityOf."""


class Lengths(ApiModel):
    """Lengths in tokens. A quantile is the shortest length that is not exceeded by that share."""

    count: int = 0
    total: int = 0
    tenth: int = 0
    median: int = 0
    nine_tenths: int = 0
    longest: int = 0


class Grams(ApiModel):
    """Runs of n words in some texts: how many there are, and how many different ones."""

    total: int = 0
    distinct: int = 0


class Fate(ApiModel):
    """What became of the judgments of one kind of pair: judgments = kept + dropped by reason."""

    pairs: int = 0
    """Pairs that were judged."""
    judgments: int = 0
    right: int = 0
    kept: int = 0
    drops: dict[Drop, int] = {}


class Distributions(ApiModel):
    """How an iteration's judgments are distributed, before and after the selection."""

    lengths: Lengths
    """Of all judgments."""
    kept_lengths: Lengths
    pass_rates: dict[str, int]
    """Ordered pairs by the share of their judgments that is right."""
    kept_pass_rates: dict[str, int]
    """The same, of ordered pairs with a judgment that was kept."""
    orders: dict[Order, Tally]
    """Verdicts by order; pairs and strict_correct stay 0."""
    entropy: float
    """Mean over the ordered pairs of the entropy in bits of their verdicts A, B and none: 0 if a judge always says the same."""
    distinct: dict[int, Grams]
    """By n, in a sample of judgments of which each counts with its first words."""
    kinds: dict[str, Fate]
    """By kind of pair."""


class Guesses(ApiModel):
    """Better answers guessed by a model that cannot judge. Half of them are guessed by chance."""

    correct: int
    ties: int = 0
    """Pairs of which the model prefers neither answer."""
    total: int

    @property
    def right(self) -> float:
        """Right guesses if a coin is tossed for ties."""
        return self.correct + self.ties / 2


class Evidence(ApiModel):
    """What a training set is made of, for people who judge the judge."""

    distributions: Distributions
    probe: dict[str, Guesses]
    """By kind of pair, from a sample of those in the training set; method/probe says by what."""


class Manifest(ApiModel):
    """The commit point of a stage: what exists, from what it was made, and what was counted."""

    run: str
    iteration: int
    stage: Stage
    attempt: int
    work: Digest
    """Digest of everything that decides the content: settings, seeds, prompts and inputs."""
    inputs: dict[str, Digest]
    """Digests of the manifests (or files) this was made from."""
    prompts: dict[str, Digest] = {}
    """Digests of the templates used."""
    parts: list[Part]
    counts: dict[str, int] = {}
    drops: dict[Drop, int] = {}
    results: list[BenchmarkResult] = []
    embedding_probe: Annotated[dict[str, Guesses] | None, SINCE] = None
    """Generate: better answers guessed from sentence embeddings, by kind of pair, in a sample of all pairs."""
    evidence: Annotated[Evidence | None, SINCE] = None
    """Select: about the training set."""
    validation: Annotated[BenchmarkResult | None, SINCE] = None
    """Evaluate: on the synthetic pairs of held-out instructions, by which a checkpoint is chosen. No benchmark."""
    checkpoint: Annotated[str | None, SINCE] = None
    """Train: prefix of the judge, a model in Hugging Face layout. No two attempts share it unless their files are the same."""
    card: Annotated[Part | None, SINCE] = None
    """Of an iteration's last stage: the model card, which lies beside the checkpoint."""
    seconds: float = 0.0
    """Wall time of the work, summed over pods."""
    tokens: int = 0
    """Tokens sampled or trained on."""
    software: dict[str, str] = {}
    """Versions of the engines."""


class Work(ApiModel):
    """Everything a worker needs to know. It is the pod's one piece of configuration."""

    run: Metadata
    iteration: int
    stage: Stage
    attempt: int
    first: bool = False
    """The first stage of the run checks all inputs and freezes them in run.json before it begins."""
    spec: Spec

    @property
    def step(self) -> Step:
        return Step(self.iteration, self.stage)

    @property
    def layout(self) -> Layout:
        return Layout(self.run.namespace, self.run.name, self.run.uid)

    @property
    def pod_settings(self) -> PodSettings:
        """What the run says about the stage's pods."""
        own: PodSettings = getattr(self.spec, self.stage)
        return own.over(self.spec.pods)

    @property
    def pods(self) -> int:
        """How many pods the stage has at once; each is one index of its Job."""
        match self.stage:
            case Stage.TRAIN:
                return self.spec.train.nodes
            case Stage.SELECT:
                return 1
            case Stage.GENERATE:
                return self.spec.generate.parallelism
            case Stage.JUDGE:
                return self.spec.judge.parallelism
            case Stage.EVALUATE:
                return self.spec.evaluate.parallelism


class Frozen(ApiModel):
    """run.json: the run as it was begun, with the digests of its inputs."""

    run: Metadata
    spec: Spec
    inputs: dict[str, Digest]


class Termination(ApiModel):
    """The last words of a failed pod, as JSON in its termination message (4096 bytes)."""

    kind: Literal["user", "platform", "drained"]
    reason: Reason
    message: Annotated[str, Field(max_length=3000)]
