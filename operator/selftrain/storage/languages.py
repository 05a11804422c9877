"""Which language a text is in, as far as it can be told: py3langid, a model of 140 languages in its package."""

from collections.abc import Sequence
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError

ODDS = 10
"""A text is in another language if that is so many times as likely. Formulas, code and single words are in no language, and stay."""


class Languages:
    """The wanted languages. Raises UserError for one that is not known. A quarter of a millisecond a text, 100 MB."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = wanted
        known = sorted(_identifier().labels)
        if unknown := sorted(set(wanted) - set(known)):
            message = f"spec.instructions.languages: {unknown[0]} is not among the known languages"
            raise UserError(Reason.INVALID_SPEC, message, f"known are {', '.join(known)}")

    def __contains__(self, text: str) -> bool:
        likely: dict[str, float] = dict(_identifier().rank(text))
        return max(likely.values()) <= ODDS * max(likely[language] for language in self._wanted)


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
