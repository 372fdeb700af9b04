"""Decoding: engines, and thin layers around them.

`scripted.py` is the deterministic engine for tests and examples, `vllm.py` the one that runs models. Layers are engines
too, each one thing: `Retrying(Limited(engine, 64))` sends at most 64 calls at once and repeats those that fail for a
passing reason; a call that waits to be repeated keeps no place. `registry.py` makes engines by name.
"""
