"""`python -m gpurun.coordinator`: the daemon in the foreground; the launcher detaches it."""

import argparse
import contextlib
import logging
import logging.handlers
import os
import select
import signal
import sys

from gpurun.coordinator import config, ground
from gpurun.coordinator.core.scheduler import Scheduler
from gpurun.coordinator.core.settings import Settings
from gpurun.coordinator.daemon import Daemon, rounds
from gpurun.coordinator.desk import Desk
from gpurun.coordinator.gpus import choice
from gpurun.coordinator.gpus.devices import Devices
from gpurun.coordinator.gpus.monitor import Monitor
from gpurun.coordinator.queries import Queries, own_processes
from gpurun.coordinator.server import Server, ServerError
from gpurun.coordinator.store import Store, StoreError
from gpurun.protocol.paths import Paths
from gpurun.protocol.version import VERSION

_log = logging.getLogger(__name__)

FIRST_ROUND = 8.0
"""Seconds for the first look: a driver without persistence mode takes 1-3 s for each GPU."""
_SWITCH = 0.0005
"""Seconds for which the monitor's thread may keep the loop from answering; Python's 5 ms are long
beside the 2 ms in which a job is admitted."""
_FAILED, _CRASHED = 125, 1


def main() -> int:
    """Run until stopped; one line on stderr, or to whoever started it, when that cannot be."""
    options = _options()
    try:
        return _run(options)
    except ground.TakenError as error:
        # Whoever started this one only wanted one to run.
        return 0 if options.ready_fd is not None else _fail(options, str(error))
    except (ground.GroundError, config.ConfigError, StoreError, ServerError, ValueError) as error:
        return _fail(options, str(error))
    except Exception:  # noqa: BLE001 - logged whole, and the last word of this process
        _log.exception("this should not happen: the coordinator ends; the next gpurun starts it")
        return _CRASHED


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpurun coordinator run", description=__doc__)
    parser.add_argument("--ready-fd", type=int, help="write `ready` to this descriptor")
    parser.add_argument(
        "--idle-exit", type=float, default=float("inf"), help="end after so many seconds idle"
    )
    return parser.parse_args()


def _run(options: argparse.Namespace) -> int:
    paths = Paths.of(os.environ, os.getuid(), os.uname().nodename, os.path.expanduser("~"))
    settings = config.load(paths.config, named=bool(os.environ.get("GPURUN_CONFIG")))
    watched = os.environ.get("GPURUN_DEVICES") or "nvml"
    gpus = choice.parse(watched, paths.simulation)
    locks = ground.prepare(paths)
    _log_to(paths.log, foreground=options.ready_fd is None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.setswitchinterval(_SWITCH)
    with contextlib.closing(_daemon(paths, settings, gpus, watched, options.idle_exit)) as daemon:
        _log.info("gpurun %s serves %s as pid %d", VERSION, paths.socket, os.getpid())
        _say(options, "ready")
        _serve(daemon)
    for lock in locks:
        os.close(lock)
    return 0


def _serve(daemon: Daemon) -> None:
    """Run; what goes wrong from here on is for the log, not for whoever started it."""
    try:
        daemon.run()
    except ValueError as error:
        raise RuntimeError(str(error)) from error


def _daemon(
    paths: Paths, settings: Settings, gpus: Devices, watched: str, idle_exit: float
) -> Daemon:
    store = Store(paths.database)
    scheduler = Scheduler(settings)
    monitor = Monitor(gpus, settings.monitor.interval)
    monitor.start()
    select.select([monitor], [], [], FIRST_ROUND)
    server = Server(paths.endpoint)
    state = scheduler.state
    queries = Queries(state, store, gpus, lambda: monitor.request(own_processes(state)))
    desk = Desk(state, store.secret(), watched)
    daemon = Daemon(paths, scheduler, store, server, desk, queries, monitor, idle_exit)
    daemon.restart(rounds(monitor))
    return daemon


def _log_to(path: str, *, foreground: bool) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=1 << 20, backupCount=3)
    handlers: list[logging.Handler] = [handler]
    if foreground:
        handlers.append(logging.StreamHandler())
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, handlers=handlers, format=form)


def _fail(options: argparse.Namespace, text: str) -> int:
    if not _say(options, f"error: {text}"):
        sys.stderr.write(f"gpurun: error: {text}\n")
    return _FAILED


def _say(options: argparse.Namespace, text: str) -> bool:
    """Tell whoever started this one, once; False when nobody did."""
    if options.ready_fd is None:
        return False
    with contextlib.suppress(OSError):
        os.write(options.ready_fd, f"{text}\n".encode())
        os.close(options.ready_fd)
    return True


if __name__ == "__main__":
    sys.exit(main())
