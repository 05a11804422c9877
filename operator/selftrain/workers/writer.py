"""From instructions to pairs: sampling the answers and the worse ones, kind by kind."""

from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from selftrain.api.recipes import NegativeKind
from selftrain.api.records import Drop
from selftrain.api.seeds import seed_of
from selftrain.api.v1alpha1 import Spec
from selftrain.method.negatives import Agreement, agree, disagreeing, order_of
from selftrain.method.pairs import Pair, Written, build_pair, build_rewritten, build_worse
from selftrain.method.thinking import after_thinking
from selftrain.prompts import Template
from selftrain.storage.instructions import Instruction
from selftrain.workers.engine import Completion, Request, Sampling
from selftrain.workers.flow import Steps
from selftrain.workers.sampling import Sampled, Sampler
from selftrain.workers.shards import Made, Row


@dataclass
class Draft:
    """An instruction on its way to a pair."""

    row: Instruction
    kinds: list[NegativeKind]
    """Kinds of worse answers still to try, the next one first."""
    weaker: str | Drop | None = None
    """The weaker model's answer, or what was wrong with it; None if there is no such model."""
    agreement: Agreement | None = None
    """The better answer; None if there is none."""
    pair: Pair | Drop = Drop.TOO_LONG
    """The pair, or what was wrong with the last try."""


Step = Generator[list[Request], Sampled, Sampled]
Open = tuple[Draft, Agreement]
"""A draft that another kind may still make a pair of."""
Prompt = tuple[str, Instruction, Mapping[str, str]]
"""The template's name, what it is about, and its values."""


@dataclass(frozen=True)
class Writer:
    """Writes the pairs of a shard."""

    sampler: Sampler
    templates: Mapping[str, Template]
    """By name: of the answer, and of each kind of worse answer that is asked for."""
    spec: Spec

    def make(self, rows: Sequence[Instruction], weaker: Mapping[str, str | Drop]) -> Steps:
        """One row an instruction, dropped ones with their reason. `weaker` has a weaker model's answers by the instruction's id."""
        weights = self.spec.resolved.negatives
        drafts = [Draft(row, order_of(weights, self.spec.seed, row.id), weaker.get(row.id)) for row in rows]
        usage = [(yield from self._answer(drafts))]
        while waiting := [(d, d.agreement) for d in drafts if d.agreement and d.kinds and isinstance(d.pair, Drop)]:
            usage.append((yield from self._try_next(waiting)))
        pairs = [draft.pair for draft in drafts if isinstance(draft.pair, Pair)]
        drops = Counter(draft.pair for draft in drafts if isinstance(draft.pair, Drop))
        kinds = Counter(f"pairs by {pair.kind}" for pair in pairs)
        return Made(
            rows=[_row(draft) for draft in drafts],
            counts={"instructions": len(rows), "pairs": len(pairs), **kinds},
            drops=drops,
            tokens=sum(sampled.tokens for sampled in usage),
            seconds=sum(sampled.seconds for sampled in usage),
        )

    def _answer(self, drafts: Sequence[Draft]) -> Step:
        prompts = [("answer", draft.row, {"instruction": draft.row.text}) for draft in drafts]
        sampled = yield from self._ask(prompts, self.spec.resolved.answers)
        for draft, samples in zip(drafts, sampled.completions, strict=True):
            if samples:
                found = agree([written(sample) for sample in samples])
                draft.agreement, draft.pair = (None, found) if isinstance(found, Drop) else (found, found.lacking)
        return sampled

    def _try_next(self, waiting: Sequence[Open]) -> Step:
        """The next kind of each draft; those that need the engine are asked together."""
        asked: list[tuple[Draft, Agreement, NegativeKind]] = []
        for draft, agreement in waiting:
            kind = draft.kinds.pop(0)
            if kind.asks:
                asked.append((draft, agreement, kind))
                continue
            other = draft.weaker if kind is NegativeKind.WEAKER else disagreeing(agreement, self.spec.seed, draft.row.id)
            if other is not None:
                draft.pair = other if isinstance(other, Drop) else build_worse(kind, agreement.chosen.text.strip(), other)
        prompts = [(kind, draft.row, {"instruction": draft.row.text, "answer": found.chosen.text.strip()}) for draft, found, kind in asked]
        sampled = yield from self._ask(prompts, 1)
        for (draft, agreement, kind), samples in zip(asked, sampled.completions, strict=True):
            draft.pair = _pair(kind, draft.row, agreement.chosen, written(samples[0])) if samples else Drop.TOO_LONG
        return sampled

    def _ask(self, prompts: Iterable[Prompt], samples: int) -> Step:
        sampling = Sampling.drawn(self.spec.generate, samples)
        requests = [
            self.sampler.request(self.templates[name], values, seed_of(self.spec.seed, "generate", name, row.id), sampling)
            for name, row, values in prompts
        ]
        return (yield requests) if requests else Sampled([], 0.0)


def _pair(kind: NegativeKind, row: Instruction, answer: Written, completion: Written) -> Pair | Drop:
    """What a completion makes of an answer."""
    return build_rewritten(kind, answer, completion) if kind.rewrites else build_pair(row.text, answer, completion)


def written(sample: Completion) -> Written:
    """A completion as the method sees it: what a model thinks before it answers is not kept."""
    return Written(after_thinking(sample.text), whole=sample.finish == "stop")


def _row(draft: Draft) -> Row:
    pair, own = draft.pair, {"pair_id": draft.row.id, "instruction": draft.row.text}
    if isinstance(pair, Drop):
        return {**own, "dropped": pair.value}
    return {**own, "chosen": pair.chosen, "rejected": pair.rejected, "variation": pair.variation, "kind": pair.kind.value}
