import { validate as isUuid } from "uuid";
import { AirlockError } from "#common/errors.ts";
import type { Scope } from "#common/identity/ownership.ts";
import { readLimit } from "../request-fields.ts";
import type { ListFilter } from "../store/store.ts";

type PageRequest = { readonly project: string; readonly limit: number; readonly cursor: string };

/**
 * Reads one page of a list of the executions in a scope, ordered by id from the newest, and the cursor of
 * the next page; the cursor is empty on the last page. Throws `invalid_request` for a bad cursor or limit.
 */
export async function readPage<T extends { readonly executionId: string }>(
  { project, limit, cursor }: PageRequest,
  scope: Scope,
  list: (filter: Omit<ListFilter, "status" | "retryOf"> & { readonly scope: Scope }) => Promise<T[]>,
): Promise<{ page: T[]; nextCursor: string }> {
  const size = readLimit(limit);
  if (cursor !== "" && !isUuid(cursor)) {
    throw new AirlockError(
      "invalid_request",
      "cursor must be one that a list returned: send next_cursor of the page before, or leave it out.",
    );
  }
  const found = await list({
    project: project || undefined,
    limit: size + 1,
    before: cursor || undefined,
    scope,
  });
  const page = found.slice(0, size);
  return { page, nextCursor: found.length > size ? (page.at(-1)?.executionId ?? "") : "" };
}
