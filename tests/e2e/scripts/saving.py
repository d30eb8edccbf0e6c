"""A program with no SDK: it counts to thirty, saves at SIGUSR2 and exits with 85."""

import os
import signal
import sys
import time

FOLDER = sys.argv[1]
asked = False


def ask(*_: object) -> None:
    """Only note it: the loop saves when a count is whole."""
    global asked  # noqa: PLW0603 - a handler has nowhere else to put it
    asked = True


def saved() -> int:
    """Where the last attempt has stopped."""
    if not os.path.exists(f"{FOLDER}/saved"):
        return 0
    with open(f"{FOLDER}/saved", encoding="utf-8") as file:
        return int(file.read())


signal.signal(signal.SIGUSR2, ask)
count = saved()
print(f"attempt {os.environ['GPURUN_ATTEMPT']} counts from {count}", flush=True)
while count < 30 or not os.path.exists(f"{FOLDER}/go"):
    time.sleep(0.02)
    count += 1
    if asked:
        with open(f"{FOLDER}/saved", "w", encoding="utf-8") as file:
            file.write(str(count))
        sys.exit(85)
print(f"counted, resume {os.environ.get('GPURUN_RESUME')}", flush=True)
