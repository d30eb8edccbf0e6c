"""The `gpurun` command, as far as it must not need the package gpurun: that may not be ours."""

import gc
import os
import sys

OWN, INTERRUPTED = 125, 130
POSTPONED = {
    "inspect": (),
    "json": ("json.decoder", "json.encoder", "json.scanner"),
    "random": (),
    "textwrap": (),
}
"""What click, msgspec and pyzmq import at once and need on other paths than ours, or never.

Each with the modules that come with it: a part asked for alone must not be loaded twice.
"""


def main() -> None:
    """Run the command and end the process with its exit code."""
    gc.disable()  # imports make nothing to collect, and looking for it costs them 4 ms
    # msgspec falls back on typing for the names that it wants of this: 3 ms of every start.
    sys.modules.setdefault("typing_extensions", None)  # type: ignore[arg-type]
    for name, parts in POSTPONED.items():
        _postpone(name, parts)
    code = _guarded()
    # Descriptors and locks go with the process; tearing the interpreter down costs 7 ms more.
    os._exit(code if _flush() else code or OWN)


def _postpone(package: str, parts: tuple[str, ...]) -> None:
    """Let a package be imported when something in it is first asked for; PEP 562."""
    from functools import partial
    from importlib import import_module
    from types import ModuleType

    if package in sys.modules:
        return

    def load(name: str, attribute: str) -> object:
        for each, stand_in in stand_ins.items():
            if sys.modules.get(each) is stand_in:
                del sys.modules[each]
        import_module(package)
        return getattr(import_module(name), attribute)

    stand_ins = {name: ModuleType(name) for name in (package, *parts)}
    for name, stand_in in stand_ins.items():
        stand_in.__getattr__ = partial(load, name)  # type: ignore[method-assign]
    sys.modules.update(stand_ins)


def _guarded() -> int:
    try:
        return _shadowed() or _run()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and _is_full(error):
            _complain(f"cannot write the output: {error.strerror}; check where it goes")
            return OWN
        if os.environ.get("GPURUN_DEBUG"):
            raise
        _complain(
            f"{type(error).__name__}: {error}; "
            "this should not happen: set GPURUN_DEBUG=1 to see where it does, and report it"
        )
        return OWN


def _is_full(error: OSError) -> bool:
    """Whether what was printed had no place; every other file is written with its own words."""
    import errno

    return error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _shadowed() -> int:
    """Refuse to go on where `import gpurun` finds another distribution's package."""
    import gpurun

    path = getattr(gpurun, "__file__", None)
    if path is None:  # ours is a namespace, which has no file of its own
        return 0
    _complain(
        f"another distribution named gpurun ({path}) shadows gpurun-scheduler here; "
        "pip uninstall gpurun, then pip install --force-reinstall gpurun-scheduler"
    )
    return OWN


def _run() -> int:
    from gpurun.launcher.main import run_command_line

    return run_command_line(sys.argv[1:])


def _complain(text: str) -> None:
    shown = "".join(c if c.isprintable() else "�" for c in text)
    if sys.stderr:
        sys.stderr.write(f"gpurun: error: {shown}\n")


def _flush() -> bool:
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream:
                stream.flush()
    except OSError:
        return False
    return True
