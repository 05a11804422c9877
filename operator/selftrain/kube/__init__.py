"""Kubernetes as the rest of selftrain sees it: Jobs to make (pure), Jobs observed (pure), and a thin client.

The only package besides `selftrain.controller` that imports the Kubernetes client.
"""
