import { AirlockError } from "#common/errors.ts";
import type { ExecutionParams } from "../schemas/execution.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The id that a path names. Throws execution_not_found when it cannot be one. */
export function executionId({ execution_id }: ExecutionParams): string {
  const id = execution_id.toLowerCase();
  if (UUID.test(id)) return id;
  throw new AirlockError(
    "execution_not_found",
    "There is no such execution: an execution_id is a UUID. Use the execution_id or poll_url from the answer to POST /execute.",
  );
}
