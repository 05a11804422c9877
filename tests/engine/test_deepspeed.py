"""The real DeepSpeed with the micro model: it computes what a plain loop would, and a training can be stopped anywhere.

Trainers live in this process, one rank. Whole trainings are worker processes on a folder store, killed and started again.
"""

import json
import os
import signal
import socket
from dataclasses import replace
from itertools import chain
from math import isnan
from pathlib import Path

import pytest

from helpers.trainers import (
    MODEL,
    SETTINGS,
    batches_of,
    difference,
    gradients,
    likelihood,
    plain_loss,
    plain_model,
    plain_preference,
    preference,
    trainer_of,
)
from helpers.trainings import losses, ranks_of, start, wait_for_state, weights, work_of
from selftrain.api.recipes import Objective
from selftrain.api.training import Lora
from selftrain.storage.commit import read_manifest
from selftrain.workers.packing import updates_of_epoch

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # the engine's own warnings are its makers' affair


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_gradients_agree_with_a_plain_loop(torch, corpus, stage):
    examples = tuple(range(12))
    model = plain_model(torch, torch.float32)
    reference = plain_loss(torch, model, corpus, examples)
    reference.backward()
    expected = {name: p.grad for name, p in model.named_parameters()}
    checkpointing = SETTINGS.model_copy(update={"zero_stage": stage, "activation_checkpointing": True})
    batches = batches_of(torch, corpus, examples)
    assert len(batches) > 2
    loss, found = gradients(trainer_of(checkpointing), batches, likelihood(corpus, examples))
    assert found.keys() == expected.keys()
    assert loss == pytest.approx(reference.item(), rel=0.01)
    assert difference(torch, found, expected) < 0.03  # bfloat16


def test_packing_does_not_change_the_gradient(torch, corpus):
    examples = tuple(range(16))
    packed = gradients(trainer_of(bf16=False), batches_of(torch, corpus, examples, capacity=2000), likelihood(corpus, examples))
    alone = gradients(trainer_of(bf16=False), [b for i in examples for b in batches_of(torch, corpus, (i,))], likelihood(corpus, examples))
    assert packed[0] == pytest.approx(alone[0], rel=1e-5)
    assert difference(torch, packed[1], alone[1]) < 1e-4


def test_an_example_does_not_see_its_neighbours(torch, corpus):
    """In all attentions a model may get: ours in both of its ways, and transformers' own."""
    from selftrain.workers import attention

    attention.register()
    model = plain_model(torch, torch.float32).eval()
    both, second = batches_of(torch, corpus, (30, 31), 2000)[0], batches_of(torch, corpus, (31,))[0]
    for name, short in ((attention.NAME, attention.SHORT), (attention.NAME, 0), ("sdpa", 0), ("eager", 0)):
        model.set_attn_implementation(name)
        with pytest.MonkeyPatch.context() as patch, torch.no_grad():
            patch.setattr(attention, "SHORT", short)
            apart, together = (
                model(input_ids=b.inputs, position_ids=b.positions, bounds=b.bounds, use_cache=False).logits[0] for b in (second, both)
            )
        torch.testing.assert_close(together[both.bounds[1] :], apart, atol=1e-4, rtol=1e-4)


def others_only(changed):
    """The loss of all sequences but one."""
    from selftrain.workers.objectives import sums_of

    return lambda logarithms, batch: (
        -sum(total for sequence, total in zip(batch.sequences, sums_of(logarithms, batch), strict=True) if sequence != changed)
    )


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("lora", [None, Lora(rank=4)])
def test_changing_an_example_leaves_the_others_alone(torch, corpus, lora, checkpointing):
    """Neither their losses nor the gradients that they give depend on what is packed beside them."""
    trainer = trainer_of(SETTINGS.model_copy(update={"lora": lora, "activation_checkpointing": checkpointing}), bf16=False)
    (batch,) = batches_of(torch, corpus, (30, 31, 32), 2000)
    for _ in range(2):
        trainer.update([batch], likelihood(corpus, (30, 31, 32)), rate=1e-2)  # a fresh adapter gives half of its gradient only
    middle = slice(*batch.bounds[1:3])
    other = replace(batch, inputs=batch.inputs.clone())
    other.inputs[0, middle] = (other.inputs[0, middle] + 7) % 1024
    before, after = (trainer.measure([one]) for one in (batch, other))
    expected, found = (gradients(trainer, [one], others_only(31))[1] for one in (batch, other))
    assert after[31] != pytest.approx(before[31], rel=0.01)
    assert [after[30], after[32]] == pytest.approx([before[30], before[32]], rel=1e-6)
    assert difference(torch, found, expected) < 1e-6


