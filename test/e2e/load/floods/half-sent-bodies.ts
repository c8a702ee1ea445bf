import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Flood } from "../flooding/flood-thread.ts";

const SOCKETS = 50;
const HALF = Buffer.alloc(7 * 1024 * 1024, "x");
const AGAIN_MS = 2_000;

/** Fifty bodies of fourteen megabytes of which half is sent, given up and begun anew every two seconds; then one that is whole. */
const flood: Flood = async ({ url, project, signal, post }) => {
  const { port, hostname } = new URL(url);
  const head = `POST /execute HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: ${2 * HALF.length}\r\n\r\n`;
  while (!signal.aborted) {
    const sockets: Socket[] = [];
    for (let n = 0; n < SOCKETS && !signal.aborted; n++) {
      const socket = connect(Number(port), hostname);
      socket.on("error", () => undefined);
      sockets.push(socket);
      await once(socket, "connect");
      await new Promise((resolve) => socket.write(Buffer.concat([Buffer.from(head), HALF]), resolve));
    }
    await post("/execute", JSON.stringify({ project, code: "#".repeat(1024 * 1024) }));
    await sleep(AGAIN_MS);
    for (const socket of sockets) socket.destroy();
  }
};
export default flood;
