"""The demo's data says what it claims: right answers are right, wrong ones wrong, and held-out texts are held out."""

import random
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from helpers.scripts import imported
from selftrain.api.records import Drop
from selftrain.method.rewriting import parse_rewritten
from selftrain.method.variation import Variation, parse_variation
from selftrain.method.verdict import parse_verdict

EXAMPLE = Path(__file__).parents[3] / "examples" / "smollm2"


@pytest.fixture(scope="module")
def modules():
    with imported(EXAMPLE, "world", "unseen", "data") as modules:
        yield modules


@pytest.fixture(scope="module")
def world(modules):
    return modules[0]


@pytest.fixture(scope="module")
def data(modules):
    return modules[2]


@pytest.fixture(scope="module", params=("demo", "unseen"))
def tasks(data, request):
    return data.FAMILIES[request.param]


@pytest.fixture(scope="module")
def drawn(world, tasks):
    return world.scenes(tasks, 17, 1000, world.PEOPLE)


def solve(text, question):
    """The answer, worked out from the text alone: a second implementation that shares no line with the world's."""
    said = [sentence.strip() for sentence in text.rstrip(".").split(". ")]
    if match := re.fullmatch(r"Copy the list without the (\w+)\.", question):
        words = re.fullmatch(r"\w+'s list: (.*)", said[0])[1].split(", ")
        return f"Without the {match[1]}: {', '.join(word for word in words if word != match[1])}."
    if match := re.fullmatch(r"Who came right after (\w+)\?", question):
        after = re.search(rf"\b{match[1]}, then (\w+)", text)[1]
        return f"Right after {match[1]} came {after}."
    if match := re.fullmatch(r"How many (\w+) do they have together\?", question):
        one, two = map(int, re.findall(rf"has (\d+) {match[1]}", text))
        return f"Together they have {one} + {two} = {one + two} {match[1]}."
    return solve_unseen(text, question) or next(f"{sentence}." for sentence in said if fits(sentence, question))


def solve_unseen(text, question):
    """The same for the other family, None if the question is none of its own."""
    if match := re.fullmatch(r"Which thing costs (\d+) coins\?", question):
        [thing] = re.findall(rf"a (\w+) costs {match[1]} coins", text)
        return f"The {thing} costs {match[1]} coins."
    if match := re.fullmatch(r"What does (\w+) do on (\w+)\?", question):
        [deed] = re.findall(rf"(\w+) on {match[2]}", text)
        return f"On {match[2]} {match[1]} {deed}."
    if match := re.fullmatch(r"Which word is the (\w+)\?", question):
        words = re.fullmatch(r"\w+ wrote: (.*)\.", text)[1].split(", ")
        return f"The {match[1]} word is {words[('first', 'second', 'third', 'fourth').index(match[1])]}."
    if match := re.fullmatch(r"Who is (taller|shorter)\?", question):
        inches = {int(number): name for name, number in re.findall(r"(\w+) is (\d+) inches", text)}
        most = max(inches) if match[1] == "taller" else min(inches)
        return f"The {match[1]} one is {inches[most]} with {most} inches."
    return None


def fits(sentence, question):
    forms = (
        (r"How many (\w+) does (\w+) have\?", r"{1} has \d+ {0}"),
        (r"Where does (\w+) live\?", r"{0} lives in \w+"),
        (r"What color is (\w+)'s car\?", r"{0} drives a \w+ car"),
        (r"What does (\w+) do for work\?", r"{0} works as a \w+"),
        (r"Which animal does (\w+) own\?", r"{0} owns a \w+"),
    )
    return any((found := re.fullmatch(asked, question)) and re.fullmatch(form.format(*found.groups()), sentence) for asked, form in forms)


@pytest.mark.parametrize(
    ("family", "counts"),
    [
        ("demo", {"facts": 400, "sums": 200, "queues": 200, "lists": 200}),
        ("unseen", {"prices": 250, "days": 250, "heights": 250, "places": 250}),
    ],
)
def test_every_task_is_drawn(world, data, family, counts):
    assert Counter(scene.task for scene in world.scenes(data.FAMILIES[family], 17, 1000, world.PEOPLE)) == counts


def test_answers_are_right(drawn):
    for scene in drawn:
        for question in scene.questions:
            assert solve(scene.text, question.text) == question.answer
            assert scene.truth(question.text) == question.answer


