"""What an update consists of, whatever the ranks, and that nothing is lost on the way."""

from collections import Counter
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from selftrain.workers.packing import all_updates, micro_batches, single_batches, updates_of_epoch

LENGTHS = st.lists(st.integers(2, 400), min_size=1, max_size=120)
TOKENS = st.integers(400, 5000)


@given(LENGTHS, TOKENS, st.integers(0, 9), st.integers(0, 3))
def test_every_example_is_in_one_update_of_an_epoch(lengths, tokens, seed, epoch):
    updates = updates_of_epoch(lengths, tokens, seed, epoch)
    assert sorted(chain.from_iterable(updates)) == list(range(len(lengths)))
    assert all(updates)


@given(LENGTHS, TOKENS, st.integers(0, 9))
def test_updates_are_about_as_large_as_asked_for(lengths, tokens, seed):
    updates = updates_of_epoch(lengths, tokens, seed, 0)
    mean = sum(lengths) / max(1, round(sum(lengths) / tokens))
    assert all(abs(sum(lengths[i] for i in update) - mean) <= max(lengths) for update in updates)


def test_an_epoch_smaller_than_an_update_is_one_update():
    assert len(updates_of_epoch([10, 20, 30], 1000, 1, 0)) == 1


def test_an_epoch_has_the_number_of_updates_closest_to_the_size_asked_for():
    assert len(updates_of_epoch([100] * 24, 1000, 1, 0)) == 2
    assert len(updates_of_epoch([100] * 26, 1000, 1, 0)) == 3


def test_the_order_follows_from_seed_and_epoch():
    lengths = [10 + i for i in range(50)]
    assert updates_of_epoch(lengths, 200, 1, 0) == updates_of_epoch(lengths, 200, 1, 0)
    assert updates_of_epoch(lengths, 200, 1, 0) != updates_of_epoch(lengths, 200, 1, 1)
    assert updates_of_epoch(lengths, 200, 1, 0) != updates_of_epoch(lengths, 200, 2, 0)
    both = list(all_updates(lengths, 200, 1, 2))
    assert both == updates_of_epoch(lengths, 200, 1, 0) + updates_of_epoch(lengths, 200, 1, 1)
    assert Counter(chain.from_iterable(both)) == dict.fromkeys(range(50), 2)


@given(LENGTHS, st.integers(1, 7), st.integers(400, 3000))
def test_ranks_share_an_update_in_equally_many_batches_that_fit(lengths, ranks, capacity):
    shares = micro_batches(tuple(range(len(lengths))), lengths, ranks, capacity)
    assert len(shares) == ranks
    assert len({len(share) for share in shares}) == 1
    batches = list(chain.from_iterable(shares))
    assert sorted(chain.from_iterable(batches)) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in batch) <= capacity for batch in batches)


@given(LENGTHS, TOKENS, st.integers(1, 4), st.integers(400, 3000))
def test_an_epoch_passes_over_every_example_once(lengths, tokens, ranks, capacity):
    shares = [micro_batches(update, lengths, ranks, capacity) for update in all_updates(lengths, tokens, 1, 1)]
    batches = [batch for share in shares for mine in share for batch in mine]
    assert sorted(chain.from_iterable(batches)) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in batch) <= capacity for batch in batches)
    assert len({sum(len(share[rank]) for share in shares) for rank in range(ranks)}) == 1


@given(LENGTHS, st.integers(1, 4), st.integers(400, 3000))
def test_batches_are_about_equally_large(lengths, ranks, capacity):
    batches = list(chain.from_iterable(micro_batches(tuple(range(len(lengths))), lengths, ranks, capacity)))
    sizes = [sum(lengths[i] for i in batch) for batch in batches]
    assert max(sizes) - min(sizes) <= max(lengths)


@given(LENGTHS, st.integers(1, 7))
def test_ranks_share_single_examples_too(lengths, ranks):
    shares = single_batches(tuple(range(len(lengths))), lengths, ranks)
    assert len(shares) == ranks
    assert len({len(share) for share in shares}) == 1
    batches = list(chain.from_iterable(shares))
    assert sorted(chain.from_iterable(batches)) == list(range(len(lengths)))
    assert max(len(batch) for batch in batches) == 1
    assert len(batches) < len(lengths) + ranks


def test_a_rank_without_an_example_gets_an_empty_batch():
    assert micro_batches((0,), [5], ranks=2, capacity=10) == [[(0,)], [()]]
