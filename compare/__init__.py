"""Comparing methods: the same tasks, models and seeds, at budgets that are stated, with intervals.

A comparison is a plan (`plan.py`), whose arms are carried out as batches in the store (`carry.py`) or replayed on a
stored pool of samples (`replay.py`); both give trials (`trial.py`), which are summed up (`summary.py`) and shown
(`report.py`, `plot.py`). Nothing here counts what the trace does not hold.
"""