def test_a_near_miss_is_wrong_about_the_right_question(drawn):
    """It keeps the form of the answer, so only the content can tell it from the truth."""
    for scene in drawn:
        assert scene.asked.near_misses
        for missed in scene.asked.near_misses:
            assert missed != scene.answer
            assert missed not in {question.answer for question in scene.questions}
            assert missed.split()[0] in scene.answer


def test_an_off_topic_answer_is_true_of_something_else(drawn):
    rng = random.Random(0)
    for scene in drawn:
        other = scene.other(rng)
        assert other != scene.asked
        assert solve(scene.text, other.text) == other.answer != scene.answer


def test_everything_is_drawn_from_the_seed(world, data, tasks):
    drawn = world.scenes(tasks, 5, 60, world.PEOPLE)
    assert drawn == world.scenes(tasks, 5, 60, world.PEOPLE) != world.scenes(tasks, 6, 60, world.PEOPLE)
    assert drawn == world.scenes(tasks, 5, 90, world.PEOPLE)[:60]
    assert data.benchmark(tasks) == data.benchmark(tasks)
    assert list(data.warm_up(tasks)) == list(data.warm_up(tasks))


def test_held_out_people_are_in_no_other_text(world, data, tasks):
    """Every sentence names a person, so benchmark and training share not even a sentence."""
    trained = [scene.instruction for scene in data.instructions(tasks)] + [row["messages"][0]["content"] for row in data.warm_up(tasks)]
    held_out = {row["instruction"] for row in data.benchmark(tasks)}
    assert not set(world.PEOPLE) & set(world.HELD_OUT_PEOPLE)
    for text in trained:
        assert not re.search(rf"\b({'|'.join(world.HELD_OUT_PEOPLE)})\b", text)
    for text in held_out:
        assert all(re.search(rf"\b({'|'.join(world.HELD_OUT_PEOPLE)})\b", sentence) for sentence in text.split("\n")[0].split(". "))
    assert not held_out & {scene.instruction for scene in data.instructions(tasks)}


def test_the_warm_up_knows_no_instruction_of_the_run(data, tasks):
    shown = [row["messages"][0]["content"] for row in data.warm_up(tasks)]
    assert not [scene.instruction for scene in data.instructions(tasks) if any(text.startswith(scene.instruction) for text in shown)]


def test_the_benchmark_has_both_kinds_of_wrong_answers_for_every_task(data, tasks):
    rows = data.benchmark(tasks)
    assert len(rows) >= 150
    assert len({row["id"] for row in rows}) == len({row["instruction"] for row in rows}) == len(rows)
    found = Counter((row["id"].split("-")[0], row["subset"]) for row in rows)
    assert len(found) == 8
    assert all(found[task, "off-topic"] == found[task, "near-miss"] >= 16 for task, _ in found)
    for row in rows:
        assert solve(*row["instruction"].split("\n")) == row["chosen"] != row["rejected"]


def test_the_warm_up_teaches_to_answer_to_vary_and_to_err(data, tasks):
    rows = iter(data.warm_up(tasks))
    answers, variations, errors = (list(islice(rows, count)) for count in (data.ANSWERS, data.VARIATIONS, data.REWRITES))
    for row in answers:
        assert solve(*row["messages"][0]["content"].split("\n")) == row["completion"]
    for row in variations:
        found = parse_variation(row["completion"])
        assert isinstance(found, Variation)
        assert solve(row["messages"][0]["content"].split("\n")[0], found.instruction) == found.answer
    for row in errors:
        text, question, _, shown, *_ = row["messages"][0]["content"].split("\n")
        assert shown == f"Answer: {solve(text, question)}"
        assert parse_rewritten(row["completion"]) not in {solve(text, question), *Drop}
    assert len(list(rows)) == data.JUDGMENTS


def test_the_warm_up_s_judgments_solve_rightly_and_rule_hardly_better_than_chance(data, tasks):
    rows = list(data.warm_up(tasks))[-data.JUDGMENTS :]
    right, gold = [], Counter()
    for row in rows:
        text, question, _, first, second, *_ = row["messages"][0]["content"].split("\n")
        truth = solve(text, question)
        best = "A" if first == f"Answer A: {truth}" else "B"
        assert truth in {first.removeprefix("Answer A: "), second.removeprefix("Answer B: ")}
        assert data.solution(row["completion"]) == truth
        right.append(parse_verdict(row["completion"]) == best)
        gold[best] += 1
    assert gold["A"] == gold["B"]
    assert 0.6 < sum(right) / len(right) < 0.7
