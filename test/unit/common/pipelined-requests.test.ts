import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { awaitTurn } from "#common/http/pipelined-requests.ts";

let server: Server;
let client: Socket;
let begun: ServerResponse[];

/** A server that notes each request whose turn it is, and a client of it that sends `count` requests at once. */
async function send(count: number): Promise<void> {
  begun = [];
  server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    if (await awaitTurn(request, response)) begun.push(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.on("error", () => undefined);
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(count));
}

afterEach(() => {
  client.destroy();
  server.closeAllConnections();
  server.close();
});

describe("requests that a client sends without waiting for answers", () => {
  it("requests that a client sends without waiting for answers begin one after the other, and are all answered in order", async () => {
    await send(3);
    const received = text(client);
    for (let n = 1; n <= 3; n++) {
      await expect.poll(() => begun.length).toBe(n);
      expect(begun.length).toBe(n);
      if (n === 3) begun[2]?.setHeader("connection", "close");
      begun[n - 1]?.end(`answer ${n}`);
    }
    expect(await received).toMatch(/answer 1.*answer 2.*answer 3/s);
  });

  it("requests that a client sends without waiting for answers end with their connection when there are too many", async () => {
    await send(1_000);
    await once(client, "close");
    expect(begun.length).toBe(1);
  });

  it("requests that a client sends without waiting for answers wait for nothing that was sent on another connection", async () => {
    await send(1);
    await expect.poll(() => begun.length).toBe(1);
    const other = connect((server.address() as AddressInfo).port, "127.0.0.1");
    other.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(() => begun.length).toBe(2);
    other.destroy();
  });
});
