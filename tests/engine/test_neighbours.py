"""Examples that are packed together do not see each other, whatever the model's layers are."""

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]  # the engine's own warnings are its makers' affair


@pytest.mark.parametrize(("rows", "key_heads", "value_size"), [(1, 4, 12), (1, 2, 12), (1, 4, 8), (2, 2, 16)])
@pytest.mark.parametrize("short", [0, 512])
def test_blocks_are_causal_attention_each(torch, monkeypatch, rows, key_heads, value_size, short):
    """Values need not be as long as keys: in latent attention (DeepSeek) they are shorter."""
    from selftrain.workers import attention

    monkeypatch.setattr(attention, "SHORT", short)
    torch.manual_seed(0)
    shapes = (4, 12), (key_heads, 12), (key_heads, value_size)
    query, key, value = (torch.randn(rows, heads, 11, size) for heads, size in shapes)
    found, _ = attention.attend_in_blocks(None, query, key, value, None, scaling=0.3, bounds=(0, 4, 11))
    for block in (slice(0, 4), slice(4, 11)):
        q, k, v = query[:, :, block], *(x[:, :, block].repeat_interleave(4 // key_heads, dim=1) for x in (key, value))
        hidden = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1)
        expected = (q @ k.transpose(2, 3) * 0.3).masked_fill(hidden, float("-inf")).softmax(-1) @ v
        torch.testing.assert_close(found[:, block], expected.transpose(1, 2))
