import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { createRestClient } from "../../../cli/client/rest-client.ts";

let server: Server | undefined;

afterEach(() => server?.close());

async function answering(status: number, body: string) {
  server = createServer((request, response) => {
    request.resume();
    response.writeHead(status, { "content-type": "application/problem+json" }).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return createRestClient({ AIRLOCK_PORT: String(port) });
}

describe("the REST client", () => {
  it("the REST client returns the text of an answer", async () => {
    const client = await answering(200, '{"result": 1.0}');
    expect(await client.get("/x")).toBe('{"result": 1.0}');
  });

  it("the REST client turns a problem document into its sentence", async () => {
    const problem = {
      title: "No such project",
      detail: "There is no project of this name. Use one of: demo.",
    };
    const client = await answering(404, JSON.stringify(problem));
    await expect(client.post("/x", "{}")).rejects.toMatchObject({ message: problem.detail, status: 404 });
  });

  it("the REST client reports the status when a server other than Airlock answers", async () => {
    const client = await answering(502, "<html>");
    await expect(client.get("/x")).rejects.toThrow("HTTP status 502");
  });

  it("the REST client says how to start a service that is not running", async () => {
    const { url } = await answering(200, "");
    server?.close();
    await expect(createRestClient({ AIRLOCK_URL: `${url}/` }).get("/x")).rejects.toThrow(
      `Airlock is not running at ${url}; start it with ./airlock up.`,
    );
  });

  it.each([
    [{ AIRLOCK_URL: "127.0.0.1:8000" }, /^AIRLOCK_URL must be a URL such as/],
    [{ AIRLOCK_URL: "http://user:PASSWORD@[" }, /^AIRLOCK_URL must be a URL such as [^@]*$/],
    [{ AIRLOCK_PORT: "http" }, /^AIRLOCK_PORT must be a whole number from 1 to 65535, not "http"$/],
  ])("the REST client refuses an address that is not one: %j", (env, told) => {
    expect(() => createRestClient(env)).toThrow(told);
  });

  it("the REST client says in words why a server cannot be reached", async () => {
    const client = createRestClient({ AIRLOCK_URL: "http://no-such-host.invalid" });
    const message = await client.get("/x").catch((error: Error) => error.message);
    expect(message).toMatch(/^Airlock at http:\/\/no-such-host\.invalid cannot be reached: [a-z ]+\.$/);
  });

  it("the REST client never shows a password that AIRLOCK_URL holds", async () => {
    const client = createRestClient({ AIRLOCK_URL: "http://user:PASSWORD@127.0.0.1:1" });
    const message = await client.get("/x").catch((error: Error) => error.message);
    expect(message).toMatch(/^Airlock at http:\/\/\*{4}@127\.0\.0\.1:1 cannot be reached/);
    expect(message).not.toContain("PASSWORD");
  });
});
