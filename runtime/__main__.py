"""The command line: `python -m runtime [settings] [--actors …] [verb]`."""

from __future__ import annotations

# Imports make many objects and next to no garbage: looking for it would cost a sixth of the time until ready.
import gc

gc.disable()

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from typing import Any

import uvloop

from config.settings import Settings, about, load, names, settings_fields
from runtime import stagehands
from runtime.actor_verbs import add_actor_verbs
from runtime.app import App, check_topology
from runtime.dead_verbs import add_dead_verbs
from runtime.errors import SettingError, StartError, TroupeError
from runtime.move import add_move_verb
from runtime.processes import Processes
from runtime.telemetry import configure_logging
from runtime.verbs import add_verbs

USAGE, CANNOT_START = 2, 1


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 stopped as asked, 1 could not start or gave up, 2 wrong argument or setting."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        flags = {name: value for name in names() if (value := getattr(arguments, name.lower(), None)) is not None}
        settings = load(flags, profile=arguments.profile)
        configure_logging(format=settings.log_format, level=settings.log_level)
        if arguments.verb:
            verb: Callable[[Settings, argparse.Namespace], Coroutine[Any, Any, int]] = arguments.verb
            gc.enable()
            return _run(verb(settings, arguments))
        chosen = stagehands.chosen([name for name in (arguments.actors or "").split(",") if name])
        if arguments.processes:
            gc.enable()
            return _run(_processes(settings, chosen, arguments))
        if arguments.replicas:
            raise SettingError("--replicas counts processes, so it needs --processes")
        return _run(App(settings, chosen).run(announce))
    except SettingError as error:
        print(f"troupe: {error}", file=sys.stderr)
        return USAGE
    except (StartError, TroupeError) as error:
        print(f"troupe: {error}", file=sys.stderr)
        return CANNOT_START
    except KeyboardInterrupt:
        return 130


def _run(work: Coroutine[Any, Any, int]) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def announce(app: App) -> None:
    """Say on standard output that everything is up, and where to begin."""
    settings = app.settings
    if app.address is None:
        print(f"Troupe: {', '.join(app.names)} ready", flush=True)
        return
    print(
        f"Troupe is ready at {app.address} ({', '.join(app.names)}). Ctrl-C stops it; "
        f"data stays in {settings.var_dir}/.\n"
        "A first request:\n"
        f"  curl -i {app.address}/v1/users -H 'Content-Type: application/json' \\\n"
        '    -d \'{"email": "ada@example.org", "password": "a long enough phrase", "name": "Ada"}\'\n'
        f"All the others: {app.address}/docs",
        flush=True,
    )


async def _processes(settings: Settings, chosen: list[str], arguments: argparse.Namespace) -> int:
    check_topology(settings, chosen, processes=True)
    replicas = _replicas(arguments.replicas or "")
    commands: dict[str, list[str]] = {}
    for name in chosen:
        for index in range(replicas.pop(name, 1)):
            command = ["-m", "runtime", "--actors", name, *_forwarded(arguments)]
            if settings.ops_port and name != stagehands.EDGE:
                command += ["--ops-port", str(settings.ops_port + len(commands))]
            commands[f"{name}.{index}" if index else name] = command
    if replicas:
        raise SettingError(f"--replicas names actors that are not run: {', '.join(replicas)}")
    return await Processes(commands).run()


def _replicas(text: str) -> dict[str, int]:
    try:
        return {name: int(count) for name, count in (each.split("=") for each in text.split(",") if each)}
    except ValueError:
        raise SettingError(f"--replicas {text}: right would be task=2,user=1") from None


def _forwarded(arguments: argparse.Namespace) -> list[str]:
    """The flags of the parent that its children need too."""
    flags = ["--profile", arguments.profile] if arguments.profile else []
    for name in names():
        value = getattr(arguments, name.lower(), None)
        if value is not None and name != "OPS_PORT":
            flags += [_flag(name), value]
    return flags


def _flag(name: str) -> str:
    return "--" + name.lower().replace("_", "-")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runtime",
        allow_abbrev=False,
        description="Run Troupe: all actors in this process, or those named. Without a verb it serves until stopped.",
        epilog="Exit codes: 0 stopped as asked, 1 could not start or gave up, 2 wrong argument or setting. "
        "Every setting is also an environment variable (EDGE_PORT) and a line in .env; flags win.",
    )
    parser.add_argument(
        "--actors", metavar="A,B", help=f"which to run, of: {', '.join(stagehands.chosen([]))}; default: all"
    )
    parser.add_argument("--processes", action="store_true", help="one process per actor, restarted when they die")
    parser.add_argument("--replicas", metavar="A=N,…", help="with --processes: several processes of an actor")
    parser.add_argument("--profile", metavar="NAME", help="a file of config/profiles: embedded, servers, cluster")
    settings = parser.add_argument_group("settings")
    for field in settings_fields():
        settings.add_argument(_flag(field.name), metavar="…", dest=field.name, help=about(field).replace("%", "%%"))
    parser.set_defaults(verb=None)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    add_verbs(verbs)
    add_move_verb(verbs)
    add_dead_verbs(verbs)
    add_actor_verbs(verbs)
    import_module("edge.import_verb").add_import_verb(verbs)  # it needs a file and several actors
    return parser


if __name__ == "__main__":
    sys.exit(main())
