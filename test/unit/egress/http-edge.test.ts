import { once } from "node:events";
import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { awaitTurn } from "#common/http/pipelined-requests.ts";
import { Refusal } from "../../../services/egress/policy/refusal.ts";
import {
  createHttpEdge,
  MAX_HEADER_LINES,
  refuseAmbiguous,
  refuseConnection,
} from "../../../services/egress/proxy/http-edge.ts";

describe("a server that listens nowhere", () => {
  it("an HTTP server that listens nowhere watches the connections that it is given, so that its time limits hold", async () => {
    const server = createHttpEdge();
    const [near, far] = duplexPair();
    server.emit("connection", far);
    near.write("GET / HTTP/1.1\r\nHost:");
    const closed = once(far, "close");
    server.closeAllConnections();
    await closed;
    server.close();
  });
});

describe("a request with an Upgrade header", () => {
  it("a request with an Upgrade header is served, and what follows on its connection is not", async () => {
    const server = createHttpEdge();
    const [near, far] = duplexPair();
    const seen: (string | undefined)[] = [];
    server.on("request", async (request, response) => {
      if (!(await awaitTurn(request, response))) return;
      seen.push(request.url);
      response.end("served");
    });
    server.emit("connection", far);
    const received = text(near);
    near.write(
      "GET /first HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /second HTTP/1.1\r\n",
    );
    near.write("Host: x\r\n\r\nGET /third HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await received).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Connection: close\r\n.*served$/s);
    expect(seen).toEqual(["/first"]);
    server.close();
  });
});

describe("a request", () => {
  it.each([
    ["chunked", undefined],
    ["Chunked ", undefined],
    ["gzip, chunked", 501],
  ])("a request with the transfer coding %j is taken, or refused", async (coding, status) => {
    const server = createHttpEdge();
    const [near, far] = duplexPair();
    const seen = new Promise<unknown>((resolve) => {
      server.on("request", (request) => {
        try {
          resolve(refuseAmbiguous(request));
        } catch (error) {
          resolve(error);
        }
      });
    });
    server.emit("connection", far);
    near.write(`POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`);
    const refusal = (await seen) as Refusal | undefined;
    expect(refusal?.status).toBe(status);
    server.closeAllConnections();
    server.close();
  });

  it.each([
    ["as many header lines as may be", MAX_HEADER_LINES, undefined],
    ["one more", MAX_HEADER_LINES + 1, 431],
    ["thousands, which fit into the bytes of a head", 12_000, 431],
  ])("a request with %s is taken, or refused as a whole", async (_what, lines, status) => {
    const server = createHttpEdge();
    const [near, far] = duplexPair();
    const seen = new Promise<unknown>((resolve) => {
      server.on("request", (request) => {
        try {
          resolve(refuseAmbiguous(request));
        } catch (error) {
          resolve(error);
        }
      });
    });
    server.emit("connection", far);
    near.write(`GET / HTTP/1.1\r\nHost: x\r\n${"a:\r\n".repeat(lines - 1)}\r\n`);
    const refusal = (await seen) as Refusal | undefined;
    expect(refusal?.status).toBe(status);
    server.closeAllConnections();
    server.close();
  });
});

describe("a connection that is refused", () => {
  it("a refused connection is told why, once, and ends when the other end does", async () => {
    const [near, far] = duplexPair();
    const refusal = new Refusal(403, "not_listed", "Airlock refused it");
    refuseConnection(far, refusal);
    refuseConnection(far, refusal);
    near.write("more that nobody wants");
    expect(await text(near)).toMatch(/^HTTP\/1.1 403 Airlock refused it\r\n.*\r\n\r\nAirlock refused it\n$/s);
    const closed = once(far, "close");
    near.end();
    await closed;
  });
});
