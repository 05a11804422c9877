"""Short texts about people and questions whose true answers are known: what the demo's judge learns to judge.

Four tasks, so that no single trick wins: looking a fact up, adding, following an order, copying with one word left out.
A scene is one text with every question it allows. The wrong answers of a pair are of two kinds:

off-topic   the true answer to another question about the same text, which is how the method makes its rejected answers
near-miss   an answer to the right question that is wrong: somebody else's value, a sum off by a little, the wrong person
            in the order, a list that lacks one word too many

Training data and held-out data use different people. Every text names a person, so the two share no text by construction.
Everything is drawn from the random generator that is passed in.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

PEOPLE = (
    "Mia Tom Lena Omar Nina Paul Rosa Ivan Emma Noah Sara Luca Anna Leo Maya Finn Zoe Hugo Iris Adam "
    "Jack Lucy Peter Ruth Simon Alice George Helen Victor Maria James Carol Oscar Diana Ralph Nora Edward Amy Philip Rachel "
    "Martin Jane Steven Ellen Walter Kate Robert Lily Daniel Susan Thomas Karen William Linda Charles Betty Harry Dora Felix Rose"
).split()
HELD_OUT_PEOPLE = "Ben Clara David Eva Frank Grace Henry Julia Kevin Laura Mark Olivia".split()
ITEMS = "apples books coins stamps pens cups shells keys plums rings".split()
WORDS = "key cup box pen lamp coin ring map shoe bell comb fork".split()
FACTS = {
    # kind: (fact, question); the fact is also the answer
    "quantity": ("{name} has {value} {item}.", "How many {item} does {name} have?"),
    "place": ("{name} lives in {value}.", "Where does {name} live?"),
    "car": ("{name} drives a {value} car.", "What color is {name}'s car?"),
    "job": ("{name} works as a {value}.", "What does {name} do for work?"),
    "pet": ("{name} owns a {value}.", "Which animal does {name} own?"),
}
VALUES = {
    "quantity": [str(n) for n in range(2, 30)],
    "place": "Oslo Rome Lima Cairo Paris Tokyo Delhi Boston Quito Dublin".split(),
    "car": "red blue green black white yellow brown pink gray purple".split(),
    "job": "baker nurse pilot farmer teacher painter driver singer doctor lawyer".split(),
    "pet": "dog cat parrot rabbit horse goat turtle hamster duck pony".split(),
}


@dataclass(frozen=True)
class Question:
    """One question about a text, with its true answer and answers that miss it narrowly."""

    text: str
    answer: str
    near_misses: tuple[str, ...]


@dataclass(frozen=True)
class Scene:
    """A text, all questions about it, and the one that is asked."""

    task: str
    text: str
    questions: tuple[Question, ...]
    asked: Question

    @property
    def instruction(self) -> str:
        return f"{self.text}\n{self.asked.text}"

    @property
    def answer(self) -> str:
        return self.asked.answer

    def other(self, rng: random.Random) -> Question:
        """Another question about the same text."""
        return rng.choice([question for question in self.questions if question != self.asked])

    def wrong(self, rng: random.Random, kind: str) -> str:
        """A wrong answer of the given kind."""
        return self.other(rng).answer if kind == "off-topic" else rng.choice(self.asked.near_misses)

    def truth(self, question: str) -> str | None:
        """The true answer to any question the text allows."""
        return next((q.answer for q in self.questions if q.text == question), None)


def scene_of(rng: random.Random, task: str, lines: list[str], questions: list[Question]) -> Scene:
    """A text that asks one of its questions."""
    return Scene(task, " ".join(lines), tuple(questions), rng.choice(questions))


def facts(rng: random.Random, people: list[str]) -> Scene:
    """Two people, two kinds of facts: the near miss is the other person's value."""
    names, kinds, item = rng.sample(people, 2), rng.sample(list(FACTS), 2), rng.choice(ITEMS)
    lines, questions = [], []
    for kind in kinds:
        fact, question = FACTS[kind]
        values = rng.sample(VALUES[kind], 2)
        for name, value, other in zip(names, values, reversed(values), strict=True):
            said, missed = (fact.format(name=name, value=v, item=item) for v in (value, other))
            lines.append(said)
            questions.append(Question(question.format(name=name, item=item), said, (missed,)))
    rng.shuffle(lines)
    return scene_of(rng, "facts", lines, questions)


def sums(rng: random.Random, people: list[str]) -> Scene:
    """What two people have together; the other questions ask for an addend. They are small: the seed fails at larger ones."""
    names, item = rng.sample(people, 2), rng.choice(ITEMS)
    count = dict(zip(names, rng.sample(range(2, 6), 2), strict=True))
    lines = [f"{name} has {n} {item}." for name, n in count.items()]
    said, total = f"Together they have {' + '.join(map(str, count.values()))} = {{}} {item}.", sum(count.values())
    missed = tuple(said.format(total + shift) for shift in (-2, -1, 1, 2))
    asked = Question(f"How many {item} do they have together?", said.format(total), missed)
    single = [
        Question(f"How many {item} does {name} have?", line, (f"{name} has {total - n} {item}.",))
        for (name, n), line in zip(count.items(), lines, strict=True)
    ]
    return Scene("sums", " ".join(lines), (asked, *single), asked)


def queues(rng: random.Random, people: list[str]) -> Scene:
    """The order in which four people came: the near miss is somebody who came at another time."""
    names = rng.sample(people, 4)
    questions = []
    for before, after in pairwise(names):
        said = f"Right after {before} came {{}}."
        missed = tuple(said.format(name) for name in names if name not in (before, after))
        questions.append(Question(f"Who came right after {before}?", said.format(after), missed))
    return scene_of(rng, "queues", [f"First came {', then '.join(names)}."], questions)


def lists(rng: random.Random, people: list[str]) -> Scene:
    """Copy a list but for one word: the near miss leaves out a second one."""
    words = rng.sample(WORDS, 4)
    questions = []
    for word in words:
        rest = [w for w in words if w != word]
        said = f"Without the {word}: {{}}."
        missed = tuple(said.format(", ".join(w for w in rest if w != lost)) for lost in rest)
        question = f"Copy the list without the {word}."
        questions.append(Question(question, said.format(", ".join(rest)), missed))
    return scene_of(rng, "lists", [f"{rng.choice(people)}'s list: {', '.join(words)}."], questions)


Task = Callable[[random.Random, list[str]], Scene]
TASKS: tuple[Task, ...] = (facts, facts, sums, queues, lists)
"""Facts come twice as often: they are what the model looks up in texts, and have five kinds of their own."""


def scenes(tasks: Sequence[Task], seed: int, count: int, people: list[str]) -> list[Scene]:
    """Scenes with distinct instructions, the tasks in turn."""
    rng = random.Random(seed)
    found: dict[str, Scene] = {}
    while len(found) < count:
        scene = tasks[len(found) % len(tasks)](rng, people)
        found.setdefault(scene.instruction, scene)
    return list(found.values())
