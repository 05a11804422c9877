"""States in the store, as one rank handles them."""

from types import SimpleNamespace

import pytest

from helpers.trainings import work_of
from selftrain.workers.order import RunOrder
from selftrain.workers.states import Dtype, Progress, States

pytestmark = pytest.mark.engine
ALONE = SimpleNamespace(rank=0, count=1, is_first=True, from_first=lambda make: make(), gather=lambda part: [part])


class Saving:
    """A trainer whose state is a text."""

    loaded = None

    def save(self, folder, tag):
        (folder / tag).mkdir(parents=True)
        (folder / tag / "state.pt").write_text(tag)
        return [folder / tag / "state.pt"]

    def load(self, folder, tag):
        self.loaded = (folder / tag / "state.pt").read_text()


@pytest.fixture
def states_of(tmp_path, table):
    """States of work with a digest."""
    work, store = work_of(tmp_path, table)
    return lambda digest, dtype=Dtype.FLOAT32: States(
        store, RunOrder(work=work, digest=digest * 64, inputs={}), ALONE, tmp_path / "rank", dtype
    )


@pytest.mark.parametrize("other", [("b",), ("a", Dtype.BFLOAT16)])
@pytest.mark.parametrize("others", [(900, 1000), (100, 200)])
def test_states_of_other_work_or_numbers_are_in_nobodys_way(states_of, others, other):
    """As another version leaves them: neither gone on from nor kept instead of newer ones, later or as late as they may be."""
    ours, trainer = states_of("a"), Saving()
    for steps in others:
        states_of(*other).save(trainer, Progress(steps=steps))
    assert ours.restore(trainer) == Progress()
    for steps in (100, 200, 300):
        ours.save(trainer, Progress(steps=steps))
        assert ours.restore(trainer).steps == steps
    assert trainer.loaded == "00000300"
    assert states_of(*other).restore(trainer) == Progress()
