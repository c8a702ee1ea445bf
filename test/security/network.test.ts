import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EndReason, type Execution } from "../../services/common/gen/airlock/v1/execution.ts";
import { PoolManagerServiceClient } from "../../services/common/gen/airlock/v1/pool_manager.ts";
import { callUnary, connect } from "../../services/common/grpc-client.ts";
import { createLog } from "../../services/common/log.ts";
import { createTestCertificates, type EchoServer, startEchoServer } from "../support/echo-server.ts";
import { startServices, type TestServices } from "../support/services.ts";

// Real scripts, real workers, real connections; only names are resolved by the test.
const SECRET = "brokered-7c1f0a94e2-value";

let plain: EchoServer;
let secure: EchoServer;
let other: EchoServer;
let services: TestServices;
let directory: string;
const logged: string[] = [];
/** What each name resolves to, one answer after the other. */
const names = new Map<string, string[][]>();
const asked: string[] = [];

async function resolve(host: string): Promise<readonly string[]> {
  asked.push(host);
  const answers = names.get(host);
  const answer = answers && answers.length > 1 ? answers.shift() : answers?.[0];
  if (!answer) throw Object.assign(new Error("unknown name"), { code: "ENOTFOUND" });
  return answer;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-network-"));
  const certificates = await createTestCertificates();
  const extraCaPath = join(directory, "authority.pem");
  await writeFile(extraCaPath, certificates.authority);
  plain = await startEchoServer();
  secure = await startEchoServer(await certificates.issue(["erp.example"]));
  other = await startEchoServer(await certificates.issue(["other.example", "wrong.example"]));
  process.env.AIRLOCK_TEST_BROKERED = SECRET;
  const listed = [
    `echo.example:${plain.port}`,
    `*.sub.example:${plain.port}`,
    `mixed.example:${plain.port}`,
    `rebind.example:${plain.port}`,
    `other.example:${other.port}`,
    `erp.example:${plain.port}`,
  ];
  const list = JSON.stringify(listed);
  services = await startServices(
    {
      none: "",
      open: `network_allowlist: ${list}\nallow_private: [127.0.0.1]\n`,
      public: `network_allowlist: ${JSON.stringify([...listed, "169.254.169.254", "0x7f000001", "meta.example"])}\n`,
      small: `network_allowlist: ${list}\nallow_private: [127.0.0.1]\nlimits: {network_mb: 1}\n`,
      broker: [
        `network_allowlist: ${list}`,
        "allow_private: [127.0.0.0/8]",
        "secrets:",
        "  PLAIN: plain-secret-value",
        `  ERP: {value: "\${env:AIRLOCK_TEST_BROKERED}", inject: {host: "erp.example:${secure.port}", header: Authorization, format: "Bearer {}"}}`,
        "",
      ].join("\n"),
      untrusted: `secrets: {ERP: {value: another-value, inject: {host: "wrong2.example:${other.port}", header: X-Key}}}\nallow_private: [127.0.0.1]\n`,
    },
    { resolve, extraCaPath, log: createLog("test", "debug", { write: (line) => void logged.push(line) }) },
  );
});
afterAll(async () => {
  await services.close();
  await Promise.all([plain, secure, other].map((server) => server.close()));
  await rm(directory, { recursive: true });
});
beforeEach(() => {
  for (const server of [plain, secure, other]) server.seen.length = 0;
  asked.length = 0;
  names.clear();
  for (const name of ["echo", "erp", "other", "a.sub", "wrong2"])
    names.set(`${name}.example`, [["127.0.0.1"]]);
});

