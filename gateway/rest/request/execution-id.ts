import { AirlockError } from "#common/errors.ts";
import type { ExecutionParams } from "../schemas/execution.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The execution id in a path, in lower case. Throws execution_not_found when the text is not a UUID. */
export function executionId({ execution_id }: ExecutionParams): string {
  const id = execution_id.toLowerCase();
  if (UUID.test(id)) return id;
  throw new AirlockError(
    "execution_not_found",
    "There is no such execution: an execution_id is a UUID. Use the execution_id or poll_url from the answer to POST /execute.",
  );
}
