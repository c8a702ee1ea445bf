import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { EndReason } from "#proto/execution.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { type NetworkHarness, startNetworkHarness } from "./harness/network-harness.ts";

let harness: NetworkHarness;

beforeAll(async () => {
  harness = await startNetworkHarness();
});
afterAll(() => harness.close());
beforeEach(() => harness.reset());

describe("a script of a project with a network_allowlist", () => {
  it("a script of a project with a network_allowlist reaches a listed host by http and by https", async () => {
    const [status, body] = await harness.evaluate(
      "open",
      `get("http://echo.example:${harness.plain.port}/path?q=1")`,
    );
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({
      method: "GET",
      path: "/path?q=1",
      headers: { host: `echo.example:${harness.plain.port}` },
    });
    expect(body).not.toMatch(/proxy-authorization/i);
    expect(harness.plain.seen[0]?.headers.connection).toBe("close");
    // Its authority is one of AIRLOCK_EGRESS_EXTRA_CA, and the script checks the certificate itself.
    const [secureStatus, secureBody] = await harness.evaluate(
      "open",
      `get("https://other.example:${harness.other.port}/tls")`,
    );
    expect([secureStatus, JSON.parse(secureBody).path]).toEqual([200, "/tls"]);
  });

  it("a script of a project with a network_allowlist has one list of authorities: the public ones and the operator's", async () => {
    const names = await harness.evaluate<string[][]>(
      "open",
      `[sorted({os.environ[name] for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")}),
        [__import__("ssl").create_default_context().get_ca_certs()[-1]["subject"][0][0][1]],
        [str(len(__import__("ssl").create_default_context(cafile=os.environ["SSL_CERT_FILE"]).get_ca_certs()) > 1)]]`,
    );
    expect(names).toEqual([["/tmp/airlock/.airlock-authorities.pem"], [expect.any(String)], ["True"]]);
  });

  it("a script of a project with a network_allowlist sends bodies of both framings", async () => {
    const url = `http://echo.example:${harness.plain.port}/`;
    await harness.evaluate("open", `[get("${url}", b"abc" * 1000), get("${url}", iter([b"chunk", b"ed"]))]`);
    expect(harness.plain.seen.map(({ body }) => body)).toEqual(["abc".repeat(1000), "chunked"]);
  });

  it("a script of a project with a network_allowlist reaches every host below a listed suffix, and not the suffix itself", async () => {
    expect((await harness.evaluate("open", `get("http://a.sub.example:${harness.plain.port}/")`))[0]).toBe(
      200,
    );
    expect((await harness.evaluate("open", `get("http://sub.example:${harness.plain.port}/")`))[0]).toBe(403);
  });

  it.each([
    "http://evil.example/",
    "https://evil.example/",
    "http://echo.example/",
    "https://echo.example:22/",
  ])(
    "a script of a project with a network_allowlist is told the allowed hosts when it asks for %s, which is not looked up",
    async (url) => {
      const [status, text] = await harness.evaluate("open", `get("${url}")`);
      expect([0, 403]).toContain(status);
      expect(text).toContain(`Airlock refused ${new URL(url).hostname}:`);
      expect(text).toContain(
        `not in the network_allowlist of project open, which allows echo.example:${harness.plain.port}, *.sub.example:`,
      );
      expect(harness.asked).toEqual([]);
    },
  );

  it("a script of a project with a network_allowlist is refused where a listed host redirects to an unlisted one", async () => {
    const url = `http://echo.example:${harness.plain.port}/redirect?http%3A%2F%2Fevil.example%2F`;
    const [status, text] = await harness.evaluate("open", `get("${url}")`);
    expect(status).toBe(403);
    expect(text).toContain("Airlock refused evil.example:80");
  });

  it("a script of a project with a network_allowlist moves no more bytes than its project allows, each way", async () => {
    const url = `http://echo.example:${harness.plain.port}`;
    const received = await harness
      .evaluate<number[]>("small", `[len(get("${url}/big")[1]) for _ in range(3)]`)
      .catch((error: unknown) => error);
    // A transfer that is cut off in its middle breaks the connection, and the script sees that.
    expect(JSON.stringify(received)).not.toContain(`${1024 * 1024},${1024 * 1024}`);
    await harness.evaluate("small", `get("${url}/", b"x" * 3_000_000)`);
    expect(harness.plain.seen.filter(({ body }) => body.length > 1024 * 1024)).toEqual([]);
  });

  it("a script of a project with a network_allowlist reaches only its proxy where network_namespace is in force", async () => {
    const [refused] = await harness.evaluate<number[]>(
      "open",
      `[socket.socket().connect_ex(("127.0.0.1", ${harness.plain.port}))]`,
    );
    const poolManager = connectTo(PoolManagerServiceClient, harness.services.address("pool-manager"));
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

  it("a script of a project without a network_allowlist has no proxy at all", async () => {
    const [proxy] = await harness.evaluate<(string | null)[]>("none", '[os.environ.get("HTTP_PROXY")]');
    expect(proxy).toBeNull();
  });

  it("a script of a project with a network_allowlist does not start while the egress service is away", {
    timeout: 90_000,
  }, async () => {
    await harness.services.stop("egress");
    const execution = await harness.ended(
      await harness.services.submit({ project: "open", code: "print(1)" }),
    );
    expect(execution).toMatchObject({
      endReason: EndReason.START_FAILED,
      stdout: "",
      error: expect.stringContaining("egress"),
    });
    expect(
      await harness.ended(await harness.services.submit({ project: "none", code: "print(1)" })),
    ).toMatchObject({
      stdout: "1\n",
    });
    await harness.services.start("egress");
    expect((await harness.evaluate("open", `get("http://echo.example:${harness.plain.port}/")`))[0]).toBe(
      200,
    );
  });
});
