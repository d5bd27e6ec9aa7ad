"""A server whose answers cost next to nothing: rows of the list, fetched before and kept as bytes.

    python benchmarks/cheap_server.py EMULATOR_URL

The emulator makes each answer, which takes longer than the bare loop needs to read it; on two
cores that hides what the engine costs. This one joins rows that are ready. Whatever is no page of
contacts goes to the emulator: definitions, the account, searches.
"""

from __future__ import annotations

import json
import socketserver
import sys
import urllib.error
import urllib.request
from bisect import bisect_left
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

import orjson
import workloads

LIST = "/crm/objects/2026-03/contacts"
PAGE = 100


def main() -> None:
    """Fetch all rows, say where the server is, and serve until the process is ended."""
    upstream = sys.argv[1]
    ids, rows = fetched(upstream)

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True
        wbufsize = -1

        def handle(self) -> None:
            while line := self.rfile.readline():
                method, target, _ = line.decode().split(" ", 2)
                headers = {}
                while (header := self.rfile.readline().strip()) != b"":
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                body = self.rfile.read(int(headers.get("content-length", 0)))
                parts = urlsplit(target)
                if method == "GET" and parts.path == LIST:
                    status, content = 200, page(ids, rows, parse_qs(parts.query))
                else:
                    status, content = asked(upstream + target, method, headers, body)
                self.wfile.write(
                    b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nDate: %s\r\n"
                    b"Content-Length: %d\r\n\r\n%s"
                    % (status, formatdate(usegmt=True).encode(), len(content), content)
                )
                self.wfile.flush()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        print(json.dumps({"base_url": f"http://127.0.0.1:{server.server_address[1]}"}), flush=True)
        server.serve_forever()


def fetched(upstream: str) -> tuple[list[int], list[bytes]]:
    """The ids and the rows of all contacts, as the workloads ask for them."""
    ids, rows = [], []
    query = f"limit={PAGE}&associations=companies&properties={','.join(workloads.PROPERTIES)}"
    after = ""
    while after is not None:
        target = f"{upstream}{LIST}?{query}{after and '&after=' + after}"
        headers = {"authorization": f"Bearer {workloads.ACCESS_TOKEN}"}
        answer = orjson.loads(asked(target, "GET", headers, b"")[1])
        ids += [int(row["id"]) for row in answer["results"]]
        rows += map(orjson.dumps, answer["results"])
        after = answer.get("paging", {}).get("next", {}).get("after")
    return ids, rows


def page(ids: list[int], rows: list[bytes], query: dict[str, list[str]]) -> bytes:
    """The rows from the paging value on."""
    begin = bisect_left(ids, int(query["after"][0])) if "after" in query else 0
    end = begin + int(query["limit"][0])
    paging = b',"paging":{"next":{"after":"%d"}}' % ids[end] if end < len(ids) else b""
    return b'{"results":[' + b",".join(rows[begin:end]) + b"]" + paging + b"}"


def asked(url: str, method: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """What the emulator answers."""
    kept = {name: headers[name] for name in ("authorization", "content-type") if name in headers}
    request = urllib.request.Request(url, data=body or None, headers=kept, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


if __name__ == "__main__":
    main()
