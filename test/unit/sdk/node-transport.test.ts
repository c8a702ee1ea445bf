import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { createAirlock } from "#sdk/airlock.ts";
import { createNodeTransport } from "#sdk/node-transport.ts";

const transport = createNodeTransport({ connections: 1 });
afterEach(() => transport.close());

it.each([
  ["127.0.0.1", ""],
  ["::1", "/behind/a/proxy"],
])(
  "the transport over Node's HTTP client keeps one connection to %s, with a path before the API's",
  async (host, prefix) => {
    const seen: (string | undefined)[] = [];
    let connections = 0;
    const server = createServer((request, response) => {
      seen.push(request.url, request.headers.host);
      response.writeHead(200, { "set-cookie": ["a=1", "b=2"] }).end('{"projects":[{"name":"größer"}]}');
    }).on("connection", () => connections++);
    await once(server.listen(0, host), "listening");
    const at = `${host === "::1" ? "[::1]" : host}:${(server.address() as AddressInfo).port}`;
    const { projects } = createAirlock({ url: `http://${at}${prefix}`, transport: transport.send });
    const listed = await Promise.all([projects.list(), projects.list(), projects.list()]);
    expect(listed.flat().map(({ name }) => name)).toEqual(["größer", "größer", "größer"]);
    expect(seen).toEqual(
      Array(3)
        .fill([`${prefix}/projects`, at])
        .flat(),
    );
    expect(connections).toBe(1);
    server.close();
  },
);

it("the transport over Node's HTTP client speaks http and https only, and says so", async () => {
  const request = {
    method: "GET",
    headers: {},
    body: undefined,
    signal: new AbortController().signal,
  } as const;
  await expect(transport.send({ ...request, url: "ftp://127.0.0.1/projects" })).rejects.toThrow(
    "This transport speaks http:// and https:// only.",
  );
});
