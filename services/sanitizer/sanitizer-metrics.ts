import { Counter, Registry } from "prom-client";

/** The metrics of the sanitizer, each counted by project. */
export type SanitizerMetrics = {
  readonly registry: Registry;
  /** Counts bytes of output that arrived to be searched. */
  tookIn(project: string, bytes: number): void;
  /** Counts secrets and unknown credentials that were replaced by markers. */
  redacted(project: string, count: number): void;
  /** Counts an execution whose output was withheld. */
  withheld(project: string): void;
};

/**
 * Makes the metrics and their registry. No metric has a label for the secret's name, because only operators
 * may see which secrets were redacted. An execution's redactions list the names.
 */
export function createSanitizerMetrics(): SanitizerMetrics {
  const registry = new Registry();
  const common = { labelNames: ["project"] as const, registers: [registry] };
  const bytes = new Counter({
    name: "airlock_sanitizer_bytes_total",
    help: "Bytes of output, results and llm requests that were searched for secrets.",
    ...common,
  });
  const redactions = new Counter({
    name: "airlock_sanitizer_redactions_total",
    help: "Secrets and unknown credentials that were found and replaced.",
    ...common,
  });
  const withheld = new Counter({
    name: "airlock_sanitizer_withheld_total",
    help: "Executions whose output was withheld, because the values to search for were not available or the output could not be searched.",
    ...common,
  });
  return {
    registry,
    tookIn: (project, count) => bytes.inc({ project }, count),
    redacted: (project, count) => redactions.inc({ project }, count),
    withheld: (project) => withheld.inc({ project }),
  };
}
