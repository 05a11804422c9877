"""The science: verdicts, pairs, votes, scores, statistics. Pure: no I/O, no clock, no randomness."""