def test_only_completions_have_a_loss(torch, corpus):
    batch = batches_of(torch, corpus, (3, 4, 5), 2000)[0]
    wanted = [list(corpus.tokens[corpus.starts[i] :][corpus.prompts[i] : corpus.lengths[i]]) for i in (3, 4, 5)]
    assert batch.targets.tolist() == list(chain.from_iterable(wanted))
    assert len(batch.kept) == corpus.better((3, 4, 5))
    following = torch.cat([batch.inputs[0, 1:], torch.tensor([-1])])[batch.kept]
    ends = torch.isin(batch.kept + 1, torch.tensor(batch.bounds))
    assert following[~ends].tolist() == batch.targets[~ends].tolist()


def test_an_empty_batch_changes_nothing(torch, corpus):
    examples = (0, 1, 2)
    batches = batches_of(torch, corpus, examples, 2000)
    with_empty = [*batches, *batches_of(torch, corpus, ())]
    found, expected = (gradients(trainer_of(bf16=False), b, likelihood(corpus, examples))[1] for b in (with_empty, batches))
    assert difference(torch, found, expected) < 1e-6


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_an_update_that_is_left_out_is_no_update(torch, corpus, stage):
    """DeepSpeed leaves out what has a gradient that is not finite, though the loss is."""
    trainer = trainer_of(SETTINGS.model_copy(update={"zero_stage": stage}))

    def torn(logarithms, _batch):
        return -logarithms.mean() + (0 * logarithms.sum()).sqrt()

    assert isnan(trainer.update(batches_of(torch, corpus, (0, 1, 2)), torn, rate=1e-3))


@pytest.mark.parametrize("stage", [0, 1, 3])
def test_small_steps_are_not_rounded_away(torch, corpus, stage):
    """bfloat16 has 8 bits: steps of 1e-5 to weights of 0.06 are lost in it, and only add up in float32."""
    trainer = trainer_of(SETTINGS.model_copy(update={"zero_stage": stage, "weight_decay": "0"}))
    before = None if stage == 3 else {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    batches, objective = batches_of(torch, corpus, (0, 1, 2)), likelihood(corpus, (0, 1, 2))
    losses = [trainer.update(batches, objective, rate=1e-5) for _ in range(40)]
    assert losses[-1] < losses[0] - 0.01
    if before:
        moved = torch.cat([(p.detach() - before[n]).abs().flatten() for n, p in trainer.model.named_parameters()])
        assert float((moved > 0).float().mean()) > 0.3


@pytest.mark.parametrize("stage", [0, 1, 3])
def test_weights_come_back_whole(torch, stage):
    found = trainer_of(SETTINGS.model_copy(update={"zero_stage": stage})).weights()
    expected = plain_model(torch, torch.bfloat16).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_all_stages_learn_alike(torch, corpus):
    updates = updates_of_epoch(corpus.lengths, 600, 1, 0)[:8]
    losses = {}  # stage 3 comes last: while such a trainer lives, all models of the process are loaded in partitions
    for stage, offload in ((1, "none"), (0, "none"), (2, "none"), (2, "optimizer"), (3, "none"), (3, "parameters")):
        trainer = trainer_of(SETTINGS.model_copy(update={"zero_stage": stage, "offload": offload, "gradient_clipping": "1"}))
        losses[stage, offload] = [trainer.update(batches_of(torch, corpus, u), likelihood(corpus, u), rate=1e-3) for u in updates]
    first, *others = losses.values()
    assert first[-1] < first[0] - 1
    for other in others:
        assert other == pytest.approx(first, rel=0.01)


@pytest.mark.parametrize("stage", [0, 1, 3])
def test_dpo_gradients_agree_with_a_plain_loop(torch, contrasts, stage):
    """The model has moved away from its reference, else the gradient would not tell how far."""
    examples, model, reference = tuple(range(8)), plain_model(torch, torch.float32), plain_model(torch, torch.float32)
    trainer = trainer_of(SETTINGS.model_copy(update={"zero_stage": stage, "weight_decay": "0"}), bf16=False)
    objective = preference(trainer, torch, contrasts, examples)
    batches = batches_of(torch, contrasts, examples, 512)
    assert len(batches) > 1
    for _ in range(3):
        trainer.update(batches, objective, rate=1e-3)
    model.load_state_dict(trainer.weights())
    expected = plain_preference(torch, model, reference, contrasts, examples)
    expected.backward()
    loss, found = gradients(trainer, batches, objective)
    assert loss == pytest.approx(expected.item(), rel=1e-3)
    assert difference(torch, found, {name: p.grad for name, p in model.named_parameters()}) < 1e-3


def test_dpo_prefers_what_is_better(torch, contrasts):
    examples = tuple(range(8))
    trainer = trainer_of(bf16=False)
    objective, batches = preference(trainer, torch, contrasts, examples), batches_of(torch, contrasts, examples, 512)
    assert trainer.update(batches, objective, rate=1e-3) > trainer.update(batches, objective, rate=1e-3)
    for _ in range(60):
        trainer.update(batches, objective, rate=1e-3)
    now = trainer.measure(batches)
    gains = {sequence: value - objective.reference[sequence] for sequence, value in now.items()}
    assert all(gains[2 * i] > gains[2 * i + 1] for i in examples)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("undisturbed")
    work, store = work_of(folder, table)
    assert start(work, folder).wait(500) == 0, (folder / "log-0.txt").read_text()[-3000:]
    manifest = read_manifest(store, work.layout, work.step)
    return weights(store, manifest), losses(store, manifest), manifest, [info.key for info in store.list("")]


def test_a_training_ends_in_a_model_that_is_served_like_the_seed(undisturbed):
    found, curve, manifest, keys = undisturbed
    assert list(found) == ["model.safetensors"]
    assert curve[-1] < curve[0] - 0.5
    names = {Path(part.key).name for part in manifest.parts}
    assert {path.name for path in MODEL.iterdir()} | {"training.json"} == names
    assert manifest.counts["updates"] == len(curve)
    assert manifest.counts["examples"] == 80
    assert manifest.tokens > 0
    assert manifest.card is not None  # nothing is evaluated, so that this was the judge's last stage
    assert manifest.card.key in keys
    assert not [key for key in keys if "/states/" in key]


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, table, undisturbed):
    work, store = work_of(tmp_path, table)
    process = start(work, tmp_path)
    wait_for_state(store, process)
    (rank,) = ranks_of(tmp_path)
    os.kill(rank, signal.SIGKILL)
    assert process.wait(120) == 12
    assert json.loads((tmp_path / "termination-0.json").read_text())["kind"] == "platform"
    assert read_manifest(store, work.layout, work.step) is None
    assert start(work, tmp_path).wait(500) == 0
    manifest = read_manifest(store, work.layout, work.step)
    assert "going on from the state after update" in (tmp_path / "log-0.txt").read_text()
    assert (weights(store, manifest), losses(store, manifest)) == undisturbed[:2]
    assert start(work, tmp_path).wait(60) == 0  # a pod that comes back after the commit


