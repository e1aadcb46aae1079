"""The command line."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from tidegauge import __version__
from tidegauge.pipeline import log


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser().parse_args(words)
    except SystemExit as end:
        if end.code == 2 and words and words[0] == "verdict":
            return os.EX_USAGE  # there 2 means "keep watching"
        raise
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

    reference = commands.add_parser(
        "reference",
        help="make a model's reference data: a small file of sums that drift and quality are compared with",
        epilog="status 0: written; 2: refused, with the reasons; an existing OUT is replaced if it is such a file",
    )
    reference.add_argument("--config.file", dest="config_file", type=Path, required=True, metavar="FILE")
    reference.add_argument("--model", required=True, metavar="M", help="a model of the configuration")
    reference.add_argument(
        "--from", dest="records", type=Path, required=True, metavar="FILE", help="records: CSV, JSON Lines or Parquet"
    )
    reference.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="what is written, a .yml file"
    )
    reference.set_defaults(command=_reference)

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

    verdict = commands.add_parser(
        "verdict",
        help="ask Prometheus whether to promote a version (status 0), roll it back (1) or keep watching (2)",
        epilog="status 64: wrong usage; 70: a fault of this program; neither says anything about the version",
    )
    verdict.add_argument("--model", required=True, metavar="M")
    verdict.add_argument("--version", required=True, metavar="V")
    verdict.add_argument("--prometheus", required=True, metavar="URL")
    verdict.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="DURATION",
        help="how long to ask for a verdict (30m); default: once",
    )
    verdict.add_argument(
        "--interval", type=_interval, default=30.0, metavar="DURATION", help="between asking; default 30s"
    )
    verdict.add_argument(
        "--timeout", type=_interval, default=10.0, metavar="DURATION", help="of a request; default 10s"
    )
    verdict.add_argument("--bearer-token-file", type=Path, metavar="FILE", help="read again for every request")
    verdict.add_argument("--ca-file", type=Path, metavar="FILE", help="whom to trust, in PEM format")
    verdict.add_argument("--format", dest="output", default="text", choices=("text", "json"))
    verdict.set_defaults(command=_verdict)
    return parser


def _seconds(text: str) -> float:
    """A duration as in the configuration file, in seconds."""
    from tidegauge.config.durations import parse_duration

    try:
        return parse_duration(text) / 1000
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _interval(text: str) -> float:
    seconds = _seconds(text)
    if seconds < 1:
        raise argparse.ArgumentTypeError(f"shorter than a second: {text!r}")
    return seconds


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
    from tidegauge.reference.build import check_prepared

    explanations, problems = [], []
    try:
        settings = load(options.config_file)
        check_prepared(settings)
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


def _reference(options: argparse.Namespace) -> int:
    from tidegauge.config.load import ConfigurationError
    from tidegauge.pipeline.scoring import Scoring
    from tidegauge.reference.command import make

    try:
        said = make(options.config_file, options.model, options.records, options.output, Scoring)
    except (ConfigurationError, ValueError, OSError) as error:
        print(f"tidegauge: {error}", file=sys.stderr)
        return 2
    print(said)
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


def _verdict(options: argparse.Namespace) -> int:
    # An uncaught exception would end with status 1, "roll back".
    try:
        from tidegauge.verdict import Prometheus, run

        try:
            for name in (options.model, options.version):
                name.encode()
            prometheus = Prometheus(
                options.prometheus,
                timeout=options.timeout,
                bearer_token_file=options.bearer_token_file,
                ca_file=options.ca_file,
            )
        except (ValueError, OSError) as error:
            print(f"tidegauge: {error}", file=sys.stderr)
            return os.EX_USAGE
        return run(
            options.model,
            options.version,
            prometheus,
            seconds=options.wait,
            interval=options.interval,
            output=options.output,
        )
    except KeyboardInterrupt:
        return 130
    except Exception:
        traceback.print_exc()
        return os.EX_SOFTWARE
