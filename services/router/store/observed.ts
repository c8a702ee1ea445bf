import { Counter, type Registry } from "prom-client";
import type { ExecutionStore } from "./store.ts";

/** Wraps the store so that `registry` counts the executions that this router accepts and ends. */
export function observeStore(
  store: ExecutionStore,
  registry: Registry,
): { store: ExecutionStore; registry: Registry } {
  const registers = [registry];
  const accepted = new Counter({
    name: "airlock_executions_accepted_total",
    help: "Executions that were accepted.",
    labelNames: ["project"],
    registers,
  });
  const ended = new Counter({
    name: "airlock_executions_ended_total",
    help: "Executions that ended; without a project where an earlier router left them unfinished.",
    labelNames: ["project", "end_reason"],
    registers,
  });
  // The project of each unfinished execution of this router, by execution id. The metrics need the project
  // when an execution ends.
  const projects = new Map<string, string>();
  const observed: ExecutionStore = {
    ...store,
    async insert(submission, conditions, submitter, signal) {
      const inserted = await store.insert(submission, conditions, submitter, signal);
      if (inserted) {
        accepted.inc({ project: submission.project });
        projects.set(submission.executionId, submission.project);
      }
      return inserted;
    },
    async claimPending(limit) {
      const claims = await store.claimPending(limit);
      for (const { executionId, project } of claims) projects.set(executionId, project);
      return claims;
    },
    async claimOrphaned(limit) {
      const orphaned = await store.claimOrphaned(limit);
      for (const { executionId, project } of orphaned) projects.set(executionId, project);
      return orphaned;
    },
    async release(executionId) {
      await store.release(executionId);
      projects.delete(executionId);
    },
    async finish(executionId, ending, last, endedAtMs, redactions) {
      const finished = await store.finish(executionId, ending, last, endedAtMs, redactions);
      const project = projects.get(executionId) ?? "";
      if (finished) ended.inc({ project, end_reason: ending.reason });
      projects.delete(executionId);
      return finished;
    },
    async forceFinish(executionId, ending, endedAtMs) {
      const finished = await store.forceFinish(executionId, ending, endedAtMs);
      if (finished) ended.inc({ project: projects.get(executionId) ?? "", end_reason: ending.reason });
      projects.delete(executionId);
      return finished;
    },
  };
  return { store: observed, registry };
}
