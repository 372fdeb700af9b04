"""Runs a model's Python against tests, confined by the kernel. What is prevented and what is not: docs/sandbox.md.

The package is used from two sides. `layers.py` and `program.py` belong to burnish. All else runs within the sandbox,
in an interpreter that sees the standard library only, and imports this folder as a package of its own; so nothing there
may import the rest of burnish.
"""
