"""From instructions to pairs: sampling the answers and the worse ones, kind by kind."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from selftrain.api.recipes import NegativeKind
from selftrain.api.records import Drop
from selftrain.api.seeds import seed_of
from selftrain.api.v1alpha1 import Spec
from selftrain.method.negatives import Agreement, agree, disagreeing, order_of
from selftrain.method.pairs import Pair, Written, build_pair
from selftrain.prompts import Template
from selftrain.storage.instructions import Instruction
from selftrain.workers.engine import Completion, Sampling
from selftrain.workers.sampling import Sampled, Sampler
from selftrain.workers.shards import Made, Row


@dataclass
class Draft:
    """An instruction on its way to a pair."""

    row: Instruction
    kinds: list[NegativeKind]
    """Kinds of worse answers still to try, the next one first."""
    agreement: Agreement | None = None
    """The better answer; None if there is none."""
    pair: Pair | Drop = Drop.TOO_LONG
    """The pair, or what was wrong with the last try."""


Open = tuple[Draft, Agreement]
"""A draft that another kind may still make a pair of."""


@dataclass(frozen=True)
class Writer:
    """Writes the pairs of a shard."""

    sampler: Sampler
    answer: Template
    variation: Template
    spec: Spec

    def make(self, rows: Sequence[Instruction]) -> Made:
        """One row an instruction, dropped ones with their reason."""
        weights = self.spec.resolved.negatives
        drafts = [Draft(row, order_of(weights, self.spec.seed, row.id)) for row in rows]
        usage = [self._answer(drafts)]
        while waiting := [(d, d.agreement) for d in drafts if d.agreement and d.kinds and isinstance(d.pair, Drop)]:
            usage.append(self._try_next(waiting))
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

    def _answer(self, drafts: Sequence[Draft]) -> Sampled:
        prompts = [(draft.row, {"instruction": draft.row.text}) for draft in drafts]
        sampled = self._ask("answer", self.answer, prompts, self.spec.resolved.answers)
        for draft, samples in zip(drafts, sampled.completions, strict=True):
            if samples:
                found = agree([_written(sample) for sample in samples])
                draft.agreement, draft.pair = (None, found) if isinstance(found, Drop) else (found, found.lacking)
        return sampled

    def _try_next(self, waiting: Sequence[Open]) -> Sampled:
        """The next kind of each draft; those that need the engine are asked together."""
        varied: list[Open] = []
        for draft, agreement in waiting:
            if draft.kinds.pop(0) is NegativeKind.VARIATION:
                varied.append((draft, agreement))
            elif (other := disagreeing(agreement, self.spec.seed, draft.row.id)) is not None:
                draft.pair = Pair(agreement.chosen.text.strip(), other, NegativeKind.DISAGREEMENT)
        prompts = [(draft.row, {"instruction": draft.row.text, "answer": found.chosen.text.strip()}) for draft, found in varied]
        sampled = self._ask("variation", self.variation, prompts, 1)
        for (draft, agreement), samples in zip(varied, sampled.completions, strict=True):
            draft.pair = build_pair(draft.row.text, agreement.chosen, _written(samples[0])) if samples else Drop.TOO_LONG
        return sampled

    def _ask(self, name: str, template: Template, prompts: Iterable[tuple[Instruction, Mapping[str, str]]], samples: int) -> Sampled:
        settings = self.spec.generate
        sampling = Sampling(samples, float(settings.temperature), float(settings.top_p), settings.max_tokens)
        requests = [
            self.sampler.request(template, values, seed_of(self.spec.seed, "generate", name, row.id), sampling) for row, values in prompts
        ]
        return self.sampler.sample_once(requests) if requests else Sampled([], 0.0)


def _written(sample: Completion) -> Written:
    return Written(sample.text, whole=sample.finish == "stop")


def _row(draft: Draft) -> Row:
    pair, own = draft.pair, {"pair_id": draft.row.id, "instruction": draft.row.text}
    if isinstance(pair, Drop):
        return {**own, "dropped": pair.value}
    return {**own, "chosen": pair.chosen, "rejected": pair.rejected, "variation": pair.variation, "kind": pair.kind.value}
