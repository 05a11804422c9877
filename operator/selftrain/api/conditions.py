"""Condition types and reasons: a closed list, one sentence each. The troubleshooting page is generated from it."""

from enum import StrEnum


class ConditionType(StrEnum):
    """What is said about a run. All five are always present. `CONDITIONS` holds the sentence for each."""

    ACCEPTED = "Accepted"
    PROGRESSING = "Progressing"
    SUCCEEDED = "Succeeded"
    STALLED = "Stalled"
    SUSPENDED = "Suspended"


class Reason(StrEnum):
    """Why a condition has its status. `REASONS` holds the sentence and the advice for each."""

    VALID = "Valid"
    INVALID_SPEC = "InvalidSpec"
    STAGE_STARTING = "StageStarting"
    STAGE_PENDING = "StagePending"
    STAGE_RUNNING = "StageRunning"
    STAGE_RETRYING = "StageRetrying"
    COMPLETED = "Completed"
    NOT_FINISHED = "NotFinished"
    NOT_STALLED = "NotStalled"
    SUSPENDED = "Suspended"
    NOT_SUSPENDED = "NotSuspended"
    DRAINING = "Draining"
    MODEL_NOT_FOUND = "ModelNotFound"
    MODEL_NOT_READABLE = "ModelNotReadable"
    MODEL_UNSAFE = "ModelUnsafe"
    MODEL_UNUSABLE = "ModelUnusable"
    INSTRUCTIONS_NOT_FOUND = "InstructionsNotFound"
    INSTRUCTIONS_NOT_READABLE = "InstructionsNotReadable"
    INSTRUCTIONS_INVALID = "InstructionsInvalid"
    LABELLED_NOT_FOUND = "LabelledNotFound"
    LABELLED_INVALID = "LabelledInvalid"
    BENCHMARK_NOT_FOUND = "BenchmarkNotFound"
    BENCHMARK_INVALID = "BenchmarkInvalid"
    PROMPT_INVALID = "PromptInvalid"
    STORE_NOT_FOUND = "StoreNotFound"
    STORE_ACCESS_DENIED = "StoreAccessDenied"
    STORE_NOT_CONDITIONAL = "StoreNotConditional"
    HUB_UNAVAILABLE = "HubUnavailable"
    STORE_UNAVAILABLE = "StoreUnavailable"
    STORE_CORRUPT = "StoreCorrupt"
    NO_PAIRS = "NoPairs"
    NO_VERDICTS = "NoVerdicts"
    NOTHING_SELECTED = "NothingSelected"
    SEQUENCE_TOO_LONG = "SequenceTooLong"
    TARGET_NOT_FOUND = "TargetNotFound"
    ENGINE_FAILED = "EngineFailed"
    OUT_OF_MEMORY = "OutOfMemory"
    DRAINED = "Drained"
    PENDING_DEADLINE_EXCEEDED = "PendingDeadlineExceeded"
    STAGE_DEADLINE_EXCEEDED = "StageDeadlineExceeded"
    RUN_DEADLINE_EXCEEDED = "RunDeadlineExceeded"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    STAGE_FAILED = "StageFailed"


CONDITIONS: dict[ConditionType, str] = {
    ConditionType.ACCEPTED: "The manifest was read and makes sense.",
    ConditionType.PROGRESSING: "A stage is running or about to; the reason is the stage's state.",
    ConditionType.SUCCEEDED: "The last iteration is evaluated (True), somebody has to act first (False), or it is under way (Unknown).",
    ConditionType.STALLED: "Nothing more happens until somebody changes something; the message says who and what.",
    ConditionType.SUSPENDED: "`spec.suspend` is set and no pod of the run is left.",
}