const HELPERS = `
import json, os, socket, urllib.error, urllib.request

def get(url, data=None, **headers):
    request = urllib.request.Request(url, data, {name.replace("_", "-"): text for name, text in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return [response.status, response.read().decode(), dict(response.headers)]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode(), dict(error.headers)]
    except OSError as error:
        return [0, str(error), {}]

def raw(text):
    """Sends bytes to the proxy as they are; gives all that comes back."""
    address = os.environ["HTTP_PROXY"].rpartition("@")[2]
    host, _, port = address.partition(":")
    import base64
    credentials = base64.b64encode(os.environ["HTTP_PROXY"][7:].rpartition("@")[0].encode()).decode()
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(text.replace("AUTH", f"Proxy-Authorization: Basic {credentials}").encode())
        connection.settimeout(5)
        answer = b""
        try:
            while data := connection.recv(65536):
                answer += data
        except OSError:
            pass
    return answer.decode("latin1")
`;

async function ended(id: string): Promise<Execution> {
  for (;;) {
    const execution = await services.get(id, 10_000);
    if (execution.endReason !== EndReason.UNSPECIFIED) return execution;
  }
}

/** Runs `expression` and gives its value. */
async function evaluate<T = [number, string, Record<string, string>]>(
  project: string,
  expression: string,
): Promise<T> {
  const code = `${HELPERS}\nset_result(${expression})\n`;
  const execution = await ended(await services.submit({ project, code, timeoutMs: 30_000 }));
  expect(execution).toMatchObject({ endReason: EndReason.COMPLETED, error: undefined });
  return JSON.parse(execution.resultJson) as T;
}

