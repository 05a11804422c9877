"""parse: texts in, verdicts out, line by line."""

import io
import json
from types import SimpleNamespace

import pytest

from selftrain.cli.__main__ import main


def pipe(monkeypatch: pytest.MonkeyPatch, lines: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(lines)))


def verdicts_in(out: str) -> list[str | None]:
    return [json.loads(line)["verdict"] for line in out.splitlines()]


@pytest.mark.parametrize(("rule", "verdicts"), [("strict", ["A", None, "tie", None]), ("lenient", ["A", "A", "tie", None])])
def test_verdicts_line_by_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rule: str, verdicts: list[str | None]
) -> None:
    texts = ["so [[A]], yes [[A]]", "if long [[B]], else [[A]]", "[[C]]", "A is better"]
    pipe(monkeypatch, "".join(json.dumps({"text": text}) + "\n" for text in texts).encode())
    assert main(["parse", "--rule", rule]) == 0
    assert verdicts_in(capsys.readouterr().out) == verdicts


def test_each_line_has_its_verdict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Empty lines and texts that are none have none; half of a character is no reason to stop."""
    lines = [b'\xef\xbb\xbf{"text": "[[A]]"}', b"", b'{"text": null}', rb'{"text": "\ud800 [[B]]", "id": 1}', b" "]
    pipe(monkeypatch, b"\n".join(lines) + b"\n")
    assert main(["parse"]) == 0
    assert verdicts_in(capsys.readouterr().out) == ["A", None, None, "B", None]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"[[A]]", "no JSON: "),
        (b'{"text": "\xff"}', "no JSON: "),
        (b'"[[A]]"', "no object with a text"),
        (b'{"txt": "[[A]]"}', "no object with a text"),
        (b"[" * 100_000, "no JSON: "),
        (b'{"text": 1}', "text is neither a string nor null"),
    ],
)
def test_what_is_no_text_is_told_after_the_verdicts_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: bytes, words: str
) -> None:
    pipe(monkeypatch, b"\n".join([b'{"text": "[[A]]"}', line, b'{"text": "[[B]]"}']))
    assert main(["parse"]) == 2
    said = capsys.readouterr()
    assert verdicts_in(said.out) == ["A"]
    assert f"line 2: {words}" in said.err
