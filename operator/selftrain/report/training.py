"""The part of a model card about the training set: what it is made of, and how much of it gives itself away."""

from collections.abc import Iterator

from selftrain.api.records import Distributions, Evidence, Lengths
from selftrain.method.distributions import RATES
from selftrain.report.markdown import counted, listed, measured, table


def training_data(evidence: Evidence) -> Iterator[str]:
    """Paragraphs and tables."""
    yield _kinds(evidence)
    yield (
        "Guessed is how often the better answer of pairs that were not seen is guessed from the words of instruction and answers alone, by "
        "logistic regression. Half is chance; far above it, pairs of this kind can be told apart without judging."
    )
    yield _distributions(evidence.distributions)
    yield _rates(evidence.distributions)


def _kinds(evidence: Evidence) -> str:
    rows = []
    for kind, fate in sorted(evidence.distributions.kinds.items()):
        guessed = evidence.probe.get(kind)
        told = measured(guessed.correct, guessed.total) if guessed else ["-", "-"]
        rows.append([kind, str(fate.pairs), counted(fate.right, fate.judgments), str(fate.kept), listed(fate.drops), *told])
    return table(["kind of pair", "pairs judged", "right judgments", "kept", "left out", "guessed", "share (95 %)"], rows)


def _distributions(found: Distributions) -> str:
    orders = sorted(found.orders.items())
    said = ", ".join(f"{counted(tally.a_verdicts, tally.total - tally.unparsed)} in order {order}" for order, tally in orders)
    repeated = ", ".join(f"distinct-{n} {counted(grams.distinct, grams.total)}" for n, grams in sorted(found.distinct.items()))
    return "\n".join([
        f"- Judgments in tokens: {_lengths(found.lengths)}; kept ones: {_lengths(found.kept_lengths)}.",
        f"- Verdicts A: {said}.",
        f"- Entropy of the verdicts on an ordered pair: {found.entropy:.3f} bits in the mean.",
        f"- Repetition in a sample of judgments: {repeated}.",
    ])  # fmt: skip


def _lengths(found: Lengths) -> str:
    mean = f"{found.total / found.count:.1f}" if found.count else "-"
    return (
        f"mean {mean}, median {found.median}, a tenth up to {found.tenth}, nine tenths up to {found.nine_tenths}, longest {found.longest}"
    )


def _rates(found: Distributions) -> str:
    rows = [[name, str(found.pass_rates[name]), str(found.kept_pass_rates[name])] for name in RATES]
    return table(["share of right judgments", "ordered pairs", "of which in the training set"], rows)
