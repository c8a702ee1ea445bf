import { setTimeout as sleep } from "node:timers/promises";
import type { Flood } from "../flooding/flood-thread.ts";

const AT_ONCE = 20;

/** Executions of a project whose workers cannot be started, and repeated calls of `up` for it. */
const flood: Flood = async ({ project, signal, post }) => {
  const body = JSON.stringify({ project, code: "set_result(1)" });
  while (!signal.aborted) {
    await Promise.all(Array.from({ length: AT_ONCE }, () => post("/execute", body)));
    await post(`/projects/${project}/up`, "{}");
    await sleep(200);
  }
};
export default flood;
