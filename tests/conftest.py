"""Fixtures for all tests."""

from tests.vllm_fixtures import vllm_engine

__all__ = ["vllm_engine"]
