"""Settings: read whole, closed, with messages that name the variable."""

import pytest

from selftrain.controller.settings import SettingsError, read_settings

GIVEN = {
    "PATH": "/bin",
    "SELFTRAIN_IMAGE_CONTROLLER": "c",
    "SELFTRAIN_IMAGE_GENERATE": "g",
    "SELFTRAIN_IMAGE_TRAIN": "t",
    "SELFTRAIN_OWN_NAMESPACE": "system",
    "SELFTRAIN_IDENTITY": "pod-1",
}


def test_what_is_not_given_has_a_default() -> None:
    settings = read_settings(GIVEN)
    assert (settings.namespaces, settings.workers, settings.resync_seconds) == ((), 4, 300)
    assert settings.defaults.images.train == "t"


def test_lists_and_objects_are_read_from_text() -> None:
    settings = read_settings(
        {**GIVEN, "SELFTRAIN_NAMESPACES": "a, b", "SELFTRAIN_PODS": '{"nodeSelector": {"x": "y"}}', "SELFTRAIN_WORKERS": "2"}
    )
    assert settings.namespaces == ("a", "b")
    assert settings.pods.node_selector == {"x": "y"}
    assert settings.workers == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SELFTRAIN_WORKER", "4"),
        ("SELFTRAIN_WORKERS", "0"),
        ("SELFTRAIN_WORKERS", "many"),
        ("SELFTRAIN_PODS", '{"imag": "x"}'),
        ("SELFTRAIN_PODS", "no json"),
        ("SELFTRAIN_IMAGE_TRAIN", ""),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({**GIVEN, name: value})


def test_what_is_wrong_within_a_variable_is_named() -> None:
    with pytest.raises(SettingsError, match=r"SELFTRAIN_PODS\.resources\.limits\.cpu: "):
        read_settings({**GIVEN, "SELFTRAIN_PODS": '{"resources": {"limits": {"cpu": 1}}}'})


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="SELFTRAIN_IDENTITY"):
        read_settings({name: value for name, value in GIVEN.items() if name != "SELFTRAIN_IDENTITY"})
