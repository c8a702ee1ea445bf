import { setTimeout as sleep } from "node:timers/promises";
import type { Flood } from "../flooding/flood-thread.ts";

const MIB = 1024 * 1024;
const CLIENTS = 2;

/** Requests with a megabyte of memory, of a project that has stored all that it may: each makes others go, or is refused. */
const flood: Flood = async ({ project, signal, post }) => {
  const memory = { a: { k: "x".repeat(MIB) } };
  const body = Buffer.from(JSON.stringify({ project, code: "set_result(1)", memory }));
  const client = async () => {
    while (!signal.aborted) {
      await post("/execute", body);
      await sleep(50);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
};
export default flood;
