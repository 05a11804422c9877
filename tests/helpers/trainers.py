"""Trainers in this process, one rank, and what a plain loop computes without any packing."""

from helpers.fixtures import MODEL
from selftrain.api.training import Train
from selftrain.workers.packing import micro_batches, single_batches

WORDS = "a cat sat on the mat and saw another dog with some food near an old house".split()
SETTINGS = Train(
    learning_rate="0.001", warmup_steps=2, epochs=2, tokens_per_update=600, sequence_length=256, zero_stage=1,
    activation_checkpointing=False, save_every_steps=4,
)  # fmt: skip
BETA, NLL_SCALE = 0.1, 1.5


def example(i):
    text = " ".join(WORDS[(i * k + k) % len(WORDS)] for k in range(5 + i % 40))
    messages = [{"role": "user", "content": text}]
    return {
        "pair_id": str(i),
        "order": ("AB", "BA")[i % 2],
        "sample": 0,
        "messages": messages,
        "completion": f"{text[:60]} [[{'AB'[i % 2]}]]",
    }


def trainer_of(settings=SETTINGS, *, bf16=True, folder=MODEL):
    from selftrain.workers.ranks import Ranks
    from selftrain.workers.trainer import Trainer

    return Trainer(folder, settings, Ranks(), bf16=bf16)


def batches_of(torch, corpus, examples, capacity=256):
    from selftrain.workers.batches import batch_of

    (batches,) = micro_batches(examples, corpus.sizes, 1, capacity)
    return [batch_of(corpus, batch, torch.device("cpu"), packed=True) for batch in batches]


def unpacked(torch, corpus, examples):
    from selftrain.workers.batches import batch_of

    (batches,) = single_batches(examples, corpus.sizes, 1)
    return [batch_of(corpus, batch, torch.device("cpu"), packed=False) for batch in batches]


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


def plain_logarithm(torch, model, corpus, sequence):
    ids = torch.tensor(corpus.tokens[corpus.starts[sequence] :][: corpus.lengths[sequence]].astype("int64"))
    chances = model(input_ids=ids[None]).logits[0, :-1].float().log_softmax(-1)
    return chances.gather(1, ids[1:, None])[corpus.prompts[sequence] - 1 :].sum()


def plain_preference(torch, model, reference, corpus, examples):
    """DPO as its paper writes it, each sequence alone, and beside it the mean likelihood of the better one's tokens."""
    loss = 0.0
    for better, worse in ((2 * i, 2 * i + 1) for i in examples):
        with torch.no_grad():
            before = [plain_logarithm(torch, reference, corpus, sequence) for sequence in (better, worse)]
        now = [plain_logarithm(torch, model, corpus, sequence) for sequence in (better, worse)]
        loss = loss - torch.nn.functional.logsigmoid(BETA * ((now[0] - before[0]) - (now[1] - before[1])))
        loss = loss - NLL_SCALE * now[0] / (corpus.lengths[better] - corpus.prompts[better])
    return loss / len(examples)


def likelihood(corpus, examples):
    from selftrain.workers.objectives import Likelihood

    return Likelihood(corpus.better(examples))


def gradients(trainer, batches, objective):
    """Gradients of one update, caught before the step."""
    from deepspeed.utils import safe_get_full_grad

    found, step = {}, trainer._engine.step

    def catch():
        trained = [(name, p) for name, p in trainer.model.named_parameters() if p.requires_grad]
        found.update((name, safe_get_full_grad(p).float().clone()) for name, p in trained)
        step()

    trainer._engine.step = catch
    loss = trainer.update(batches, objective, rate=0.0)
    trainer._engine.step = step
    return loss, found


def difference(torch, found, expected):
    """Relative difference of all gradients taken as one vector."""
    apart = torch.cat([(found[name] - expected[name]).flatten() for name in expected])
    return float(apart.norm() / torch.cat([value.flatten() for value in expected.values()]).norm())


def preference(trainer, torch, corpus, examples):
    from selftrain.workers.objectives import Preference

    batches = batches_of(torch, corpus, examples, 512) if trainer.packs else unpacked(torch, corpus, examples)
    reference = trainer.measure(batches)
    return Preference(BETA, NLL_SCALE, len(examples), reference)
