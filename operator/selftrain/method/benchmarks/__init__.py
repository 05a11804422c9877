"""The published benchmarks: their parts, their counts, and their own rules of scoring. Pure."""

from selftrain.method.benchmarks import judgebench, mtbench, pairs, rewardbench, rewardbench2, rmbench

NAMES = (rewardbench.NAME, rewardbench2.NAME, judgebench.NAME, rmbench.NAME, mtbench.NAME, pairs.NAME)
