"""Downloads against a local server that truncates, stalls, lies, and knows ranges or not."""

import hashlib
import io
import re
import tarfile
import threading
import time
import zipfile
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from snnrun.data import fetch as fetching
from snnrun.data.downloads import DOWNLOADS, Download
from snnrun.data.fetch import Told, fetch, fetch_all, unpack_archive
from snnrun.errors import RunError, UserError

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server does; each item of `cuts` is after how many bytes one answer breaks off."""

    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    cuts: list = field(default_factory=list)
    stall: bool = False
    status: int = 200
    wrong_range: bool = False
    asked: list = field(default_factory=list)


@pytest.fixture
def server():
    plan = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            plan.asked.append(wanted)
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and plan.ranges else 0
            body = plan.content[start:]
            if plan.status != 200:
                self.send_error(plan.status)
                return
            if start and start >= len(plan.content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                first = start + 1 if plan.wrong_range else start
                self.send_header("Content-Range", f"bytes {first}-{len(plan.content) - 1}/{len(plan.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut = plan.cuts.pop(0) if plan.cuts else None
            self.wfile.write(body[:cut])
            if cut is not None and plan.stall:
                self.wfile.flush()
                time.sleep(1.5)

        def log_message(self, *arguments):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    plan.url = f"http://127.0.0.1:{running.server_port}/file.bin"
    yield plan
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def bring(server, folder, **changed):
    reports = []
    download = replace(Download("file.bin", (server.url,), MD5), **changed)
    try:
        return fetch(download, folder, lambda *report: reports.append(report)), reports
    finally:
        left = {path.name for path in folder.iterdir()} if folder.exists() else set()
        assert left <= {"file.bin", "file.bin.part"}


def test_a_file_arrives_whole_and_progress_is_told(server, tmp_path):
    path, reports = bring(server, tmp_path / "new" / "folder")
    assert path.read_bytes() == CONTENT
    assert reports[-1] == ("file.bin", len(CONTENT), len(CONTENT))
    assert len(server.asked) == 1
    assert not path.with_name("file.bin.part").exists()


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    bring(server, tmp_path)
    bring(server, tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_is_resumed(server, tmp_path, ranges):
    server.cuts, server.ranges = [300_000, 200_000], ranges
    path, _ = bring(server, tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", f"bytes={500_000 if ranges else 200_000}-"]


def test_a_later_call_goes_on_where_the_last_one_was(server, tmp_path):
    server.cuts = [100_000, 100_000, 100_000]
    with pytest.raises(RunError, match=r"broke off after 300000 of 1024000 bytes"):
        bring(server, tmp_path)
    assert (tmp_path / "file.bin.part").stat().st_size == 300_000
    assert bring(server, tmp_path)[0].read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=300000-"


def test_a_stalled_connection_is_given_up_and_resumed(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "STALL_S", 0.3)
    server.cuts, server.stall = [50_000], True
    path, _ = bring(server, tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=50000-"]


def test_a_wrong_file_is_never_moved_into_place(server, tmp_path):
    server.content = b"<html>not found</html>"
    with pytest.raises(RunError, match=rf"a wrong file, its MD5 is \w+ and not {MD5}"):
        bring(server, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(server.asked) == 1


def test_a_damaged_beginning_is_thrown_away_and_fetched_anew(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    assert bring(server, tmp_path)[0].read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_a_part_that_is_whole_already(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert bring(server, tmp_path)[0].read_bytes() == CONTENT
    (tmp_path / "file.bin").unlink()
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    assert bring(server, tmp_path)[0].read_bytes() == CONTENT


def test_an_answer_that_is_another_part(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    server.wrong_range = True
    with pytest.raises(RunError, match="another part than asked for"):
        bring(server, tmp_path)


def test_mirrors_are_tried_in_turn(server, tmp_path):
    nowhere = "http://127.0.0.1:9/file.bin"
    assert bring(server, tmp_path, urls=(nowhere, server.url))[0].read_bytes() == CONTENT


def test_an_offline_machine_is_told_what_to_bring(server, tmp_path):
    nowhere = "http://127.0.0.1:9/file.bin"
    with pytest.raises(RunError) as failure:
        bring(server, tmp_path / "place", urls=(nowhere,))
    text = str(failure.value)
    assert f"bring {nowhere} and put it into {tmp_path / 'place'}" in text
    assert "refused" in text
    assert "\n" not in text


def test_a_server_that_refuses(server, tmp_path):
    server.status = 404
    with pytest.raises(RunError, match="the server says 404 Not Found"):
        bring(server, tmp_path)


def test_a_proxy_of_the_environment_is_used(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/file.bin"))
    assert bring(server, tmp_path, urls=("http://data.invalid/file.bin",))[0].read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "blocked").write_text("a file")
    with pytest.raises(RunError, match=r"blocked.*cannot be written"):
        fetch(Download("file.bin", (server.url,), MD5), tmp_path / "blocked" / "inner", lambda *report: None)


def archive(kind, names):
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as packed:
            for name in names:
                packed.writestr(name, name.encode())
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.size = len(name)
                packed.addfile(entry, io.BytesIO(name.encode()))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_is_unpacked_into_its_folder(server, tmp_path, kind):
    server.content = archive(kind, ["top/wav/1/a.wav", "top/wav/b.wav", "top/README", "wav.txt"])
    download = Download("file.bin", (server.url,), hashlib.md5(server.content).hexdigest(), "wav")
    folder = fetch(download, tmp_path, lambda *report: None)
    assert folder == tmp_path / "wav"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.wav")} == {"1/a.wav", "b.wav"}
    assert (folder / "1" / "a.wav").read_text() == "top/wav/1/a.wav"
    assert [path.name for path in tmp_path.iterdir()] == ["wav"]
    fetch(download, tmp_path, lambda *report: None)
    assert len(server.asked) == 1


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["wav/../../evil", "/etc/evil", "../wav/evil", "wav\\..\\..\\evil", "C:/wav/evil"])
def test_an_archive_with_names_that_lead_out_of_it(tmp_path, kind, name):
    (tmp_path / "bad").write_bytes(archive(kind, ["wav/good.wav", name]))
    with pytest.raises(UserError, match=r"which leads out of it; nothing was unpacked"):
        unpack_archive(tmp_path / "bad", tmp_path / "wav")
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_an_archive_with_a_link(tmp_path):
    with tarfile.open(tmp_path / "bad", "w") as packed:
        entry = tarfile.TarInfo("wav/link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(entry)
    with pytest.raises(UserError, match=r"(no plain file|leads out)"):
        unpack_archive(tmp_path / "bad", tmp_path / "wav")
    assert not (tmp_path / "wav").exists()


def test_archives_that_are_damaged_or_hold_something_else(tmp_path):
    whole = archive("tar", [f"wav/{number}.wav" for number in range(100)])
    for content in (b"", b"no archive", whole[: len(whole) // 2], archive("zip", ["other/a"])):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(UserError, match=r"bad: (damaged|holds no folder wav)"):
            unpack_archive(tmp_path / "bad", tmp_path / "wav")
        assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_all_files_of_a_data_set(server, tmp_path, monkeypatch, cache_folder):
    files = tuple(Download(name, (server.url,), MD5) for name in ("a.bin", "b.bin"))
    monkeypatch.setitem(DOWNLOADS, "mine", files)
    root = cache_folder / "downloads" / "mine"
    assert fetch_all("mine", None, lambda *report: None) == [root / "a.bin", root / "b.bin"]
    assert fetch_all("mine", str(tmp_path / "x"), lambda *report: None)[0] == tmp_path / "x" / "a.bin"
    with pytest.raises(UserError, match=r"shdd: there is nothing to fetch; .*did you mean shd"):
        fetch_all("shdd", None, lambda *report: None)


def test_the_table_of_downloads():
    for files in DOWNLOADS.values():
        for download in files:
            assert download.urls
            assert all(re.fullmatch(r"https?://\S+", url) for url in download.urls)
            assert download.md5 is None or re.fullmatch("[0-9a-f]{32}", download.md5)


def test_progress_is_a_line_for_each_tenth_where_there_is_no_terminal():
    stream = io.StringIO()
    told = Told(stream)
    for done in range(0, 1_000_001, 10_000):
        told("a.gz", done, 1_000_000)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[-1] == "a.gz: 1 of 1 MB"
