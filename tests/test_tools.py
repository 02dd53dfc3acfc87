import hashlib
import io
import os
import platform
import runpy
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / "tools"
PROGRAM = b"#!/bin/sh\n"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Write nothing."""


@pytest.fixture
def uv_tool():
    """Give the names of tools/uv.py."""
    return runpy.run_path(str(TOOLS / "uv.py"))


@pytest.fixture
def publish(tmp_path, monkeypatch, uv_tool):
    """Serve a package index with one wheel of uv, under the digest given, and set PIP_INDEX_URL to it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=tmp_path))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def publish_wheel(wheel, digest):
        kind = "macosx_11_0" if sys.platform == "darwin" else "musllinux_1_1"
        name = f"uv-{uv_tool['PINNED']}-py3-none-{kind}_{platform.machine()}.whl"
        (tmp_path / name).write_bytes(wheel)
        (tmp_path / "simple" / "uv").mkdir(parents=True)
        (tmp_path / "simple" / "uv" / "index.html").write_text(f'<a href="../../{name}#sha256={digest}">{name}</a>')

    yield publish_wheel
    server.shutdown()
    server.server_close()


def wheel_of_uv(version):
    """Build a wheel that holds PROGRAM where uv's own holds uv."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"uv-{version}.data/scripts/uv", PROGRAM)
    return content.getvalue()


def test_uv_comes_from_the_index_where_pip_is_missing(publish, uv_tool, tmp_path):
    """The wheel for this machine is found among the links, relative ones too, and holds the program."""
    wheel = wheel_of_uv(uv_tool["PINNED"])
    publish(wheel, hashlib.sha256(wheel).hexdigest())
    assert uv_tool["unpack_wheel"](uv_tool["fetch_wheel"](), tmp_path).read_bytes() == PROGRAM


def test_a_wheel_that_is_not_as_promised_is_refused(publish, uv_tool):
    """Bytes with another digest than the index gives are never unpacked."""
    publish(wheel_of_uv(uv_tool["PINNED"]), "0" * 64)
    with pytest.raises(RuntimeError, match="promises 0000"):
        uv_tool["fetch_wheel"]()


def clean_demo(home):
    """Run tools/clean_demo.py on a folder."""
    environment = os.environ | {"FORECAST_HOME": str(home)}
    command = [sys.executable, "-W", "ignore", str(TOOLS / "clean_demo.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_folder_of_others_is_not_removed(tmp_path):
    """A folder without a sign of ours is left as it is, whatever FORECAST_HOME says."""
    (tmp_path / "models").mkdir()
    answer = clean_demo(tmp_path)
    assert answer.returncode == 1
    assert "left as it is" in answer.stderr
    assert (tmp_path / "models").exists()


def test_the_checkout_is_not_removed(tmp_path, monkeypatch):
    """A folder above the checkout or the user's own is never ours, even with our state in it."""
    clean = runpy.run_path(str(TOOLS / "clean_demo.py"))
    monkeypatch.setenv("HOME", str(tmp_path / "somebody"))
    (tmp_path / "mlflow.db").touch()
    assert not clean["is_ours"](tmp_path)
    assert not clean["is_ours"](clean["CHECKOUT"])


PROGRAM_THAT_USES_THE_DATABASE = """
import sys
from pathlib import Path
import sqlalchemy as sa
from forecast.settings import Settings
from forecast.store import open_engine
with open_engine(Settings(home=Path(sys.argv[1]))).connect() as connection:
    print(connection.scalar(sa.text("SELECT 'up'")), flush=True)
    input()
    try:
        connection.execute(sa.text("SELECT 1"))
    except sa.exc.OperationalError as error:
        print(error.orig)
"""


def test_our_folder_is_removed_with_its_server(request):
    """The embedded PostgreSQL is told to stop before its data go."""
    home = Path(tempfile.mkdtemp(prefix="forecast-"))  # tmp_path is closed to the user that root's server runs as
    request.addfinalizer(lambda: shutil.rmtree(home, ignore_errors=True))
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM_THAT_USES_THE_DATABASE, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout.readline() == "up\n"
        answer = clean_demo(home)
        said, _ = program.communicate("\n")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "administrator command" in said
    assert not home.exists()
