"""The same planner and the same workers on one machine, without a cluster."""
