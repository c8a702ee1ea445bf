import { Counter, Registry } from "prom-client";

/** Metrics of the sanitizer, by project. */
export type SanitizerMetrics = {
  readonly registry: Registry;
  tookIn(project: string, bytes: number): void;
  redacted(project: string, count: number): void;
  withheld(project: string): void;
};

/**
 * Metrics have no label for the secret's name, because only operators may see which secrets were redacted. An
 * execution's redactions list the names.
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
