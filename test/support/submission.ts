import type { Submission } from "#common/submission/submission.ts";

/** The smallest submission that a store takes, for tests to which nothing of it matters. */
export const SUBMISSION: Submission = {
  executionId: "",
  project: "demo",
  code: "",
  timeoutMs: 1,
  settings: {},
  memoryJson: "{}",
  createdAtMs: 1,
};
