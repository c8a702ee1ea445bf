import { expect } from "vitest";
import type { Submission } from "#common/submission/submission.ts";
import type { Ending } from "../../../services/router/execution.ts";
import type { ExecutionStore } from "../../../services/router/store/store.ts";
import { GRANT } from "../grant.ts";

export const LLM_REQUEST = { id: "llm_1", prompt: "Say hello", model: "default" };

export const COMPLETED: Ending = {
  reason: "completed",
  error: null,
  resultJson: '{"big": 9223372036854775809, "float": 1.0}',
  memoryUpdatesJson: '{"a": {"b": 5e-324}}',
  truncated: { stdout: 7, stderr: 0 },
  executionTimeMs: 12,
};

export let store: ExecutionStore;
/** The number of submissions so far, in all tests of the file. */
export let count = 0;

/** Sets the store of the test that begins. */
export function useStore(opened: ExecutionStore): void {
  store = opened;
}

export const submit = async (overrides: Partial<Submission> = {}): Promise<string> => {
  count += 1;
  const submission: Submission = {
    executionId: `0000-${String(count).padStart(6, "0")}`,
    project: "demo",
    code: "print('ü')\n",
    timeoutMs: 60_000,
    settings: { REGION: "eu" },
    memoryJson: '{"a": {"n": 9007199254740993}}',
    createdAtMs: 1_000 + count,
    ...overrides,
  };
  await store.insert(submission);
  return submission.executionId;
};

export const running = async () => {
  const id = await submit();
  expect(await store.start(id, 2_000, GRANT)).toBeDefined();
  return id;
};

export const awaiting = async () => {
  const id = await running();
  expect(await store.markAwaiting(id, LLM_REQUEST, 5)).toBe(true);
  return id;
};

export const stored = async (project = "demo") =>
  (await store.countStoredBytes()).find((each) => each.project === project)?.bytes ?? 0;
