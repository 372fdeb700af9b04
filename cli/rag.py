"""`burnish rag`: what more documents, worked examples and iterations are worth, from what was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from ..core.errors import ConfigError
from ..core.text import one_line
from .errors import OK
from .export import write_lines
from .lookup import batch_id, reader
from .options import AsJson, Store
from .output import count, emit, say, show, show_table

if TYPE_CHECKING:
    from ..compare.rag_measurements import Gathered
    from ..stats.allocation import Allocation, Informativeness
    from ..stats.allocation_fit import Measurement
    from ..stats.effective_length import Lengths

app = typer.Typer(help="Inference scaling of retrieval: fit, plan.", rich_markup_mode=None, no_args_is_help=True)

Curve: TypeAlias = Literal["fit", "reported", "none"]
_SHOWN = 5


@app.command("fit")
def fit(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Where the model is written, as JSON; written over.")],
    batch: Annotated[
        list[str] | None, typer.Option("--batch", metavar="ID", help="Runs of a batch, by id or name; repeatable.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All runs of the store.")] = False,
    graph: Annotated[
        list[str] | None,
        typer.Option("--graph", metavar="GRAPH", help="Whose runs are taken; repeatable.", show_default="drag, iter_drag"),
    ] = None,
    measurements: Annotated[
        list[Path] | None,
        typer.Option("--measurements", metavar="FILE", help="Measurements as CSV or JSON Lines; repeatable."),
    ] = None,
    scorer: Annotated[
        str, typer.Option("--scorer", metavar="NAME", help="Such as flashrag.f1.", show_default="the graders' own score")
    ] = "",
    sigmoid: Annotated[Curve, typer.Option("--sigmoid", help="Fitted to the data, the paper's, or none.")] = "fit",
    partial: Annotated[bool, typer.Option("--partial", help="Leave out coefficients that the measurements do not tell.")] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Fit the computation allocation model on recorded runs, on measurements in files, or both.

    With --json, data is {file, runs, left_out, uneven, measurements, model}; model is what the file holds.
    """
    from ..stats.allocation import REPORTED
    from ..stats.allocation_fit import fit as fit_model
    from .measurements import read_measurements

    if not (batch or every or measurements):
        raise ConfigError("say what is to be fitted on", hint="--batch ID, --all, or --measurements FILE")
    found = _gathered(store, batch or (), graph, scorer) if batch or every else None
    if found and not as_json:
        _tell(found)
    rows: list[Measurement] = list(found.measurements) if found else []
    rows += [row for file in measurements or () for row in read_measurements(file)]
    curve = {"fit": "fit", "reported": REPORTED, "none": None}[sigmoid]
    model = fit_model(rows, sigmoid=curve, partial=partial)  # pyright: ignore[reportArgumentType]
    write_lines(out, iter(json.dumps(model.to_json(), indent=1).split("\n")))
    about: dict[str, Any] = {"runs": found.runs if found else 0, "left_out": dict(found.left_out) if found else {}}
    if as_json:
        emit(
            {
                "file": str(out.absolute()),
                **about,
                "uneven": found.uneven if found else [],
                "measurements": len(rows),
                "model": model.to_json(),
            }
        )
        return OK
    _show_model(model, out)
    return OK


@app.command("plan")
def plan(
    model_file: Annotated[Path, typer.Argument(metavar="FILE", help="The model, as burnish rag fit writes it.")],
    budget: Annotated[
        float, typer.Option("--budget-tokens", min=1, help="Most prompt tokens for a question, over all its calls.")
    ],
    dataset: Annotated[
        str, typer.Option("--dataset", metavar="NAME", help="One that was measured.", show_default="if there is one only")
    ] = "",
    informativeness: Annotated[
        str,
        typer.Option(
            "--informativeness", metavar="D,S", help="For another: how much one document, and one shot, raise the score."
        ),
    ] = "",
    lengths: Annotated[
        list[str] | None,
        typer.Option(
            "--length",
            metavar="NAME=TOKENS",
            help="document, question, instruction, subquery, shot_subqueries; repeatable.",
            show_default="as measured",
        ),
    ] = None,
    extrapolate: Annotated[bool, typer.Option("--extrapolate", help="Beyond what was measured, too.")] = False,
    as_json: AsJson = False,
) -> int:
    """Predict the best number of documents, shots and iterations within a budget of prompt tokens.

    With --json, data is {documents, shots, iterations, x, value, tokens, budget_tokens, alternatives: [...], dropped}.
    """
    model = _read_model(model_file)
    i = _informativeness(model, dataset, informativeness)
    found = model.plan(i, budget, _lengths(model, lengths or ()), grid=model.grid(extrapolate=extrapolate))
    best, others = found[0], found[1:_SHOWN]
    if as_json:
        more = {"alternatives": [p.to_json() for p in others], "dropped": list(model.dropped)}
        emit({**best.to_json(), "budget_tokens": budget, **more})
        return OK
    rows = [[*map(str, p.configuration.values), f"{p.tokens:,.0f}", f"{p.value:+.2f}"] for p in (best, *others)]
    show_table(["DOCUMENTS", "SHOTS", "ITERATIONS", "TOKENS", "VALUE"], rows)
    if model.dropped:
        say(f"not known, taken to make no difference: {', '.join(model.dropped)}")
    return OK


