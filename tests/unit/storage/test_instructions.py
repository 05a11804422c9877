"""Instructions from texts and conversations, in order, with everything that is left out counted."""

import gzip
import tracemalloc
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.files import WRITERS, Writer, as_array, as_lines, as_packed_lines, as_parquet
from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.instructions import Instructions
from selftrain.api.records import Drop
from selftrain.storage.instructions import Instruction, scan_instructions


def source(text_field: str = "text", **fields: Any) -> Instructions:
    return Instructions.model_validate({"uri": "s3://bucket/file", "textField": text_field, **fields})


def read_instructions(path: Path, text_field: str, **fields: Any) -> tuple[list[Instruction], dict[Drop, int]]:
    drops: Counter[Drop] = Counter()
    return list(scan_instructions([path], source(text_field, **fields), drops)), dict(drops)


def invalid(path: Path, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read_instructions(path, "text")
    assert caught.value.reason is Reason.INSTRUCTIONS_INVALID
    assert caught.value.fix


@WRITERS
def test_instructions_are_read_in_order_and_every_drop_is_counted(tmp_path: Path, write: Writer) -> None:
    texts = ["first", "", "zweite ü", "first", None, "  \n", " First\n", "second"]
    path = write(tmp_path / "file", ({"text": text, "other": 1} for text in texts))
    rows, drops = read_instructions(path, "text")
    assert rows == [(sha256(text.encode()).hexdigest()[:16], text) for text in ("first", "zweite ü", "second")]
    assert drops == {Drop.NO_TEXT: 3, Drop.DUPLICATE: 2}


@WRITERS
def test_the_limit_counts_distinct_instructions(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path / "file", ({"text": text} for text in ["a", "a", "", "b", "c", "", "d"]))
    rows, drops = read_instructions(path, "text", limit=2)
    assert [row.text for row in rows] == ["a", "b"]
    assert drops == {Drop.DUPLICATE: 1, Drop.NO_TEXT: 1}
    assert len(read_instructions(path, "text", limit=99)[0]) == 4


def test_a_line_may_be_a_megabyte_long_and_lines_may_be_blank(tmp_path: Path) -> None:
    path = as_lines(tmp_path / "file", [{"text": "x" * 1_000_000}, {"text": "short"}])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\n"))
    assert [len(row.text) for row in read_instructions(path, "text")[0]] == [1_000_000, 5]


@WRITERS
def test_a_missing_text_field_is_named(tmp_path: Path, write: Writer) -> None:
    invalid(write(tmp_path / "file", [{"prompt": "a"}, {"prompt": "b"}]), "text")


def test_some_lines_may_lack_the_field(tmp_path: Path) -> None:
    rows, drops = read_instructions(as_lines(tmp_path / "file", [{"prompt": "a"}, {"text": "b"}]), "text")
    assert (len(rows), drops) == (1, {Drop.NO_TEXT: 1})


@WRITERS
def test_a_text_field_that_holds_no_text_is_refused(tmp_path: Path, write: Writer) -> None:
    invalid(write(tmp_path / "file", [{"text": 5}]), "file, (line|item|row) 1: text is no text and no conversation but int")


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    invalid(tmp_path / "file", "it has no rows")


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "file")
    invalid(tmp_path / "file", "it has no rows")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"text": "caf\xe9"}', r"line 2: not UTF-8 \(byte 14 of it\)"),
        ('{"text": "ü"}'.encode("utf-16"), "line 2: not UTF-8"),
        (b'{"text": "a"', "line 2: no JSON"),
        (b'["text"]', "line 2: no JSON object"),
        (b"[" * 200_000, "line 2: no JSON"),
        (rb'{"text": "half \ud800"}', "line 2: holds half a character"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: bytes, says: str) -> None:
    (tmp_path / "file").write_bytes(b'{"text": "good"}\n' + line + b"\n")
    invalid(tmp_path / "file", says)


@pytest.mark.parametrize("write", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'[{"text": "good"}, 5]', "file, item 2: no JSON object"),
        (b'[{"text": "good"}, {"text": 5}]', "file, item 2: text is no text"),
        (b'[{"text": "good"}, {"text": ]', r"file, item 2: no JSON \(Expecting value: line 1 column 29"),
        (b'[{"text": "good"},]', "file, item 2: no JSON"),
        (b"[" * 200_000, "file, item 1: no JSON"),
        (b'[{"text": "good"}', "file, item 1: neither a comma nor the end of the array"),
        (b'[{"text": "good"} {"text": "more"}]', "file, item 1: neither a comma nor the end of the array"),
        (b'[{"text": "good"}]\n{"text": "more"}', "file: something stands behind the array"),
        (b'[{"text": "caf\xe9"}]', r"file: not UTF-8 \(byte 15 of it\)"),
        (b" [ ] ", "it has no rows"),
    ],
)
def test_a_broken_item_is_named(tmp_path: Path, write: Callable[[bytes], bytes], content: bytes, says: str) -> None:
    (tmp_path / "file").write_bytes(write(content))
    invalid(tmp_path / "file", says)


