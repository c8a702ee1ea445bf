import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type NetworkHarness, startNetworkHarness } from "./harness/network-harness.ts";

let harness: NetworkHarness;

beforeAll(async () => {
  harness = await startNetworkHarness();
});
afterAll(() => harness.close());
beforeEach(() => harness.reset());

describe("a script that wants an address that is not public", () => {
  it("a script that wants an address that is not public cannot use a name that changes its address after it was judged", async () => {
    harness.names.set("rebind.example", [["127.0.0.1"], ["10.0.0.1"]]);
    expect((await harness.evaluate("open", `get("http://rebind.example:${harness.plain.port}/")`))[0]).toBe(
      200,
    );
    expect(harness.asked).toEqual(["rebind.example"]);
    const [status, text] = await harness.evaluate(
      "open",
      `get("http://rebind.example:${harness.plain.port}/")`,
    );
    expect([status, text]).toEqual([403, expect.stringContaining("its address is not public (private)")]);
  });

  it("a script that wants an address that is not public cannot use a name with one address that is not permitted", async () => {
    harness.names.set("mixed.example", [["127.0.0.1", "169.254.169.254"]]);
    expect((await harness.evaluate("open", `get("http://mixed.example:${harness.plain.port}/")`))[0]).toBe(
      403,
    );
    expect(harness.plain.seen).toEqual([]);
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
  ])(
    "a script that wants an address that is not public cannot reach a listed name that resolves to %s, unless the operator permits it",
    async (address) => {
      harness.names.set("meta.example", [[address]]);
      const [status, text] = await harness.evaluate("public", 'get("http://meta.example/")');
      expect([status, text]).toEqual([403, expect.stringContaining("its address is not public")]);
    },
  );

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
  ])(
    "a script that wants an address that is not public cannot reach the address %s, however it is spelled",
    async (host) => {
      // Through the proxy by hand: Python's own client would spell it differently.
      for (const project of ["public", "open"]) {
        const [answer] = await harness.evaluate<string[]>(
          project,
          `[raw("GET http://${host}/ HTTP/1.1\\r\\nHost: x\\r\\nAUTH\\r\\nConnection: close\\r\\n\\r\\n")]`,
        );
        expect(answer).toMatch(/^HTTP\/1.1 403 Airlock refused /);
      }
    },
  );
});
