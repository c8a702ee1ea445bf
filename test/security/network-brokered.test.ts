import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { HTTP_HELPERS } from "./cases/script-helpers.ts";
import {
  type NetworkHarness,
  BROKERED_SECRET as SECRET,
  startNetworkHarness,
} from "./harness/network-harness.ts";

let harness: NetworkHarness;

beforeAll(async () => {
  harness = await startNetworkHarness();
});
afterAll(() => harness.close());
beforeEach(() => harness.reset());

describe("a brokered secret", () => {
  const url = () => `https://erp.example:${harness.secure.port}`;

  it("a brokered secret reaches its host in its header, while the script holds a placeholder", async () => {
    const [key, environment, described, answer] = await harness.evaluate<
      [string, string, string, [number, string]]
    >(
      "broker",
      `[settings.get("ERP"), os.environ["ERP"], settings.describe("ERP"), get("${url()}/a", Authorization="Bearer " + settings.get("ERP"))]`,
    );
    expect(key).toMatch(/^airlock-placeholder-[0-9a-f]{36}$/);
    expect(environment).toBe(key);
    expect(described).toContain(`in the header authorization to https://erp.example:${harness.secure.port}`);
    expect(answer[0]).toBe(200);
    expect(harness.secure.seen[0]?.headers.authorization).toBe(`Bearer ${SECRET}`);
    expect(harness.secure.seen[0]?.headers.host).toBe(`erp.example:${harness.secure.port}`);
    expect(answer[1]).toContain(`Bearer ${key}`);
    expect(answer[1]).not.toContain(SECRET.slice(-4));
  });

  it("a brokered secret is written in its format when the script sends the placeholder alone", async () => {
    await harness.evaluate("broker", `get("${url()}/", Authorization=settings.get("ERP"))`);
    expect(harness.secure.seen[0]?.headers.authorization).toBe(`Bearer ${SECRET}`);
  });

  it("a brokered secret is not in the script's memory, environment or files", async () => {
    // The script looks for the value without holding it: only its halves, apart from each other.
    const code = `${HTTP_HELPERS}
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
    const execution = await harness.ended(await harness.services.submit({ project: "broker", code }));
    expect(execution.error).toBeUndefined();
    const [status, secrets, hasPlaceholder, places] = JSON.parse(execution.resultJson);
    expect([status, secrets, hasPlaceholder]).toEqual([200, 0, true]);
    expect(places).toBeGreaterThan(5);
    expect(harness.secure.seen[0]?.headers.authorization).toBe(`Bearer ${SECRET}`);
  });

  it("a brokered secret is its placeholder again in the response's headers and body, also byte by byte", async () => {
    const [key, [, body, headers], [, slow]] = await harness.evaluate<
      [string, [number, string, Record<string, string>], [number, string]]
    >(
      "broker",
      `[settings.get("ERP"), get("${url()}/header", Authorization=settings.get("ERP")), get("${url()}/slow", Authorization=settings.get("ERP"))]`,
    );
    expect(headers["x-echo"]).toBe(`Bearer ${key}`);
    expect(JSON.parse(body).headers.authorization).toBe(`Bearer ${key}`);
    expect(JSON.parse(slow).headers.authorization).toBe(`Bearer ${key}`);
    // Not even the part of it that a marker would show.
    for (const text of [body, slow]) expect(text).not.toContain(SECRET.slice(-4));
  });

  it.each([
    ["/gzip", "could not be checked"],
    ["/manipulated", "could not be checked"],
    ["/gzip-late", "more than 256 header lines"],
    ["/interim", "more than 16 interim responses"],
  ])("a brokered secret arrives in no response that cannot be read: %s", async (path, reason) => {
    const [status, text] = await harness.evaluate(
      "broker",
      `get("${url()}${path}", Authorization=settings.get("ERP"))`,
    );
    expect([status, text]).toEqual([502, expect.stringContaining(reason)]);
    expect(harness.secure.seen[0]?.headers["accept-encoding"]).toBe("identity");
  });

  it.each([
    ["another header", `get("URL/", X_Other=settings.get("ERP"))`],
    ["a header's name", `get("URL/", **{settings.get("ERP").replace("-", "_"): "x"})`],
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
  ])("a brokered secret is refused in %s", async (_where, code) => {
    const [status, text] = await harness.evaluate(
      "broker",
      code
        .replace("URL", url())
        .replace("PLAIN", `http://erp.example:${harness.plain.port}`)
        .replace("ECHO", `http://echo.example:${harness.plain.port}`),
    );
    expect([status, text]).toEqual([403, expect.stringContaining("the placeholder of secret ERP stands")]);
    expect([...harness.secure.seen, ...harness.plain.seen]).toEqual([]);
  });

  it("a brokered secret goes to no other host behind the same address", async () => {
    const [status] = await harness.evaluate(
      "broker",
      `get("${url()}/", Host="evil.example", Authorization=settings.get("ERP"))`,
    );
    expect(status).toBe(400);
    expect(harness.secure.seen).toEqual([]);
  });

  it("a brokered secret is not sent to a server without a valid certificate", async () => {
    const [status, text] = await harness.evaluate(
      "untrusted",
      `get("https://wrong2.example:${harness.other.port}/", X_Key=settings.get("ERP"))`,
    );
    expect([status, text]).toEqual([502, expect.stringContaining("could not reach wrong2.example")]);
    expect(text).not.toContain("AIRLOCK_EGRESS_EXTRA_CA");
    expect(harness.other.seen).toEqual([]);
  });

  it("a brokered secret stays out of a connection to a server of an unknown authority, and the error names the setting that helps", async () => {
    const [status, text] = await harness.evaluate(
      "unknown-authority",
      `get("https://wrong2.example:${harness.stranger.port}/", X_Key=settings.get("ERP"))`,
    );
    expect([status, text]).toEqual([502, expect.stringContaining("could not reach wrong2.example")]);
    expect(text).toContain("the operator adds the authority with AIRLOCK_EGRESS_EXTRA_CA");
    expect(harness.stranger.seen).toEqual([]);
  });

  it("the placeholder of a brokered secret is valid in one run only", async () => {
    const first = await harness.evaluate<string>("broker", 'settings.get("ERP")');
    expect(await harness.evaluate<string>("broker", 'settings.get("ERP")')).not.toBe(first);
    const [status] = await harness.evaluate("broker", `get("${url()}/", Authorization="${first}")`);
    expect(status).toBe(200);
    expect(harness.secure.seen[0]?.headers.authorization).toBe(first);
  });

  it("a brokered secret is not redacted in a run's output, because a script cannot ask about a value it was not given", async () => {
    const execution = await harness.ended(
      await harness.services.submit({ project: "broker", code: `print("${SECRET}")` }),
    );
    expect(execution.stdout).toBe(`${SECRET}\n`);
  });

  it("a brokered secret leaves no trace in logs, and its authority is readable for its owner only", async () => {
    const text = harness.logged.join("");
    expect(text).toContain('"verdict":"placeholder_misplaced"');
    expect(text).toContain('"verdict":"allowed"');
    expect(text).not.toContain(SECRET);
    expect((await stat(join(harness.services.directory, "egress-authority.pem"))).mode & 0o777).toBe(0o600);
  });
});
