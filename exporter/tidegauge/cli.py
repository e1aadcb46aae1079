"""The command line."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tidegauge import __version__
from tidegauge.pipeline import log


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    options = _parser().parse_args(arguments)
    command: int = options.command(options)
    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidegauge", description="Tells whether the model you run in production is still right."
    )
    parser.add_argument("--version", action="version", version=f"tidegauge {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="read the logs and serve metrics")
    run.add_argument("--config.file", dest="config_file", type=Path, required=True, metavar="FILE")
    run.add_argument("--state.directory", dest="state", type=Path, metavar="DIR", help="instead of the file's `state`")
    run.add_argument("--web.listen-address", dest="listen", default=":8433", metavar="HOST:PORT")
    _add_web_config(run)
    run.add_argument(
        "--web.enable-lifecycle", dest="lifecycle", action="store_true", help="allow reloading by POST /-/reload"
    )
    run.add_argument("--log.level", dest="log_level", default="info", choices=log.LEVELS)
    run.add_argument("--log.format", dest="log_format", default="logfmt", choices=log.FORMATS)
    run.set_defaults(command=_run)

    check = commands.add_parser(
        "check", help="check a configuration file, say what it means and whether the logs fit it"
    )
    check.add_argument("--config.file", dest="config_file", type=Path, required=True, metavar="FILE")
    _add_web_config(check)
    check.set_defaults(command=_check)

    demo = commands.add_parser("demo", help="the whole thing on simulated traffic")
    demo.add_argument("--web.listen-address", dest="listen", default="127.0.0.1:8433", metavar="HOST:PORT")
    _add_web_config(demo)
    demo.set_defaults(command=_demo)

    simulate = commands.add_parser("simulate", help="write simulated prediction and feedback logs")
    simulate.add_argument("--scenario", required=True, metavar="NAME")
    simulate.add_argument("--output", type=Path, required=True, metavar="DIR")
    simulate.add_argument("--seed", type=int, default=1)
    simulate.add_argument(
        "--follow", action="store_true", help="go on in real time, the scenario once an hour, until stopped"
    )
    simulate.set_defaults(command=_simulate)
    return parser


def _add_web_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--web.config.file",
        dest="web_config",
        type=Path,
        metavar="FILE",
        help="TLS and basic authentication, in the format of Prometheus' exporter-toolkit",
    )


def _run(options: argparse.Namespace) -> int:
    from tidegauge.config.load import ConfigurationError
    from tidegauge.pipeline.runner import Runner
    from tidegauge.state.store import StateError

    log.configure(options.log_level, options.log_format)
    try:
        runner = Runner(
            options.config_file,
            state=options.state,
            listen=options.listen,
            web_config=options.web_config,
            enable_lifecycle=options.lifecycle,
        )
    except (ConfigurationError, StateError, ValueError, OSError) as error:
        print(f"tidegauge: {error}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: runner.stop())
    signal.signal(signal.SIGINT, lambda *_: runner.stop())
    signal.signal(signal.SIGHUP, lambda *_: runner.request_reload())
    runner.run()
    return 0


def _check(options: argparse.Namespace) -> int:
    from tidegauge.check.report import report
    from tidegauge.config.check import explain
    from tidegauge.config.load import ConfigurationError, load
    from tidegauge.config.web import explain_web, load_web

    explanations, problems = [], []
    try:
        settings = load(options.config_file)
        explanations.append(explain(settings))
    except ConfigurationError as error:
        problems.append(str(error))
    if options.web_config is not None:
        try:
            explanations.append(explain_web(load_web(options.web_config)))
        except ConfigurationError as error:
            problems.append(str(error))
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 2
    print("\n".join(explanations))
    print(report(settings), end="")
    return 0


def _demo(options: argparse.Namespace) -> int:
    from tidegauge.demo import demo

    return demo(options.listen, options.web_config)


def _simulate(options: argparse.Namespace) -> int:
    from tidegauge.simulate import CONFIGURATION, find, follow, simulate

    try:
        if options.follow:
            return follow(options.scenario, options.output, seed=options.seed)
        simulate(options.scenario, options.output, seed=options.seed)
        scenario = find(options.scenario)
        print(f"{scenario.name}: {scenario.description}.\nTo be seen: {scenario.watch}.")
        print(f"  tidegauge run --config.file {options.output / CONFIGURATION}")
    except (ValueError, OSError) as error:
        print(f"tidegauge: {error}", file=sys.stderr)
        return 2
    return 0
