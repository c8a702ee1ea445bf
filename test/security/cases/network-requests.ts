import { expect } from "vitest";
import { type HostileCase, hostile } from "./cases.ts";
import { HTTP, nothingSeen } from "./network-listed.ts";

const LISTED = { project: "listed" } as const;
const URL = "http://echo.example:{PLAIN}";

/** A hand-written request that the proxy refuses as malformed, and that reaches no server. */
const malformed = (what: string, ...lines: string[]): HostileCase =>
  hostile(
    `a request with ${what}`,
    "completed",
    `${HTTP}set_result(by_hand(f"POST ${URL}/ HTTP/1.1", "Host: x", "AUTH", ${lines.map((line) => JSON.stringify(line)).join(", ")}))`,
    {
      ...LISTED,
      shows: { result: expect.stringMatching(/^HTTP\/1\.1 400 Airlock refused a malformed request/) },
      afterwards: nothingSeen,
    },
  );

/** A script that opens a tunnel to a listed host, and begins TLS in it with another name. */
const tunnel = (what: string, begin: string): HostileCase =>
  hostile(
    `a tunnel in which ${what}`,
    "completed",
    `${HTTP}
import base64, ssl
auth = base64.b64encode(os.environ["HTTP_PROXY"][7:].rpartition("@")[0].encode()).decode()
host, _, port = os.environ["HTTP_PROXY"].rpartition("@")[2].partition(":")
connection = socket.create_connection((host, int(port)), 5)
connection.sendall(f"CONNECT other.example:{OTHER} HTTP/1.1\\r\\nHost: x\\r\\nProxy-Authorization: Basic {auth}\\r\\n\\r\\n".encode())
assert b" 200 " in connection.recv(4096)
context = ssl._create_unverified_context()
def speak(name):
    with context.wrap_socket(connection, server_hostname=name) as inner:
        inner.sendall(b"GET / HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n"); return inner.recv(100)
try: ${begin}
except OSError: answer = b""
set_result(answer.decode("latin1"))`,
    { ...LISTED, value: "", afterwards: nothingSeen },
  );

