from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.records import Overlap
from selftrain.method.overlap import RUN, Texts, overlaps

LONG = " ".join(f"w{number}" for number in range(RUN))
NOTHING = ("", "")


def counted(held_out: Texts, *training: Texts) -> tuple[int, int]:
    told = overlaps({"one": [("item", held_out)]}, training)["one"]
    return told.instructions, told.answers


def test_thirteen_words_in_common_are_found_wherever_they_stand() -> None:
    assert counted(Texts("Q", ("yes", f"So: {LONG}, as said")), Texts(f"before {LONG} after", NOTHING)) == (0, 1)
    assert counted(Texts(f"Please {LONG}?", NOTHING), Texts("Q", ("", LONG.upper().replace(" ", ", ")))) == (1, 0)
    assert counted(Texts("Q", ("a", "b", "c", LONG)), Texts("P", (LONG, ""))) == (0, 1), "the last of four answers too"
    assert counted(Texts(LONG, NOTHING), Texts(LONG.rpartition(" ")[0] + " other", NOTHING)) == (0, 0)


def test_short_instructions_are_found_as_a_whole() -> None:
    assert counted(Texts("What is 8 plus 5?", NOTHING), Texts("what is 8 plus 5", NOTHING)) == (1, 0)
    assert counted(Texts("What is 8 plus 5?", NOTHING), Texts("What is 8 plus 5, and why?", NOTHING)) == (0, 0)
    assert counted(Texts("?", NOTHING), Texts("!", NOTHING)) == (0, 0)


def test_short_answers_say_nothing() -> None:
    assert counted(Texts("Q", ("Yes.", "No.")), Texts("P", ("Yes.", "No."))) == (0, 0)
    assert counted(Texts("42", NOTHING), Texts("P", ("42", ""))) == (0, 0)


@given(st.lists(st.sampled_from("abc"), min_size=RUN, max_size=40), st.integers(0, 40))
def test_a_text_is_always_found_in_itself_and_pairs_are_counted(letters: list[str], start: int) -> None:
    text, rest = " ".join(letters), " ".join(letters[start:])
    told = overlaps({"one": [("1", Texts(text, (text, "x"))), ("2", Texts("new one", (rest, rest)))]}, [Texts(text, ("", ""))])["one"]
    assert told == Overlap(pairs=2, instructions=1, answers=1 + (len(letters) - start >= RUN))


def test_an_item_of_several_pairs_is_found_once() -> None:
    """RM-Bench shows the answers of an item in nine pairs."""
    pairs = [(str(item), Texts(f"Task {item}", (LONG if item else "a", "b"))) for item in range(4) for _ in range(9)]
    assert overlaps({"one": pairs}, [Texts("Task 2", (LONG, ""))])["one"] == Overlap(pairs=4, instructions=1, answers=3)
