"""A person at a terminal: an interactive shell with job control on a real pty."""

import os
import select
import subprocess
import time

DEADLINE = 15.0
PROMPT = "ready> "


class Terminal:
    """Types keys and reads what a person would see."""

    def __init__(self, environment: dict[str, str], folder: str) -> None:
        self.seen = ""
        self._master, slave = os.openpty()
        self._shell = subprocess.Popen(
            ["setsid", "--ctty", "bash", "--norc", "--noprofile", "--noediting", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment | {"PS1": PROMPT, "TERM": "xterm"},
            cwd=folder,
        )
        os.close(slave)
        self.expect(PROMPT)

    def type(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._master, keys.encode())

    def expect(self, text: str) -> str:
        """Wait until the text is seen; return what came before it and forget both."""
        end = time.monotonic() + DEADLINE
        while text not in self.seen:
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no {text!r} in {self.seen!r}"
            self.seen += os.read(self._master, 65536).decode(errors="replace")
        before, self.seen = self.seen.split(text, 1)
        return before

    def exit_code(self) -> int:
        """What the shell says of the last command."""
        self.type("echo code=$?=\n")
        self.expect("code=$?=")
        self.expect("code=")
        return int(self.expect("="))

    def close(self) -> None:
        """Hang up."""
        self._shell.kill()
        self._shell.wait()
        os.close(self._master)
