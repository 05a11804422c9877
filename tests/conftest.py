"""Settings of all tests."""

from hypothesis import settings

settings.register_profile("any-machine", deadline=None)  # a machine that is busy is no failure; pytest's timeout ends what hangs
settings.load_profile("any-machine")
