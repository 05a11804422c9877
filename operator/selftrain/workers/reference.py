"""What the model of a DPO training thought of every sequence before, measured once and kept in the run's store."""

import logging
from collections.abc import Callable

from pydantic import ValidationError

from selftrain.api.base import ApiModel
from selftrain.api.records import Digest
from selftrain.storage.digests import canonical_json
from selftrain.storage.open import open_store
from selftrain.storage.protocol import ObjectNotFound, ObjectStore
from selftrain.workers.order import RunOrder
from selftrain.workers.ranks import Ranks
from selftrain.workers.states import Dtype

log = logging.getLogger(__name__)

Values = dict[int, float]


class Reference(ApiModel):
    """The object in the store."""

    work: Digest
    dtype: Dtype
    values: Values
    """Logarithm of the probability of each sequence's completion, by the sequence's number in the corpus."""


def reference(order: RunOrder | None, ranks: Ranks, dtype: Dtype, measure: Callable[[], Values]) -> Values:
    """The values of all ranks: those that the same work measured in the same numbers before, else those that `measure` gives now.

    To measure takes a pass over all examples, a third of an epoch's time: it would be lost with every restart.
    """
    store = open_store(order.work.spec.store) if order and ranks.is_first else None
    found = ranks.from_first(lambda: _read(store, order, dtype) if store and order else None)
    if found is not None:
        log.info("the reference of %d sequences is in the store", len(found))
        return found
    values = {sequence: value for part in ranks.gather(measure()) for sequence, value in part.items()}
    if store and order:
        kept = Reference(work=order.digest, dtype=dtype, values=values)
        store.write(_key(order), canonical_json(kept.model_dump(mode="json")))
    return values


def _read(store: ObjectStore, order: RunOrder, dtype: Dtype) -> Values | None:
    try:
        kept = Reference.model_validate_json(store.read(_key(order)))
    except (ObjectNotFound, ValidationError):
        return None
    return kept.values if (kept.work, kept.dtype) == (order.digest, dtype) else None


def _key(order: RunOrder) -> str:
    return order.work.layout.reference(order.work.iteration)
