"""The part of a model card about the training set: what it is made of, and how much of it gives itself away."""

from collections.abc import Iterator, Mapping

from selftrain.api.records import Distributions, Evidence, Guesses, Lengths
from selftrain.method.distributions import RATES
from selftrain.method.stats import wilson
from selftrain.report.markdown import counted, listed, share, table


def training_data(evidence: Evidence, embedded: Mapping[str, Guesses]) -> Iterator[str]:
    """Paragraphs and tables. `embedded` is what was guessed from embeddings, by kind."""
    yield _kinds(evidence)
    yield _probes({"words": evidence.probe, "sentence embeddings": embedded})
    yield (
        "Guessed is how often the better answer is named by a logistic regression that sees instruction and answers and cannot judge, on "
        "instructions it was not fitted to. A tie, where it prefers neither, is worth one half in the share, so that half is chance; far "
        "above it, pairs of this kind can be told apart without judging."
    )
    yield _distributions(evidence.distributions)
    yield _rates(evidence.distributions)


def _kinds(evidence: Evidence) -> str:
    rows = []
    for kind, fate in sorted(evidence.distributions.kinds.items()):
        rows.append([kind, str(fate.pairs), counted(fate.right, fate.judgments), str(fate.kept), listed(fate.drops)])
    return table(["kind of pair", "pairs judged", "right judgments", "kept", "left out"], rows)


def _probes(probes: Mapping[str, Mapping[str, Guesses]]) -> str:
    rows = [
        [
            kind,
            name,
            counted(guessed.correct, guessed.total),
            str(guessed.ties),
            share(guessed.right, guessed.total, wilson(guessed.right, guessed.total)),
        ]
        for name, found in probes.items()
        for kind, guessed in sorted(found.items())
    ]
    return table(["kind of pair", "seen", "guessed", "ties", "share (95 %)"], rows)


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
