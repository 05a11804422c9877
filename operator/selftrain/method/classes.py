"""What an instruction is: reading the generator's classification, and whether such instructions are wanted."""

import re
from dataclasses import dataclass

from selftrain.api.instructions import Category, Classify, Length
from selftrain.api.records import Drop

LABELS = ["category", "complexity", "length"]
LINE = re.compile(rf"^[ \t]*({'|'.join(LABELS)})[ \t]*:[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
LETTER = re.compile(r"\(([a-e])\).*|([a-e])\.?", re.IGNORECASE)
"""(c) or c. Text may follow parentheses only: "a paragraph" does not begin with a letter that stands for something."""
LENGTHS = dict(zip("abcde", Length, strict=True))


@dataclass(frozen=True)
class Class:
    """What the generator says of an instruction."""

    category: Category
    complexity: int
    length: Length


def parse_class(text: str, scale: int) -> Class | None:
    """The three labelled lines, each once and in this order; None otherwise. Text around them is ignored."""
    lines = LINE.findall(text)
    if [label.lower() for label, _ in lines] != LABELS:
        return None
    category, complexity, length = (value for _, value in lines)
    name, letter = "-".join(re.findall("[a-z]+", category.lower())), LETTER.fullmatch(length)
    if name not in set(Category) or letter is None or complexity not in map(str, range(1, scale + 1)):
        return None
    return Class(Category(name), int(complexity), LENGTHS[(letter[1] or letter[2]).lower()])


def unwanted(found: Class, wanted: Classify) -> Drop | None:
    """Why an instruction of this class is left out; None if it is used."""
    if wanted.categories is not None and found.category not in wanted.categories:
        return Drop.CATEGORY
    if not wanted.minimum_complexity <= found.complexity <= (wanted.maximum_complexity or wanted.scale):
        return Drop.COMPLEXITY
    if wanted.lengths is not None and found.length not in wanted.lengths:
        return Drop.LENGTH
    return None
