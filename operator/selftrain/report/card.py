"""The model card of a judge, as the Hub reads it: what it was made from, how good it is, and what that rests on.

The same manifests give the same text: no time, attempt or place is in it, and of addresses only those on the Hub, which are public.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from selftrain.api.records import BenchmarkResult, Manifest, Overlap, Tally
from selftrain.api.stages import Stage, Step
from selftrain.api.status import ChosenBy
from selftrain.api.v1alpha1 import WHERE_NOT_WHAT, Spec
from selftrain.method.pairs import LABELLED
from selftrain.method.scoring import by_chance
from selftrain.method.stats import Paired
from selftrain.planning.choice import chosen
from selftrain.planning.steps import PAIRS_STEP, learnt_from
from selftrain.report.markdown import counted, judged, judged_strictly, listed, table
from selftrain.report.own_score import own_score
from selftrain.report.training import training_data

HUB = "hf://"
WIDTH = 140


@dataclass(frozen=True)
class Subject:
    """The judge that a card is about."""

    run: str
    spec: Spec
    iteration: int
    manifests: Mapping[Step, Manifest]
    """All steps up to the last one of the judge's iteration."""
    digests: Mapping[Step, str]
    """Of the manifests that the judge was made from."""
    paired: Mapping[str, Paired]
    """The judge against the seed, by benchmark, where both were scored."""
    paired_with_votes: Mapping[str, Paired]
    """The judge against the seed's votes, where it was scored by them."""

    def of(self, stage: Stage) -> Manifest:
        """The manifest of a step that the judge was made by, or its own evaluation, which need not be there."""
        return self.manifests[Step(1 if stage is Stage.GENERATE else self.iteration, stage)]

    @property
    def evaluations(self) -> dict[int, Manifest]:
        """By iteration, 0 being the seed."""
        return {step.iteration: manifest for step, manifest in sorted(self.manifests.items()) if step.stage is Stage.EVALUATE}

    @property
    def evaluation(self) -> Manifest | None:
        """The judge's own, if there was something to evaluate it on."""
        return self.evaluations.get(self.iteration)


def card(subject: Subject) -> str:
    """The whole text of README.md."""
    head = yaml.safe_dump(metadata(subject), sort_keys=False, allow_unicode=True, width=WIDTH)
    sections = [_title(subject), _choice(subject), *_results(subject), *_training(subject), _recipe(subject.spec), _lineage(subject)]
    return f"---\n{head}---\n\n" + "\n\n".join([*sections, LIMITS])


def metadata(subject: Subject) -> dict[str, Any]:
    """The front matter. Source: the Hub's documentation of model cards."""
    base = _public(subject.spec.model.uri)
    results = [_metric(result) for result in subject.evaluation.results] if subject.evaluation else []
    return {
        **({"base_model": base} if base else {}),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["llm-as-a-judge", "self-taught-evaluator", "selftrain"],
        **({"model-index": [{"name": subject.run, "results": results}]} if results else {}),
    }


def _metric(result: BenchmarkResult) -> dict[str, Any]:
    overall = result.overall
    accuracy = round(overall.correct / overall.total, 4) if overall.total else 0.0
    return {
        "task": {"type": "text-generation", "name": "Pairwise judging, both orders" if result.orders else "Judging several answers"},
        "dataset": {"name": result.benchmark, "type": result.benchmark},
        "metrics": [{"type": "accuracy", "value": accuracy, "name": f"{overall.correct} of {overall.total} right"}],
    }


def _title(subject: Subject) -> str:
    base, labelled = _public(subject.spec.model.uri) or "its seed model", subject.of(Stage.GENERATE).counts.get(f"pairs by {LABELLED}", 0)
    labels = f"{labelled} pairs labelled by others were among its training pairs." if labelled else "No person labelled a pair for it."
    return (
        f"# {subject.run}, iteration {subject.iteration}\n\n"
        "A judge of answers: given an instruction and two answers, it gives its reasons and then says [[A]] or [[B]]. "
        f"Trained from {base} on its own judgments (Self-Taught Evaluators, arXiv 2408.02666). {labels}"
    )


