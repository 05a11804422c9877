"""What goes with examples that cannot be learnt from, so that the rest is as even as it was selected."""

from collections.abc import Collection, Iterable, Sequence

from selftrain.api.records import Drop, Order

Prompt = tuple[str, str]
"""A pair and the order in which it is shown."""


def left_out(prompts: Sequence[Prompt], unfit: Collection[int], *, mirrored: bool) -> dict[int, Drop]:
    """The examples that are not learnt from, by number, with the reason. `prompts` are those of all examples, in their drawn order.

    Selection has made both letters right equally often, and if `mirrored` a pair was judged right in both orders. So the other order
    of what does not fit goes too, if it is there (of DPO's pairs an order without a contrast is not); and of the letter that is then
    right more often, the ordered pairs drawn last.
    """
    drops = dict.fromkeys(unfit, Drop.TOO_LONG)
    if not drops:
        return drops
    fit = {prompt for number, prompt in enumerate(prompts) if number not in drops}
    torn = {pair for pair, _ in set(prompts) - fit} if mirrored else set()
    alone = {prompt for prompt in fit if prompt[0] in torn}
    even = _even(prompt for prompt in dict.fromkeys(prompts) if prompt in fit and prompt not in alone)
    for number, prompt in enumerate(prompts):
        if prompt in alone:
            drops.setdefault(number, Drop.MIRROR_NOT_KEPT)
        elif prompt not in even:
            drops.setdefault(number, Drop.UNBALANCED)
    return drops


def _even(prompts: Iterable[Prompt]) -> set[Prompt]:
    """As many of each order, the first ones."""
    known = list(prompts)
    by_order = [[prompt for prompt in known if prompt[1] == order.value] for order in Order]
    size = min(map(len, by_order))
    return {prompt for own in by_order for prompt in own[:size]}
