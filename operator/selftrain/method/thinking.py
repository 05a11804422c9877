"""Models that think before they answer: what of their text is the answer."""

OPENING, CLOSING = "<think>", "</think>"
"""Source: the chat templates of Qwen3 and DeepSeek-R1."""


def after_thinking(text: str) -> str:
    """The text without the thinking that it begins with; nothing if the thinking never ends.

    Some templates open it in the prompt, so the text has the closing tag alone. Anywhere else the tags are what the text is about.
    """
    before, closing, answer = text.partition(CLOSING)
    if text.lstrip().startswith(OPENING):
        return answer
    return answer if closing and OPENING not in before else text
