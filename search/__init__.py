"""Deciding: pure search policies, and the one driver that runs any of them."""