def test_an_array_may_begin_with_a_mark_and_space_and_be_long(tmp_path: Path) -> None:
    path = as_array(tmp_path / "file", [{"text": "x" * 1_000_000}, {"text": "ü"}])
    path.write_bytes(b"\xef\xbb\xbf\r\n " + path.read_bytes() + b"\n")
    assert [len(row.text) for row in read_instructions(path, "text")[0]] == [1_000_000, 1]


def test_a_broken_line_is_named_in_a_packed_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(gzip.compress(b'{"text": "good"}\n{"text": "a"\n'))
    invalid(tmp_path / "file", "file, line 2: no JSON")


@pytest.mark.parametrize(
    "change",
    [lambda packed: packed[:-20], lambda packed: packed[:300] + b"\xff" * 400 + packed[700:], lambda packed: packed + b"more"],
)
def test_a_damaged_packed_file_is_named(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = as_packed_lines(tmp_path / "file", ({"text": f"row {number}"} for number in range(2000)))
    path.write_bytes(change(path.read_bytes()))
    invalid(path, "file: cannot be unpacked")


def test_broken_parquet_is_named(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "file", [{"text": f"row {number}"} for number in range(2000)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    invalid(path, "cannot be read as Parquet")
    path.write_bytes(whole[:50] + b"\xff" * 400 + whole[450:])
    with pytest.raises(UserError, match="file"):
        read_instructions(path, "text")


def test_parquet_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    not_text = pa.Array.from_buffers(pa.string(), 2, pa.array([b"fine", b"caf\xe9"], pa.binary()).buffers())
    pq.write_table(pa.table({"text": not_text}), tmp_path / "file")
    invalid(tmp_path / "file", "not UTF-8")


@pytest.mark.parametrize("write", [as_lines, as_packed_lines])
def test_scanning_takes_little_memory(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path / "file", ({"text": f"{number} " + "x" * 10_000} for number in range(3000)))
    drops: Counter[Drop] = Counter()
    tracemalloc.start()
    try:
        assert sum(1 for _ in scan_instructions([path], source(), drops)) == 3000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000


# Conversations


def talk(
    *contents: str, names: tuple[str, str] = ("user", "assistant"), keys: tuple[str, str] = ("role", "content")
) -> list[dict[str, str]]:
    return [{keys[0]: names[number % 2], keys[1]: content, "language": "English"} for number, content in enumerate(contents)]


CONVERSATIONS = [talk("one", "answer"), talk("first", "answer", "and then?", "more"), talk("one", "other answer"), [], talk(" ", "answer")]


@WRITERS
@pytest.mark.parametrize(
    ("multi_turn", "texts", "drops"),
    [
        ("drop", ["one"], {Drop.MULTI_TURN: 1, Drop.DUPLICATE: 1, Drop.NO_TEXT: 2}),
        ("last", ["one", "and then?"], {Drop.DUPLICATE: 1, Drop.NO_TEXT: 2}),
        ("render", ["one", "User: first\n\nAssistant: answer\n\nUser: and then?"], {Drop.DUPLICATE: 1, Drop.NO_TEXT: 2}),
    ],
)
def test_conversations(tmp_path: Path, write: Writer, multi_turn: str, texts: list[str], drops: dict[Drop, int]) -> None:
    path = write(tmp_path / "file", ({"conversation": turns} for turns in CONVERSATIONS))
    rows, left_out = read_instructions(path, "conversation", multiTurn=multi_turn)
    assert [row.text for row in rows] == texts
    assert left_out == drops


def test_another_spelling_of_conversations(tmp_path: Path) -> None:
    turns = [{"from": "system", "value": "be brief"}, *talk("one", "answer", names=("human", "gpt"), keys=("from", "value"))]
    assert read_instructions(as_lines(tmp_path / "file", [{"conversations": turns}]), "conversations")[0][0].text == "one"


OASST = {"chat": {"text": "text", "person": ["prompter"]}}
SPOKEN = {"chat": {"role": "speaker", "text": "says", "person": ["Customer"]}}


@WRITERS
@pytest.mark.parametrize(
    ("fields", "turns"),
    [
        (OASST, talk("one", "answer", names=("prompter", "assistant"), keys=("role", "text"))),
        (SPOKEN, talk("one", "answer", names=("customer", "agent"), keys=("speaker", "says"))),
        ({"chat": {}}, talk("one", "answer", names=("User", "Assistant"))),
        ({}, talk("one", "answer", names=("HUMAN", "gpt"), keys=("from", "value"))),
    ],
)
def test_a_mapping_says_how_conversations_are_written(
    tmp_path: Path, write: Writer, fields: dict[str, Any], turns: list[dict[str, str]]
) -> None:
    rows, drops = read_instructions(write(tmp_path / "file", [{"m": turns}]), "m", **fields)
    assert ([row.text for row in rows], drops) == (["one"], {})


def test_a_mapping_stands_in_place_of_the_usual_names(tmp_path: Path) -> None:
    path = as_lines(tmp_path / "file", [{"text": talk("one", "answer")}])
    for chat in ({"role": "speaker"}, {"text": "says"}, {"person": ["prompter"]}):
        with pytest.raises(UserError, match="none of its 1 rows has text") as caught:
            read_instructions(path, "text", chat=chat)
        assert "chat" in caught.value.fix


def parts(*texts: str | None) -> list[dict[str, Any]]:
    """OpenAI's parts; None is a picture."""
    picture = {"type": "image_url", "text": None, "image_url": {"url": "https://"}}
    return [picture if text is None else {"type": "text", "text": text, "image_url": None} for text in texts]


@WRITERS
def test_what_is_said_may_come_in_parts(tmp_path: Path, write: Writer) -> None:
    asked = [parts("What is", "this?"), parts("What is this?", None), parts()]
    path = write(tmp_path / "file", ({"messages": [{"role": "user", "content": content}]} for content in asked))
    rows, drops = read_instructions(path, "messages")
    assert ([row.text for row in rows], drops) == (["What is\nthis?"], {Drop.NO_TEXT: 2})


FIRST = "Tell me in a few sentences why the sky is blue on a clear day and red in the evening."
MIXED = [FIRST, "Warum ist der Himmel blau?", f"{FIRST} Please.", "Warum ist der Himmel blau?", FIRST, "Why is grass green?", None]


@WRITERS
@pytest.mark.parametrize(
    ("fields", "places", "drops"),
    [
        ({}, [0, 1, 2, 5], {Drop.DUPLICATE: 2, Drop.NO_TEXT: 1}),
        ({"languages": ["en"]}, [0, 2, 5], {Drop.LANGUAGE: 1, Drop.DUPLICATE: 2, Drop.NO_TEXT: 1}),
        ({"nearDuplicates": "0.72"}, [0, 1, 5], {Drop.NEAR_DUPLICATE: 1, Drop.DUPLICATE: 2, Drop.NO_TEXT: 1}),
        (
            {"languages": ["en"], "nearDuplicates": "0.72"},
            [0, 5],
            {Drop.LANGUAGE: 1, Drop.NEAR_DUPLICATE: 1, Drop.DUPLICATE: 2, Drop.NO_TEXT: 1},
        ),
        ({"nearDuplicates": "0.72", "limit": 2}, [0, 1], {}),
    ],
)
def test_other_languages_and_near_duplicates(
    tmp_path: Path, write: Writer, fields: dict[str, Any], places: list[int], drops: dict[Drop, int]
) -> None:
    path = write(tmp_path / "file", ({"text": text} for text in MIXED))
    rows, left_out = read_instructions(path, "text", **fields)
    assert [row.text for row in rows] == [MIXED[place] for place in places]
    assert left_out == drops


@settings(max_examples=30)
@given(texts=st.lists(st.sampled_from(MIXED) | st.text(max_size=40), min_size=1, max_size=12), same=st.booleans(), english=st.booleans())
def test_every_row_is_used_or_counted(texts: list[str | None], same: bool, english: bool) -> None:
    fields: dict[str, Any] = {"nearDuplicates": "0.72"} if same else {}
    fields |= {"languages": ["en"]} if english else {}
    with TemporaryDirectory() as folder:
        path = as_lines(Path(folder) / "file", [{"text": text} for text in [*texts, "Why is grass green?"]])
        rows, drops = read_instructions(path, "text", **fields)
    assert len(rows) + sum(drops.values()) == len(texts) + 1
    assert len({row.id for row in rows}) == len(rows)


def wildchat(role: str, content: str) -> dict[str, Any]:
    """A message with all the columns that WildChat-1M-Full has; `timestamp` and others are set on one side only."""
    said = datetime(2024, 5, 1, tzinfo=UTC) if role == "assistant" else None
    header = {"accept-language": "en", "user-agent": "any"} if role == "user" else None
    return {"content": content, "header": header, "language": "English", "redacted": False, "role": role, "timestamp": said, "toxic": False}


ENGLISH = [{"column": "language", "equals": "English"}]
PUBLISHED: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "WildChat": (
        {"textField": "conversation", "where": [*ENGLISH, {"column": "toxic", "equals": "false"}]},
        [
            {"conversation": [wildchat("user", text), wildchat("assistant", "Sure.")], "language": language, "toxic": toxic, "turn": 1}
            for text, language, toxic in [("Why?", "English", False), ("Warum?", "German", False), ("Bad?", "English", True)]
        ],
    ),
    "LMSYS-Chat-1M": (
        {"textField": "conversation", "where": ENGLISH},
        [
            {"conversation_id": "1", "conversation": talk("Why?", "So."), "language": name}
            for name in ("English", "unknown")
        ],
    ),
    "ShareGPT": (
        {"textField": "conversations"},
        [{"id": "1", "conversations": talk("Why?", "So.", names=("human", "gpt"), keys=("from", "value"))}],
    ),
    "GSM8K": ({"textField": "question"}, [{"question": "Why?", "answer": "So. #### 1"}]),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_data_sets_as_they_are_published(tmp_path: Path, name: str) -> None:
    mapping, published = PUBLISHED[name]
    path = as_parquet(tmp_path / "file", published)
    drops: Counter[Drop] = Counter()
    [row] = scan_instructions([path], Instructions.model_validate({"uri": "s3://bucket/file", **mapping}), drops)
    assert row.text == "Why?"
    assert sum(drops.values()) == len(published) - 1


def test_a_system_message_is_not_the_assistants(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "be brief"}, *talk("one", "answer", "two")]
    [row] = read_instructions(as_lines(tmp_path / "file", [{"messages": turns}]), "messages", multiTurn="render")[0]
    assert row.text == "System: be brief\n\nUser: one\n\nAssistant: answer\n\nUser: two"


SYSTEM, GREETING = {"role": "system", "content": "be brief"}, {"role": "assistant", "content": "Hello!"}


@pytest.mark.parametrize(
    ("before", "rendered"),
    [
        ([], " one "),
        ([{"role": "system", "content": " "}], " one "),
        ([SYSTEM], "System: be brief\n\nUser: one"),
        ([GREETING], "Assistant: Hello!\n\nUser: one"),
        ([SYSTEM, GREETING], "System: be brief\n\nAssistant: Hello!\n\nUser: one"),
    ],
)
def test_what_stands_before_a_single_question_is_rendered_with_it(tmp_path: Path, before: list[dict[str, str]], rendered: str) -> None:
    path = as_lines(tmp_path / "file", [{"messages": [*before, *talk(" one ", "answer")]}])
    texts = {how: read_instructions(path, "messages", multiTurn=how)[0][0].text for how in ("drop", "last", "render")}
    assert texts == {"drop": " one ", "last": " one ", "render": rendered}


@pytest.mark.parametrize("how", ["drop", "last", "render"])
def test_a_question_without_words_is_no_instruction_whatever_stands_before(tmp_path: Path, how: str) -> None:
    path = as_lines(tmp_path / "file", [{"m": [SYSTEM, *talk(" ", "answer")]}, {"m": talk("one", "answer")}])
    assert read_instructions(path, "m", multiTurn=how)[1] == {Drop.NO_TEXT: 1}


def test_several_files_are_one(tmp_path: Path) -> None:
    one = as_parquet(tmp_path / "one", [{"text": text} for text in ("a", "b", "")])
    other = as_lines(tmp_path / "other", [{"text": text} for text in ("b", "c", "d")])
    drops: Counter[Drop] = Counter()
    assert [row.text for row in scan_instructions([one, other], source(limit=3), drops)] == ["a", "b", "c"]
    assert drops == {Drop.NO_TEXT: 1, Drop.DUPLICATE: 1}


@WRITERS
@pytest.mark.parametrize("no", ["false", "False"])
def test_rows_are_chosen_by_other_columns(tmp_path: Path, write: Writer, no: str) -> None:
    languages = [("a", "English", False), ("b", "German", False), ("c", "English", True), ("d", None, False)]
    path = write(tmp_path / "file", ({"text": text, "language": language, "toxic": toxic} for text, language, toxic in languages))
    where = [{"column": "language", "equals": "English"}, {"column": "toxic", "equals": no}]
    rows, drops = read_instructions(path, "text", where=where)
    assert [row.text for row in rows] == ["a"]
    assert drops == {Drop.FILTERED: 3}


def test_where_nothing_is_left_the_reasons_are_told(tmp_path: Path) -> None:
    path = as_lines(tmp_path / "file", [{"text": talk("a", "b", "c")}, {"text": None}])
    invalid(path, r"all of its 2 rows were left out \(1 multi-turn, 1 no-text\)")


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "file", [{"text": "a"}])
    with pytest.raises(UserError, match="no column language"):
        read_instructions(path, "text", where=[{"column": "language", "equals": "English"}])
