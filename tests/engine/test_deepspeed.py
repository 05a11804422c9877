"""The real DeepSpeed with the micro model: it computes what a plain loop would, and a training can be stopped anywhere.

Trainers live in this process, one rank. Whole trainings are worker processes on a folder store, killed and started again.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import pytest

from selftrain.api.records import Manifest, Part, Work
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import Train
from selftrain.storage.commit import commit, read_manifest
from selftrain.storage.digests import file_digest
from selftrain.storage.open import open_store
from selftrain.storage.tables import EXAMPLES, write_table
from selftrain.workers.corpus import write_corpus
from selftrain.workers.packing import micro_batches, updates_of_epoch

MODEL = Path(__file__).parents[1] / "fixtures/micro/model"
OPERATOR = Path(__file__).parents[2] / "operator"
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # the engine's own warnings are its makers' affair
WORDS = "a cat sat on the mat and saw another dog with some food near an old house".split()
SETTINGS = Train(
    learning_rate="0.001", warmup_steps=2, epochs=2, tokens_per_update=600, sequence_length=256, zero_stage=1,
    activation_checkpointing=False, save_every_steps=4,
)  # fmt: skip


def example(i):
    text = " ".join(WORDS[(i * k + k) % len(WORDS)] for k in range(5 + i % 40))
    messages = [{"role": "user", "content": text}]
    return {"pair_id": str(i), "order": "AB", "sample": 0, "messages": messages, "completion": f"{text[:60]} [[{'AB'[i % 2]}]]"}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "examples.parquet"
    write_table([example(i) for i in range(80)], EXAMPLES, path)
    return path


@pytest.fixture(scope="module")
def corpus(table, tmp_path_factory):
    return write_corpus(MODEL, [table], 256, tmp_path_factory.mktemp("corpus"), contrasts=False)


@pytest.fixture(scope="module")
def torch():
    os.environ["DS_ACCELERATOR"] = "cpu"
    os.environ.update(MASTER_ADDR="127.0.0.1", RANK="0", WORLD_SIZE="1", LOCAL_RANK="0")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        os.environ["MASTER_PORT"] = str(probe.getsockname()[1])
    import torch

    torch.set_num_threads(1)
    import deepspeed

    deepspeed.ops.__compatible_ops__ = {}
    deepspeed.init_distributed("gloo")
    yield torch
    torch.distributed.destroy_process_group()


def trainer_of(settings=SETTINGS, *, bf16=True):
    from selftrain.workers.ranks import Ranks
    from selftrain.workers.trainer import Trainer

    return Trainer(MODEL, settings, Ranks(), bf16=bf16)


def batches_of(torch, corpus, examples, capacity=256):
    from selftrain.workers.batches import batch_of

    return [batch_of(corpus, batch, torch.device("cpu")) for batch in micro_batches(examples, corpus.sizes, 1, capacity)[0]]


def plain_model(torch, dtype):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(MODEL, dtype=dtype, attn_implementation="sdpa").train()


def plain_loss(torch, model, corpus, examples):
    """The loss as one would write it without any packing: each example alone, labels of the prompt masked."""
    total = 0.0
    for i in examples:
        ids = torch.tensor(corpus.tokens[corpus.starts[i] :][: corpus.lengths[i]].astype("int64"))
        labels = ids.clone()
        labels[: corpus.prompts[i]] = -100
        logits = model(input_ids=ids[None]).logits[0, :-1].float()
        total = total + torch.nn.functional.cross_entropy(logits, labels[1:], reduction="sum")
    return total / corpus.better(examples)


def likelihood(corpus, examples):
    from selftrain.workers.objectives import Likelihood

    return Likelihood(corpus.better(examples))


def gradients(trainer, batches, objective):
    """Gradients of one update, caught before the step."""
    from deepspeed.utils import safe_get_full_grad

    found, step = {}, trainer._engine.step

    def catch():
        found.update((name, safe_get_full_grad(p).float().clone()) for name, p in trainer.model.named_parameters())
        step()

    trainer._engine.step = catch
    loss = trainer.update(batches, objective, rate=0.0)
    trainer._engine.step = step
    return loss, found


def difference(torch, found, expected):
    """Relative difference of all gradients taken as one vector."""
    apart = torch.cat([(found[name] - expected[name]).flatten() for name in expected])
    return float(apart.norm() / torch.cat([value.flatten() for value in expected.values()]).norm())


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


BETA, NLL_SCALE = 0.1, 1.5


@pytest.fixture(scope="module")
def contrasts(tmp_path_factory):
    """Each example beside a worse completion."""
    path, folder = tmp_path_factory.mktemp("contrasts") / "examples.parquet", tmp_path_factory.mktemp("corpus")
    rows = [example(i) | {"rejected": f"{example(i + 3)['completion'][:40]} [[{'BA'[i % 2]}]]"} for i in range(40)]
    write_table(rows, EXAMPLES, path)
    return write_corpus(MODEL, [path], 256, folder, contrasts=True)


def plain_logarithm(torch, model, corpus, sequence):
    ids = torch.tensor(corpus.tokens[corpus.starts[sequence] :][: corpus.lengths[sequence]].astype("int64"))
    chances = model(input_ids=ids[None]).logits[0, :-1].float().log_softmax(-1)
    return chances.gather(1, ids[1:, None])[corpus.prompts[sequence] - 1 :].sum()


def plain_preference(torch, model, reference, corpus, examples):
    """DPO as its paper writes it, each sequence alone, and the better completions' mean likelihood a token beside it."""
    loss, nll, tokens = 0.0, 0.0, 0
    for better, worse in ((2 * i, 2 * i + 1) for i in examples):
        with torch.no_grad():
            before = [plain_logarithm(torch, reference, corpus, sequence) for sequence in (better, worse)]
        now = [plain_logarithm(torch, model, corpus, sequence) for sequence in (better, worse)]
        loss = loss - torch.nn.functional.logsigmoid(BETA * ((now[0] - before[0]) - (now[1] - before[1])))
        nll, tokens = nll - now[0], tokens + corpus.lengths[better] - corpus.prompts[better]
    return loss / len(examples) + NLL_SCALE * nll / tokens