def _gathered(store: str | None, batches: Sequence[str], graphs: Sequence[str] | None, scorer: str) -> Gathered:
    from ..compare.rag_measurements import GRAPHS, gather
    from ..core.target import absolute

    with reader(store) as found:
        ids = [batch_id(found, text) for text in batches] or [None]
        return gather(found, graphs=[absolute(g) for g in graphs] if graphs else GRAPHS, batches=ids, scorer=scorer)


def _tell(found: Gathered) -> None:
    say(f"{count(found.runs, 'run')}, {count(len(found.measurements), 'measured configuration')}")
    for why, number in sorted(found.left_out.items()):
        say(f"left out: {count(number, 'run')} {why}")
    for dataset in found.uneven:
        say(f"the configurations on {one_line(dataset)} were not all measured on the same tasks")


def _show_model(model: Allocation, out: Path) -> None:
    names = ("documents", "shots", "iterations")
    told = [
        (f"{a:+.3f}", _error(model, n), f"{b:+.3f}", _error(model, f"{n} x i"))
        for n, a, b in zip(names, model.a, model.b, strict=True)
    ]
    show_table(["DIMENSION", "A", "ERROR", "B", "ERROR"], [[n, *row] for n, row in zip(names, told, strict=True)])
    r2 = "-" if model.r2 is None else f"{model.r2:.3f}"
    show(f"c {model.c:+.3f}; R2 {r2}, mean squared error {model.mse or 0:.3f} on {count(model.measured, 'measurement')}")
    if model.dropped:
        say(f"left out, since the measurements do not tell them: {', '.join(model.dropped)}")
    if model.uncertain:
        say(f"within two standard errors of 0: {', '.join(model.uncertain)}")
    if model.lengths is None:
        say("no lengths could be fitted; give them with: burnish rag plan --length document=... --length question=...")
    say(f"{out}: plan with: burnish rag plan {out} --budget-tokens 32000")


def _error(model: Allocation, column: str) -> str:
    return f"{model.errors[column]:.3f}" if column in model.errors else "-"


def _read_model(path: Path) -> Allocation:
    from ..stats.allocation import Allocation

    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(f"{path} cannot be read: {e.strerror}", hint="made by: burnish rag fit") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is no JSON", hint="made by: burnish rag fit") from None
    return Allocation.from_json(value if isinstance(value, dict) else {})  # pyright: ignore[reportUnknownArgumentType]


def _informativeness(model: Allocation, dataset: str, given: str) -> Informativeness:
    from ..stats.allocation import Informativeness

    if dataset and given:
        raise ConfigError("both --dataset and --informativeness are given", hint="one of them")
    if given:
        try:
            documents, shots = map(float, given.split(","))
        except ValueError:
            raise ConfigError(f"{one_line(given)!r} is no pair of numbers", hint="--informativeness 0.21,0.02") from None
        i = Informativeness(documents=documents, shots=shots)
        _tell_if_beyond(model, i)
        return i
    known = model.informativeness
    name = dataset or (next(iter(known)) if len(known) == 1 else "")
    if name not in known:
        what = f"no data set is called {one_line(name)!r}" if name else "the model knows several data sets"
        raise ConfigError(what, hint=f"--dataset, one of: {', '.join(known)}; or --informativeness D,S")
    return known[name]


def _tell_if_beyond(model: Allocation, i: Informativeness) -> None:
    known = model.informativeness.values()
    of_documents = ("document", i.documents, [each.documents for each in known])
    of_shots = ("shot", i.shots, [each.shots for each in known])
    for what, value, seen in (of_documents, of_shots):
        if seen and not min(seen) <= value <= max(seen):
            say(f"on the data sets that were measured the first {what} raised the score by {min(seen):.3f} to {max(seen):.3f}")


def _lengths(model: Allocation, given: Sequence[str]) -> Lengths:
    from ..stats.effective_length import Lengths

    told: dict[str, float] = {}
    known = [*Lengths.__dataclass_fields__]
    for text in given:
        name, _, number = text.partition("=")
        try:
            told[name] = float(number)
        except ValueError:
            raise ConfigError(f"{one_line(text)!r} is no length", hint="--length document=130") from None
        if name not in known:
            raise ConfigError(f"no length is called {one_line(name)!r}", hint=f"one of: {', '.join(known)}")
    if model.lengths is not None:
        return replace(model.lengths, **told)
    if missing := [name for name in ("document", "question") if name not in told]:
        raise ConfigError(f"the model has no lengths: {', '.join(missing)}", hint="--length document=130 --length question=40")
    return Lengths(**told)
