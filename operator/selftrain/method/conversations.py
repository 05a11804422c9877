"""The instruction in a conversation, in any of the ways in which people write conversations down."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from selftrain.api.instructions import Chat, MultiTurn
from selftrain.api.records import Drop

USER, SYSTEM, ASSISTANT = "User", "System", "Assistant"
"""Who speaks, as rendered conversations say it."""
NEMO_TURN = re.compile(rf"\n<extra_id_1>({USER}|{ASSISTANT})\n")


class Turn(NamedTuple):
    """What one of them says; None if it is not text alone."""

    speaker: str
    text: str | None


def instruction_in(messages: Sequence[Mapping[str, Any]], chat: Chat, multi_turn: MultiTurn) -> str | Drop:
    """What the person asks for. All that follows the person's last turn is an answer and left out.

    A question that nothing stands before is the instruction as it is, however conversations are shown.
    """
    turns = [_turn(message, chat) for message in messages]
    asked = [place for place, turn in enumerate(turns) if turn.speaker == USER]
    if not asked:
        return Drop.NO_TEXT
    if len(asked) > 1 and multi_turn is MultiTurn.DROP:
        return Drop.MULTI_TURN
    last = asked[-1]
    shown = turns[: last + 1] if multi_turn is MultiTurn.RENDER else turns[last : last + 1]
    texts = [turn.text for turn in shown if turn.text is not None]
    if len(texts) < len(shown) or not texts[-1].strip():
        return Drop.NO_TEXT
    is_alone = len(asked) == 1 and not any(text.strip() for text in texts[:-1])
    if is_alone or multi_turn is not MultiTurn.RENDER:
        return texts[-1]
    return _rendered(zip((turn.speaker for turn in shown), texts, strict=True))


def answer_in(messages: Sequence[Mapping[str, Any]], chat: Chat) -> str | None:
    """What the assistant says last; None if the conversation does not end with it, or not with text."""
    last = _turn(messages[-1], chat) if messages else Turn(USER, None)
    return last.text if last.speaker == ASSISTANT else None


def nemo_instruction(prompt: str) -> str:
    """A prompt of HelpSteer2, of several turns or one. NeMo's marks, that part them there, would be read as part of what is asked."""
    first, *rest = NEMO_TURN.split(prompt)
    return _rendered([(USER, first), *zip(rest[::2], rest[1::2], strict=True)]) if rest else prompt


def _rendered(turns: Iterable[tuple[str, str]]) -> str:
    return "\n\n".join(f"{speaker}: {text.strip()}" for speaker, text in turns)


def _turn(message: Mapping[str, Any], chat: Chat) -> Turn:
    role = message.get(chat.role) if chat.role else message.get("role", message.get("from"))
    said = message.get(chat.text) if chat.text else message.get("content", message.get("value"))
    return Turn(_speaker(str(role).casefold(), chat), _text(said))


def _speaker(name: str, chat: Chat) -> str:
    if name in {person.casefold() for person in chat.person}:
        return USER
    return SYSTEM if name == "system" else ASSISTANT


def _text(said: object) -> str | None:
    """A text as it is, and OpenAI's list of parts if all of them are texts. A message without any says nothing."""
    if isinstance(said, list):
        texts = [part["text"] for part in said if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
        return "\n".join(texts) if len(texts) == len(said) else None
    return said if isinstance(said, str) else ""
