"""burnish: agent graphs with verifier-driven search, every call, candidate and verdict kept in SQL.

Each name is imported when it is first used, so that `import burnish` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agents.critic import Critic
    from .agents.refiner import Refiner
    from .agents.solver import Solver
    from .core.budget import Budget
    from .core.candidate import Candidate
    from .core.completion import Completion
    from .core.context import Context
    from .core.engine import Capabilities, Engine, EngineInfo
    from .core.errors import (
        BudgetExhausted,
        BurnishError,
        Cancelled,
        ConfigError,
        EngineUnavailable,
        Fenced,
        GenerationFailed,
        ReplayMismatch,
        RetrievalFailed,
        StoreError,
        VerifierFailed,
        Waiting,
    )
    from .core.human import Question, Reply
    from .core.policy import Expansion, Moves, Policy, Probe, Scored, Selection, TaskView
    from .core.prompt import ImagePart, Message, Prompt, TextPart
    from .core.proposer import Proposal, Proposer
    from .core.result import Result
    from .core.runs import Usage
    from .core.sampling import Sampling
    from .core.task import Task
    from .core.verdict import Verdict, Verifier
    from .engine.scripted import ScriptedEngine
    from .engine.server import ServerEngine
    from .engine.vllm import VLLMEngine
    from .graphs.nodes import search_node
    from .loop import run
    from .search.beam import Beam
    from .search.driver import run_search
    from .search.iad import IAD
    from .search.policies import BestOfN, Majority, Single
    from .search.rebase import Rebase
    from .search.tree_of_thought import TreeOfThought
    from .session import Session
    from .verifiers.registry import make_verifier

__version__ = "0.1.0"

_MODULES = {
    "Beam": "search.beam",
    "BestOfN": "search.policies",
    "Budget": "core.budget",
    "BudgetExhausted": "core.errors",
    "BurnishError": "core.errors",
    "Cancelled": "core.errors",
    "Candidate": "core.candidate",
    "Capabilities": "core.engine",
    "Completion": "core.completion",
    "ConfigError": "core.errors",
    "Context": "core.context",
    "Critic": "agents.critic",
    "Engine": "core.engine",
    "EngineInfo": "core.engine",
    "EngineUnavailable": "core.errors",
    "Expansion": "core.policy",
    "Fenced": "core.errors",
    "GenerationFailed": "core.errors",
    "IAD": "search.iad",
    "ImagePart": "core.prompt",
    "Majority": "search.policies",
    "Message": "core.prompt",
    "Moves": "core.policy",
    "Policy": "core.policy",
    "Probe": "core.policy",
    "Prompt": "core.prompt",
    "Proposal": "core.proposer",
    "Proposer": "core.proposer",
    "Question": "core.human",
    "Rebase": "search.rebase",
    "Refiner": "agents.refiner",
    "ReplayMismatch": "core.errors",
    "Reply": "core.human",
    "Result": "core.result",
    "RetrievalFailed": "core.errors",
    "Sampling": "core.sampling",
    "Scored": "core.policy",
    "ScriptedEngine": "engine.scripted",
    "Selection": "core.policy",
    "ServerEngine": "engine.server",
    "Session": "session",
    "Single": "search.policies",
    "Solver": "agents.solver",
    "StoreError": "core.errors",
    "Task": "core.task",
    "TaskView": "core.policy",
    "TextPart": "core.prompt",
    "TreeOfThought": "search.tree_of_thought",
    "Usage": "core.runs",
    "VLLMEngine": "engine.vllm",
    "Verdict": "core.verdict",
    "Verifier": "core.verdict",
    "VerifierFailed": "core.errors",
    "Waiting": "core.errors",
    "make_verifier": "verifiers.registry",
    "run": "loop",
    "run_search": "search.driver",
    "search_node": "graphs.nodes",
}

__all__ = [
    "IAD",
    "Beam",
    "BestOfN",
    "Budget",
    "BudgetExhausted",
    "BurnishError",
    "Cancelled",
    "Candidate",
    "Capabilities",
    "Completion",
    "ConfigError",
    "Context",
    "Critic",
    "Engine",
    "EngineInfo",
    "EngineUnavailable",
    "Expansion",
    "Fenced",
    "GenerationFailed",
    "ImagePart",
    "Majority",
    "Message",
    "Moves",
    "Policy",
    "Probe",
    "Prompt",
    "Proposal",
    "Proposer",
    "Question",
    "Rebase",
    "Refiner",
    "ReplayMismatch",
    "Reply",
    "Result",
    "RetrievalFailed",
    "Sampling",
    "Scored",
    "ScriptedEngine",
    "Selection",
    "ServerEngine",
    "Session",
    "Single",
    "Solver",
    "StoreError",
    "Task",
    "TaskView",
    "TextPart",
    "TreeOfThought",
    "Usage",
    "VLLMEngine",
    "Verdict",
    "Verifier",
    "VerifierFailed",
    "Waiting",
    "make_verifier",
    "run",
    "run_search",
    "search_node",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
