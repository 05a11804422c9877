"""Manifests: what is refused, and that the message names the field."""

from typing import Any

import pytest

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.load import run_of

GOOD: dict[str, Any] = {
    "apiVersion": "selftrain.dev/v1alpha1",
    "kind": "SelfTrainRun",
    "metadata": {"name": "judge", "labels": {"team": "a"}, "resourceVersion": "7"},
    "spec": {
        "model": {"uri": "s3://bucket/model"},
        "store": {"uri": "s3://bucket/runs"},
        "instructions": {"uri": "s3://bucket/instructions.jsonl"},
    },
}


def with_spec(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "spec": {**GOOD["spec"], **changes}}


def test_defaults_are_the_papers() -> None:
    spec = run_of(GOOD).spec
    assert (spec.iterations, spec.judge.samples, spec.judge.temperature, spec.judge.top_p) == (5, 15, "0.7", "0.9")
    assert (spec.train.learning_rate, spec.train.warmup_steps, spec.train.epochs) == ("0.000001", 100, 2)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({**GOOD, "kind": "Run"}, "kind"),
        (with_spec(iteratons=3), "spec.iteratons"),
        (with_spec(iterations="many"), "spec.iterations"),
        (with_spec(iterations=0), "spec.iterations"),
        (with_spec(judge={"topP": "1.2"}), "spec.judge.topP"),
        (with_spec(judge={"temperature": 0.7}), "spec.judge.temperature"),
        (with_spec(train={"learningRate": "1e-6"}), "spec.train.learningRate"),
        (with_spec(model={"uri": "gs://bucket/model"}), "spec.model.uri"),
        (with_spec(train={"offload": "optimizer", "zeroStage": 0}), "train.offload"),
        (with_spec(train={"tokensPerUpdate": 100, "sequenceLength": 200}), "train.tokensPerUpdate"),
        (with_spec(judge={"maxModelLength": 128, "maxTokens": 256}), "maxModelLength"),
        (with_spec(evaluate={"benchmarks": [{"name": "x", "uri": "s3://b/x"}] * 2}), "evaluate.benchmarks"),
        (with_spec(judge={"engineArguments": [{"name": "trust_remote_code", "value": "true"}]}), "spec.judge.engineArguments.0.name"),
        ({**GOOD, "metadata": {"name": "x" * 41}}, "metadata.name"),
    ],
)
def test_bad_manifests_are_refused_and_the_field_is_named(body: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError) as refused:
        run_of(body)
    assert refused.value.reason is Reason.INVALID_SPEC
    assert named in refused.value.message
