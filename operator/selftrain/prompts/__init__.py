"""What models are asked. Built-in templates are the Markdown files beside this one; a run may replace each of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from typing import Literal

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.prompts import Prompts, PromptTemplate
from selftrain.api.recipes import NegativeKind
from selftrain.prompts.quoting import PLACEHOLDER, Structure

PromptName = Literal["classify", "answer", "variation", "rewrite", "judge", "plan", "ranking", "rating"]
CHANGE = "{{change}}"


@dataclass(frozen=True)
class Template:
    """A chat prompt that is known to have the right placeholders."""

    system: str | None
    user: str
    verdicts: tuple[str, ...] = ()
    """What a judgment is read for, in double brackets."""

    @property
    def sha256(self) -> str:
        """Digest of the exact text, for the lineage."""
        text = json.dumps({"system": self.system, "user": self.user}, sort_keys=True)
        return sha256(text.encode()).hexdigest()

    def messages(self, values: Mapping[str, str]) -> list[dict[str, str]]:
        """The prompt with its values. They are put in in one pass and never read again: braces in them are just text.

        What looks in a value like one of the template's own lines or like a verdict is quoted. So it neither moves where parts begin
        nor becomes a verdict when the judge repeats it.
        """
        return [{"role": role, "content": self._filled(text, values)} for role, text in self._texts.items()]

    @property
    def _texts(self) -> dict[str, str]:
        turns = {"system": self.system, "user": self.user}
        return {role: text for role, text in turns.items() if text is not None}

    @cached_property
    def _structure(self) -> Structure:
        return Structure.of(self._texts.values(), self.verdicts)

    def _filled(self, text: str, values: Mapping[str, str]) -> str:
        return PLACEHOLDER.sub(lambda match: self._structure.quoted(values[match[1]]), text)


def sampled_with(prompts: Prompts) -> PromptName:
    """The prompt by which the judgments are sampled that are learnt from."""
    return "plan" if prompts.plan else "judge"


def resolve(prompts: Prompts, name: PromptName) -> Template:
    """The run's own template, or the built-in one. Raises UserError naming a missing or unknown placeholder."""
    header, text = _built_in("judge" if name == "plan" else name)
    own: PromptTemplate | None = getattr(prompts, name)
    verdicts = tuple(_names(header.get("verdicts", "")))
    template = Template(own.system, own.user, verdicts) if own else Template(None, text, verdicts)
    required, optional = set(_names(header["required"])), set(_names(header.get("optional", "")))
    found = {match for part in (template.system or "", template.user) for match in PLACEHOLDER.findall(part)}
    if missing := sorted(required - found):
        raise _invalid(name, f"lacks the placeholder {{{{{missing[0]}}}}}", "add it where the text belongs")
    if unknown := sorted(found - required - optional):
        allowed = ", ".join(f"{{{{{word}}}}}" for word in sorted(required | optional))
        raise _invalid(name, f"has the unknown placeholder {{{{{unknown[0]}}}}}", f"known here: {allowed}")
    return template


def rewriting(prompts: Prompts, kind: NegativeKind) -> Template:
    """The template by which an answer is rewritten, with what this kind changes put in. Raises UserError as `resolve` does."""
    template, (changes, _) = resolve(prompts, "rewrite"), _built_in("rewrite")
    system = None if template.system is None else template.system.replace(CHANGE, changes[kind])
    return Template(system, template.user.replace(CHANGE, changes[kind]))


def _built_in(name: PromptName) -> tuple[dict[str, str], str]:
    """Front matter (one `key: value` a line) and text of a built-in template."""
    _, header, text = files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8").split("---\n", 2)
    return dict(line.split(": ", 1) for line in header.splitlines()), text.rstrip("\n")


def _names(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _invalid(name: PromptName, what: str, fix: str) -> UserError:
    return UserError(Reason.PROMPT_INVALID, f"spec.prompts.{name} {what}", fix)
