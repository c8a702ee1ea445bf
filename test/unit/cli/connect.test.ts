import { afterEach, describe, expect, it } from "vitest";
import type { Airlock } from "#sdk/airlock.ts";
import { ApiError } from "#sdk/api-error.ts";
import { connect } from "../../../cli/client/connect.ts";
import { sentenceOf } from "../../../cli/client/sentence-of.ts";
import { hangUp, problem, startScriptedServer } from "../sdk/scripted-server.ts";

let server: Awaited<ReturnType<typeof startScriptedServer>> | undefined;
afterEach(() => server?.close());

/** The sentence that a person reads when this client cannot list the projects. */
async function sentence(airlock: Airlock): Promise<string> {
  const error: unknown = await airlock.projects.list().catch((reason: unknown) => reason);
  if (!(error instanceof ApiError)) throw new Error(`no ApiError: ${String(error)}`);
  return sentenceOf(error);
}

describe("the address of ./airlock commands", () => {
  it("a command calls AIRLOCK_URL, or AIRLOCK_PORT of this machine, or port 8000", () => {
    expect(connect({ AIRLOCK_URL: "https://host/path/", AIRLOCK_PORT: "1" }).url).toBe("https://host/path");
    expect(connect({ AIRLOCK_URL: "", AIRLOCK_PORT: "8123" }).url).toBe("http://127.0.0.1:8123");
    expect(connect({}).url).toBe("http://127.0.0.1:8000");
  });

  it.each([
    [{ AIRLOCK_URL: "127.0.0.1:8000" }, /^AIRLOCK_URL must be a URL such as/],
    [{ AIRLOCK_URL: "http://user:PASSWORD@[" }, /^AIRLOCK_URL must be a URL such as [^@]*$/],
    [{ AIRLOCK_PORT: "http" }, /^AIRLOCK_PORT must be a whole number from 1 to 65535, not "http"$/],
  ])("a command refuses an address that is not one: %j", (env, told) => {
    expect(() => connect(env)).toThrow(told);
  });
});

describe("the sentence of a failed call", () => {
  it("the sentence is the detail of Airlock's problem, and the request is sent once", async () => {
    server = await startScriptedServer(problem(503, "unavailable", { "retry-after": "0" }));
    expect(await sentence(connect({ AIRLOCK_URL: server.url }))).toBe("unavailable.");
    expect(server.received).toHaveLength(1);
  });

  it("the sentence has the status when a server other than Airlock answers", async () => {
    server = await startScriptedServer((response) => response.writeHead(502).end("<html>"));
    expect(await sentence(connect({ AIRLOCK_URL: server.url }))).toContain("HTTP status 502");
  });

  it("the sentence says how to start a service that is not running", async () => {
    server = await startScriptedServer();
    const { url } = server;
    server.close();
    expect(await sentence(connect({ AIRLOCK_URL: `${url}/` }))).toBe(
      `Airlock is not running at ${url}; start it with ./airlock up.`,
    );
  });

  it("the sentence says in words why a server cannot be reached", async () => {
    expect(await sentence(connect({ AIRLOCK_URL: "http://no-such-host.invalid" }))).toMatch(
      /^Airlock at http:\/\/no-such-host\.invalid cannot be reached: [a-z ]+\.$/,
    );
    server = await startScriptedServer(hangUp);
    expect(await sentence(connect({ AIRLOCK_URL: server.url }))).toContain(
      ": it ended the connection; where it serves HTTPS, try https://.",
    );
    const overTls = connect({ AIRLOCK_URL: server.url.replace("http", "https") });
    expect(await sentence(overTls)).toContain(": it does not speak TLS; try http:// for https://.");
  });

  it("the sentence never shows a password that AIRLOCK_URL holds", async () => {
    const message = await sentence(connect({ AIRLOCK_URL: "http://user:PASSWORD@127.0.0.1:1" }));
    expect(message).toBe("Airlock at http://127.0.0.1:1 cannot be reached: fetch refuses to call this port.");
  });
});
