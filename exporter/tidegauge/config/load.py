"""Reads a configuration file into Settings, or says everything that is wrong with it at once.

Three steps: nodes from YAML, plain values by the schema, rules between them; only a file without problems is built.
"""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from tidegauge.config import settings
from tidegauge.config.metrics import find_metric
from tidegauge.config.problems import ConfigurationError, Problem
from tidegauge.config.rules import check_models, check_sources
from tidegauge.config.schema import NO_FEEDBACK_MISSING, ROOT, implied_type
from tidegauge.config.settings import (
    DAY,
    Change,
    Channel,
    Links,
    Model,
    Objective,
    Release,
    Settings,
    Signal,
    Source,
)
from tidegauge.config.walk import INVALID, Findings, walk
from tidegauge.config.yaml_lines import read_nodes

__all__ = ["ConfigurationError", "Problem", "load"]


def load(path: Path, *, state: Path | None = None) -> Settings:
    """The settings of a YAML file; `state`, if given, takes the place of the file's state directory.

    Relative paths in the file start at its own directory. Raises ConfigurationError with every problem of the file.
    """
    # The directory as named, not as resolved: a mounted configuration is often a link into a directory that changes.
    base = path.absolute().parent
    try:
        str(base).encode()
    except UnicodeEncodeError:
        found = "a file in a directory whose name is not UTF-8"
        raise ConfigurationError((Problem("", 0, found, "names in UTF-8", file=str(path)),)) from None
    root = read_nodes(path)
    if isinstance(root, Problem):
        raise ConfigurationError((root,))
    findings = Findings(str(path))
    values = walk(root, ROOT, findings)
    if values is not INVALID:
        models, sources = (_valid_list(values, key) for key in ("models", "sources"))
        check_models(models, base, findings)
        check_sources(sources, models, findings)
    if findings.problems:
        raise ConfigurationError(findings.sorted())
    return _settings(values, path.absolute(), base, state)


def _valid_list(values: dict[str, Any], key: str) -> list[Any]:
    found = values.get(key, INVALID)
    return [] if found is INVALID else list(found)


def _settings(values: dict[str, Any], path: Path, base: Path, state: Path | None) -> Settings:
    models = [_model(model, base) for model in values["models"]]
    kept = {name: value for name, value in values.items() if name not in ("state", "sources", "models", "links")}
    return Settings(
        path=path,
        state=state.absolute() if state else base / values.get("state", "state"),
        sources=_sources(values["sources"], models, base),
        models=tuple(model for model in models if model.name != "*"),
        default_model=next((model for model in models if model.name == "*"), None),
        links=Links(**values.get("links", {})),
        **kept,
    )


def _sources(sources: list[dict[str, Any]], models: list[Model], base: Path) -> tuple[Source, ...]:
    built: list[Source] = []
    for values in sources:
        kind = "predictions" if "predictions" in values else "feedback"
        number = sum(source.kind == kind for source in built) + 1
        kept = {name: value for name, value in values.items() if name not in ("predictions", "feedback")}
        if kind == "feedback":
            kept["channel"] = values.get("channel") or _only_channel(values, models)
        kept["fields"] = tuple(values.get("fields", {}).items())
        kept["rotated"] = tuple(_absolute_glob(pattern, base) for pattern in values.get("rotated", ()))
        name = kind if number == 1 else f"{kind}-{number}"
        built.append(Source(name=name, kind=kind, pattern=_absolute_glob(values[kind], base), **kept))
    return tuple(built)


def _only_channel(source: dict[str, Any], models: list[Model]) -> str | None:
    """The channel a source must mean if it names none: the only one there is, for its model if it names one."""
    if "path_pattern" in source and "channel" in source["path_pattern"].groupindex:
        return None
    own = [model for model in models if model.name == source.get("model")] or models
    names = {channel.name for model in own for channel in model.channels}
    return names.pop() if len(names) == 1 else None


def _absolute_glob(pattern: str, base: Path) -> str:
    # The directory's own name may hold characters that mean something in a glob.
    return pattern if Path(pattern).is_absolute() else str(Path(glob.escape(str(base))) / pattern)


def _model(values: dict[str, Any], base: Path) -> Model:
    channels = tuple(_channel(name, channel) for name, channel in values["feedback"].items())
    signals = tuple(_signal(name, signal) for name, signal in values.get("signals", {}).items())
    plain = (
        "feedback",
        "signals",
        "normalize",
        "classes",
        "features",
        "slices",
        "windows",
        "reference",
        "objectives",
        "release",
        "change",
        "horizon",
    )
    kept = {name: value for name, value in values.items() if name not in plain}
    windows = tuple(sorted(values.get("windows", _default("windows"))))
    grace = values.get("grace", _default("grace"))
    longest_wait = max(*(one.maturity for one in channels), *(one.maturity for one in signals), 0) + grace + windows[-1]
    return Model(
        channels=channels,
        signals=signals,
        normalize=tuple(values.get("normalize", ())),
        classes=tuple(values.get("classes", ())),
        features=tuple(settings.Feature(name, kind) for name, kind in values.get("features", {}).items()),
        slices=tuple(values.get("slices", ())),
        windows=windows,
        reference=base / values["reference"] if "reference" in values else None,
        objectives=tuple(
            _objective(name, values["task"], objective) for name, objective in values.get("objectives", {}).items()
        ),
        release=_release(values.get("release", {})),
        change=Change(**values.get("change", {})),
        horizon=values.get("horizon", max(longest_wait, DAY)),
        **kept,
    )


def _channel(name: str, values: dict[str, Any]) -> Channel:
    silence = values.get("no_feedback", NO_FEEDBACK_MISSING)
    return Channel(name=name, **{**values, "no_feedback": None if silence == NO_FEEDBACK_MISSING else silence})


def _signal(name: str, values: str | dict[str, Any]) -> Signal:
    if isinstance(values, str):
        return Signal(name, values)
    origin, silence = values.get("from", "feedback"), values.get("no_feedback", NO_FEEDBACK_MISSING)
    return Signal(
        name,
        values.get("type", implied_type(origin)),
        origin,
        maturity=values.get("maturity", 0),
        no_feedback=None if silence == NO_FEEDBACK_MISSING else silence,
        labels=tuple(values.get("labels", ())),
        field=values.get("field", ""),
        better=values.get("better"),
    )


def _release(values: dict[str, Any]) -> Release:
    return Release(**{**values, "margins": tuple(values.get("margins", {}).items())})


def _objective(name: str, task: str, values: float | dict[str, Any]) -> Objective:
    metric = find_metric(name, task)
    assert metric is not None, "the rules let no other metric through"
    if isinstance(values, dict):
        return Objective(name, values["target"], values.get("direction", metric.direction))
    return Objective(name, values, metric.direction)


def _default(name: str) -> Any:
    return settings.Model.__dataclass_fields__[name].default
