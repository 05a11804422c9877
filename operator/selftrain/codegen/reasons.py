"""The page of reasons: what each one means and what to do, from the tables in the API."""

from selftrain.api.conditions import CONDITIONS, REASONS, ConditionType, Reason

INTRODUCTION = """# Reasons

A run speaks through five conditions, which `kubectl describe selftrainrun NAME` shows. Each has a reason and a message; the message
names the field, file or pod that is meant. The reason of `Progressing` is the column STATUS of `kubectl get selftrainruns`.

A stalled run goes on where it stopped: at once when a limit that it met is raised (`deadlines`, `retries`), and after a file, a model or a
permission was mended, when `spec.suspend` is set to true and back to false. Most fields decide the result and cannot change in a run
([which can](api.md)): where the advice is about one of the others, it is for the manifest of a new run.

"""


def reasons_page() -> str:
    """Conditions as a table, then one section for each reason, so that other pages can link to it."""
    rows = [f"| `{kind}` | {CONDITIONS[kind]} |\n" for kind in ConditionType]
    table = "| condition | meaning |\n| --- | --- |\n" + "".join(rows)
    return INTRODUCTION + table + "".join(_section(reason) for reason in Reason)


def _section(reason: Reason) -> str:
    meaning, advice = REASONS[reason]
    return f"\n## {reason}\n\n{meaning}\n{advice}\n"
