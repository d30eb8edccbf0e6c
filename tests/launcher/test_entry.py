"""The command before the package: another distribution of the name, surprises, start-up time."""

import os
import subprocess
import sys

import pytest
from tests.launcher.conftest import Start, ended
from tests.launcher.coordinator_double import CoordinatorDouble

import gpurun_entry
from gpurun.protocol.version import VERSION

HEAVY = {
    "asyncio",
    "ctypes",
    "dataclasses",
    "email",
    "importlib.metadata",
    "inspect",
    "json",
    "logging",
    "pathlib",
    "random",
    "shutil",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "textwrap",
    "zmq.asyncio",
    "zmq.eventloop",
}


def test_another_distribution_named_gpurun_is_named_with_the_cure(
    start: Start, folder: str, environment: dict[str, str]
) -> None:
    """PyPI's gpurun is a regular package, which hides the namespace that ours lies in."""
    os.makedirs(f"{folder}/other/gpurun")
    path = f"{folder}/other/gpurun/__init__.py"
    with open(path, "w", encoding="utf-8") as file:
        file.write("")
    shadowed = environment | {"PYTHONPATH": f"{folder}/other:{environment['PYTHONPATH']}"}
    assert ended(start("true", env=shadowed)) == (
        125,
        "",
        f"gpurun: error: another distribution named gpurun ({path}) shadows gpurun-scheduler "
        "here; pip uninstall gpurun, then pip install --force-reinstall gpurun-scheduler\n",
    )


def test_a_surprise_is_one_line_and_125_and_shown_in_full_on_request(
    start: Start, folder: str, environment: dict[str, str]
) -> None:
    with open(f"{folder}/sitecustomize.py", "w", encoding="utf-8") as file:
        file.write("import gpurun_entry\ndef f(): raise OSError('gone')\ngpurun_entry._run = f")
    broken = environment | {"PYTHONPATH": f"{folder}:{environment['PYTHONPATH']}"}
    code, _, err = ended(start("true", env=broken))
    assert code == 125
    assert err.startswith("gpurun: error: OSError: gone; ")
    assert err.count("\n") == 1
    assert "Traceback" in ended(start("true", env=broken | {"GPURUN_DEBUG": "1"}))[2]


def test_a_reader_that_has_gone_gets_no_traceback(start: Start) -> None:
    """`gpurun status | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = start("--help", stdout=writer)
    os.close(writer)
    assert command.communicate(timeout=10)[1] == ""
    assert command.returncode == 1


def test_version_is_the_distributions(start: Start) -> None:
    assert ended(start("--version"))[:2] == (0, f"gpurun {VERSION}\n")


@pytest.mark.parametrize("before", ["submission", "end"])
def test_the_hot_path_imports_nothing_heavy(
    start: Start, coordinator: CoordinatorDouble, folder: str, before: str
) -> None:
    """Until the job is submitted; and until its end only what ctypes needs besides."""
    moment = {
        "submission": ("gpurun.launcher.link", "Link.__init__"),
        "end": ("gpurun.launcher.finish", "report_end"),
    }
    module, name = moment[before]
    script = f"""
import sys, gpurun_entry, os
def note(frame, event, _):
    if frame.f_code.co_qualname == {name!r} and frame.f_globals["__name__"] == {module!r}:
        # A stand-in for a module that nobody has asked anything of has no __spec__.
        real = [m for m, module in sys.modules.items() if getattr(module, "__spec__", None)]
        with open("modules", "w") as file:
            print(*real, file=file)
        sys.setprofile(None)
sys.setprofile(note)
sys.argv = ["gpurun", "true"]
gpurun_entry.main()
"""
    command = start("-c", script, program=sys.executable)
    coordinator.admit()
    coordinator.end()
    assert ended(command)[0] == 0
    with open(f"{folder}/modules", encoding="utf-8") as file:
        imported = set(file.read().split())
    assert "gpurun.launcher.run_job" in imported
    allowed = {"ctypes"} if before == "end" else set()
    assert not (imported & HEAVY) - allowed


def test_the_entry_needs_nothing_before_it_knows_whose_package_it_is() -> None:
    script = "import sys; n = len(sys.modules); import gpurun_entry; print(len(sys.modules) - n)"
    folder = os.path.dirname(gpurun_entry.__file__)
    words = [sys.executable, "-c", script]
    environment = os.environ | {"PYTHONPATH": folder}
    found = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert found.stdout == "2\n"  # itself and gc, which is built in


@pytest.mark.parametrize(
    "first",
    [
        "from json.decoder import JSONDecodeError as part",
        "import json.decoder; part = json.decoder.JSONDecodeError",
        "import json; part = json.JSONDecodeError",
        "import json.tool; from json import JSONDecodeError as part",
    ],
)
def test_a_postponed_module_is_the_real_one_for_whoever_asks_something_of_it(first: str) -> None:
    """Loaded once, whichever of its parts is asked for first."""
    script = f"""
import sys, gpurun_entry
gpurun_entry._run = lambda: 0
try:
    gpurun_entry.os._exit = sys.exit
    gpurun_entry.main()
except SystemExit:
    pass
import json as before, random
{first}
import json, json.decoder
print(part is json.JSONDecodeError is json.decoder.JSONDecodeError is before.JSONDecodeError)
print(json is sys.modules["json"], json.__spec__ is not None, json.loads("[1]"))
print(random.Random(7) is not None, hasattr(before, "unknown"))
"""
    environment = os.environ | {"PYTHONPATH": os.path.dirname(gpurun_entry.__file__)}
    words = [sys.executable, "-c", script]
    found = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (found.stderr, found.stdout) == ("", "True\nTrue True [1]\nTrue False\n")


def test_the_collector_of_garbage_rests_for_the_imports_only(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """A launcher may live for weeks."""
    script = """
import gc, sys, gpurun_entry
from gpurun.launcher import link, watch
def note(cls, name):
    old = getattr(cls, name)
    def noted(*arguments):
        print(gc.isenabled(), file=sys.stderr)
        return old(*arguments)
    setattr(cls, name, noted)
note(link.Link, "__init__")
note(watch.Watch, "until_end")
sys.argv = ["gpurun", "-q", "true"]
gpurun_entry.main()
"""
    command = start("-c", script, program=sys.executable)
    coordinator.admit()
    coordinator.end()
    assert ended(command) == (0, "", "False\nTrue\n")
