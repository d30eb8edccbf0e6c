"""Which files a checkpoint names as its program: the user's own, as they were when it started."""

import hashlib
import os
import subprocess
import sys
import textwrap

import msgspec

from gpurun.protocol.checkpoint import Source

SCRIPT = """
import os, sys
import msgspec
from gpurun.sdk import sources
import near
import site_like
os.chdir(sys.argv[1])
import here
first = sources.note()
with open(near.__file__, "a") as file:
    file.write("# edited\\n")
import late
print(msgspec.json.encode([first, sources.note()]).decode())
"""


def write(path: str, text: str = "") -> str:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(textwrap.dedent(text))
    return path


def test_the_script_and_what_it_imported_from_beside_it_or_from_where_it_runs(folder: str) -> None:
    """Neither what is installed, also where that lies below, nor what changes afterwards."""
    script = write(f"{folder}/program/train.py", SCRIPT)
    near, late, here = (
        write(f"{folder}/{name}.py", "VALUE = 3\n")
        for name in ("program/near", "program/late", "elsewhere/here")
    )
    installed = f"{folder}/program/.venv/lib/python3/site-packages"
    write(f"{installed}/site_like.py")
    found = subprocess.run(
        [sys.executable, "program/train.py", f"{folder}/elsewhere"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{os.pathsep.join(sys.path)}:{installed}:{here[:-8]}"},
        capture_output=True,
        check=True,
    )
    first, second = msgspec.json.decode(found.stdout, type=list[list[Source]])
    assert [source.path for source in first] == sorted([here, near, script])
    assert [source.path for source in second] == sorted([here, late, near, script])
    seen = next(source for source in second if source.path == near)
    assert seen.sha256 == hashlib.sha256(b"VALUE = 3\n").hexdigest()
    assert seen.size == len("VALUE = 3\n")
    assert os.path.getsize(near) > seen.size
