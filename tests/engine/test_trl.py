"""Loss and gradients are TRL's on the same examples: padded there, packed by us."""

import pytest

from helpers.trainers import (
    BETA,
    MODEL,
    NLL_SCALE,
    SETTINGS,
    batches_of,
    difference,
    gradients,
    likelihood,
    plain_model,
    preference,
    trainer_of,
)
from selftrain.workers.chat import load_tokenizer

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # the engine's own warnings are its makers' affair
EXAMPLES = tuple(range(12))
ARGUMENTS = {"use_cpu": True, "bf16": False, "report_to": [], "max_length": None, "gradient_checkpointing": False}


def ids_of(corpus, sequence):
    """Prompt and completion of a sequence."""
    tokens = corpus.tokens[corpus.starts[sequence] :][: corpus.lengths[sequence]].tolist()
    return tokens[: corpus.prompts[sequence]], tokens[corpus.prompts[sequence] :]


def asked_of(trainer, *batches):
    """TRL's loss and gradients for batches that it accumulates."""
    collated = [trainer.data_collator(rows) for rows in batches]
    assert all(len({len(row) for row in batch["input_ids"]}) == 1 for batch in collated)
    assert sum(int((batch["attention_mask"] == 0).sum()) for batch in collated) > 50  # padded
    losses = [trainer.compute_loss(trainer.model, batch) / len(batches) for batch in collated]
    sum(losses).backward()
    return sum(losses).item(), {name: p.grad for name, p in trainer.model.named_parameters()}


@pytest.mark.parametrize(("bf16", "tolerance"), [(False, 1e-4), (True, 0.03)])
def test_sft_is_trls(torch, corpus, tmp_path, bf16, tolerance):
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = []
    for prompt, completion in (ids_of(corpus, sequence) for sequence in EXAMPLES):
        rows.append({"input_ids": prompt + completion, "labels": [-100] * len(prompt) + completion})
    theirs = SFTTrainer(
        plain_model(torch, torch.float32),
        args=SFTConfig(str(tmp_path), **ARGUMENTS),
        train_dataset=Dataset.from_list(rows),
        processing_class=load_tokenizer(MODEL),
    )
    expected, wanted = asked_of(theirs, rows)
    loss, found = gradients(trainer_of(bf16=bf16), batches_of(torch, corpus, EXAMPLES), likelihood(corpus, EXAMPLES))
    assert loss == pytest.approx(expected, rel=tolerance)
    assert difference(torch, found, wanted) < tolerance


@pytest.mark.parametrize(("bf16", "tolerance"), [(False, 1e-3), (True, 0.03)])
def test_dpo_with_nll_is_trls(torch, contrasts, tmp_path, bf16, tolerance):
    """On batches of one pair, as in the release: of more, TRL's NLL is the mean over all of their tokens."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    ours = trainer_of(SETTINGS.model_copy(update={"weight_decay": "0"}), bf16=bf16)
    objective, batches = preference(ours, torch, contrasts, EXAMPLES), batches_of(torch, contrasts, EXAMPLES, 512)
    for _ in range(3):
        ours.update(batches, objective, rate=1e-3)  # away from the reference
    model = plain_model(torch, torch.float32)
    model.load_state_dict({name: value.float() for name, value in ours.weights().items()})
    theirs = DPOTrainer(
        model,
        plain_model(torch, torch.float32),
        args=DPOConfig(str(tmp_path), beta=BETA, loss_type=["sigmoid", "sft"], loss_weights=[1.0, NLL_SCALE], **ARGUMENTS),
        train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),  # it wants one; ours is given below
        processing_class=load_tokenizer(MODEL),
    )
    rows = []
    for i in EXAMPLES:
        (prompt, better), (_, worse) = ids_of(contrasts, 2 * i), ids_of(contrasts, 2 * i + 1)
        rows.append({"prompt_ids": prompt, "chosen_ids": better, "rejected_ids": worse})
    expected, wanted = asked_of(theirs, *([row] for row in rows))
    loss, found = gradients(ours, batches, objective)
    assert loss == pytest.approx(expected, rel=tolerance)
    assert difference(torch, found, wanted) < tolerance