def _choice(subject: Subject) -> str:
    choice = chosen(subject.spec, subject.manifests)
    if choice is None or choice.by is ChosenBy.LAST:
        return "## Choice\n\nNo pairs are held out that could tell which iteration is better. The last one of the run is to be used."
    told = {number: manifest.validation.overall for number, manifest in subject.evaluations.items() if manifest.validation}
    rows = [[str(number), *judged_strictly(tally)] for number, tally in told.items()]
    return (
        f"## Choice\n\nUp to here iteration {choice.iteration} is the one to use. It decides most held-out synthetic pairs right in both "
        "orders; of equal ones it is the earliest. No benchmark and no person's label has a part in this.\n\n"
        + table(["iteration", "right in both orders", "share (95 %)"], rows)
    )


def _results(subject: Subject) -> Iterator[str]:
    told = subject.evaluation
    yield "## Results" + ("" if told and told.results else "\n\nNo benchmark was given.")
    if told is None:
        return
    yield f"Judgments on benchmarks and held-out pairs together: {listed(told.counts)}. {COUNTED}"
    for result in told.results:
        yield f"### {result.benchmark}\n\n{_scores(subject, result)}"
        yield "\n".join(_remarks(subject, result))
        if result.official is not None:
            yield own_score(result.official)
        if result.parts:
            parts = [[name, *judged(part)] for name, part in sorted(result.parts.items())]
            yield table(["subset", "correct", "accuracy (95 %)"], parts)


def _scores(subject: Subject, result: BenchmarkResult) -> str:
    """The judge, those before it and what can be had without judging, on the same pairs."""
    before = {
        number: other
        for number, manifest in subject.evaluations.items()
        for other in manifest.results
        if other.benchmark == result.benchmark
    }
    names = {number: "seed" if number == 0 else f"iteration {number}" for number in before}
    judges = {names[number]: other.overall for number, other in before.items()}
    voted = {f"{names[number]}, {other.voted.votes} votes": other.voted.overall for number, other in before.items() if other.voted}
    rows = {"always A": result.always_a, "the longer answer": result.longer_wins, **judges, **voted}
    chance, total = by_chance(result), result.overall.total
    return table(
        ["judge", "correct", "accuracy (95 %)", "right in both orders", "of all pairs (95 %)", "said A", "no verdict"],
        [
            ["random, expected", f"{chance:g} of {total}", f"{chance / total:.3f}" if total else "-", *["-"] * 4],
            *([name, *_cells(tally)] for name, tally in rows.items()),
        ],
    )


def _cells(tally: Tally) -> list[str]:
    strict = judged_strictly(tally) if tally.pairs else ["-"] * 2
    return [*judged(tally), *strict, str(tally.a_verdicts), str(tally.unparsed)]


def _remarks(subject: Subject, result: BenchmarkResult) -> Iterator[str]:
    yield f"- Judgments a prompt: {result.votes}."
    if result.orders:
        orders = ", ".join(f"{order} {counted(tally.correct, tally.total)}" for order, tally in sorted(result.orders.items()))
        yield f"- Right by order (AB shows the better answer first): {orders}."
    lenient = counted(result.lenient.correct, result.lenient.total)
    yield f"- Read leniently, as benchmarks do: {lenient}. Judgments that the two readings understand differently: {result.disagreements}."
    for whom, tests in (("the seed", subject.paired), ("the seed's votes", subject.paired_with_votes)):
        if (test := tests.get(result.benchmark)) is not None:
            told = f"better on {test['wins']}, worse on {test['losses']}, p = {test['p']:.2g}"
            yield f"- Against {whom}, item by item: {told} (exact sign test)."
    if result.overlap is not None:
        yield f"- {_overlap(result.overlap)}"


def _overlap(overlap: Overlap) -> str:
    return (
        "In what the judge was trained on, by 13 words in a row: the instructions of "
        f"{counted(overlap.instructions, overlap.pairs)} items and answers of {counted(overlap.answers, overlap.pairs)}."
    )


