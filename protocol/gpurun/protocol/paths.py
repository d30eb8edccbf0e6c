"""Where a coordinator's socket, state and checkpoints lie; derived from the environment alone.

Sources: the XDG base directory specification for the folders; sockaddr_un in unix(7) for the
length of a socket's path.
"""

from collections.abc import Mapping

import msgspec

SOCKET_PATH_LIMIT = 107
"""Bytes that fit in sun_path before its closing zero."""


class Paths(msgspec.Struct, frozen=True):
    """The folders of one user on one machine; nothing here has been created yet."""

    runtime: str
    state: str
    config: str

    @classmethod
    def of(cls, environment: Mapping[str, str], uid: int, hostname: str, home: str) -> "Paths":
        """Choose the folders as contract and XDG say.

        Raise ValueError for a socket too long, and for a folder that is not absolute: launcher and
        coordinator do not stand in the same one.
        """
        for name in ("GPURUN_RUNTIME_DIR", "GPURUN_STATE_DIR", "GPURUN_CONFIG"):
            if (value := environment.get(name)) and not value.startswith("/"):
                raise ValueError(f"{name}={value} is not an absolute path; begin it with /")
        get = environment.get
        runtime = get("GPURUN_RUNTIME_DIR") or _xdg_runtime(environment, uid)
        state = (
            get("GPURUN_STATE_DIR")
            or f"{_xdg(environment, 'XDG_STATE_HOME') or home + '/.local/state'}/gpurun"
        )
        config = (
            get("GPURUN_CONFIG")
            or f"{_xdg(environment, 'XDG_CONFIG_HOME') or home + '/.config'}/gpurun/config.toml"
        )
        paths = cls(runtime, f"{state}/{hostname}", config)
        length = len(paths.socket.encode(errors="surrogateescape"))
        if length > SOCKET_PATH_LIMIT:
            raise ValueError(
                f"the socket path {paths.socket} has {length} bytes and the system allows "
                f"{SOCKET_PATH_LIMIT}; set GPURUN_RUNTIME_DIR to a shorter folder"
            )
        return paths

    @property
    def socket(self) -> str:
        """The coordinator's ipc socket."""
        return f"{self.runtime}/coordinator.sock"

    @property
    def endpoint(self) -> str:
        """The same as ZeroMQ names it."""
        return f"ipc://{self.socket}"

    @property
    def lock(self) -> str:
        """Held by the one coordinator for as long as it lives."""
        return f"{self.runtime}/coordinator.lock"

    @property
    def simulation(self) -> str:
        """What simulated devices hold; it outlives a coordinator as real memory does."""
        return f"{self.runtime}/simulation.json"

    @property
    def database(self) -> str:
        """Jobs and their log."""
        return f"{self.state}/jobs.sqlite"

    @property
    def database_lock(self) -> str:
        """Held as well: two runtime folders may share one state folder."""
        return f"{self.state}/jobs.lock"

    @property
    def log(self) -> str:
        """What the coordinator has to say."""
        return f"{self.state}/coordinator.log"

    @property
    def spool(self) -> str:
        """Ends of jobs that no coordinator was there to hear; one file for each."""
        return f"{self.state}/ends"

    def checkpoints(self, uuid: str) -> str:
        """Where one job's checkpoints lie: by UUID, since job numbers are per database."""
        return f"{self.state}/checkpoints/{uuid}"

    def order(self, uuid: str) -> str:
        """With what one job was started, for the time that it is run again."""
        return f"{self.state}/orders/{uuid}"


def _xdg(environment: Mapping[str, str], name: str) -> str:
    """A folder of the specification, which has relative ones ignored."""
    value = environment.get(name, "")
    return value if value.startswith("/") else ""


def _xdg_runtime(environment: Mapping[str, str], uid: int) -> str:
    if base := _xdg(environment, "XDG_RUNTIME_DIR"):
        return f"{base}/gpurun"
    return f"{environment.get('TMPDIR') or '/tmp'}/gpurun-{uid}"  # noqa: S108 - made 0700 and checked
