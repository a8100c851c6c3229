"""`python -m bench.files [BLOB_URL]`: files through the edge and nginx doing the same, memory meanwhile, thumbnails.

Everything is in one process on embedded twins, with one thread of nginx beside it; files go in and out over loopback
from threads that hold a connection each. nginx (`--with-http_dav_module`, Debian's package) writes what is PUT into a
folder and serves it from there; it computes no digest, looks at no content and waits for no disk. Medians of rounds
that run in turn.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from actors.image_jobs import Job
from actors.images import Images
from tests.edge.whole_house import BOUNDARY, form
from tests.pictures import noise
from tests.servers.processes import free_port, spawn
from tests.system.world import Api, World

MIB = 1 << 20
SIZE = 25 * MIB
ROUNDS = 3
STREAMS = 4
MANY = 100

NGINX = """\
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr warn; user root;
events {{ worker_connections 512; }}
http {{
    access_log off; sendfile on; client_max_body_size 0; client_body_temp_path {folder}/temp;
    proxy_temp_path {folder}/t1; fastcgi_temp_path {folder}/t2; uwsgi_temp_path {folder}/t3; scgi_temp_path {folder}/t4;
    server {{ listen 127.0.0.1:{port}; root {folder}/files; location / {{ dav_methods PUT; }} }}
}}
"""


class Busy(Exception):
    """503 or 504: try again."""


class Peer:
    """A server: where files are PUT and where they are fetched, one address a stream."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.host, self.port = parts.hostname or "", parts.port or 0

    def send(self, head: str, body: memoryview, *, expected: tuple[int, ...]) -> bytes:
        """One request on a connection of its own; the answer's body."""
        with socket.create_connection((self.host, self.port)) as connection:
            connection.sendall(f"{head}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            if body:
                with suppress(ConnectionError):  # then the answer says why
                    connection.sendall(body)
            return self._answer(connection, expected)

    def fetch(self, path: str) -> int:
        """How many bytes came."""
        buffer = bytearray(MIB)
        with socket.create_connection((self.host, self.port)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            total = 0
            while count := connection.recv_into(buffer):
                total += count
        return total

    def _answer(self, connection: socket.socket, expected: tuple[int, ...]) -> bytes:
        said = b""
        while piece := connection.recv(1 << 16):
            said += piece
        status = int(said.split(None, 2)[1])
        if status in (503, 504):
            raise Busy
        if status not in expected:
            raise RuntimeError(said[:2000].decode())
        return said.partition(b"\r\n\r\n")[2]


def rate(jobs: Sequence[Callable[[], object]]) -> float:
    """MiB/s of these jobs side by side, of `SIZE` each."""
    started = time.perf_counter()
    with ThreadPoolExecutor(len(jobs)) as threads:
        for done in [threads.submit(job) for job in jobs]:
            done.result()
    return len(jobs) * SIZE / MIB / (time.perf_counter() - started)


def memory(pid: int) -> float:
    """Resident MiB of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def processor(pid: int) -> float:
    """Seconds of CPU that a process has used, in its own code and in the kernel."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def watched(pid: int) -> Iterator[list[float]]:
    """Its memory, again and again."""
    seen, over = [memory(pid)], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            seen.append(memory(pid))

    watching = threading.Thread(target=watch)
    watching.start()
    yield seen
    over.set()
    watching.join()


async def main() -> None:
    """Measure, and print."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="troupe-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "files").mkdir()
        port, nginx_port = free_port(), free_port()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=nginx_port))
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        spawn(stack, [nginx, "-c", folder / "nginx.conf", "-e", "stderr"], folder)
        address = f"http://127.0.0.1:{port}"
        settings = {"EDGE_PORT": str(port), "PUBLIC_URL": address, "RATE_LIMITS": "off"}
        if len(sys.argv) > 1:
            settings["BLOB_URL"] = sys.argv[1]
        async with World(folder, settings) as world, aiohttp.ClientSession() as session:
            if "BENCH_AMQP_URL" in os.environ:  # then the edge is a process of its own
                world.settings |= {"BROKER_URL": os.environ["BENCH_AMQP_URL"], "BROKER_PREFIX": "bench-files"}
                world.settings["CACHE_URL"] = "memory:"
                for name in ("user", "task", "notify", "media"):
                    await world.start("--actors", name)
            running = await world.start(*(["--actors", "edge"] if "BENCH_AMQP_URL" in os.environ else []))
            ada = await Api(session, address).person("Ada")
            await asyncio.to_thread(compare, asyncio.get_running_loop(), ada, running.process.pid, nginx_port)
        await thumbnails(folder)


def compare(loop: asyncio.AbstractEventLoop, ada: Api, pid: int, nginx_port: int) -> None:
    """Rounds in turn, then many uploads at once."""
    edge, nginx = Peer(ada.address), Peer(f"http://127.0.0.1:{nginx_port}")

    def ask(*args: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(ada(*args), loop).result().json

    counter = iter(range(10**9))

    def content() -> bytes:
        return b"%012d\n" % next(counter) + b"a line of text of some length, so\n" * (SIZE // 34 + 1)

    def posted(body: memoryview, key: str = "") -> bytes:
        head = (
            f"POST /v1/media HTTP/1.1\r\nAuthorization: Bearer {ada.token}\r\nContent-Length: {len(body)}\r\n"
            + (f"Idempotency-Key: {key}\r\n" if key else "")
            + f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
        )
        return edge.send(head, body, expected=(201,))

    found: dict[str, list[float]] = {"form": [], "direct": [], "nginx PUT": [], "GET": [], "nginx GET": []}
    spent: list[float] = []
    for _ in range(ROUNDS):
        files = [content()[:SIZE] for _ in range(STREAMS)]
        forms = [memoryview(form([("file", "a.txt", file)])) for file in files]
        found["form"].append(rate([partial(posted, body) for body in forms]))
        files = [content()[:SIZE] for _ in range(STREAMS)]
        announced = {"filename": "a.txt", "content_type": "text/plain", "size": SIZE}
        begun = [ask("POST", "/v1/media/uploads", announced) for _ in files]

        def direct(begun: Any, file: bytes) -> None:
            url = urlsplit(begun["upload"]["url"])
            head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nContent-Length: {SIZE}"
            edge.send(head, memoryview(file), expected=(204, 200))

        if begun[0]["upload"]["url"].startswith(ada.address):
            found["direct"].append(rate([partial(direct, *pair) for pair in zip(begun, files, strict=True)]))
        puts = [
            partial(
                nginx.send,
                f"PUT /{number} HTTP/1.1\r\nContent-Length: {SIZE}",
                memoryview(file),
                expected=(201, 204),
            )
            for number, file in enumerate(files)
        ]
        found["nginx PUT"].append(rate(puts))
        media = msgspec.json.decode(posted(memoryview(form([("file", "a.txt", files[0])]))))
        url = urlsplit(ask("GET", f"/v1/media/{media['id']}/url")["url"])
        if f"{url.scheme}://{url.netloc}" == ada.address:
            path = f"{url.path}?{url.query}"
            used = processor(pid)
            found["GET"].append(rate([partial(edge.fetch, path)] * STREAMS))
            spent.append((processor(pid) - used) * 1024 * MIB / (STREAMS * SIZE))
        found["nginx GET"].append(rate([lambda: nginx.fetch("/0")] * STREAMS))
    for name, rates in found.items():
        if rates:
            print(f"{name:10} {statistics.median(rates):8.0f} MiB/s  ({min(rates):.0f}–{max(rates):.0f})")
    if spent:
        print(f"GET: {statistics.median(spent):.2f} s of the edge's CPU for a GiB  ({min(spent):.2f}–{max(spent):.2f})")
    body = memoryview(form([("file", "a.txt", content()[:SIZE])]))
    before = memory(pid)
    with watched(pid) as seen:
        rate_of_many = rate([partial(insist, partial(posted, body, str(number))) for number in range(MANY)])
    grown = max(seen) - before
    print(f"{MANY} uploads of 25 MiB at once: {rate_of_many:.0f} MiB/s, {before:.0f} MiB + {grown:.0f} MiB at most")


def insist(post: Callable[[], bytes]) -> None:
    """Again where the edge is asked for more than it can in time."""
    while True:
        try:
            post()
            return
        except (Busy, ConnectionError):
            time.sleep(1)


async def thumbnails(folder: Path) -> None:
    """How many a second, and how many images are encoded anew."""
    source = folder / "photo"
    source.write_bytes(noise("JPEG", (4000, 3000)))
    images = Images()
    for what, side in (("thumbnails", 512), ("encoded anew", None)):
        jobs = [Job(source=str(source), target=f"{source}{n}", kind="image/jpeg", side=side) for n in range(20)]
        await images.make(jobs[0])
        started = time.perf_counter()
        await asyncio.gather(*map(images.make, jobs))
        print(f"JPEG of 12 megapixels, {what}: {len(jobs) / (time.perf_counter() - started):.1f} a second")
    await images.close()
    print(f"{os.cpu_count()} cores")


if __name__ == "__main__":
    asyncio.run(main())
