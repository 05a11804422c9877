"""Reading the similar but different instruction and the answer to it out of a completion."""

import re
from dataclasses import dataclass

from selftrain.api.records import Drop

BLOCKS = re.compile(r"<instruction>(.*?)</instruction>\s*<answer>(.*?)</answer>", re.DOTALL)
TAG = re.compile(r"</?(?:instruction|answer)>")
TAGS = 4


@dataclass(frozen=True)
class Variation:
    """A similar but different instruction and an answer to it, which is a worse answer to the original."""

    instruction: str
    answer: str


def parse_variation(text: str) -> Variation | Drop:
    """The two blocks. Text around them is ignored, but each tag may occur once only; otherwise nobody knows which is meant."""
    match = BLOCKS.search(text)
    if match is None or len(TAG.findall(text)) != TAGS:
        return Drop.MALFORMED
    instruction, answer = match[1].strip(), match[2].strip()
    if not instruction:
        return Drop.MALFORMED
    return Variation(instruction, answer) if answer else Drop.EMPTY_ANSWER
