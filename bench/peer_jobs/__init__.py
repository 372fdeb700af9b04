"""The same job as users of each library write it: best of n with a fake model, one file a library. Their lines are counted.

A file runs in its library's own environment, which has no burnish in it, so what all share is loaded by path.
"""
