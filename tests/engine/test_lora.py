"""LoRA by the real PEFT and DeepSpeed with the micro model: only adapters are trained, and what is stored is a whole model."""

import json
import os
import signal

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
from selftrain.api.records import Drop
from selftrain.api.training import Lora
from selftrain.storage.commit import read_manifest

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # the engine's own warnings are its makers' affair
LORA = Lora(rank=4, alpha=8)
EXAMPLES = tuple(range(12))
ADAPTERS = 2 * 4 * (4 * (64 + 64) + 3 * (64 + 192))
"""Numbers in them: two layers, rank 4, four matrices of 64 x 64 and three of 64 x 192."""


def adapted(torch, lora=LORA, *, bf16=True, **settings):
    torch.manual_seed(1)
    return trainer_of(SETTINGS.model_copy(update={"lora": lora, "weight_decay": "0", **settings}), bf16=bf16)


def moved(torch, trainer, corpus):
    """After some updates: at first an adapter adds nothing, and half of its gradient is zero."""
    for _ in range(3):
        trainer.update(batches_of(torch, corpus, EXAMPLES), likelihood(corpus, EXAMPLES), rate=1e-2)
    return trainer


def parts(trainer):
    """Base and adapters apart."""
    lora, trainer._lora = trainer._lora, None
    state, trainer._lora = trainer.weights(), lora
    return state


