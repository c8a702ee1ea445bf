import { once } from "node:events";
import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { createHttpEdge, refuseConnection } from "../../../services/egress/http-edge.ts";
import { Refusal } from "../../../services/egress/refusal.ts";

describe("a server that listens nowhere", () => {
  it("looks after the connections that it is given, which its time limits need", async () => {
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

describe("a connection that is refused", () => {
  it("is told why, once, and ends when the other end does", async () => {
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
