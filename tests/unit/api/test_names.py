"""Names: valid in Kubernetes, different for different things."""

from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.conditions import REASONS, Reason
from selftrain.api.names import Layout, job_name
from selftrain.api.seeds import seed_of
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import NAME_LIMIT


def test_job_and_host_names_fit_in_63_characters() -> None:
    longest = job_name("x" * NAME_LIMIT, Step(50, Stage.GENERATE), 99)
    assert len(f"{longest}-999") <= 63


@given(st.integers(0, 50), st.sampled_from(Stage), st.integers(0, 50), st.sampled_from(Stage))
def test_different_steps_have_different_keys(i: int, one: Stage, j: int, other: Stage) -> None:
    layout = Layout("default", "judge", "0123456789")
    same = (i, one) == (j, other)
    assert (layout.manifest(Step(i, one)) == layout.manifest(Step(j, other))) is same
    assert layout.manifest(Step(i, one)).startswith("default/judge-01234567/")


def test_seeds_depend_on_every_part_and_fit_in_48_bits() -> None:
    seeds = {
        seed_of(1, "judge", 1, "a", "AB"),
        seed_of(1, "judge", 1, "a", "BA"),
        seed_of(2, "judge", 1, "a", "AB"),
        seed_of("1", "judge1", "a"),
    }
    assert len(seeds) == 4
    assert all(0 <= seed < 2**48 for seed in seeds)


def test_every_reason_has_a_sentence_and_advice() -> None:
    assert set(REASONS) == set(Reason)
