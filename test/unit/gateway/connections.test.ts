import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { boundConnections } from "../../../gateway/rest/connections.ts";
import { startOver, until } from "./fake-backends.ts";

const LIMIT = 40;
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

let server: Server;
let held: ServerResponse[];
let sockets: Socket[];
beforeEach(async () => {
  held = [];
  sockets = [];
  server = createServer((request, response) => {
    if (request.url === "/held") held.push(response);
    else request.resume().once("end", () => response.end("ok"));
  });
  boundConnections(server, LIMIT);
  await once(server.listen(0, "127.0.0.1"), "listening");
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

type Client = { readonly socket: Socket; received: string; closed: boolean };

async function open(sent: string): Promise<Client> {
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1").on("error", () => undefined);
  const client: Client = { socket, received: "", closed: false };
  sockets.push(socket);
  socket.on("data", (data) => {
    client.received += data;
  });
  socket.once("close", () => {
    client.closed = true;
  });
  await once(socket, "connect");
  socket.write(sent);
  return client;
}

async function answered(sent: string): Promise<Client> {
  const client = await open(sent);
  await until(() => client.received.endsWith("ok") || client.closed);
  return client;
}

const isOpen = ({ closed }: Client) => !closed;

it.each(["0.0.0.0", "::"])("a gateway serves at %s, but not in a network that is excepted", async (host) => {
  const gateway = await startOver({}, undefined, { host, exceptNetwork: "127.0.1.0/24" });
  const at = (address: string) =>
    fetch(`http://${address}:${gateway.port}/health`).then(({ status }) => status);
  try {
    expect(await at("127.0.0.1")).toBe(200);
    await expect(at("127.0.1.1")).rejects.toThrow("fetch failed");
    expect(await at("127.0.2.1")).toBe(200);
  } finally {
    await gateway.drain(0);
  }
});

describe("the connections of a server", () => {
  it.each([
    ["have had their answer", GET],
    ["have sent half of a request", "GET / HTT"],
    ["have sent half of a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"],
    ["have sent nothing", ""],
  ])(
    "connections of a server that %s are closed, the longest idle first, to let others in",
    async (_, sent) => {
      const flood: Client[] = [];
      for (let n = 0; n < 3 * LIMIT; n++) flood.push(await (sent === GET ? answered(sent) : open(sent)));
      for (let n = 0; n < 5; n++) expect((await answered(GET)).received).toContain("200 OK");
      expect(flood.filter(isOpen).length).toBeLessThanOrEqual(LIMIT);
      expect(flood.slice(0, 2 * LIMIT).filter(isOpen)).toEqual([]);
      expect(flood.slice(-5).filter(isOpen).length).toBe(5);
    },
  );

  it("the connections of a server stay while they wait for an answer, and new ones are accepted until the limit", async () => {
    const holding = await Promise.all(
      Array.from({ length: LIMIT - 10 }, () => open("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")),
    );
    await until(() => held.length === holding.length);
    for (let n = 0; n < LIMIT; n++) expect((await answered(GET)).received).toContain("200 OK");
    expect(holding.filter(isOpen).length).toBe(holding.length);
    for (const response of held) response.end("late ok");
    await until(() => holding.every(({ received }) => received.endsWith("late ok")));
  });

  it("the connections of a server count as idle again once all of their requests are answered", async () => {
    const twice = await open(`${GET}GET /held HTTP/1.1\r\nHost: a\r\n\r\n`);
    await until(() => held.length === 1 && twice.received.endsWith("ok"));
    for (let n = 0; n < 2 * LIMIT; n++) await answered(GET);
    expect(isOpen(twice)).toBe(true);
    held[0]?.end("late ok");
    await until(() => twice.received.endsWith("late ok"));
    for (let n = 0; n < 2 * LIMIT; n++) await answered(GET);
    await until(() => twice.closed);
  });
});
