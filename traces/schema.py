"""The tables. One schema for SQLite and PostgreSQL.

Ids are 32 hexadecimal digits, times are nanoseconds since 1970 (UTC), money is millionths of a US dollar, JSON is text:
all of it can be read with plain `sqlite3`. A long text is stored once, in `blob`, under its content hash (`..._sha`
columns); its first characters stand beside the hash in the clear.

`seq` numbers the facts of a run from 1 without gaps, in the order in which they were written. A call and a step are two
facts, their beginning (`seq`) and their end (`ended_seq`); a budget entry carries the number of the fact it belongs to.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[str]:
    return Column("id", String(32), primary_key=True)


def _run_id() -> Column[str]:
    return Column("run_id", String(32), ForeignKey("run.id", ondelete="CASCADE"), nullable=False)


def _seq() -> Column[int]:
    return Column("seq", Integer, nullable=False)


def _ns(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _sha(name: str, *, nullable: bool = True) -> Column[str]:
    return Column(name, String(32), nullable=nullable)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _one_of(column: str, *values: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(v) for v in values)})", name=column)


blob = Table(
    "blob",
    metadata,
    Column("sha", String(32), primary_key=True),
    Column("codec", String(8), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    _ns("created_ns"),
    _one_of("codec", "raw", "zstd"),
)

batch = Table("batch", metadata, _id(), _text("name"), _text("config"), _ns("created_ns"))

run = Table(
    "run",
    metadata,
    _id(),
    Column("batch_id", String(32), ForeignKey("batch.id", ondelete="SET NULL")),
    _text("task_id"),
    _text("graph"),
    Column("seed", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("outcome", String(16)),
    Column("score", Float),
    Column("answer", Text),
    _sha("answer_sha"),
    Column("candidate_id", String(32)),
    _text("budget_limit"),
    _text("error_code"),
    _text("error"),
    Column("owner", Text),
    Column("lease_epoch", Integer, nullable=False),
    _ns("heartbeat_ns", nullable=True),
    _ns("elapsed_ns"),
    _ns("created_ns"),
    _ns("started_ns", nullable=True),
    _ns("ended_ns", nullable=True),
    _text("code_version"),
    _sha("task_sha", nullable=False),
    _text("budget"),
    _text("settings"),
    _text("engines"),
    Column("forked_from", String(32)),
    Column("forked_at", Text),
    _one_of("status", "queued", "running", "waiting", "done", "failed", "interrupted"),
    _one_of("outcome", "verified", "rejected", "unverified", "no_answer"),
    Index(None, "batch_id", "id"),
    Index(None, "status", "id"),
    Index(None, "task_id"),
)

step = Table(
    "step",
    metadata,
    _id(),
    _run_id(),
    _seq(),
    Column("ended_seq", Integer),
    _text("position"),
    _text("node"),
    _text("parent"),
    Column("status", String(8), nullable=False),
    _count("attempts"),
    _ns("started_ns"),
    _ns("ended_ns", nullable=True),
    _text("error_code"),
    _text("error"),
    UniqueConstraint("run_id", "position"),
    _one_of("status", "running", "done", "failed"),
)

call = Table(
    "call",
    metadata,
    _id(),
    _run_id(),
    _seq(),
    Column("ended_seq", Integer),
    _text("position"),
    _text("step"),
    _text("kind"),
    _text("role"),
    _text("purpose"),
    _text("engine"),
    _text("model"),
    Column("state", String(10), nullable=False),
    _count("attempts"),
    _text("request_hash"),
    _sha("request_sha", nullable=False),
    _sha("prompt_sha"),
    Column("seed", BigInteger),
    Column("finish_reason", String(8)),
    Column("preview", Text),
    _sha("text_sha"),
    _sha("reasoning_sha"),
    _sha("tokens_sha"),
    _sha("detail_sha"),
    _sha("value_sha"),
    _count("prompt_tokens"),
    _count("cached_tokens"),
    _count("completion_tokens"),
    _count("reasoning_tokens"),
    _count("cost_micro_usd"),
    _text("error_code"),
    _text("error"),
    _ns("sent_ns"),
    Column("seconds", Float),
    UniqueConstraint("run_id", "position"),
    _one_of("state", "intent", "ok", "error", "cancelled", "refused"),
    _one_of("finish_reason", "stop", "boundary", "length", "aborted"),
)

candidate = Table(
    "candidate",
    metadata,
    _id(),
    _run_id(),
    _seq(),
    _text("position"),
    Column("kind", String(8), nullable=False),
    Column("parent_id", String(32)),
    Column("depth", Integer, nullable=False),
    Column("call_id", String(32)),
    Column("finish_reason", String(8), nullable=False),
    Column("partial", Boolean, nullable=False),
    Column("answer", Text),
    _sha("answer_sha"),
    _text("preview"),
    _sha("text_sha", nullable=False),
    _sha("reasoning_sha"),
    _sha("tokens_sha"),
    _ns("created_ns"),
    UniqueConstraint("run_id", "position"),
    _one_of("kind", "fresh", "continue", "refine", "repair", "merge"),
    _one_of("finish_reason", "stop", "boundary", "length", "aborted"),
)

candidate_parent = Table(
    "candidate_parent",
    metadata,
    Column("candidate_id", String(32), ForeignKey("candidate.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("parent_id", String(32), nullable=False),
    Index(None, "parent_id"),
)

verdict = Table(
    "verdict",
    metadata,
    _id(),
    _run_id(),
    _seq(),
    _text("position"),
    Column("candidate_id", String(32), nullable=False),
    _text("verifier"),
    _text("version"),
    Column("oracle", Boolean, nullable=False),
    Column("grading", Boolean, nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("score", Float),
    _text("reason"),
    _text("feedback"),
    _sha("feedback_sha"),
    _text("evidence"),
    _sha("evidence_sha"),
    Column("valid_prefix", Integer),
    Column("seconds", Float),
    _ns("created_ns"),
    UniqueConstraint("run_id", "position"),
    Index(None, "candidate_id"),
    _one_of("outcome", "pass", "fail", "abstain"),
    CheckConstraint("score >= 0 AND score <= 1", name="score"),
)

decision = Table(
    "decision",
    metadata,
    _id(),
    _run_id(),
    _seq(),
    _text("position"),
    _text("policy"),
    Column("selected", Text),
    Column("candidate_id", String(32)),
    _text("reason"),
    Column("confidence", Float),
    _text("details"),
    _text("options"),
    _ns("created_ns"),
    UniqueConstraint("run_id", "position"),
)

tell = Table(
    "tell",
    metadata,
    Column("run_id", String(32), ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    _seq(),
    _text("told"),
)

budget_entry = Table(
    "budget_entry",
    metadata,
    Column("run_id", String(32), ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Text, primary_key=True),
    Column("kind", String(8), primary_key=True),
    _seq(),
    _count("calls"),
    _count("tokens"),
    _count("output_tokens"),
    _count("verifier_calls"),
    _count("micro_usd"),
    _one_of("kind", "reserve", "settle"),
)
