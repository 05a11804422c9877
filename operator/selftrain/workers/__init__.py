"""What runs in the pods: one recipe a stage, thin seams around the engines, and the exit-code contract."""