REASONS: dict[Reason, tuple[str, str]] = {
    Reason.VALID: ("The manifest was read and makes sense.", "Nothing to do."),
    Reason.INVALID_SPEC: ("The manifest contradicts itself or the schema.", "Correct the field that the message names."),
    Reason.STAGE_STARTING: ("The stage's Job is being created.", "Nothing to do."),
    Reason.STAGE_PENDING: (
        "The stage's pods are not running yet.",
        "If it lasts, look at the pods' events: image, quota, node selector, GPUs.",
    ),
    Reason.STAGE_RUNNING: ("The stage's pods are running.", "Nothing to do."),
    Reason.STAGE_RETRYING: ("An attempt failed and another one was started.", "Nothing to do; the message says why it failed."),
    Reason.COMPLETED: ("The last iteration is evaluated.", "Read the scores; raise spec.iterations to go on."),
    Reason.NOT_FINISHED: ("The run is under way.", "Nothing to do."),
    Reason.NOT_STALLED: ("Nothing stands in the way.", "Nothing to do."),
    Reason.SUSPENDED: ("spec.suspend is true and no pod is left.", "Set spec.suspend to false to go on where it stopped."),
    Reason.NOT_SUSPENDED: ("spec.suspend is not set.", "Nothing to do."),
    Reason.DRAINING: ("spec.suspend is true and pods are finishing their shard.", "Nothing to do."),
    Reason.MODEL_NOT_FOUND: ("No model lies at the given URI.", "Correct spec.model.uri (or that of spec.generator or spec.weaker)."),
    Reason.MODEL_NOT_READABLE: (
        "The model may not be read with the given credentials.",
        "Grant read access, or set spec.model.tokenSecret.",
    ),
    Reason.MODEL_UNSAFE: (
        "The model has pickled weights only, or wants its own code to be run.",
        "Convert it to safetensors without remote code.",
    ),
    Reason.MODEL_UNUSABLE: (
        "The model has no chat template, its context is too short, or an adapter lies beside it.",
        "Choose an instruction-tuned model with a longer context.",
    ),
    Reason.INSTRUCTIONS_NOT_FOUND: ("Nothing lies at spec.instructions.uri.", "Correct the URI or upload the file."),
    Reason.INSTRUCTIONS_NOT_READABLE: ("The instructions may not be read with the given credentials.", "Grant read access to the object."),
    Reason.INSTRUCTIONS_INVALID: (
        "The instructions have no such text field, no usable row, or are not UTF-8.",
        "Correct the file, or textField or chat of spec.instructions.",
    ),
    Reason.LABELLED_NOT_FOUND: ("Nothing that may be read lies at spec.labelled.uri.", "Correct the URI, upload the file or grant access."),
    Reason.LABELLED_INVALID: (
        "The labelled pairs lack a column or a side, two rows share an id, or no pair can be learnt from.",
        "Correct the file; the message names column and row.",
    ),
    Reason.BENCHMARK_NOT_FOUND: (
        "Nothing that may be read lies at the benchmark's URI.",
        "Correct the URI, upload the file or grant access.",
    ),
    Reason.BENCHMARK_INVALID: (
        "The benchmark lacks a column, or two rows share an id.",
        "Correct the file; the message names column and row.",
    ),
    Reason.PROMPT_INVALID: (
        "A prompt template lacks a placeholder or has an unknown one.",
        "Correct the template; the message names the placeholder.",
    ),
    Reason.STORE_NOT_FOUND: ("The bucket does not exist.", "Create it, or correct spec.store.uri."),
    Reason.STORE_ACCESS_DENIED: ("The store refused the credentials.", "Check the Secret's keys and the bucket policy."),
    Reason.STORE_NOT_CONDITIONAL: (
        "The store ignores If-None-Match, so commits would not be safe.",
        "Use a store with conditional writes.",
    ),
    Reason.HUB_UNAVAILABLE: (
        "The Hugging Face Hub did not answer.",
        "Nothing at first, it is retried; then check the network, or copy the files to the store.",
    ),
    Reason.STORE_UNAVAILABLE: ("The store did not answer.", "Nothing at first, it is retried; then check endpoint and network."),
    Reason.STORE_CORRUPT: (
        "An object differs from what its manifest says, or a manifest is gone.",
        "Restore the object, or start a new run.",
    ),
    Reason.NO_PAIRS: (
        "No instruction gave a usable pair, or none is in the slice of an iteration.",
        "Look at the drop counts in the message; check the variation prompt and generate.maxTokens, or set judge.slices to fewer.",
    ),
    Reason.NO_VERDICTS: (
        "No judgment could be parsed.",
        "Look at the judgments; check maxTokens and prompts.judge or plan. A model that always thinks first is no seed: it rules twice.",
    ),
    Reason.NOTHING_SELECTED: (
        "No judgment was kept.",
        "Look at the drop counts in the message; raise judge.samples or take a better seed.",
    ),
    Reason.SEQUENCE_TOO_LONG: ("Every training example is longer than train.sequenceLength.", "Raise train.sequenceLength."),
    Reason.TARGET_NOT_FOUND: (
        "The model has no linear layer of a name in train.lora.targetModules.",
        "Correct train.lora.targetModules; the message says which names there are.",
    ),
    Reason.ENGINE_FAILED: ("The engine failed.", "Read the pod's log; it is retried within the budget."),
    Reason.OUT_OF_MEMORY: ("A pod ran out of memory.", "Raise the stage's memory, or lower its batch settings."),
    Reason.DRAINED: ("A pod was asked to stop and stopped after its shard.", "Nothing to do."),
    Reason.PENDING_DEADLINE_EXCEEDED: (
        "No pod of the stage ran within deadlines.pendingSeconds.",
        "Look at the pods' events; raise the deadline to try again.",
    ),
    Reason.STAGE_DEADLINE_EXCEEDED: ("The stage took longer than deadlines.stageSeconds.", "Raise the deadline to go on where it stopped."),
    Reason.RUN_DEADLINE_EXCEEDED: ("The run took longer than deadlines.runSeconds.", "Raise the deadline to go on where it stopped."),
    Reason.RETRIES_EXHAUSTED: (
        "The stage failed more often than retries allow.",
        "Read the message and the pod's log; raise retries.attempts to try again.",
    ),
    Reason.STAGE_FAILED: ("A pod failed without saying why.", "Read the pod's log; it is retried within the budget."),
}
