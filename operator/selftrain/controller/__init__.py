"""The operator: events wake it, one reconcile function looks and acts, one status write tells.

    kopf events ──► queue ──► reconcile: observe ──► plan ──► act ──► report
                      ▲                                                  │
                      └──────────── look again at, slow resync ──────────┘

Nothing is remembered that cannot be observed again, so it may be killed after any line.
"""
