"""A second family of tasks, which had no part in tuning any recipe: the study's check that a recipe fits more than the demo.

Looking a thing up by its price, a day by its date, comparing two lengths, counting places in a list. People, things and the two kinds
of wrong answers are those of world.py.
"""

import random

from world import WORDS, Question, Scene, scene_of

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
DEEDS = "swims reads cooks paints runs sings bakes fishes dances skates".split()
PLACES = "first second third fourth".split()


def prices(rng: random.Random, people: list[str]) -> Scene:
    """Which thing has a price: the near miss is a thing with another one."""
    things, costs = rng.sample(WORDS, 3), rng.sample(range(2, 30), 3)
    questions = []
    for thing, cost in zip(things, costs, strict=True):
        said = f"The {{}} costs {cost} coins."
        missed = tuple(said.format(other) for other in things if other != thing)
        questions.append(Question(f"Which thing costs {cost} coins?", said.format(thing), missed))
    listed = ", ".join(f"a {thing} costs {cost} coins" for thing, cost in zip(things, costs, strict=True))
    return scene_of(rng, "prices", [f"In {rng.choice(people)}'s shop {listed}."], questions)


def days(rng: random.Random, people: list[str]) -> Scene:
    """What somebody does on a day: the near miss is done on another one."""
    name, chosen, deeds = rng.choice(people), rng.sample(DAYS, 3), rng.sample(DEEDS, 3)
    questions = []
    for day, deed in zip(chosen, deeds, strict=True):
        said = f"On {day} {name} {{}}."
        missed = tuple(said.format(other) for other in deeds if other != deed)
        questions.append(Question(f"What does {name} do on {day}?", said.format(deed), missed))
    listed = ", ".join(f"{deed} on {day}" for day, deed in zip(chosen, deeds, strict=True))
    return scene_of(rng, "days", [f"{name} {listed}."], questions)


def heights(rng: random.Random, people: list[str]) -> Scene:
    """Which of two people is taller, or shorter: the near miss names the other one."""
    inches = dict(zip(rng.sample(people, 2), rng.sample(range(20, 99), 2), strict=True))
    shorter, taller = sorted(inches, key=inches.__getitem__)
    questions = []
    for word, name, other in (("taller", taller, shorter), ("shorter", shorter, taller)):
        said, missed = (f"The {word} one is {who} with {inches[who]} inches." for who in (name, other))
        questions.append(Question(f"Who is {word}?", said, (missed,)))
    lines = [f"{name} is {number} inches tall." for name, number in inches.items()]
    return scene_of(rng, "heights", lines, questions)


def places(rng: random.Random, people: list[str]) -> Scene:
    """The word at a place of a list: the near miss stands at another one."""
    words = rng.sample(WORDS, len(PLACES))
    questions = []
    for place, word in zip(PLACES, words, strict=True):
        said = f"The {place} word is {{}}."
        missed = tuple(said.format(other) for other in words if other != word)
        questions.append(Question(f"Which word is the {place}?", said.format(word), missed))
    return scene_of(rng, "places", [f"{rng.choice(people)} wrote: {', '.join(words)}."], questions)


TASKS = (prices, days, heights, places)
