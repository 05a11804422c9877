"""Which models are accepted: weights that are data, no code of their own, and a chat template."""

import json
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from selftrain.api.conditions import REASONS, Reason
from selftrain.api.errors import UserError

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
"""Weights that run code when they are loaded."""
CODE_KEY = "auto_map"
"""Key by which a model asks transformers to import Python code that lies beside it."""
SETTINGS = ("config.json", "tokenizer_config.json")
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json"


def check_names(uri: str, names: Sequence[str]) -> None:
    """Refuse a folder that holds no model, one whose weights are pickles, or an adapter."""
    if ADAPTER in names:
        # Beside whole weights it would be part of the model for transformers, and not for vLLM.
        raise UserError(Reason.MODEL_UNUSABLE, f"{uri} holds an adapter ({ADAPTER})", "merge it into the model, or remove it")
    if "config.json" not in names:
        raise _refusal(Reason.MODEL_NOT_FOUND, f"{uri} holds no config.json")
    if any(fnmatch(name, "*.safetensors") for name in names):
        return
    if any(fnmatch(name, pattern) for name in names for pattern in PICKLES):
        raise _refusal(Reason.MODEL_UNSAFE, f"{uri} has pickled weights only")
    raise _refusal(Reason.MODEL_NOT_FOUND, f"{uri} holds no safetensors")


def check_settings(uri: str, folder: Path, names: Sequence[str]) -> None:
    """Refuse a model that wants its own code to be run, has no chat template, or lacks some of its weights."""
    settings = {name: _json(uri, folder / name) for name in SETTINGS if name in names}
    for name, content in settings.items():
        if content.get(CODE_KEY):
            raise _refusal(Reason.MODEL_UNSAFE, f"{uri} wants its own code to be run ({CODE_KEY} in {name})")
    if "chat_template.jinja" not in names and not settings.get("tokenizer_config.json", {}).get("chat_template"):
        raise _refusal(Reason.MODEL_UNUSABLE, f"{uri} has no chat template")
    if INDEX in names:
        missing = set(_json(uri, folder / INDEX).get("weight_map", {}).values()) - set(names)
        if missing:
            raise _refusal(Reason.MODEL_UNUSABLE, f"{uri} lacks {len(missing)} of its weight files, among them {min(missing)}")


def _json(uri: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise _refusal(Reason.MODEL_UNUSABLE, f"{path.name} of {uri} is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise _refusal(Reason.MODEL_UNUSABLE, f"{path.name} of {uri} is no JSON object")
    return content


def _refusal(reason: Reason, message: str) -> UserError:
    return UserError(reason, message, REASONS[reason][1])