def plain_adapted(torch, state):
    """The same model by PEFT alone, in float32."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(plain_model(torch, torch.float32), LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    model.base_model.model.load_state_dict({name: value.float() for name, value in state.items()})
    return model


def trained(model):
    return {name.removeprefix("base_model.model."): p.grad for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(("stage", "offload"), [(0, "none"), (1, "none"), (2, "optimizer"), (3, "none"), (3, "parameters")])
def test_only_adapters_are_trained(torch, corpus, stage, offload):
    trainer = adapted(torch, zero_stage=stage, offload=offload)
    before = {name: value.clone() for name, value in parts(trainer).items()}
    first, *_, last = [trainer.update(batches_of(torch, corpus, EXAMPLES), likelihood(corpus, EXAMPLES), rate=1e-2) for _ in range(10)]
    assert last < first - 0.5
    after = parts(trainer)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "lora" in name}
    optimizer = trainer._engine.optimizer
    moments = [value for state in getattr(optimizer, "optimizer", optimizer).state.values() for value in state.values()]
    assert 2 * ADAPTERS <= sum(value.numel() for value in moments if value.dim()) < 2.1 * ADAPTERS  # partitions are rounded up


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_gradients_agree_with_plain_peft(torch, corpus, stage):
    trainer = moved(torch, adapted(torch, zero_stage=stage, activation_checkpointing=True), corpus)
    state = parts(trainer)
    loss, found = gradients(trainer, batches_of(torch, corpus, EXAMPLES), likelihood(corpus, EXAMPLES))
    del trainer
    model = plain_adapted(torch, state)
    reference = plain_loss(torch, model, corpus, EXAMPLES)
    reference.backward()
    assert found.keys() == trained(model).keys()
    assert loss == pytest.approx(reference.item(), rel=0.01)
    assert difference(torch, found, trained(model)) < 0.03  # bfloat16


@pytest.mark.parametrize(
    ("stage", "bf16", "tolerance"), [(0, False, 1e-5), (1, False, 1e-5), (3, False, 1e-5), (1, True, 0.01), (3, True, 0.01)]
)
def test_merged_weights_compute_the_same(torch, corpus, stage, bf16, tolerance):
    trainer = moved(torch, adapted(torch, bf16=bf16, zero_stage=stage), corpus)
    state, merged = parts(trainer), trainer.weights()
    del trainer
    with torch.no_grad():
        expected, seed = plain_adapted(torch, state), plain_model(torch, torch.float32)
        apart = plain_loss(torch, expected, corpus, EXAMPLES).item()
        before = plain_loss(torch, seed, corpus, EXAMPLES).item()
        assert merged.keys() == seed.state_dict().keys()
        seed.load_state_dict(merged)
        assert plain_loss(torch, seed, corpus, EXAMPLES).item() == pytest.approx(apart, rel=tolerance)
    assert apart < before - 0.1


def test_a_fresh_adapter_is_dpos_reference(torch, contrasts):
    """So DPO needs no second model: what the adapters will be measured against is the model without them."""
    whole, fresh = trainer_of(), adapted(torch)
    batches = batches_of(torch, contrasts, EXAMPLES, 512)
    assert fresh.measure(batches) == whole.measure(batches)


def test_dpo_gradients_agree_with_plain_peft(torch, contrasts):
    trainer = adapted(torch, bf16=False)
    objective = preference(trainer, torch, contrasts, EXAMPLES)
    batches = batches_of(torch, contrasts, EXAMPLES, 512)
    first, *_ = [trainer.update(batches, objective, rate=1e-2) for _ in range(3)]
    model = plain_adapted(torch, parts(trainer))
    expected = plain_preference(torch, model, plain_model(torch, torch.float32), contrasts, EXAMPLES)
    expected.backward()
    loss, found = gradients(trainer, batches, objective)
    assert first > loss == pytest.approx(expected.item(), rel=1e-3)
    assert difference(torch, found, trained(model)) < 1e-3


def test_recomputed_activations_drop_the_same_inputs(torch, corpus):
    def found(dropout, *, checkpointing):
        trainer = moved(torch, adapted(torch, bf16=False, activation_checkpointing=checkpointing), corpus)
        for module in trainer.model.modules():
            if hasattr(module, "lora_dropout"):
                module.lora_dropout["default"] = torch.nn.Dropout(dropout)
        torch.manual_seed(7)
        return gradients(trainer, batches_of(torch, corpus, EXAMPLES), likelihood(corpus, EXAMPLES))[1]

    kept = found(0.5, checkpointing=False)
    assert difference(torch, found(0.5, checkpointing=True), kept) < 1e-5
    assert difference(torch, found(0.0, checkpointing=True), kept) > 0.01


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_state_holds_the_adapters_alone_and_goes_on(torch, corpus, stage, tmp_path):
    batches, objective = batches_of(torch, corpus, EXAMPLES), likelihood(corpus, EXAMPLES)
    trainer = moved(torch, adapted(torch, zero_stage=stage), corpus)
    files = trainer.save(tmp_path, "state")
    expected = [trainer.update(batches, objective, rate=1e-2) for _ in range(3)]
    del trainer
    stored = [name for path in files if "model_states" in path.name for name in torch.load(path, weights_only=False)["module"]]
    assert {name for name in stored if "lora" not in name} == {"lm_head.weight"}  # DeepSpeed overlooks that it is the embedding
    again = adapted(torch, zero_stage=stage)
    again.load(tmp_path, "state")
    assert [again.update(batches, objective, rate=1e-2) for _ in range(3)] == expected


def lora_work(folder, table, **lora):
    return work_of(folder, table, learning_rate="0.01", sequence_length=120, lora=LORA.model_copy(update=lora))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("undisturbed")
    work, store = lora_work(folder, table, dropout="0.1")
    assert start(work, folder).wait(500) == 0, (folder / "log-0.txt").read_text()[-3000:]
    return work, store, read_manifest(store, work.layout, work.step)


def test_a_training_ends_in_a_whole_model(torch, undisturbed, tmp_path):
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    _, store, manifest = undisturbed
    assert (manifest.counts["examples"], manifest.drops) == (74, {Drop.TOO_LONG: 3, Drop.UNBALANCED: 3})
    assert losses(store, manifest)[-1] < losses(store, manifest)[0] - 0.5
    names = {part.key.rpartition("/")[2] for part in manifest.parts}
    assert names == {path.name for path in MODEL.iterdir()} | {"training.json"}
    for part in manifest.parts:
        store.download(part.key, tmp_path / part.key.rpartition("/")[2])
    found, seed = load_file(tmp_path / "model.safetensors"), load_file(MODEL / "model.safetensors")
    assert {name: value.shape for name, value in found.items()} == {name: value.shape for name, value in seed.items()}
    assert {name for name in found if not torch.equal(found[name], seed[name])} == {name for name in found if "proj" in name}
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert model.dtype == torch.bfloat16


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, table, undisturbed):
    work, store = lora_work(tmp_path, table, dropout="0.1")
    process = start(work, tmp_path)
    wait_for_state(store, process)
    (rank,) = ranks_of(tmp_path)
    os.kill(rank, signal.SIGKILL)
    assert process.wait(120) == 12
    assert start(work, tmp_path).wait(500) == 0
    assert "going on from the state after update" in (tmp_path / "log-0.txt").read_text()
    manifest = read_manifest(store, work.layout, work.step)
    _, other, expected = undisturbed
    assert (weights(store, manifest), losses(store, manifest)) == (weights(other, expected), losses(other, expected))


def test_targets_that_match_nothing_are_the_authors_to_change(tmp_path, table):
    work, _ = lora_work(tmp_path, table, target_modules=["q_proj", "query"])
    assert start(work, tmp_path).wait(200) == 10
    said = json.loads((tmp_path / "termination-0.json").read_text())
    assert said["reason"] == "TargetNotFound"
    assert "no linear layer query; it has down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in said["message"]
