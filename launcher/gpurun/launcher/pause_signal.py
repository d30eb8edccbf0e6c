"""`--pause-signal` and `--pause-exit`: how a program with no SDK is paused, as it was told."""

import signal
from collections.abc import Mapping

from gpurun.launcher.failure import USAGE, Failure

STOP = "STOP"
HIGHEST_CODE = 255


def read_signal(text: str) -> str:
    """The name of a signal without its SIG, or its number where it has no name.

    Raise ValueError, with one line, for what is none or what no program can act on.
    """
    name = text.strip().upper().removeprefix("SIG")
    numbers = _numbers()
    if name.isdecimal():
        name = next((known for known, number in numbers.items() if number == int(name)), name)
    if name == "KILL":
        raise ValueError(
            "KILL ends a program before it can save; take a signal that it catches, like USR2, "
            "or STOP to let it stand"
        )
    if name not in numbers and not (name.isdecimal() and int(name) in signal.valid_signals()):
        raise ValueError(f"{text!r} is not a signal{_hint(name, numbers)}")
    return name


def read_exit_code(text: str) -> int:
    """The exit code of a program that has saved; raise ValueError for what it cannot be."""
    code = int(text) if text.strip().isdecimal() else -1
    if code == 0:
        raise ValueError("0 says that a program has finished; take another code, like 85")
    if not 1 <= code <= HIGHEST_CODE:
        raise ValueError(f"{text!r} is not an exit code from 1 to {HIGHEST_CODE}, like 85")
    return code


def number_of(name: str) -> int:
    """The number of a signal that was read."""
    return int(name) if name.isdecimal() else _numbers()[name]


def check(options: Mapping[str, object]) -> None:
    """Raise Failure where the options of `gpurun run` do not go together."""
    name, code = options["pause_signal"], options["pause_exit"]
    if name is None:
        raise Failure(
            "--pause-exit needs --pause-signal SIG, the signal at which the program saves and "
            "exits with that code; add it",
            USAGE,
        )
    if name == STOP and code is not None:
        raise Failure(
            "--pause-signal STOP lets the program stand where it is and ends nothing; leave "
            "--pause-exit out, or name another signal, like USR2",
            USAGE,
        )
    if name != STOP and code is None:
        raise Failure(
            f"--pause-signal {name} needs --pause-exit CODE, with which the program exits once it "
            "has saved; add it, or let the program stand with --pause-signal STOP",
            USAGE,
        )
    _check_way(str(name), str(options["pause"]))


def _check_way(name: str, told: str) -> None:
    way = "stand" if name == STOP else "exit"
    if told not in ("auto", way):
        raise Failure(
            f"--pause {told} contradicts --pause-signal {name}, which means --pause {way}; leave "
            "one of them out",
            USAGE,
        )


def _numbers() -> dict[str, int]:
    return {known.name.removeprefix("SIG"): int(known) for known in signal.Signals}


def _hint(name: str, known: Mapping[str, int]) -> str:
    import difflib  # only errors need it

    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else "; kill -l lists them"
