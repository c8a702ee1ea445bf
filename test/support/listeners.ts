import { readdir, readFile, readlink } from "node:fs/promises";
import { createConnection } from "node:net";
import { treeOf } from "./process-tree.ts";

/**
 * The sockets of processes that listen: Unix paths (with a leading NUL for abstract ones), and TCP ports of this
 * machine.
 */
export type Listeners = { readonly sockets: readonly string[]; readonly ports: readonly number[] };

const LISTENING_TCP = "0A";
const LISTENING_UNIX = "00010000";

/** The listening sockets of a process and all its descendants, from /proc. */
export async function listenersOf(pid: number): Promise<Listeners> {
  const inodes = new Set((await Promise.all((await treeOf(pid)).map(socketInodesOf))).flat());
  const unix = (await rowsOf("/proc/net/unix"))
    .filter((row) => row[3] === LISTENING_UNIX && inodes.has(row[6] ?? ""))
    .flatMap((row) => row[7] ?? []);
  const tcp = [...(await rowsOf("/proc/net/tcp")), ...(await rowsOf("/proc/net/tcp6"))]
    .filter((row) => row[3] === LISTENING_TCP && inodes.has(row[9] ?? ""))
    .map((row) => Number.parseInt(row[1]?.split(":")[1] ?? "", 16));
  return { sockets: unix.map((path) => path.replace(/^@/, "\0")), ports: tcp };
}

/** Whether a connection to the address succeeds. */
export function answers(address: { path: string } | { port: number; host?: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection("port" in address ? { host: "127.0.0.1", ...address } : address);
    const settle = (connected: boolean) => {
      socket.destroy();
      resolve(connected);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}

async function rowsOf(path: string): Promise<string[][]> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
}

async function socketInodesOf(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "")));
  return targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
}