def _training(subject: Subject) -> Iterator[str]:
    """Everything that the judge learnt from, iteration by iteration, and what the last training set is made of."""
    learnt = learnt_from(subject.spec.resolved, subject.iteration)
    steps = [PAIRS_STEP, *(Step(number, stage) for number in learnt for stage in (Stage.JUDGE, Stage.SELECT, Stage.TRAIN))]
    made = {step: subject.manifests[step] for step in steps}
    rows = [[str(step), listed(manifest.counts), listed(manifest.drops)] for step, manifest in made.items()]
    yield "## Training data\n\n" + table(["step", "counts", "left out"], rows)
    if len(learnt) > 1:
        yield FURTHER
    if (evidence := subject.of(Stage.SELECT).evidence) is not None:
        yield from training_data(evidence, subject.of(Stage.GENERATE).embedding_probe or {})


def _recipe(spec: Spec) -> str:
    """Everything that decides the content, and nothing about where it ran."""
    stages = {
        str(stage): getattr(spec, stage).model_dump(mode="json", by_alias=True, exclude_none=True, exclude={*WHERE_NOT_WHAT, "benchmarks"})
        for stage in Stage
    }
    given = {"instructions": spec.instructions, "labelled": spec.labelled}
    used = {name: own.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"uri"}) for name, own in given.items() if own}
    recipe = {**asdict(spec.resolved), "negatives": {str(kind): weight for kind, weight in spec.resolved.negatives.items()}}
    plain = {name: value if isinstance(value, int | dict) else str(value) for name, value in recipe.items()}
    text = yaml.safe_dump({"seed": spec.seed, "recipe": {"name": spec.recipe, **plain}, **used, **stages}, sort_keys=False, width=WIDTH)
    return f"## Recipe\n\n```yaml\n{text}```"


def _lineage(subject: Subject) -> str:
    """SHA-256 of everything that the judge was made from, and of itself."""
    known = [manifest for step, manifest in sorted(subject.manifests.items()) if step.iteration <= subject.iteration]
    given = {name: digest for manifest in known for name, digest in manifest.inputs.items() if not name.startswith("iteration-")}
    prompts = {f"prompt {name}": digest for manifest in known for name, digest in manifest.prompts.items()}
    steps = {f"manifest of {step}": digest for step, digest in sorted(subject.digests.items())}
    files = {part.key.rpartition("/")[2]: part.sha256 for part in subject.of(Stage.TRAIN).parts}
    rows = [[name, f"`{digest}`"] for named in (given, prompts, steps, files) for name, digest in sorted(named.items())]
    own = [stage for stage in Stage if stage is not Stage.EVALUATE or subject.evaluation]
    software = {name: version for stage in own for name, version in subject.of(stage).software.items()}
    versions = ", ".join(f"{name} {version}" for name, version in sorted(software.items()))
    return "## Made from\n\n" + table(["what", "sha256"], rows) + (f"\n\nSoftware: {versions}." if versions else "")


def _public(uri: str) -> str | None:
    """A model's name on the Hub."""
    return uri.removeprefix(HUB).partition("@")[0] if uri.startswith(HUB) else None


COUNTED = "Truncated ones ended at maxTokens; too long were prompts that do not fit the context, which have no verdict."
FURTHER = (
    "The judge began as the one of the iteration before, so it has learnt from all of these training sets. What follows is about the last "
    "of them; the cards of the judges before tell about theirs."
)
LIMITS = """## What these numbers do not say

- Intervals are Wilson's at 95 %, on as many judgments as are independent: those of one item are not. They say how much other items would
  change, not other seeds.
- All is of one seed. How much another one changes is not known from this run.
- Overlap is looked for word by word in what this run trained on. Paraphrases, and what the seed model was trained on, are not seen.
- The probes know words and topics only. What they do not find may still leak.
- The licence is the seed model's matter, and none is given here.
"""
