import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from rich.console import Console

from wellposed.data import MNIST, Places, load
from wellposed.data._download import download
from wellposed.data._published import Remote
from wellposed.errors import DataError

CONTENT = bytes(range(256)) * 2000  # half a megabyte: several chunks


@pytest.fixture
def server():
    """A server on this machine: `server.files` are sent, `server.behavior` may break them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            content = server.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            if server.behavior != "endless":
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if server.behavior == "cut":
                content = content[: len(content) // 2]
            elif server.behavior == "endless":
                content = content * 50
            try:
                self.wfile.write(content)
            except OSError:
                server.hung_up = True

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.behavior, server.asked, server.hung_up = {}, "", [], False
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def remote(server):
    server.files["/file.gz"] = CONTENT
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Remote("file.gz", f"{server.url}/file.gz", digest, len(CONTENT))


@pytest.fixture
def online(tmp_path, monkeypatch):
    monkeypatch.delenv("WELLPOSED_DATA", raising=False)
    return Places(offline=False, cache=tmp_path / "cache", mirror=None, system=())


def contents(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_a_file_arrives_whole_and_is_not_fetched_twice(server, remote, online):
    folder = online.cache / "x"
    path = download(remote, folder, online)
    assert path == folder / "file.gz"
    assert path.read_bytes() == CONTENT
    download(remote, folder, online)
    assert server.asked == ["/file.gz"]
    assert contents(folder) == ["file.gz"]


def test_a_damaged_file_in_the_cache_is_fetched_again(server, remote, online):
    online.cache.mkdir()
    (online.cache / "file.gz").write_bytes(b"damaged")
    assert download(remote, online.cache, online).read_bytes() == CONTENT


def test_a_cut_connection_leaves_nothing_and_can_be_repeated(server, remote, online):
    server.behavior = "cut"
    with pytest.raises(DataError, match=r"nothing was kept; try again"):
        download(remote, online.cache, online)
    assert contents(online.cache) == []
    server.behavior = ""
    assert download(remote, online.cache, online).read_bytes() == CONTENT


def test_other_bytes_are_not_kept(server, remote, online):
    server.files["/file.gz"] = b"<html>Please sign in</html>"
    with pytest.raises(DataError, match=r"not the published file.gz .* a sign-in page may"):
        download(remote, online.cache, online)
    assert contents(online.cache) == []


def test_a_file_without_end_is_cut_off(server, remote, online):
    server.behavior = "endless"
    with pytest.raises(DataError, match="not the published"):
        download(remote, online.cache, online)
    assert contents(online.cache) == []
    server.shutdown()
    assert server.hung_up or server.asked  # nobody waited for all of it


def test_a_missing_file_and_a_dead_server_are_named(server, remote, online):
    gone = replace(remote, url=f"{server.url}/gone.gz")
    with pytest.raises(DataError, match=r"gone\.gz could not be downloaded .*404"):
        download(gone, online.cache, online)
    nobody = replace(remote, url="http://127.0.0.1:9/file.gz")
    with pytest.raises(DataError, match="could not be downloaded"):
        download(nobody, online.cache, online)
    assert contents(online.cache) == []


def test_a_folder_that_cannot_be_written_is_named(server, remote, online):
    online.cache.write_text("a file where the cache should be")
    with pytest.raises(DataError, match="could not be downloaded to"):
        download(remote, online.cache / "x", online)


def test_a_mirror_replaces_the_address(server, remote, online):
    elsewhere = replace(remote, url="http://127.0.0.1:9/file.gz")
    places = replace(online, mirror=f"{server.url}/")
    assert download(elsewhere, places.cache, places).read_bytes() == CONTENT


def test_a_terminal_sees_a_bar(server, remote, online, monkeypatch, capsys):
    def console(**options):
        return Console(**options, force_terminal=True, width=100)

    monkeypatch.setattr("wellposed.data._download.Console", console)
    download(remote, online.cache, online)
    shown = capsys.readouterr().err
    assert "file.gz" in shown
    assert "512.0/512.0 kB" in shown


@pytest.fixture
def published(server, files, tmp_path, monkeypatch):
    """MNIST as this server publishes it: small."""
    files.mnist(tmp_path / "origin")
    remotes = []
    for old in MNIST.remotes:
        content = (tmp_path / "origin" / old.name).read_bytes()
        server.files[f"/{old.name}"] = content
        digest = hashlib.sha256(content).hexdigest()
        remotes.append(Remote(old.name, f"{server.url}/{old.name}", digest, len(content)))
    monkeypatch.setattr(MNIST, "remotes", tuple(remotes))
    return server


def test_a_dataset_that_is_nowhere_is_downloaded_and_then_found(published, online):
    assert MNIST().find(online) is None
    assert len(load(MNIST(), places=online).test) == 20
    assert MNIST().find(online) == str(online.cache / "mnist")
    load(MNIST(), places=replace(online, offline=True))
    assert len(published.asked) == 4


def test_an_interrupted_dataset_is_resumed(published, online):
    third = published.files.pop("/t10k-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match="complete are not fetched twice"):
        MNIST().fetch(online)
    assert len(contents(online.cache / "mnist")) == 2
    assert MNIST().find(online) is None
    published.files["/t10k-images-idx3-ubyte.gz"] = third
    published.asked.clear()
    MNIST().fetch(online)
    assert published.asked == ["/t10k-images-idx3-ubyte.gz", "/t10k-labels-idx1-ubyte.gz"]
    assert len(contents(online.cache / "mnist")) == 4
