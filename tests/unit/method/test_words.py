from selftrain.method.words import grams, words


def test_words_have_no_case_and_no_signs() -> None:
    assert words("It's 5 + 3, isn't it?") == ["it", "s", "5", "3", "isn", "t", "it"]
    assert words("STRASSE straße") == ["strasse", "strasse"]


def test_scripts_without_spaces_give_a_word_a_character() -> None:
    assert words("问答 is 猫です") == ["问", "答", "is", "猫", "で", "す"]
    assert len(words("สวัสดี")) > 1


def test_grams_are_all_runs() -> None:
    assert list(grams(["a", "b", "c"], 2)) == [("a", "b"), ("b", "c")]
    assert list(grams(["a"], 2)) == []
