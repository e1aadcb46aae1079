"""Runs a pipeline: reads, refreshes, saves and publishes until told to stop.

The main thread reads and refreshes. A saver thread makes each refresh durable and only then publishes it, so what has
been served survives a crash. HTTP threads serve finished bytes.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_client import ProcessCollector

from tidegauge import __version__
from tidegauge.config.load import ConfigurationError, Problem, load
from tidegauge.config.settings import WORDY, Settings
from tidegauge.pipeline.about import SelfView, SourceView, self_samples
from tidegauge.pipeline.clock import wall_now
from tidegauge.pipeline.engine import Engine
from tidegauge.pipeline.memory import give_memory_back, keep_freed_memory
from tidegauge.pipeline.overview import Memory, draft, page_document, report, status_document
from tidegauge.pipeline.pipeline import SCHEMA, Pipeline
from tidegauge.pipeline.publication import ModelView, lost_samples, view
from tidegauge.pipeline.reference import References
from tidegauge.publish.access import Access
from tidegauge.publish.cardinality import limit_series
from tidegauge.publish.process import process_samples
from tidegauge.publish.samples import AnySamples
from tidegauge.publish.server import Hooks, Publication, Server
from tidegauge.reference.value import Reference
from tidegauge.state.store import Restored, StateError, StateUnreadable, Store, TableChanged

HEALTHY_REFRESHES = 6
"""Without a refresh for so many intervals (at least a minute) the exporter is not healthy."""
HEALTHY_AT_LEAST = 60.0
RELOAD_PATIENCE = 60.0
log = logging.getLogger("tidegauge")


@dataclass(slots=True)
class _Saves:
    """What is known of saving; written by the saver thread, read by it alone."""

    at: int = 0
    seconds: float = 0.0
    bytes: int = 0
    failures: int = 0
    failed: str = ""  # why the last one failed


class Runner:
    """One exporter process."""

    def __init__(
        self,
        config_file: Path,
        *,
        state: Path | None = None,
        listen: str = ":8433",
        web_config: Path | None = None,
        enable_lifecycle: bool = False,
        on_refresh: Callable[[list[AnySamples]], None] | None = None,
    ) -> None:
        """Raises ConfigurationError, StateError, ValueError (address) or OSError (port)."""
        keep_freed_memory()
        self._config_file = config_file
        self._state = state
        self._settings, self._access = _configurations(config_file, state, web_config)
        self._references = References().updated(self._settings)
        self._store, self._pipeline = _open(self._settings, self._references.all)
        # Signal handlers set these and run in the middle of anything, even of a wait: no lock may be needed for it.
        self._stopping = False
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._reload_wanted = False
        self._reload_answers: queue.SimpleQueue[queue.SimpleQueue[tuple[bool, str]]] = queue.SimpleQueue()
        self._reloaded = True
        self._ready = False
        self._saves = _Saves(failures=int(self._pipeline.extra.get("save_failures", 0)))
        self._saver = ThreadPoolExecutor(max_workers=1, thread_name_prefix="saver")
        self._saving: Future[None] | None = None
        self._refreshed = time.monotonic()
        self._on_refresh = on_refresh
        self._memory = Memory()
        self._process = ProcessCollector(registry=None)
        hooks = Hooks(self._healthy, self._reload_from_http)
        try:
            self._server = Server(listen, hooks, enable_lifecycle=enable_lifecycle, access=self._access)
            self._server.start()
        except (OSError, ValueError):
            self._pipeline.close()
            self._store.close()
            raise

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def scheme(self) -> str:
        """http or https."""
        return "https" if self._access is not None and self._access.context is not None else "http"

    def stop(self) -> None:
        """Ends `run` after a last save; safe to call from a signal handler."""
        self._stopping = True
        self._wake.put(None)

    def request_reload(self) -> None:
        """Reads the configuration again soon; safe to call from a signal handler."""
        self._reload_wanted = True
        self._wake.put(None)

    # ---------------------------------------------------------------- the loop

    def run(self) -> None:
        """Works until `stop`."""
        self._publish_first()
        log.info("serving", extra={"port": self._server.port, "version": __version__})
        next_poll = next_refresh = 0.0
        busy = False
        try:
            while not self._stopping:
                now = time.monotonic()
                if self._answer_reloads() or now >= next_poll:
                    self._pipeline.poll()
                    next_poll = now + self._settings.poll_interval / 1000
                busy = self._pipeline.step()
                ripe = not self._ready and not busy and self._pipeline.ready
                if (now >= next_refresh or ripe) and self._saved():
                    self._refresh()
                    next_refresh = time.monotonic() + self._settings.refresh_interval / 1000
                if not busy:
                    pause = max(0.0, min(next_poll, max(next_refresh, now + 0.01)) - time.monotonic())
                    with suppress(queue.Empty):
                        self._wake.get(timeout=pause)
            self._save_last()
        finally:
            # After an exception nothing is saved: what is in memory may be half done, and the logs are read again.
            self._close()

    def _save_last(self) -> None:
        if self._saving is not None:
            self._saving.result()
        self._refresh()
        if self._saving is not None:
            self._saving.result()

    def _close(self) -> None:
        self._saver.shutdown()
        self._server.stop()
        self._pipeline.close()
        self._store.close()
        log.info("stopped")

    def _saved(self) -> bool:
        if self._saving is None:
            return True
        if not self._saving.done():
            return False
        self._saving.result()  # what is wrong with rendering ends the process; it must not end in a silent thread
        return True

    def _publish_first(self) -> None:
        about = self._self_view({}, 0.0, wall_now())
        shown = report(draft(self._pipeline, [], about, {}, self._memory), about)
        page, status = page_document(shown), status_document(shown)
        self._server.publish(Publication(self_samples(about), page, status, ready=False))

    # ---------------------------------------------------------------- refresh, save, publish

    def _refresh(self) -> None:
        started = time.monotonic()
        refreshed = wall_now()
        pipeline = self._pipeline
        pipeline.advance()
        views: list[ModelView] = []
        samples: list[AnySamples] = []
        series: dict[str, int] = {}
        left_out: dict[str, int] = {}
        for name, engine in pipeline.engines.items():
            one = view(engine, self._references.scores(name), pipeline.clock)
            kept, dropped = limit_series(one.samples, engine.model.max_series)
            counts = pipeline.extra.setdefault("series_dropped", {})
            counts[name] = counts.get(name, 0) + dropped
            left_out[name] = dropped
            series[name] = sum(part.series for part in kept)
            for kind, lost in _dropped(engine).items():
                known = pipeline.extra.setdefault(kind, {})
                known[name] = known.get(name, 0) + lost
            views.append(replace(one, samples=kept))
            samples += kept
        samples += lost_samples(pipeline.lost_feedback)
        if not self._ready and pipeline.ready:
            self._ready = True
            log.info("ready")
        if not self._ready:
            samples = []
        about = self._self_view(series, 0.0, refreshed)
        drafted = draft(pipeline, views, about, left_out, self._memory)
        pipeline.extra["save_failures"] = self._saves.failures
        capture, spools = pipeline.capture()
        self._refreshed = time.monotonic()
        about = replace(about, refresh_seconds=self._refreshed - started)

        def finish() -> None:
            try:
                written = pipeline.commit(capture, spools)
                self._saves.at, self._saves.seconds = wall_now(), written.seconds
                self._saves.bytes, self._saves.failed = written.bytes, ""
            except OSError as error:
                self._saves.failures += 1
                self._saves.failed = error.strerror or str(error)
                log.error("the state could not be saved; what is served is unsaved", extra={"error": str(error)})
            saves = self._saves
            state = replace(
                about,
                saved=saves.at,
                save_seconds=saves.seconds,
                save_bytes=saves.bytes,
                save_failures=saves.failures,
                save_failed=saves.failed,
            )
            shown = report(drafted, state)
            published = [*self_samples(state), *process_samples(self._process), *samples]
            documents = page_document(shown), status_document(shown)
            self._server.publish(Publication(published, *documents, ready=about.ready))
            give_memory_back()
            if self._on_refresh is not None:
                self._on_refresh(published)

        self._saving = self._saver.submit(finish)

    def _self_view(self, series: dict[str, int], seconds: float, refreshed: int) -> SelfView:
        pipeline = self._pipeline
        engines = pipeline.engines
        now = wall_now()
        sources = []
        for reader in pipeline.readers:
            status = reader.files.status()
            lag = 0.0 if reader.exhausted else (now - reader.caught_up_at) / 1000
            sources.append(
                SourceView(
                    reader.source.name,
                    status.read_bytes_total,
                    status.lag_bytes,
                    lag,
                    status.open_files,
                    status.unreadable,
                    dict(status.events),
                )
            )
        folded: Counter[tuple[str, str]] = Counter()
        for name, engine in engines.items():
            folded[name, "version"] = engine.versions.folded
            folded[name, "class"] = engine.classes.folded
            folded[name, "slice"] = sum(vocabulary.folded for vocabulary in engine.slices)
        return SelfView(
            ready=self._ready,
            clock=pipeline.clock,
            reloaded=self._reloaded,
            web_reloaded=self._access.reloaded if self._access is not None else None,
            refused=self._server.refused,
            records=dict(pipeline.records),
            sources=sources,
            pending={name: engine.join.table.live for name, engine in engines.items()},
            waiting={name: len(engine.join.waiting) for name, engine in engines.items()},
            sampling={name: 2.0**-engine.join.exponent for name, engine in engines.items()},
            folded=folded,
            series=series,
            probabilities=pipeline.extra.get("probabilities_dropped", {}),
            contents=pipeline.extra.get("contents_dropped", {}),
            dropped={name: pipeline.extra.get("series_dropped", {}).get(name, 0) for name in engines},
            refreshed=refreshed,
            refresh_seconds=seconds,
            saved=self._saves.at,
            save_seconds=self._saves.seconds,
            save_bytes=self._saves.bytes,
            save_failures=self._saves.failures,
            save_failed=self._saves.failed,
        )

    def _healthy(self) -> bool:
        patience = max(HEALTHY_AT_LEAST, HEALTHY_REFRESHES * self._settings.refresh_interval / 1000)
        return time.monotonic() - self._refreshed < patience

    # ---------------------------------------------------------------- reload

    def _reload_from_http(self) -> tuple[bool, str]:
        answer: queue.SimpleQueue[tuple[bool, str]] = queue.SimpleQueue()
        self._reload_answers.put(answer)
        self._wake.put(None)
        try:
            return answer.get(timeout=RELOAD_PATIENCE)
        except queue.Empty:
            return False, "the reload has not finished yet"

    def _answer_reloads(self) -> bool:
        """Whether there was a reload: the sources have then not yet looked at their files."""
        waiting: list[queue.SimpleQueue[tuple[bool, str]]] = []
        while not self._reload_answers.empty():
            waiting.append(self._reload_answers.get())
        if not waiting and not self._reload_wanted:
            return False
        self._reload_wanted = False
        outcome = self._reload()
        for answer in waiting:
            answer.put(outcome)
        return True

    def _reload(self) -> tuple[bool, str]:
        before = self._references
        try:
            settings = load(self._config_file, state=self._state)
            if settings.state != self._settings.state:
                raise ValueError("the state directory cannot change while running; restart for that")
            self._references = before.updated(settings)
        except (ConfigurationError, OSError, ValueError) as error:
            self._reloaded = False
            for line in str(error).splitlines():
                log.error("the configuration was not reloaded", extra={"problem": line})
            return False, str(error)
        if self._saving is not None:
            self._saving.result()
        try:
            capture, spools = self._pipeline.capture()
            self._pipeline.commit(capture, spools)
        except OSError as error:
            self._reloaded = False
            log.error("the configuration was not reloaded: the state cannot be saved", extra={"error": str(error)})
            return False, f"the state cannot be saved, and a reload goes by way of it: {error}"
        self._pipeline.close()
        self._store.close()
        try:
            self._store, self._pipeline = _open(settings, self._references.all)
        except Exception as error:  # whatever is wrong with the new configuration, the old one goes on
            self._references = before
            self._store, self._pipeline = _open(self._settings, self._references.all)
            self._reloaded = False
            log.exception("the configuration was not reloaded")
            return False, str(error)
        self._settings = settings
        self._memory.trends.clear()
        self._reloaded = True
        notes = self._pipeline.notes
        log.info("configuration reloaded", extra={"dropped": len(notes)})
        return True, "\n".join(["reloaded", *notes])


def _configurations(config_file: Path, state: Path | None, web_config: Path | None) -> tuple[Settings, Access | None]:
    """Both files, or a ConfigurationError with the problems of both."""
    problems: list[Problem] = []
    settings = access = None
    try:
        settings = load(config_file, state=state)
    except ConfigurationError as error:
        problems += error.problems
    try:
        access = Access(web_config) if web_config is not None else None
    except ConfigurationError as error:
        problems += error.problems
    if settings is None or problems:
        raise ConfigurationError(tuple(problems))
    return settings, access


def _open(settings: Settings, references: Mapping[str, Reference] | None = None) -> tuple[Store, Pipeline]:
    """The saved state at work under a configuration. Raises StateError or OSError, holding nothing open."""
    store = Store.open(settings.state, schema=SCHEMA)
    restored: Restored | None = None
    try:
        restored = store.load()
        pipeline = Pipeline(settings, store, restored, references)
    except BaseException as error:
        store.close()
        known = isinstance(error, OSError | StateError) and not isinstance(error, TableChanged)
        if restored is None or known or not isinstance(error, Exception):
            raise
        # Every byte is as it was written, so that anything may be wrong with it.
        raise StateUnreadable(
            f"{settings.state} holds a state that is whole and yet of another form than this version's ({error!r}). "
            "Restore the directory from a copy; or move it away, and tidegauge starts anew"
        ) from error
    for note in pipeline.notes:
        log.warning("state", extra={"note": note})
    return store, pipeline


def _dropped(engine: Engine) -> dict[str, int]:
    """What has found no room since the last refresh, by what it is counted as."""
    if engine.join.vectors is not None:
        return {"probabilities_dropped": engine.join.vectors.take_dropped()}
    return {"contents_dropped": engine.join.contents.take_dropped()} if engine.model.task in WORDY else {}
