import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { HTTP_HELPERS } from "./cases/script-helpers.ts";
import { type NetworkHarness, startNetworkHarness } from "./harness/network-harness.ts";

let harness: NetworkHarness;

beforeAll(async () => {
  harness = await startNetworkHarness();
});
afterAll(() => harness.close());
beforeEach(() => harness.reset());

describe("a script that writes its requests by hand", () => {
  it("a script that writes its requests by hand is refused without its run's credentials", async () => {
    const answers = await harness.evaluate<string[]>(
      "open",
      `[raw("GET http://echo.example:${harness.plain.port}/ HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n"), raw("CONNECT other.example:${harness.other.port} HTTP/1.1\\r\\nHost: x\\r\\nProxy-Authorization: Basic YTpi\\r\\n\\r\\n")]`,
    );
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1.1 407 /);
    expect(harness.plain.seen).toEqual([]);
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
  ])("a script that writes its requests by hand cannot smuggle a request with %s", async (_what, rest) => {
    const [answer] = await harness.evaluate<string[]>(
      "open",
      `[raw("POST http://echo.example:${harness.plain.port}/ HTTP/1.1\\r\\nHost: x\\r\\nAUTH\\r\\n${rest}")]`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 400 Airlock refused a malformed request/);
    expect(harness.plain.seen).toEqual([]);
  });

  it("a script that writes its requests by hand is refused a transfer coding that would be lost on the way", async () => {
    const [answer] = await harness.evaluate<string[]>(
      "open",
      `[raw("POST http://echo.example:${harness.plain.port}/ HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nAUTH\\r\\nTransfer-Encoding: gzip, chunked\\r\\n\\r\\n5\\r\\nabcde\\r\\n0\\r\\n\\r\\n")]`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 501 Airlock refused the request: its Transfer-Encoding/);
    expect(harness.plain.seen).toEqual([]);
    const [coded] = await harness.evaluate<string[]>(
      "open",
      `[raw("GET http://echo.example:${harness.plain.port}/coded HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nAUTH\\r\\n\\r\\n")]`,
    );
    expect(coded).toMatch(/^HTTP\/1.1 502 Airlock refused the response: its Transfer-Encoding/);
  });

  it("a script that writes its requests by hand cannot remove the framing as a header of the connection", async () => {
    const inner = "GET /inner HTTP/1.1\\r\\nHost: evil.example\\r\\n\\r\\n";
    const bytes = inner.replaceAll("\\r\\n", "..").length;
    for (const framing of [
      `Content-Length: ${bytes}\\r\\n\\r\\n${inner}`,
      `Transfer-Encoding: chunked\\r\\n\\r\\n${bytes.toString(16)}\\r\\n${inner}\\r\\n0\\r\\n\\r\\n`,
    ]) {
      await harness.evaluate(
        "open",
        `[raw("GET http://echo.example:${harness.plain.port}/outer HTTP/1.1\\r\\nHost: x\\r\\nConnection: close, content-length, transfer-encoding, host\\r\\nAUTH\\r\\n${framing}")]`,
      );
    }
    expect(harness.plain.seen.map(({ path, body }) => [path, body.length])).toEqual([
      ["/outer", bytes],
      ["/outer", bytes],
    ]);
    expect(harness.plain.seen[0]?.headers.host).toBe(`echo.example:${harness.plain.port}`);
  });

  it("a script that writes its requests by hand may frame a request in either way", async () => {
    for (const rest of [
      "Content-Length: 5\\r\\n\\r\\nabcde",
      "Transfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nabcde\\r\\n0\\r\\n\\r\\n",
    ]) {
      const [answer] = await harness.evaluate<string[]>(
        "open",
        `[raw("POST http://echo.example:${harness.plain.port}/ HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nAUTH\\r\\n${rest}")]`,
      );
      expect(answer).toMatch(/^HTTP\/1.1 200/);
    }
    expect(harness.plain.seen.map(({ body }) => body)).toEqual(["abcde", "abcde"]);
  });

  it("a script that writes its requests by hand cannot speak TLS to another name than it asked for, nor anything but TLS", async () => {
    const connect = `CONNECT other.example:${harness.other.port} HTTP/1.1\\r\\nHost: x\\r\\nAUTH\\r\\n\\r\\n`;
    const [answer] = await harness.evaluate<string[]>(
      "open",
      `[raw("${connect}GET / HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n")]`,
    );
    expect(answer).toBe("HTTP/1.1 200 Connection established\r\n\r\n");
    const sni = (name: string) => `
import ssl, base64
auth = base64.b64encode(os.environ["HTTP_PROXY"][7:].rpartition("@")[0].encode()).decode()
address = os.environ["HTTP_PROXY"].rpartition("@")[2].split(":")
connection = socket.create_connection((address[0], int(address[1])))
connection.sendall(f"CONNECT other.example:${harness.other.port} HTTP/1.1\\r\\nHost: x\\r\\nProxy-Authorization: Basic {auth}\\r\\n\\r\\n".encode())
assert b" 200 " in connection.recv(4096)
try:
    ssl._create_unverified_context().wrap_socket(connection, server_hostname=${name})
    set_result("connected")
except OSError as error:
    set_result(str(error))
`;
    const outcome = async (name: string) =>
      (
        await harness.ended(
          await harness.services.submit({ project: "open", code: HTTP_HELPERS + sni(name) }),
        )
      ).resultJson;
    expect(await outcome("'other.example'")).toBe('"connected"');
    expect(await outcome("'evil.example'")).toMatch(/unrecognized|UNRECOGNIZED/i);
    expect(await outcome("None")).toMatch(/unrecognized|UNRECOGNIZED/i);
    expect(harness.other.seen).toEqual([]);
  });
});