describe("a script of a project with a network_allowlist", () => {
  it("reaches a listed host by http and by https", async () => {
    const [status, body] = await evaluate("open", `get("http://echo.example:${plain.port}/path?q=1")`);
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({
      method: "GET",
      path: "/path?q=1",
      headers: { host: `echo.example:${plain.port}` },
    });
    expect(body).not.toMatch(/proxy-authorization/i);
    expect(plain.seen[0]?.headers.connection).toBe("close");
    const code = `(lambda ssl: get.__globals__["urllib"].request.install_opener(urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))) or get("https://other.example:${other.port}/tls"))(__import__("ssl"))`;
    const [secureStatus, secureBody] = await evaluate("open", code);
    expect([secureStatus, JSON.parse(secureBody).path]).toEqual([200, "/tls"]);
  });

  it("sends bodies of both framings", async () => {
    const url = `http://echo.example:${plain.port}/`;
    await evaluate("open", `[get("${url}", b"abc" * 1000), get("${url}", iter([b"chunk", b"ed"]))]`);
    expect(plain.seen.map(({ body }) => body)).toEqual(["abc".repeat(1000), "chunked"]);
  });

  it("reaches every host below a listed suffix, and not the suffix itself", async () => {
    expect((await evaluate("open", `get("http://a.sub.example:${plain.port}/")`))[0]).toBe(200);
    expect((await evaluate("open", `get("http://sub.example:${plain.port}/")`))[0]).toBe(403);
  });

  it.each([
    "http://evil.example/",
    "https://evil.example/",
    "http://echo.example/",
    "https://echo.example:22/",
  ])("is told what is allowed when it asks for %s, and the name is not even looked up", async (url) => {
    const [status, text] = await evaluate("open", `get("${url}")`);
    expect([0, 403]).toContain(status);
    expect(text).toContain(`Airlock refused ${new URL(url).hostname}:`);
    expect(text).toContain(
      `not in the network_allowlist of project open, which allows echo.example:${plain.port}, *.sub.example:`,
    );
    expect(asked).toEqual([]);
  });

  it("is refused where a listed host redirects to an unlisted one", async () => {
    const url = `http://echo.example:${plain.port}/redirect?http%3A%2F%2Fevil.example%2F`;
    const [status, text] = await evaluate("open", `get("${url}")`);
    expect(status).toBe(403);
    expect(text).toContain("Airlock refused evil.example:80");
  });

  it("cannot use a name that changes its address after it was judged", async () => {
    names.set("rebind.example", [["127.0.0.1"], ["10.0.0.1"]]);
    expect((await evaluate("open", `get("http://rebind.example:${plain.port}/")`))[0]).toBe(200);
    expect(asked).toEqual(["rebind.example"]);
    const [status, text] = await evaluate("open", `get("http://rebind.example:${plain.port}/")`);
    expect([status, text]).toEqual([403, expect.stringContaining("its address is not public (private)")]);
  });

  it("cannot use a name with one address that is not permitted", async () => {
    names.set("mixed.example", [["127.0.0.1", "169.254.169.254"]]);
    expect((await evaluate("open", `get("http://mixed.example:${plain.port}/")`))[0]).toBe(403);
    expect(plain.seen).toEqual([]);
  });

  it.each([
    "127.0.0.1",
    "169.254.169.254",
    "10.1.2.3",
    "192.168.0.1",
    "100.64.0.1",
    "224.0.0.1",
    "0.0.0.0",
    "192.0.2.1",
    "::1",
    "fe80::1",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::",
  ])("cannot reach a listed name that resolves to %s, unless the operator permits it", async (address) => {
    names.set("meta.example", [[address]]);
    const [status, text] = await evaluate("public", 'get("http://meta.example/")');
    expect([status, text]).toEqual([403, expect.stringContaining("its address is not public")]);
  });

  it.each([
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "0xa9.254.43518",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "127.1",
    "0x7f.0.0.1",
  ])("cannot reach the address %s, however it is spelled", async (host) => {
    // Through the proxy by hand: Python's own client would spell it differently.
    for (const project of ["public", "open"]) {
      const [answer] = await evaluate<string[]>(
        project,
        `[raw("GET http://${host}/ HTTP/1.1\\r\\nHost: x\\r\\nAUTH\\r\\nConnection: close\\r\\n\\r\\n")]`,
      );
      expect(answer).toMatch(/^HTTP\/1.1 403 Airlock refused /);
    }
  });

  it("is refused without its credentials", async () => {
    const answers = await evaluate<string[]>(
      "open",
      `[raw("GET http://echo.example:${plain.port}/ HTTP/1.1\\r\\nHost: x\\r\\n${"X: y"}\\r\\n\\r\\n"), raw("CONNECT other.example:${other.port} HTTP/1.1\\r\\nHost: x\\r\\nProxy-Authorization: Basic YTpi\\r\\n\\r\\n")]`,
    );
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1.1 407 /);
    expect(plain.seen).toEqual([]);
  });

  it.each([
    ["both lengths", "Content-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n"],
    ["two lengths", "Content-Length: 5\\r\\nContent-Length: 6\\r\\n\\r\\nabcdef"],
    ["a list of lengths", "Content-Length: 5, 5\\r\\n\\r\\nabcde"],
    ["a signed length", "Content-Length: +5\\r\\n\\r\\nabcde"],
    ["a space before the colon", "Content-Length : 5\\r\\n\\r\\nabcde"],
    ["an encoding after chunked", "Transfer-Encoding: chunked, gzip\\r\\n\\r\\n0\\r\\n\\r\\n"],
    ["a folded header", "X-A: b\\r\\n c\\r\\nTransfer-Encoding:\\r\\n chunked\\r\\n\\r\\n0\\r\\n\\r\\n"],
    ["a bare line feed", "X-A: b\\nX-C: d\\r\\n\\r\\n"],
    ["a chunk size that is none", "Transfer-Encoding: chunked\\r\\n\\r\\n0x5\\r\\nabcde\\r\\n0\\r\\n\\r\\n"],
  ])("cannot smuggle a request with %s", async (_what, rest) => {
    const [answer] = await evaluate<string[]>(
      "open",
      `[raw("POST http://echo.example:${plain.port}/ HTTP/1.1\\r\\nHost: x\\r\\nAUTH\\r\\n${rest}")]`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 400 Airlock refused a malformed request/);
    expect(plain.seen).toEqual([]);
  });

  it("cannot take the framing away by calling it a header of the connection", async () => {
    const inner = "GET /inner HTTP/1.1\\r\\nHost: evil.example\\r\\n\\r\\n";
    const bytes = inner.replaceAll("\\r\\n", "..").length;
    for (const framing of [
      `Content-Length: ${bytes}\\r\\n\\r\\n${inner}`,
      `Transfer-Encoding: chunked\\r\\n\\r\\n${bytes.toString(16)}\\r\\n${inner}\\r\\n0\\r\\n\\r\\n`,
    ]) {
      await evaluate(
        "open",
        `[raw("GET http://echo.example:${plain.port}/outer HTTP/1.1\\r\\nHost: x\\r\\nConnection: close, content-length, transfer-encoding, host\\r\\nAUTH\\r\\n${framing}")]`,
      );
    }
    expect(plain.seen.map(({ path, body }) => [path, body.length])).toEqual([
      ["/outer", bytes],
      ["/outer", bytes],
    ]);
    expect(plain.seen[0]?.headers.host).toBe(`echo.example:${plain.port}`);
  });

  it("may frame a request in either way, written by hand", async () => {
    for (const rest of [
      "Content-Length: 5\\r\\n\\r\\nabcde",
      "Transfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nabcde\\r\\n0\\r\\n\\r\\n",
    ]) {
      const [answer] = await evaluate<string[]>(
        "open",
        `[raw("POST http://echo.example:${plain.port}/ HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nAUTH\\r\\n${rest}")]`,
      );
      expect(answer).toMatch(/^HTTP\/1.1 200/);
    }
    expect(plain.seen.map(({ body }) => body)).toEqual(["abcde", "abcde"]);
  });

  it("cannot have TLS to another name than it asked for, nor anything but TLS", async () => {
    const connect = `CONNECT other.example:${other.port} HTTP/1.1\\r\\nHost: x\\r\\nAUTH\\r\\n\\r\\n`;
    const [answer] = await evaluate<string[]>(
      "open",
      `[raw("${connect}GET / HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n")]`,
    );
    expect(answer).toBe("HTTP/1.1 200 Connection established\r\n\r\n");
    const sni = (name: string) => `
import ssl, base64
auth = base64.b64encode(os.environ["HTTP_PROXY"][7:].rpartition("@")[0].encode()).decode()
address = os.environ["HTTP_PROXY"].rpartition("@")[2].split(":")
connection = socket.create_connection((address[0], int(address[1])))
connection.sendall(f"CONNECT other.example:${other.port} HTTP/1.1\\r\\nHost: x\\r\\nProxy-Authorization: Basic {auth}\\r\\n\\r\\n".encode())
assert b" 200 " in connection.recv(4096)
try:
    ssl._create_unverified_context().wrap_socket(connection, server_hostname=${name})
    set_result("connected")
except OSError as error:
    set_result(str(error))
`;
    const outcome = async (name: string) =>
      (await ended(await services.submit({ project: "open", code: HELPERS + sni(name) }))).resultJson;
    expect(await outcome("'other.example'")).toBe('"connected"');
    expect(await outcome("'evil.example'")).toMatch(/unrecognized|UNRECOGNIZED/i);
    expect(await outcome("None")).toMatch(/unrecognized|UNRECOGNIZED/i);
    expect(other.seen).toEqual([]);
  });

  it("moves no more bytes than its project allows, each way", async () => {
    const url = `http://echo.example:${plain.port}`;
    const received = await evaluate<number[]>("small", `[len(get("${url}/big")[1]) for _ in range(3)]`).catch(
      (error: unknown) => error,
    );
    // What is cut off in the middle breaks the connection; the script sees it as such.
    expect(JSON.stringify(received)).not.toContain(`${1024 * 1024},${1024 * 1024}`);
    await evaluate("small", `get("${url}/", b"x" * 3_000_000)`);
    expect(plain.seen.filter(({ body }) => body.length > 1024 * 1024)).toEqual([]);
  });

  it("reaches nothing beside its proxy, exactly where the posture says that network_namespace is in force", async () => {
    const [refused] = await evaluate<number[]>(
      "open",
      `[socket.socket().connect_ex(("127.0.0.1", ${plain.port}))]`,
    );
    const poolManager = connect(PoolManagerServiceClient, services.address("pool-manager"));
    const { project } = await callUnary(
      poolManager,
      poolManager.getProject,
      { name: "open" },
      "pool-manager",
      {
        timeoutMs: 5_000,
      },
    );
    poolManager.close();
    const layer = project?.isolationLayers.find(({ name }) => name === "network_namespace");
    expect(layer).toBeDefined();
    expect(refused !== 0).toBe(layer?.inForce);
  });

  it("of another project has no proxy at all", async () => {
    const [proxy] = await evaluate<(string | null)[]>("none", '[os.environ.get("HTTP_PROXY")]');
    expect(proxy).toBeNull();
  });

  it("does not start while the egress service is away", async () => {
    await services.stop("egress");
    const execution = await ended(await services.submit({ project: "open", code: "print(1)" }));
    expect(execution).toMatchObject({
      endReason: EndReason.START_FAILED,
      stdout: "",
      error: expect.stringContaining("egress"),
    });
    expect(await ended(await services.submit({ project: "none", code: "print(1)" }))).toMatchObject({
      stdout: "1\n",
    });
    await services.start("egress");
    expect((await evaluate("open", `get("http://echo.example:${plain.port}/")`))[0]).toBe(200);
  });
});

