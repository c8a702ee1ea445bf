import { setTimeout as sleep } from "node:timers/promises";
import type { Flood } from "../flooding/flood-thread.ts";

const MIB = 1024 * 1024;
const CLIENTS = 3;

const members = (count: number, one: (n: number) => string) =>
  `{${Array.from({ length: count }, (_, n) => one(n)).join(",")}}`;

/** Requests at the limit of their size, of the shapes that cost most; most of them are refused once they have been read. */
const flood: Flood = async ({ project, signal, post }) => {
  const start = `{"project":"${project}","code":"set_result(1)"`;
  const bodies = [
    `${start},"memory":{"a":${members(1_200_000, (n) => `"${n}":1`)},"b":{"k":1,"k":2}}}`,
    `${start},"memory":{"a":{"k":"${"\\n".repeat(7 * MIB)}"}},"timeout":1e9}`,
    `${start},"memory":${members(1_000_000, (n) => `"${n}":{}`)},"callback":1}`,
    `{"project":"${project}","code":"${"x = 1\\n".repeat(2 * MIB)}"`,
    `${start},"memory":{"a":{"k":"${"x".repeat(15 * MIB)}"}}}`,
  ].map((body) => Buffer.from(body));
  const client = async (first: number) => {
    for (let n = first; !signal.aborted; n++) {
      await post("/execute", bodies[n % bodies.length] as Buffer);
      await sleep(100);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, n) => client(n)));
};
export default flood;
