"""A second family of tasks, which had no part in tuning any recipe: the study's check that a recipe fits more than the demo.

Looking a thing up by its price, a day by its date, comparing two lengths, counting places in a list. People, things and the two kinds
of wrong answers are those of world.py.
"""

import random
from collections.abc import Iterable

from world import WORDS, Question, Scene, scene_of

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
DEEDS = "swims reads cooks paints runs sings bakes fishes dances skates".split()
PLACES = "first second third fourth".split()


def gaps(asked: Iterable[tuple[str, str, str]]) -> list[Question]:
    """Questions, their answers with a gap, and what belongs there. A near miss has what belongs into another answer's gap."""
    known = list(asked)
    return [
        Question(question, said.format(right), tuple(said.format(other) for *_, other in known if other != right))
        for question, said, right in known
    ]


def prices(rng: random.Random, people: list[str]) -> Scene:
    """Which thing has a price: the near miss is a thing with another one."""
    things, costs = rng.sample(WORDS, 3), rng.sample(range(2, 30), 3)
    questions = gaps(
        (f"Which thing costs {cost} coins?", f"The {{}} costs {cost} coins.", thing) for thing, cost in zip(things, costs, strict=True)
    )
    listed = ", ".join(f"a {thing} costs {cost} coins" for thing, cost in zip(things, costs, strict=True))
    return scene_of(rng, "prices", [f"In {rng.choice(people)}'s shop {listed}."], questions)


def days(rng: random.Random, people: list[str]) -> Scene:
    """What somebody does on a day: the near miss is done on another one."""
    name, chosen, deeds = rng.choice(people), rng.sample(DAYS, 3), rng.sample(DEEDS, 3)
    questions = gaps((f"What does {name} do on {day}?", f"On {day} {name} {{}}.", deed) for day, deed in zip(chosen, deeds, strict=True))
    listed = ", ".join(f"{deed} on {day}" for day, deed in zip(chosen, deeds, strict=True))
    return scene_of(rng, "days", [f"{name} {listed}."], questions)


def heights(rng: random.Random, people: list[str]) -> Scene:
    """Which of two people is taller, or shorter: the near miss names the other one."""
    inches = dict(zip(rng.sample(people, 2), rng.sample(range(20, 99), 2), strict=True))
    shorter, taller = sorted(inches, key=inches.__getitem__)
    asked = (("taller", taller), ("shorter", shorter))
    questions = gaps((f"Who is {word}?", f"The {word} one is {{}}.", f"{name} with {inches[name]} inches") for word, name in asked)
    lines = [f"{name} is {number} inches tall." for name, number in inches.items()]
    return scene_of(rng, "heights", lines, questions)


def places(rng: random.Random, people: list[str]) -> Scene:
    """The word at a place of a list: the near miss stands at another one."""
    words = rng.sample(WORDS, len(PLACES))
    questions = gaps((f"Which word is the {place}?", f"The {place} word is {{}}.", word) for place, word in zip(PLACES, words, strict=True))
    return scene_of(rng, "places", [f"{rng.choice(people)} wrote: {', '.join(words)}."], questions)


TASKS = (prices, days, heights, places)
