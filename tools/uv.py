#!/usr/bin/env python3
"""Run uv with the arguments given, in the checkout; fetch it first where the machine has none.

The uv on PATH is taken if it is recent enough. Otherwise the pinned version is put into .bootstrap/: by pip, or, where
python3 comes without pip (as on a bare Debian), straight from the package index, checked against the SHA-256 given
there. Nothing outside the checkout is changed, apart from uv's own cache.

Only the standard library is used, in a syntax that Python 3.7 reads too, so that a machine with an old python3 gets as
far as uv, which looks for a newer one.
"""

# ruff: noqa: S310, S603 - the addresses and programs are those of the set-up, given by whoever runs it

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import urldefrag, urljoin
from urllib.request import urlopen

PINNED = "0.13.9"
OLDEST = (0, 9)
CHECKOUT = Path(__file__).resolve().parent.parent
FETCHED = CHECKOUT / ".bootstrap" / f"uv-{PINNED}"
HELP = """
Set-up did not succeed; the reason stands above.
  - It needs pypi.org and files.pythonhosted.org once. Behind a proxy, set HTTPS_PROXY; where that brings its own
    certificate, set SSL_CERT_FILE to its .pem file; with a mirror of the index, set PIP_INDEX_URL.
  - Offline: put uv (version 0.9 or later) on PATH, copy the folder that `uv cache dir` names from a machine where
    set-up succeeded, and set UV_OFFLINE=1.
  - Python 3.11, 3.12 or 3.13 must be on PATH; UV_PYTHON_DOWNLOADS=automatic lets uv fetch one.
"""


def say(text: str) -> None:
    """Write a line to standard error at once, so that it stands before what a child process writes."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def settle_environment() -> None:
    """Let this process, pip and uv agree on certificates, the environment's place and where Python comes from."""
    own = os.environ
    certificate = own.get("SSL_CERT_FILE") or own.get("PIP_CERT") or own.get("REQUESTS_CA_BUNDLE")
    if certificate:
        own.setdefault("SSL_CERT_FILE", certificate)
        own.setdefault("PIP_CERT", certificate)
    own.setdefault("UV_HTTP_TIMEOUT", own.get("PIP_DEFAULT_TIMEOUT", "120"))
    own.setdefault("UV_PYTHON_DOWNLOADS", "never")
    own.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    own.setdefault("PIP_ROOT_USER_ACTION", "ignore")
    if not os.access(Path.home(), os.W_OK):
        own.setdefault("UV_CACHE_DIR", str(FETCHED.parent / "cache"))
    own["UV_PROJECT_ENVIRONMENT"] = ".venv"
    own.pop("VIRTUAL_ENV", None)


def find_uv() -> str | None:
    """Find a uv that is recent enough: the fetched one, or else the one on PATH."""
    if FETCHED.exists():
        return str(FETCHED)
    found = shutil.which("uv")
    if found is None:
        return None
    answer = subprocess.run([found, "--version"], stdout=subprocess.PIPE, check=False).stdout.decode()
    version = re.match(r"uv (\d+)\.(\d+)", answer)
    return found if version and tuple(map(int, version.groups())) >= OLDEST else None


def fetch_uv() -> str:
    """Put the pinned uv into .bootstrap/; two at once do no harm, for the file appears whole."""
    say(f"set-up: no uv of version {'.'.join(map(str, OLDEST))} or later on PATH; fetching {PINNED} into .bootstrap/")
    FETCHED.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FETCHED.parent) as name:
        folder = Path(name)
        program = install_by_pip(folder) or unpack_wheel(fetch_wheel(), folder)
        program.chmod(0o755)
        program.replace(FETCHED)
    return str(FETCHED)


def install_by_pip(folder: Path) -> Path | None:
    """Install uv by this Python's pip, which knows the machine's mirrors; None where it can't."""
    if importlib.util.find_spec("pip") is None:
        return None
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "1", "--target", str(folder)]
    done = subprocess.run([*command, f"uv=={PINNED}"], stdin=subprocess.DEVNULL, check=False)
    return folder / "bin" / "uv" if done.returncode == 0 else None


def fetch_wheel() -> bytes:
    """Fetch uv's wheel for this machine, by the index's page of links.

    Raises:
        OSError: the index can't be reached.
        RuntimeError: the index has no such wheel, or what came is not what it promised.
    """
    say("set-up: pip is not here or failed; fetching uv's wheel from the package index")
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/uv/"
    # uv's build for musl is linked statically, so that it runs on every Linux
    kind = "macosx" if sys.platform == "darwin" else "musllinux"
    wanted = rf'href="([^"]*/uv-{re.escape(PINNED)}-py3-none-[\w.]*{kind}\w*_{platform.machine()}\.whl#sha256=\w+)"'
    with urlopen(index, timeout=60) as page:
        link = re.search(wanted, page.read().decode())
    if link is None:
        raise RuntimeError(f"{index} has no uv {PINNED} for {sys.platform} on {platform.machine()}")
    address, fragment = urldefrag(urljoin(index, link[1]))
    with urlopen(address, timeout=60) as answer:
        wheel: bytes = answer.read()
    found, promised = hashlib.sha256(wheel).hexdigest(), fragment.partition("=")[2]
    if found != promised:
        raise RuntimeError(f"{address} has the SHA-256 {found}, but {index} promises {promised}")
    return wheel


def unpack_wheel(wheel: bytes, folder: Path) -> Path:
    """Unpack a wheel of uv and give the program's path."""
    zipfile.ZipFile(io.BytesIO(wheel)).extractall(folder)
    return folder / f"uv-{PINNED}.data" / "scripts" / "uv"


def main(arguments: list[str]) -> int:
    """Run uv and give its exit code; where set-up fails, say what may help."""
    settle_environment()
    try:
        code = subprocess.run([find_uv() or fetch_uv(), *arguments], cwd=CHECKOUT, check=False).returncode
    except (OSError, RuntimeError) as error:
        say(f"set-up: {error}")
        code = 1
    if code and arguments[:1] == ["sync"]:
        say(HELP)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