describe("a brokered secret", () => {
  const url = () => `https://erp.example:${secure.port}`;

  it("reaches its host in its header, while the script holds a placeholder", async () => {
    const [key, environment, described, answer] = await evaluate<[string, string, string, [number, string]]>(
      "broker",
      `[settings.get("ERP"), os.environ["ERP"], settings.describe("ERP"), get("${url()}/a", Authorization="Bearer " + settings.get("ERP"))]`,
    );
    expect(key).toMatch(/^airlock-placeholder-[0-9a-f]{36}$/);
    expect(environment).toBe(key);
    expect(described).toContain(`in the header authorization to https://erp.example:${secure.port}`);
    expect(answer[0]).toBe(200);
    expect(secure.seen[0]?.headers.authorization).toBe(`Bearer ${SECRET}`);
    expect(secure.seen[0]?.headers.host).toBe(`erp.example:${secure.port}`);
    expect(answer[1]).toContain("Bearer [REDACTED");
    expect(answer[1]).not.toContain(SECRET);
  });

  it("is written by its format when the script sends the placeholder alone", async () => {
    await evaluate("broker", `get("${url()}/", Authorization=settings.get("ERP"))`);
    expect(secure.seen[0]?.headers.authorization).toBe(`Bearer ${SECRET}`);
  });

  it("is not in the script's memory, environment or files", async () => {
    // The script looks for the value without holding it: only its halves, apart from each other.
    const code = `${HELPERS}
answer = get("${url()}/slow", Authorization=settings.get("ERP"))
halves = ("${SECRET.slice(0, 12)}", "${SECRET.slice(12)}")
places = [open("/proc/self/environ", "rb").read()]
for line in open("/proc/self/maps"):
    first, last = (int(number, 16) for number in line.split()[0].split("-"))
    if " rw-p " in line and "[v" not in line:
        with open("/proc/self/mem", "rb", 0) as memory:
            memory.seek(first)
            places.append(memory.read(last - first))
for directory, _, files in os.walk(os.environ["HOME"]):
    places += [open(os.path.join(directory, name), "rb").read() for name in files]
find = lambda first, second: sum(place[at + len(first):].startswith(second) for place in places for at in starts(place, first))
def starts(place, text):
    at = place.find(text)
    while at != -1:
        yield at
        at = place.find(text, at + 1)
key = settings.get("ERP").encode()
set_result([answer[0], find(halves[0].encode(), halves[1].encode()), find(key[:20], key[20:]) > 0, len(places)])
`;
    const execution = await ended(await services.submit({ project: "broker", code }));
    expect(execution.error).toBeUndefined();
    const [status, secrets, hasPlaceholder, places] = JSON.parse(execution.resultJson);
    expect([status, secrets, hasPlaceholder]).toEqual([200, 0, true]);
    expect(places).toBeGreaterThan(5);
    expect(secure.seen[0]?.headers.authorization).toBe(`Bearer ${SECRET}`);
  });

  it("is redacted from the response's headers and body, also byte by byte", async () => {
    const [, body, headers] = await evaluate(
      "broker",
      `get("${url()}/header", Authorization=settings.get("ERP"))`,
    );
    expect(headers["x-echo"]).toMatch(/^Bearer \[REDACTED/);
    expect(body).not.toContain(SECRET);
    const [, slow] = await evaluate("broker", `get("${url()}/slow", Authorization=settings.get("ERP"))`);
    expect(slow).toContain("Bearer [REDACTED");
    expect(slow).not.toContain(SECRET);
  });

  it("comes in no response that cannot be read", async () => {
    const [status, text] = await evaluate(
      "broker",
      `get("${url()}/gzip", Authorization=settings.get("ERP"))`,
    );
    expect([status, text]).toEqual([502, expect.stringContaining("could not be checked")]);
    expect(secure.seen[0]?.headers["accept-encoding"]).toBe("identity");
  });

  it.each([
    ["another header", `get("URL/", X_Other=settings.get("ERP"))`],
    ["the header with more text", `get("URL/", Authorization="Basic x" + settings.get("ERP"))`],
    ["the URL", `get("URL/?key=" + settings.get("ERP"))`],
    ["the body", `get("URL/", b"key=" + settings.get("ERP").encode())`],
    [
      "a streamed body",
      `get("URL/", iter([settings.get("ERP")[:20].encode(), settings.get("ERP")[20:].encode()]))`,
    ],
    ["a body of many megabytes", `get("URL/", settings.get("ERP").encode() + b"x" * 20_000_000)`],
    ["plain http to its host", `get("PLAIN/", Authorization=settings.get("ERP"))`],
    ["plain http to another host", `get("ECHO/", Authorization="Bearer " + settings.get("ERP"))`],
    ["plain http in a body", `get("ECHO/", settings.get("ERP").encode())`],
  ])("is refused in %s", async (_where, code) => {
    const [status, text] = await evaluate(
      "broker",
      code
        .replace("URL", url())
        .replace("PLAIN", `http://erp.example:${plain.port}`)
        .replace("ECHO", `http://echo.example:${plain.port}`),
    );
    expect([status, text]).toEqual([403, expect.stringContaining("the placeholder of secret ERP stands")]);
    expect([...secure.seen, ...plain.seen]).toEqual([]);
  });

  it("goes to no other host behind the same address", async () => {
    const [status] = await evaluate(
      "broker",
      `get("${url()}/", Host="evil.example", Authorization=settings.get("ERP"))`,
    );
    expect(status).toBe(400);
    expect(secure.seen).toEqual([]);
  });

  it("stays out of a connection to a server without a valid certificate", async () => {
    const [status, text] = await evaluate(
      "untrusted",
      `get("https://wrong2.example:${other.port}/", X_Key=settings.get("ERP"))`,
    );
    expect([status, text]).toEqual([502, expect.stringContaining("could not reach wrong2.example")]);
    expect(other.seen).toEqual([]);
  });

  it("is a placeholder of one run only", async () => {
    const first = await evaluate<string>("broker", 'settings.get("ERP")');
    expect(await evaluate<string>("broker", 'settings.get("ERP")')).not.toBe(first);
    const [status] = await evaluate("broker", `get("${url()}/", Authorization="${first}")`);
    expect(status).toBe(200);
    expect(secure.seen[0]?.headers.authorization).toBe(first);
  });

  it("is redacted from output too, should a script come by it", async () => {
    const execution = await ended(await services.submit({ project: "broker", code: `print("${SECRET}")` }));
    expect(execution.stdout).toMatch(/^\[REDACTED/);
  });

  it("leaves no trace in logs, and its authority is its owner's only", async () => {
    const text = logged.join("");
    expect(text).toContain('"verdict":"placeholder_misplaced"');
    expect(text).toContain('"verdict":"allowed"');
    expect(text).not.toContain(SECRET);
    expect((await stat(join(services.directory, "egress-authority.pem"))).mode & 0o777).toBe(0o600);
  });
});
