"""A few rows of each benchmark as it is published, with all of its columns that matter."""

from typing import Any

from helpers.files import Row
from selftrain.api.pair_files import PairFormat


def said(*texts: str) -> list[dict[str, Any]]:
    """A conversation, in which the person begins."""
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


PAIR: Row = {"id": "p1", "instruction": "i", "chosen": "good", "rejected": "bad", "subset": "s"}
JUDGEBENCH: Row = {"question": "x", "response_A": "a", "response_B": "b"}
MARKS = (("poor", 1), ("fine", 4), ("one", 3), ("two", 3), ("fine", 2), ("poor", 0))
PPE: Row = {"question_id": "q1", "model_a": "m", "model_b": "n", "winner": "model_b", "prompt": "x", "response_1": "a", "response_2": "b",
            "language": "German", "hard_prompt": True}  # fmt: skip
VOTE: Row = {"question_id": 81, "model_a": "m", "model_b": "n", "winner": "model_b", "judge": "expert_0", "turn": 1,
             "conversation_a": said("q1", "m1", "q2", "m2"), "conversation_b": said("q1", "n1", "q2", "n2")}  # fmt: skip
SWAPPED: Row = {"model_a": "n", "model_b": "m", "conversation_a": VOTE["conversation_b"], "conversation_b": VOTE["conversation_a"]}
BEST_OF_FOUR: Row = {"id": "12", "prompt": "x", "chosen": ["r"], "rejected": ["a", "b", "b"], "num_correct": 1, "num_incorrect": 3,
                     "total_completions": 4, "models": ["m", "m", "m", "m"], "subset": "Factuality"}  # fmt: skip
TIED: Row = {"id": "tied:3", "prompt": "x", "chosen": ["r", "s"], "rejected": ["a"], "num_correct": 2, "num_incorrect": 1,
             "total_completions": 3, "models": ["m"], "subset": "Ties"}  # fmt: skip
ROWS: dict[PairFormat, list[Row]] = {
    PairFormat.PAIRS: [PAIR, PAIR | {"id": "p2", "subset": None}],
    PairFormat.REWARDBENCH: [
        {"prompt": "x", "chosen": "good", "chosen_model": "m", "rejected": "bad", "rejected_model": "n", "subset": "hep-go", "id": 7}
    ],
    PairFormat.JUDGEBENCH: [
        JUDGEBENCH | {"pair_id": "u1", "source": "mmlu-pro-law", "label": "B>A", "original_id": 1},
        JUDGEBENCH | {"pair_id": "u2", "source": "livecodebench", "label": "A>B", "original_id": 2},
    ],
    PairFormat.RM_BENCH: [
        {"id": 3, "prompt": "x", "chosen": ["c0", "c1", "c2"], "rejected": ["r0", "r1", "r2"], "domain": "safety-refuse"},
    ],
    PairFormat.HELPSTEER2: [{"prompt": "x", "response": text, "helpfulness": mark, "verbosity": 2} for text, mark in MARKS],
    PairFormat.MT_BENCH: [
        VOTE, VOTE | SWAPPED | {"winner": "model_a"}, VOTE | {"winner": "tie"}, VOTE | {"winner": "model_a"},
        VOTE | {"turn": 2, "winner": "model_a"},
    ],
    PairFormat.PPE: [
        PPE, PPE | {"question_id": "q2", "winner": "tie (bothbad)"}, PPE | {"question_id": "q3", "winner": "model_a", "response_2": ""},
        PPE | {"question_id": "q4", "response_1": "b"},
    ],
    PairFormat.PPE_CORRECTNESS: [
        {"question_id": 5, "prompt": "x", "response_1": "a", "response_2": "b", "response_3": "c", "scores": [False, True, False],
         "sampled_conflict_pairs": [[0, 1], [1, 2], [1, 0]], "category": "law"},
    ],
    PairFormat.REWARDBENCH2: [BEST_OF_FOUR, TIED],
}  # fmt: skip