def test_a_stopped_dpo_training_does_not_measure_its_reference_again(tmp_path, contrast_table):
    work, store = work_of(tmp_path, contrast_table, objective=Objective.DPO, dpo_learning_rate="0.001")
    process = start(work, tmp_path)
    wait_for_state(store, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(200) == 143
    assert start(work, tmp_path).wait(500) == 0
    log = (tmp_path / "log-0.txt").read_text()
    assert log.count("the reference of 80 sequences is in the store") == log.count("going on from the state after update") == 1
    curve = losses(store, read_manifest(store, work.layout, work.step))
    assert curve[-1] < curve[0] - 0.5
    assert not [info.key for info in store.list("") if "reference" in info.key]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_two_pods_train_together_and_stop_together(tmp_path, table, undisturbed, stop):
    work, store = work_of(tmp_path, table, nodes=2, zero_stage=3 if stop == signal.SIGTERM else 1)

    def both():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            meeting = f"127.0.0.1:{probe.getsockname()[1]}"
        return [start(work, tmp_path, index, meeting) for index in (0, 1)]

    first, second = both()
    wait_for_state(store, first)
    second.send_signal(stop)
    codes = first.wait(200), second.wait(200)
    assert codes == ((143, 143) if stop == signal.SIGTERM else (12, -signal.SIGKILL))
    assert not list(ranks_of(tmp_path))
    assert [process.wait(500) for process in both()] == [0, 0]
    log = (tmp_path / "log-0.txt").read_text()
    assert "going on from the state after update" in log
    assert losses(store, read_manifest(store, work.layout, work.step)) == pytest.approx(undisturbed[1], rel=0.03)


def test_a_training_set_that_never_fits_is_the_authors_to_change(tmp_path, table):
    work, _ = work_of(tmp_path, table, sequence_length=16)
    assert start(work, tmp_path).wait(200) == 10
    said = json.loads((tmp_path / "termination-0.json").read_text())
    assert said["reason"] == "SequenceTooLong"
    assert "sequenceLength" in said["message"]
