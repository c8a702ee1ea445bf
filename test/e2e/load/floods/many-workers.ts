import { setTimeout as sleep } from "node:timers/promises";
import type { Flood } from "../flooding/flood-thread.ts";

/** Workers that are started by the dozen, and stopped before they have all come. */
const flood: Flood = async ({ project, signal, post }) => {
  while (!signal.aborted) {
    await post(`/projects/${project}/up`, JSON.stringify({ replicas: 24 }));
    await sleep(3_000);
    await post(`/projects/${project}/down`, "");
  }
};
export default flood;
