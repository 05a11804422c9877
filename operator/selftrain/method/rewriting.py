"""Reading an answer that was made worse out of a completion."""

import re

from selftrain.api.records import Drop
from selftrain.method.variation import TAG

BLOCK = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
ANSWER_TAG = re.compile(r"</?answer>")
ANSWER_TAGS = 2


def parse_rewritten(text: str) -> str | Drop:
    """The text of the block. What stands around it is ignored; a second block, or a tag within the text, is malformed."""
    match = BLOCK.search(text)
    if match is None or len(ANSWER_TAG.findall(text)) != ANSWER_TAGS or TAG.search(match[1]):
        return Drop.MALFORMED
    return match[1].strip() or Drop.EMPTY_ANSWER
