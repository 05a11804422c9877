"""Messages to token ids and back, with the model's own chat template.

Nothing inside a prompt can become a special token or structure of the template, however it is written: the template is
rendered with stand-ins for the contents, so it never sees them, and control tokens are accepted from the template alone.
Not covered: templates whose structure is ordinary text (`[INST]` in some old models); there is nothing to tell it by.

A model that can think first or answer at once is asked to answer at once (docs/decisions/0015-no-thinking-apart.md).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from jinja2 import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError

Message = Mapping[str, str]
"""One turn of a chat: role and content."""
AT_ONCE = {"enable_thinking": False}
"""Given to every template; those of models that cannot choose ignore it. Sources: the model cards of Qwen3, GLM-4.5 and SmolLM3."""
ONE_DAY = {"strftime_now": datetime(2024, 7, 26, tzinfo=UTC).strftime}
"""Given to every template: one that tells the model today's date (Llama 3.2, SmolLM3) tells this one, which Llama's own falls back to. Else
a prompt would be another one tomorrow, and a stage that goes on after midnight, or a judge scored then, of other prompts."""


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder. It must know a chat template; code that comes with a model is never run."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if not tokenizer.chat_template:
        raise UserError(Reason.MODEL_UNUSABLE, "the model's tokenizer has no chat template", "choose an instruction-tuned model")
    return tokenizer


def encode(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Token ids of a prompt, ready for the model's answer. Exactly one BOS where the model begins with one."""
    segments, contents = _render(tokenizer, messages, answer=None)
    return _with_one_bos(tokenizer, _join(tokenizer, segments, contents))


def encode_example(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], completion: str) -> tuple[list[int], list[int]]:
    """A training example: the ids of the prompt and of the completion with the token that ends the turn.

    A completion is the model's own text. Added tokens that decoding keeps (`<think>`) are in it as the model sampled them,
    even where the template spells them. Special ones are not: decoding left them out, so here they are ordinary text.
    """
    end = end_of_turn(tokenizer)
    return encode(tokenizer, messages), [*_plain(tokenizer, completion, _special_ids(tokenizer) | {end}), end]


@lru_cache(maxsize=4)
def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token after which an answer is over: the template's own where it has one, which need not be EOS."""
    segments, _ = _render(tokenizer, [{"role": "user", "content": ""}], answer="")
    tail = _ids(tokenizer, segments[-1])
    control = _control_ids(tokenizer)
    end = next((i for i in tail if i in control), tokenizer.eos_token_id)
    if end is None:
        message = "the chat template ends a turn with no special token, and the tokenizer has no EOS"
        raise UserError(Reason.MODEL_UNUSABLE, message, "choose another model")
    return int(end)


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Text of a completion, without special tokens and the one that ends the turn, which need not be special."""
    told = ids[:-1] if ids and ids[-1] == end_of_turn(tokenizer) else ids
    text = tokenizer.decode(list(told), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert isinstance(text, str)  # noqa: S101 - one sequence gives one text; the signature also covers batches
    return text


def _render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], answer: str | None) -> tuple[list[str], list[str]]:
    """The template's own text between the contents, and the contents in the order in which the template shows them."""
    turns = [*messages] if answer is None else [*messages, {"role": "assistant", "content": answer}]
    marks = [f"\ue000{number}\ue001" for number in range(len(turns))]
    masked = [{"role": turn["role"], "content": mark} for turn, mark in zip(turns, marks, strict=True)]
    try:
        text = tokenizer.apply_chat_template(masked, tokenize=False, add_generation_prompt=answer is None, **AT_ONCE, **ONE_DAY)
    except TemplateError as error:
        message = f"the model's chat template does not take these messages: {error}"
        raise UserError(Reason.MODEL_UNUSABLE, message, "choose another model, or a prompt without a system message") from error
    assert isinstance(text, str)  # noqa: S101 - tokenize=False gives text; the signature also covers ids
    return _split(text, dict(zip(marks, (turn["content"] for turn in turns), strict=True)))


def _split(text: str, contents: dict[str, str]) -> tuple[list[str], list[str]]:
    segments, shown = [], []
    while (start := text.find("\ue000")) >= 0:
        mark = text[start : text.index("\ue001", start) + 1]
        segments.append(text[:start])
        shown.append(mark)
        text = text[start + len(mark) :]
    if missing := contents.keys() - set(shown):
        message = f"the model's chat template leaves out {len(missing)} of {len(contents)} messages"
        raise UserError(Reason.MODEL_UNUSABLE, message, "choose another model, or a prompt without a system message")
    return [*segments, text], [contents[mark] for mark in shown]


def _join(tokenizer: PreTrainedTokenizerBase, segments: list[str], contents: list[str]) -> list[int]:
    """Ids of template and contents.

    The text as a whole is what the model was trained on (tokens may span a border), so it is preferred. It is given up
    when contents bring in control tokens: then template and contents are encoded apart and the latter kept plain.
    """
    parts = [_ids(tokenizer, segment) for segment in segments]
    own = [i for part in parts for i in part]
    control = _control_ids(tokenizer)
    whole = _ids(tokenizer, segments[0] + "".join(c + s for c, s in zip(contents, segments[1:], strict=True)))
    if [i for i in whole if i in control] == [i for i in own if i in control]:
        return whole
    joined = parts[0]
    for content, part in zip(contents, parts[1:], strict=True):
        joined = [*joined, *_plain(tokenizer, content, control), *part]
    return joined


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=False)["input_ids"])


@lru_cache(maxsize=4)
def _control_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens that only the template may use: all special ones, and added ones that it spells (`<tool_call>`).

    White space is nobody's structure: Gemma has a token for each number of newlines, and its template has newlines.
    """
    template = str(tokenizer.chat_template)
    spelled = {i for i, token in tokenizer.added_tokens_decoder.items() if token.content.strip() and token.content in template}
    return (_special_ids(tokenizer) | spelled) - {tokenizer.unk_token_id}


@lru_cache(maxsize=4)
def _special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens that decoding leaves out, but for the one of what a vocabulary lacks."""
    marked = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset((marked | set(tokenizer.all_special_ids)) - {tokenizer.unk_token_id})


def _plain(tokenizer: PreTrainedTokenizerBase, text: str, control: frozenset[int]) -> list[int]:
    """Ids of `text` without control tokens.

    Where splitting special tokens is not enough (an added token that is not special, a vocabulary that holds them as
    words), the text is halved until no piece spells one.
    """
    ids = list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
    if control.isdisjoint(ids):
        return ids
    if len(text) == 1:
        return []
    middle = len(text) // 2
    return _plain(tokenizer, text[:middle], control) + _plain(tokenizer, text[middle:], control)


def _with_one_bos(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[int]:
    """Some templates write BOS and some leave it to the tokenizer, which says whether it would add one."""
    bos = tokenizer.bos_token_id
    adds = bos is not None and list(tokenizer("", add_special_tokens=True)["input_ids"])[:1] == [bos]
    return [bos, *ids] if adds and ids[:1] != [bos] else ids
