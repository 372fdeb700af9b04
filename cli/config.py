"""`burnish config`: what a command would go by here, and where each value comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias, cast

import typer

from ..core.budget import Budget
from ..core.ids import Json, as_json, canonical_json
from ..core.redact import redact
from . import completion
from .engines import DEFAULT
from .groups import ShowByDefault
from .options import AsJson, Concurrency, Engine, EngineArg, Limits, Model, Role, Seed, Setting, Store, Verifier
from .output import emit, say, show_table
from .project import Source, sources, user_file
from .values import pairs

app = typer.Typer(cls=ShowByDefault, help="Defaults, and where they come from: show.", rich_markup_mode=None)

Origin: TypeAlias = Literal["flag", "environment", "project", "user", "default"]
_DEFAULTS: Mapping[str, Json] = {
    "engine": DEFAULT,
    "store": "sqlite:///burnish.db",
    "verifier": None,
    "concurrency": 16,
    "seed": 0,
}


@dataclass(frozen=True)
class Value:
    """A value, and where it comes from."""

    name: str
    value: Json
    """Without secrets."""
    origin: Origin
    where: str
    """The flag, the variable or the file; empty for a default."""


@dataclass(frozen=True)
class Given:
    """What a flag, or its variable, says."""

    value: Any
    origin: Origin
    where: str


@app.callback()
def _group() -> None:
    """A group even with a single command."""


@app.command("show")
def show_config(
    ctx: typer.Context,
    graph: Annotated[
        str | None,
        typer.Argument(metavar="[GRAPH]", help="Also the settings of this graph.", autocompletion=completion.graphs),
    ] = None,
    engine: Engine = None,
    engine_arg: EngineArg = None,
    model: Model = None,
    role: Role = None,
    verifier: Verifier = None,
    budget: Limits = None,
    setting: Setting = None,
    seed: Seed = None,
    concurrency: Concurrency = None,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Show each value that burnish run would go by, with its origin: flag, environment, project file, user file, default.

    Takes the flags of burnish run. With --json, data is {values: [{name, value, origin, where}], files: [...]}.
    """
    words = ("engine", "engine_arg", "model", "role", "verifier", "budget", "setting", "seed", "concurrency", "store")
    given = {name: found for name in words if (found := _given(ctx, name)) is not None}
    if graph is not None:
        _check_name(graph)
    files = sources()
    values = [_hidden(value) for value in resolved(given, files, graph)]
    if as_json:
        emit({"values": [asdict(value) for value in values], "files": [str(source.path) for source in files]})
        return 0
    rows = [[v.name, "-" if v.value is None else _text(v.value), v.origin, v.where] for v in values]
    show_table(["NAME", "VALUE", "ORIGIN", "WHERE"], rows)
    if not any(source.origin == "user" for source in files):
        say(f"there is no user file; it would be {user_file()}")
    return 0


def resolved(given: Mapping[str, Given], files: Iterable[Source], graph: str | None) -> Iterator[Value]:
    """Every value, the first origin that has it before all others.

    Raises:
        ConfigError: a flag, a variable or a file says what cannot be.
    """
    files = list(files)
    for name, default in _DEFAULTS.items():
        yield next(_simple(name, given, files), Value(name, default, "default", ""))
    yield from _simple("redact", {}, files)
    engine = next(_simple("engine", given, files), Value("engine", DEFAULT, "default", "")).value
    arguments = _pairs(given.get("engine_arg"), "--engine-arg")
    if "model" in given:
        arguments["model"] = given["model"]
    yield from _table("engines", {str(engine): arguments}, files)
    yield from _roles(given, files)
    yield from _budget(given, files)
    settings = _pairs(given.get("setting"), "--set")
    yield from _table("graphs", {graph or "*": settings}, files)
    if graph is not None:
        set_already = settings.keys() | {k for f in files for k in f.values.get("graphs", {}).get(graph, {})}
        yield from (v for v in _graph_defaults(graph) if v.name.rpartition(".")[2] not in set_already)


def _simple(name: str, given: Mapping[str, Given], files: Iterable[Source]) -> Iterator[Value]:
    if name in given:
        yield Value(name, given[name].value, given[name].origin, given[name].where)
    for source in files:
        if name in source.values:
            yield Value(name, source.values[name], source.origin, str(source.path))


def _table(table: str, given: Mapping[str, Mapping[str, Given]], files: Iterable[Source]) -> Iterator[Value]:
    """Tables that are merged key by key."""
    found: dict[str, Value] = {}
    for name, inner in given.items():
        for key, one in inner.items():
            full = f"{table}.{name}.{key}"
            found[full] = Value(full, as_json(one.value), one.origin, one.where)
    for source in files:
        tables = cast("Mapping[str, Mapping[str, Any]]", source.values.get(table, {}))
        for name, inner in tables.items():
            for key, value in inner.items():
                full = f"{table}.{name}.{key}"
                found.setdefault(full, Value(full, as_json(value), source.origin, str(source.path)))
    return iter(sorted(found.values(), key=lambda value: value.name))


def _roles(given: Mapping[str, Given], files: Iterable[Source]) -> Iterator[Value]:
    """Engines of single roles, each from the first origin that has it."""
    found = {
        role: Value(f"roles.{role}", as_json(g.value), g.origin, g.where)
        for role, g in _pairs(given.get("role"), "--role").items()
    }
    for source in files:
        for role, engine in source.values.get("roles", {}).items():
            found.setdefault(role, Value(f"roles.{role}", engine, source.origin, str(source.path)))
    return iter(sorted(found.values(), key=lambda value: value.name))


def _budget(given: Mapping[str, Given], files: Iterable[Source]) -> Iterator[Value]:
    """The limits; they are of one origin."""
    found = next(_simple("budget", given, files), None)
    if found is not None:
        limits = Budget.of(cast("Any", found.value)).to_json()
        yield from (Value(f"budget.{name}", limit, found.origin, found.where) for name, limit in limits.items())


def _check_name(graph: str) -> None:
    """Refuse what no run could name, in the words of a run; what a target names is not imported."""
    from ..graphs.registry import build_graph, is_graph

    if not is_graph(graph):
        build_graph(graph)


def _graph_defaults(graph: str) -> Iterator[Value]:
    from ..graphs.registry import BUILTIN

    if graph in BUILTIN:
        for name, setting in BUILTIN[graph].settings.model_fields.items():
            yield Value(f"graphs.{graph}.{name}", as_json(setting.default), "default", "")


def _given(ctx: typer.Context, name: str) -> Given | None:
    """What the command line or a variable says for a parameter."""
    source = getattr(ctx.get_parameter_source(name), "name", "")
    parameter = next(p for p in ctx.command.params if p.name == name)
    if source == "COMMANDLINE":
        return Given(ctx.params[name], "flag", parameter.opts[0])
    if source == "ENVIRONMENT":
        return Given(ctx.params[name], "environment", str(getattr(parameter, "envvar", "")))
    return None


def _pairs(given: Given | None, flag: str) -> dict[str, Given]:
    if given is None:
        return {}
    return {key: Given(value, given.origin, given.where) for key, value in pairs(given.value, flag).items()}


def _hidden(value: Value) -> Value:
    """Without secrets, as it would be stored."""
    name = value.name.rpartition(".")[2]
    plain = cast("Mapping[str, Json]", redact({name: value.value}))
    return replace(value, value=plain[name])


def _text(value: Json) -> str:
    return value if isinstance(value, str) else canonical_json(value)