def preference(trainer, torch, corpus, examples):
    from selftrain.workers.objectives import Preference

    reference = trainer.measure(batches_of(torch, corpus, examples, 512))
    return Preference(BETA, NLL_SCALE, len(examples), corpus.better(examples), reference)


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


def work_of(folder, table, **settings):
    """A run whose select stage is done, ready to train."""
    spec = {
        "model": {"uri": f"file://{MODEL}"},
        "store": {"uri": f"file://{folder / 'store'}"},
        "instructions": {"uri": "file:///nowhere"},
        "train": SETTINGS.model_copy(update=settings).model_dump(),
    }
    work = Work.model_validate({"run": {"name": "r", "uid": "u"}, "iteration": 1, "stage": "train", "attempt": 1, "spec": spec})
    store = open_store(work.spec.store)
    if read_manifest(store, work.layout, Step(1, Stage.SELECT)) is None:
        part = Part(key="examples.parquet", sha256=file_digest(table), bytes=table.stat().st_size, rows=80)
        store.upload(table, part.key)
        commit(store, work.layout, Manifest(run="r", iteration=1, stage=Stage.SELECT, attempt=1, work="0" * 64, inputs={}, parts=[part]))
    return work, store


def start(work, folder, index=0, rendezvous=None):
    environment = {
        **os.environ,
        "SELFTRAIN_WORK": work.model_dump_json(),
        "SELFTRAIN_SCRATCH": str(folder / "scratch"),
        "SELFTRAIN_TERMINATION": str(folder / f"termination-{index}.json"),
        "JOB_COMPLETION_INDEX": str(index),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(OPERATOR),
    }
    for name in ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK", "DS_ACCELERATOR"):
        environment.pop(name, None)  # of the trainers in this process
    if rendezvous:
        environment["SELFTRAIN_RENDEZVOUS"] = rendezvous
    log = (folder / f"log-{index}.txt").open("ab")
    return subprocess.Popen([sys.executable, "-m", "selftrain.workers"], env=environment, stdout=log, stderr=log, start_new_session=True)


def wait_for_state(store, process, seconds=300):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if any(info.key.endswith(".json") for info in store.list("default/r-u/iteration-001/train/states/")):
            return
        time.sleep(0.05)
    pytest.fail("no state was stored")


def ranks_of(folder):
    """Processes of the ranks that were ordered from this folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"selftrain.workers.train_rank" in words and b"torch.distributed.run" not in words and str(folder).encode() in words[-2]:
            yield int(path.parent.name)


def weights(store, manifest):
    return {Path(part.key).name: part.sha256 for part in manifest.parts if part.key.endswith(".safetensors")}


def losses(store, manifest):
    part = next(part for part in manifest.parts if part.key.endswith("training.json"))
    return json.loads(store.read(part.key))["losses"]


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