/** Scripts of a project with an allowlist that write HTTP requests byte by byte. */
export const REQUESTS: readonly HostileCase[] = [
  malformed("both lengths", "Content-Length: 5", "Transfer-Encoding: chunked", "", "0", "", ""),
  malformed("two lengths", "Content-Length: 5", "Content-Length: 6", "", "abcdef"),
  malformed("a signed length", "Content-Length: +5", "", "abcde"),
  malformed("a space before the colon", "Content-Length : 5", "", "abcde"),
  malformed("an encoding after chunked", "Transfer-Encoding: chunked, gzip", "", "0", "", ""),
  malformed("an unknown encoding", "Transfer-Encoding: xchunked", "", "0", "", ""),
  malformed("a folded header", "X-A: b", " c", "Transfer-Encoding:", " chunked", "", "0", "", ""),
  malformed("a bare line feed", "X-A: b\nX-C: d", "", ""),
  malformed("a NUL in a header", "X-A: b\u0000c", "", ""),
  malformed("a chunk size that is none", "Transfer-Encoding: chunked", "", "0x5", "abcde", "0", "", ""),
  hostile(
    "a request whose Host is another than its target",
    "completed",
    `${HTTP}set_result(by_hand(f"GET ${URL}/ HTTP/1.1", "Host: evil.test", "X-Forwarded-Host: evil.test", "Connection: close", "AUTH", "", ""))`,
    {
      ...LISTED,
      shows: { result: expect.stringMatching(/^HTTP\/1\.1 200 /) },
      afterwards: ({ plain }) =>
        expect(plain.seen.map(({ headers }) => headers.host)).toEqual([`echo.example:${plain.port}`]),
    },
  ),
  hostile(
    "a second request behind the first, to another host",
    "completed",
    `${HTTP}set_result(by_hand(f"GET ${URL}/first HTTP/1.1", "Host: x", "AUTH", "", f"GET http://evil.test/second HTTP/1.1", "Host: x", "Connection: close", "AUTH", "", ""))`,
    {
      ...LISTED,
      shows: {
        result: expect.stringMatching(/^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 403 Airlock refused evil\.test:80/),
      },
      afterwards: ({ plain }) => expect(plain.seen.map(({ path }) => path)).toEqual(["/first"]),
    },
  ),
  hostile(
    "a body that looks like a second request",
    "completed",
    `${HTTP}
inner = "GET /inner HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n"
set_result(by_hand(f"POST ${URL}/outer HTTP/1.1", "Host: x", "Connection: close, content-length, transfer-encoding, host", "AUTH", f"Content-Length: {len(inner)}", "", inner))`,
    {
      ...LISTED,
      shows: { result: expect.stringMatching(/^HTTP\/1\.1 200 /) },
      afterwards: ({ plain }) => expect(plain.seen.map(({ path }) => path)).toEqual(["/outer"]),
    },
  ),
  ...[
    ["without credentials", ""],
    ["with credentials of no run", "Proxy-Authorization: Basic YTpi"],
    ["with credentials of another kind", "Proxy-Authorization: Bearer x"],
  ].map(([what, header]) =>
    hostile(
      `requests ${what}`,
      "completed",
      `${HTTP}set_result([by_hand(f"{first} HTTP/1.1", "Host: x", "Connection: close", *"${header}".splitlines(), "", "")[:12] for first in (f"GET ${URL}/", f"CONNECT other.example:{OTHER}")])`,
      { ...LISTED, value: ["HTTP/1.1 407", "HTTP/1.1 407"], afterwards: nothingSeen },
    ),
  ),
  ...[
    "ftp://echo.example/",
    "gopher://127.0.0.1:80/",
    "file:///etc/passwd",
    "/health",
    "*",
    "http:///",
    "unix:/x",
  ].map((target) =>
    hostile(
      `a request for ${target}`,
      "completed",
      `${HTTP}set_result(by_hand("GET ${target} HTTP/1.1", "Host: echo.example", "Connection: close", "AUTH", "", "")[:12])`,
      { ...LISTED, value: "HTTP/1.1 400", afterwards: nothingSeen },
    ),
  ),
  ...[
    "echo.example:0",
    "echo.example:65536",
    "echo.example:-1",
    "echo.example",
    "@evil.test:443",
    "echo.example:443:80",
  ].map((target) =>
    hostile(
      `CONNECT to ${target}`,
      "completed",
      `${HTTP}set_result(by_hand("CONNECT ${target} HTTP/1.1", "Host: x", "AUTH", "", "")[:12])`,
      { ...LISTED, value: "HTTP/1.1 400", afterwards: nothingSeen },
    ),
  ),
  hostile(
    "a request with the credentials of another project's run",
    "completed",
    `llm.complete(__import__("os").environ["HTTP_PROXY"])`,
    {
      project: "brokered",
      async meanwhile({ rest, facts, plain }, { llm_request }) {
        const settings = { ...facts, STOLEN: llm_request?.prompt ?? "" };
        const code = `${HTTP}
own = os.environ["HTTP_PROXY"]
port = own.rpartition(":")[2]
os.environ["HTTP_PROXY"] = os.environ["http_proxy"] = settings.get("STOLEN").rpartition(":")[0] + ":" + port
set_result(by_hand(f"GET http://wide.example:{PLAIN}/ HTTP/1.1", "Host: x", "Connection: close", "AUTH", "", "")[:12])`;
        const thief = await rest.run({ project: "listed", code, settings });
        expect([thief.result, plain.seen]).toEqual(["HTTP/1.1 407", []]);
        return "thanks";
      },
    },
  ),
  tunnel("TLS names another server", "answer = speak('evil.test')"),
  tunnel("TLS names an address", "answer = speak('127.0.0.1')"),
  tunnel("TLS names no server", "answer = speak(None)"),
  tunnel(
    "there is no TLS",
    "connection.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); answer = connection.recv(100)",
  ),
  tunnel("nothing follows", "connection.shutdown(socket.SHUT_WR); answer = connection.recv(100)"),
  hostile(
    "more connections than a run may have",
    "completed",
    `${HTTP}
host, _, port = os.environ["HTTP_PROXY"].rpartition("@")[2].partition(":")
kept = [socket.create_connection((host, int(port)), 5) for _ in range(600)]
set_result(len(kept))`,
    LISTED,
  ),
  hostile(
    "more bytes than its project may send",
    "completed",
    `${HTTP}set_result(get(f"${URL}/", b"x" * 5_000_000)[0] == 200)`,
    {
      ...LISTED,
      shows: { result: false },
      afterwards: ({ plain }) => expect(plain.seen.filter(({ body }) => body.length > 2 ** 21)).toEqual([]),
    },
  ),
  hostile(
    "more bytes than its project may receive",
    "completed",
    `${HTTP}
received = 0
for _ in range(5):
    try: received += len(get(f"${URL}/big")[1])
    except Exception: pass
set_result(received <= 2 * 2**20)`,
    { ...LISTED, value: true },
  ),
  hostile(
    "a header without end",
    "completed",
    `${HTTP}set_result(by_hand(f"GET ${URL}/ HTTP/1.1", "Host: x", "AUTH", "X: " + "x" * 200_000, "", "")[:12])`,
    {
      ...LISTED,
      shows: { result: expect.stringMatching(/^(HTTP\/1\.1 4(00|31)|)$/) },
      afterwards: nothingSeen,
    },
  ),
];
