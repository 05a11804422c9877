"""The layouts in which benchmarks are published: their columns, and what a row means."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Any, TypeGuard

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.instructions import Chat, MultiTurn
from selftrain.api.pair_files import PairFormat
from selftrain.api.records import Drop
from selftrain.method.benchmarks import judgebench, mtbench, rewardbench, rewardbench2, rmbench
from selftrain.method.contests import Contest
from selftrain.method.conversations import answer_in, instruction_in, nemo_instruction
from selftrain.method.pairs import HeldOut
from selftrain.storage.files import Placed, invalid, utf8

PPE_RESPONSES = tuple(f"response_{number}" for number in range(1, 33))
VOTE_COLUMNS = ("question_id", "model_a", "model_b", "winner", "judge", "conversation_a", "conversation_b", "turn")
CONTEST_COLUMNS = ("id", "prompt", "chosen", "rejected", "subset")


@dataclass(frozen=True)
class Layout:
    """A published file: its columns, and how its rows become pairs."""

    columns: Sequence[str]
    pairs: Callable[[Iterable[Placed]], Iterator[tuple[str, HeldOut | Drop]]]
    optional: Sequence[str] = ()


def contest(place: str, row: Mapping[str, Any]) -> Contest:
    """An item of RewardBench 2."""
    subset, name = _text(row, "subset", place), _id(row, "id", place)
    if subset not in rewardbench2.COUNTS:
        raise bad(place, f"RewardBench 2 has no subset {subset!r}")
    right, wrong = (_texts(row, column, place) for column in ("chosen", "rejected"))
    if subset == rewardbench2.TIES:
        if not rewardbench2.TIES_ID.fullmatch(name):
            raise bad(place, f"id {name!r} of a Ties row is neither ref:N nor tied:N")
    elif (len(right), len(right) + len(wrong)) != (1, rewardbench2.ANSWERS):
        raise bad(place, f"{len(right)} chosen and {len(wrong)} rejected answers; outside Ties there are one and three")
    return Contest(f"{subset}/{name}", subset, _text(row, "prompt", place), right, wrong)


def _plain(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut]]:
    """A pair a row, as in most files of preferences. Without an id a pair is called by its row."""
    for place, row in rows:
        chosen, rejected = (_last_said(row, column, place) for column in ("chosen", "rejected"))
        subset = row.get("subset")
        yield place, HeldOut(
            id=f"#{place.rpartition(' ')[2]}" if row.get("id") is None else _id(row, "id", place), instruction=_asked(row, place),
            chosen=chosen, rejected=rejected, subset=None if subset is None else str(subset),
        )  # fmt: skip


def _asked(row: Mapping[str, Any], place: str) -> str:
    """The instruction, which may be called prompt; either may be a conversation, or stand before the last message of both answers."""
    name = next((column for column in ("instruction", "prompt") if row.get(column) is not None), None)
    talks = [_messages(row[column])[:-1] for column in ("chosen", "rejected")]
    if talks[0] != talks[1]:
        raise bad(place, "chosen and rejected answer different conversations")
    before = talks[0] or _messages(row.get(name or ""))
    if not before:
        return _text(row, name or "instruction", place)
    asked = instruction_in(before, Chat(), MultiTurn.RENDER)
    if isinstance(asked, Drop):
        raise bad(place, "the conversation before the answers asks for nothing in text")
    utf8(asked, place, Reason.BENCHMARK_INVALID)
    return asked


def _messages(value: object) -> Sequence[Mapping[str, Any]]:
    """A conversation; nothing if it is none."""
    return value if isinstance(value, list) and all(isinstance(one, Mapping) for one in value) else ()


def _rewardbench(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut]]:
    for place, row in rows:
        subset = _text(row, "subset", place)
        if subset not in rewardbench.SUBSETS:
            raise bad(place, f"RewardBench has no subset {subset!r}")
        prompt, chosen, rejected = (_text(row, column, place) for column in ("prompt", "chosen", "rejected"))
        name = f"{subset}/{_id(row, 'id', place)}"
        yield place, HeldOut(id=name, instruction=prompt, chosen=chosen, rejected=rejected, subset=subset)


def _judgebench(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut]]:
    for place, row in rows:
        source, label = _text(row, "source", place), _text(row, "label", place)
        if (part := judgebench.part_of(source)) is None:
            raise bad(place, f"JudgeBench has no source {source!r}")
        if label not in judgebench.FLIPPED:
            raise bad(place, f"label is {label!r}, neither A>B nor B>A")
        better, worse = ("response_A", "response_B") if label == "A>B" else ("response_B", "response_A")
        yield place, HeldOut(
            id=_id(row, "pair_id", place), instruction=_text(row, "question", place),
            chosen=_text(row, better, place), rejected=_text(row, worse, place), subset=part,
        )  # fmt: skip


def _rmbench(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut]]:
    """Nine pairs an item: every style of the right answer against every style of the wrong one."""
    for place, row in rows:
        domain, name, prompt = _text(row, "domain", place), _id(row, "id", place), _text(row, "prompt", place)
        if (part := rmbench.part_of(domain)) is None:
            raise bad(place, f"RM-Bench has no domain {domain!r}")
        chosen, rejected = (_styles(row, column, place) for column in ("chosen", "rejected"))
        for i in rmbench.STYLES:
            for j in rmbench.STYLES:
                key = rmbench.cell_name(f"{domain}/{name}", i, j)
                yield place, HeldOut(id=key, instruction=prompt, chosen=chosen[i], rejected=rejected[j], subset=part)


def _helpsteer2(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut | Drop]]:
    """Two rows a pair, one after the other; the more helpful answer is the better one, and equally helpful ones are no pair."""
    remaining = iter(rows)
    while both := list(islice(remaining, 2)):
        place, one = both[0]
        if len(both) == 1 or _text(one, "prompt", place) != _text(both[1][1], "prompt", both[1][0]):
            raise bad(place, "the next row has another prompt; two rows make a pair")
        other = both[1][1]
        marks = [_number(row, "helpfulness", where) for where, row in both]
        if marks[0] == marks[1]:
            yield place, Drop.TIE
            continue
        better, worse = (one, other) if marks[0] > marks[1] else (other, one)
        yield place, HeldOut(
            id=place.rpartition(" ")[2], instruction=nemo_instruction(_text(one, "prompt", place)),
            chosen=_text(better, "response", place), rejected=_text(worse, "response", place), subset=None,
        )  # fmt: skip


def _mt_bench(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut | Drop]]:
    """Every row is one vote; experts' votes on the same two models' answers in the same turn are one pair."""
    found: dict[tuple[str, int, frozenset[str]], tuple[str, Mapping[str, Any], list[str]]] = {}
    for place, row in rows:
        judge = row.get("judge")  # a model and its prompt are a list
        if isinstance(judge, list) or not mtbench.is_expert(_text(row, "judge", place)):
            yield place, Drop.NO_EXPERT
            continue
        turn, models = row.get("turn"), {side: _text(row, side, place) for side in ("model_a", "model_b")}
        if not _whole(turn) or turn not in mtbench.TURNS:
            raise bad(place, f"turn is {turn!r}, not the whole number 1 or 2")
        winner = _text(row, "winner", place)
        if winner not in models and not winner.startswith(mtbench.TIE):
            raise bad(place, f"winner is {winner!r}, none of model_a, model_b and tie")
        key = (_id(row, "question_id", place), turn, frozenset(models.values()))
        found.setdefault(key, (place, row, []))[2].append(models.get(winner, mtbench.TIE))
    for (question, turn, _), (place, row, votes) in found.items():
        yield place, _voted(place, row, f"{question}/{turn}", votes)


def _voted(place: str, row: Mapping[str, Any], name: str, votes: list[str]) -> HeldOut:
    """The pair of one comparison. Votes name the model that won."""
    one, other, turn = row["model_a"], row["model_b"], row["turn"]
    sides = ("conversation_a", "conversation_b")
    better, worse = sides if votes.count(one) >= votes.count(other) else sides[::-1]
    winner = one if better == sides[0] else other
    asked, chosen = _turns(row, better, turn, place)
    _, rejected = _turns(row, worse, turn, place)
    said = {winner: "chosen", mtbench.TIE: mtbench.TIE}
    return HeldOut(
        id=f"{name}/{one}/{other}", instruction=asked, chosen=chosen, rejected=rejected,
        subset=mtbench.part_of(turn), people=[said.get(vote, "rejected") for vote in votes],
    )  # fmt: skip


def _turns(row: Mapping[str, Any], column: str, turn: int, place: str) -> tuple[str, str]:
    """What the person says up to a turn, and what the model says; two turns are told apart by their numbers."""
    turns = row.get(column)
    if not isinstance(turns, list) or len(turns) < 2 * turn or not all(isinstance(one, Mapping) for one in turns):
        raise bad(place, f"column {column} has no conversation of {turn} turns")
    spoken = [_text(one, "content", f"{place}, {column}") for one in turns[: 2 * turn]]
    person, model = (spoken[side::2] for side in (0, 1))
    return _numbered(person), _numbered(model)


def _numbered(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else "\n\n".join(f"Turn {number}: {text}" for number, text in enumerate(texts, start=1))


def _ppe(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut | Drop]]:
    """Votes of people in the Arena, by language. Its models may have answered nothing at all."""
    for place, row in rows:
        winner = _text(row, "winner", place)
        answers = {side: _answer(row, column, place) for side, column in (("model_a", "response_1"), ("model_b", "response_2"))}
        if winner.startswith("tie"):
            yield place, Drop.TIE
        elif winner not in answers:
            raise bad(place, f"winner is {winner!r}, none of model_a, model_b and tie")
        elif answers["model_a"] == answers["model_b"]:
            yield place, Drop.SAME_ANSWER
        else:
            [other] = answers.keys() - {winner}
            yield place, HeldOut(
                id=_id(row, "question_id", place), instruction=_text(row, "prompt", place),
                chosen=answers[winner], rejected=answers[other], subset=_text(row, "language", place),
            )  # fmt: skip


def _ppe_correctness(rows: Iterable[Placed]) -> Iterator[tuple[str, HeldOut | Drop]]:
    """The pairs of a right and a wrong answer that its makers drew from up to 32 answers to a prompt."""
    for place, row in rows:
        scores, drawn, seen = row.get("scores"), row.get("sampled_conflict_pairs"), set[tuple[int, int]]()
        if not isinstance(scores, list) or not isinstance(drawn, list):
            raise bad(place, "columns scores and sampled_conflict_pairs have no lists")
        for pair in drawn:
            right, wrong = _right_and_wrong(pair, scores, place)
            if (right, wrong) in seen:
                yield place, Drop.DUPLICATE
                continue
            seen.add((right, wrong))
            chosen, rejected = (_answer(row, f"response_{number + 1}", place) for number in (right, wrong))
            yield place, HeldOut(
                id=f"{_id(row, 'question_id', place)}/{right}-{wrong}", instruction=_text(row, "prompt", place),
                chosen=chosen, rejected=rejected, subset=None,
            )  # fmt: skip


def _right_and_wrong(pair: object, scores: Sequence[object], place: str) -> tuple[int, int]:
    match pair:
        case [int(one), int(other)] if all(_whole(number) and 0 <= number < len(scores) for number in (one, other)):
            worth = {number: _score(scores[number], number, place) for number in (one, other)}
            if worth[one] != worth[other]:
                return (one, other) if worth[one] > worth[other] else (other, one)
    raise bad(place, f"{pair} in sampled_conflict_pairs names no right and no wrong answer")


def _score(value: object, number: int, place: str) -> float:
    """Right or wrong, or a number."""
    if isinstance(value, bool) or _finite(value):
        return value
    raise bad(place, f"column scores has no score of response_{number + 1} but {value!r}")


def _answer(row: Mapping[str, Any], column: str, place: str) -> str:
    """A text that may be empty."""
    text = row.get(column)
    if not isinstance(text, str):
        raise bad(place, f"column {column} has no text")
    utf8(text, place, Reason.BENCHMARK_INVALID)
    return text


def _last_said(row: Mapping[str, Any], column: str, place: str) -> str:
    """An answer; of a conversation, what the assistant says last."""
    if not (messages := _messages(row.get(column))):
        return _text(row, column, place)
    if (answer := answer_in(messages, Chat())) is None:
        raise bad(place, f"column {column} does not end with a text of the assistant")
    return _text({column: answer}, column, place)


def _text(row: Mapping[str, Any], column: str, place: str) -> str:
    if column not in row:
        raise bad(place, f"there is no column {column}")
    text = row[column]
    if not isinstance(text, str) or not text.strip():
        raise bad(place, f"column {column} has no text")
    utf8(text, place, Reason.BENCHMARK_INVALID)
    return text


def _styles(row: Mapping[str, Any], column: str, place: str) -> list[str]:
    texts = row.get(column)
    if not isinstance(texts, list) or len(texts) != len(rmbench.STYLES):
        raise bad(place, f"column {column} has no list of three texts")
    return _texts(row, column, place)


def _texts(row: Mapping[str, Any], column: str, place: str) -> list[str]:
    texts = row.get(column)
    if not isinstance(texts, list) or not texts:
        raise bad(place, f"column {column} has no list of texts")
    return [_text({column: text}, column, place) for text in texts]


def _id(row: Mapping[str, Any], column: str, place: str) -> str:
    value = row.get(column)
    if not _whole(value) and not (isinstance(value, str) and value):
        raise bad(place, f"column {column} has neither a text nor a number")
    return str(value)


def _number(row: Mapping[str, Any], column: str, place: str) -> float:
    value = row.get(column)
    if not _finite(value):
        raise bad(place, f"column {column} has no number")
    return value


def _finite(value: object) -> TypeGuard[float]:
    """A number that can be compared. JSON as Python reads it, and Parquet, know NaN and infinities too."""
    return (_whole(value) or isinstance(value, float)) and -inf < value < inf


def _whole(value: object) -> TypeGuard[int]:
    """A whole number. True and false are none here, though Python counts with them."""
    return isinstance(value, int) and not isinstance(value, bool)


def bad(place: str, what: str) -> UserError:
    """What is wrong with a row."""
    return invalid(Reason.BENCHMARK_INVALID, f"{place}: {what}")


LAYOUTS = {
    PairFormat.PAIRS: Layout(("chosen", "rejected"), _plain, ("id", "instruction", "prompt", "subset")),
    PairFormat.REWARDBENCH: Layout(("prompt", "chosen", "rejected", "subset", "id"), _rewardbench),
    PairFormat.JUDGEBENCH: Layout(("pair_id", "source", "question", "response_A", "response_B", "label"), _judgebench),
    PairFormat.RM_BENCH: Layout(("id", "prompt", "chosen", "rejected", "domain"), _rmbench),
    PairFormat.HELPSTEER2: Layout(("prompt", "response", "helpfulness"), _helpsteer2),
    PairFormat.MT_BENCH: Layout(VOTE_COLUMNS, _mt_bench),
    PairFormat.PPE: Layout(("question_id", "prompt", "response_1", "response_2", "winner", "language"), _ppe),
    PairFormat.PPE_CORRECTNESS: Layout(("question_id", "prompt", "scores", "sampled_conflict_pairs"), _ppe_correctness, PPE_RESPONSES),
}
