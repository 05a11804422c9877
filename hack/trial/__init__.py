"""selftrain on a cluster for a trial: install, upload, apply, follow. Used by `make demo` and the end-to-end tests."""
