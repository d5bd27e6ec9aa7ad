"""Builds the wheel and runs the tests against it on every Python from 3.10 to 3.13 found here.

With `--newest` it tests nothing and prints the path of the newest of them, for a Makefile.

What is tested is what users install: the wheel, in a fresh environment, without this checkout's
`src` on the path. Pythons that are not found are named; the exit status is 0 when all found pass.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = ("3.10", "3.11", "3.12", "3.13")
EXTRAS = "celery,examples,host,otel,testing"
ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".venv" / "all-pythons"
CHECK = "import sys; print('%d.%d' % sys.version_info[:2])"


def main() -> int:
    """Test on each Python and say what happened."""
    if sys.argv[1:] == ["--newest"]:
        found = (find(version) for version in reversed(VERSIONS))
        print(next((program for program in found if program), sys.executable))
        return 0
    wheel = build()
    outcomes: dict[str, str] = {}
    for version in VERSIONS:
        program = find(version)
        outcomes[version] = "not found" if program is None else run(version, program, wheel)
        print(f"Python {version}: {outcomes[version]}", flush=True)
    print("; ".join(f"{version} {outcome}" for version, outcome in outcomes.items()))
    return int("failed" in outcomes.values() or set(outcomes.values()) == {"not found"})


def build() -> Path:
    """Build the wheel with this environment's pip."""
    folder = ENVIRONMENTS / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*command, str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def find(version: str) -> str | None:
    """A Python of *version*: on the path, or installed beside others by a version manager."""
    candidates = [shutil.which(f"python{version}"), sys.executable]
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += sorted(map(str, managed.glob(f"{version}.*/bin/python")), reverse=True)
    return next((found for found in candidates if found and speaks(found, version)), None)


def speaks(program: str, version: str) -> bool:
    """Whether *program* is a Python of *version*; a shim without one behind it is not."""
    try:
        done = subprocess.run(
            [program, "-c", CHECK], capture_output=True, text=True, timeout=300, check=False
        )
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def run(version: str, program: str, wheel: Path) -> str:
    """Install the wheel into an environment of its own and run the tests there."""
    folder = ENVIRONMENTS / version
    if not (folder / "bin/python").exists():
        subprocess.run([program, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin/python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "pip>=25.1"], check=True)
    subprocess.run([*pip, f"{wheel}[{EXTRAS}]", "--group", "dev"], check=True, cwd=ROOT)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(wheel)], check=True)
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    side_by_side = ["--numprocesses", "auto", "--maxprocesses", "4", "--dist", "worksteal"]
    done = subprocess.run([*tests, *side_by_side, str(ROOT / "tests")], cwd=ROOT, check=False)
    return "passed" if done.returncode == 0 else "failed"


if __name__ == "__main__":
    sys.exit(main())
