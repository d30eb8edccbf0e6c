"""What the first attempt had and every later one gets back: values, and unseeded random states.

A script that is run again from its first line would choose another output folder, and split its
data in another way.
"""

import os
import sys

TYPE_CHECKING = False  # importing typing would cost more than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")


def once(name: str, make: "Callable[[], T]") -> "T":
    """The value that `make` gave in the first attempt of this job; outside gpurun, what it gives.

    What it draws from the global random states does not count. For plain values: None, numbers,
    text, and lists and dicts (with text as keys) of these. Raise TypeError for others. A whole
    training may be in `make`, one of k folds say: a later attempt that has its value skips it.
    """
    import json

    from gpurun.sdk.attempt import attempt, trainings
    from gpurun.sdk.rng import kept

    this, path = attempt(), _path(f"once-{name.encode().hex()}")
    if this is None or path is None:
        with kept():
            return _checked(name, make())
    if not os.path.exists(path):
        before = trainings[this]
        with kept():  # a later attempt does not draw what `make` draws
            value = _checked(name, make())
        content = {"value": value, "trainings": trainings[this] - before}
        _write_unless_there(path, json.dumps(content).encode())
        trainings[this] = before
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    trainings[this] += content["trainings"]  # those behind it keep their numbers
    kept_value: T = content["value"]
    return kept_value


def _checked(name: str, value: "T") -> "T":
    import json

    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = ""
    if not text or json.loads(text) != value:
        raise TypeError(
            f"sdk.once({name!r}) got a {type(value).__name__}; it keeps numbers, text, and lists "
            "and dicts of these: make the object from such a value"
        )
    return value


def _path(name: str) -> str | None:
    """A file of this job's first attempt; None outside gpurun."""
    from gpurun.sdk.attempt import attempt

    this = attempt()
    if this is None:
        return None
    os.makedirs(f"{this.checkpoints}/first", mode=0o700, exist_ok=True)
    return f"{this.checkpoints}/first/{name}"


def _write_unless_there(path: str, content: bytes) -> None:
    """Whole or not at all; of several that write at once, the first."""
    own = f"{path}.{os.getpid()}"
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
    try:
        os.link(own, path)
    except FileExistsError:
        return
    finally:
        os.unlink(own)


# --- random states


def keep_random_states() -> None:
    """Give each library the random states that it had when the first attempt imported it."""
    if "GPURUN_CHECKPOINT_DIR" not in os.environ:
        return
    missing = {name for name in _STATES if not _is_there(name)}
    for name in _STATES.keys() - missing:
        _keep(name)
    if missing:
        sys.meta_path.insert(0, _Waiting(missing))


def _is_there(name: str) -> bool:
    return getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", None) is False


def _keep(name: str) -> None:
    take, put = _STATES[name]
    try:
        path = _path(f"random-{name}-{_process()}")
        if path is None:
            return
        if os.path.exists(path):
            with open(path, "rb") as file:
                put(sys.modules[name], file.read())
        else:
            _write_unless_there(path, take(sys.modules[name]))
    except Exception as error:  # noqa: BLE001 - a script that seeds, as most do, needs none of this
        from gpurun.sdk.say import say

        say(f"the random states of {name} could not be kept ({error}); seed them yourself")


_number: "list[str]" = []


def _process() -> str:
    """The same for the same process of each attempt: its command, rank, and number among equals."""
    if not _number:
        from binascii import crc32

        own = "\0".join([*sys.orig_argv, os.environ.get("RANK", "")])
        name, attempt = f"{crc32(own.encode()):08x}", os.environ.get("GPURUN_ATTEMPT", "")
        number = 0
        while not _claims(f"process-{name}-{attempt}-{number}"):
            number += 1
        _number.append(f"{name}-{number}")
    return _number[0]


def _claims(name: str) -> bool:
    path = _path(name)
    if path is None:
        return True
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    return True


class _Waiting:
    """Waits in sys.meta_path for libraries that are not imported yet."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """What the other finders find, with a loader that tells of its end."""
        if name not in self._names:
            return None
        for finder in [finder for finder in sys.meta_path if finder is not self]:
            find = getattr(finder, "find_spec", None)
            spec = find and find(name, path, target)
            if spec and spec.loader is not None:
                spec.loader = _Loading(spec.loader, name, self._names)
                return spec
        return None


class _Loading:
    """A loader that gives the library its random states as soon as it is there."""

    def __init__(self, loader: "Any", name: str, waiting: set[str]) -> None:
        self._loader = loader
        self._name = name
        self._waiting = waiting
        """What is not imported yet: who only looks for a library (find_spec) imports nothing."""

    def __getattr__(self, attribute: str) -> "Any":
        return getattr(self._loader, attribute)

    def create_module(self, spec: "Any") -> "Any":
        """As the loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: "Any") -> None:
        """Let the loader do it, with no trace of this one."""
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        if self._name in self._waiting:
            self._waiting.discard(self._name)
            _keep(self._name)


def _take_python(module: "Any") -> bytes:
    version, numbers, gauss = module.getstate()
    return f"{version} {gauss!r} {' '.join(map(str, numbers))}".encode()


def _put_python(module: "Any", kept: bytes) -> None:
    version, gauss, *numbers = kept.decode().split()
    number = None if gauss == "None" else float(gauss)
    module.setstate((int(version), tuple(map(int, numbers)), number))


def _take_numpy(module: "Any") -> bytes:
    _, keys, position, has_gauss, gauss = module.get_state(legacy=True)
    return f"{position} {has_gauss} {float(gauss)!r} {keys.tobytes().hex()}".encode()


def _put_numpy(module: "Any", kept: bytes) -> None:
    import numpy

    position, has_gauss, gauss, keys = kept.decode().split()
    words = numpy.frombuffer(bytes.fromhex(keys), dtype=numpy.uint32)
    module.set_state(("MT19937", words, int(position), int(has_gauss), float(gauss)))


def _take_torch(module: "Any") -> bytes:
    return bytes(module.get_rng_state().tolist())


def _put_torch(module: "Any", kept: bytes) -> None:
    module.set_rng_state(module.tensor(list(kept), dtype=module.uint8))


_STATES = {
    "random": (_take_python, _put_python),
    "numpy.random": (_take_numpy, _put_numpy),
    "torch": (_take_torch, _put_torch),
}
