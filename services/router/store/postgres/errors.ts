import { DatabaseError } from "pg";
import { AirlockError } from "#common/errors.ts";
import type { CircuitRules } from "#common/resilience/circuit-breaker.ts";

// Classes of SQLSTATE that say nothing about the statement: connection (08), rollback to be repeated (40), resources
// such as connections and disk (53), lock not had in time (55), operator intervention and time-outs (57), system (58);
// and how a standby (25006) and a server that no longer knows us (28) answer.
const AWAY = /^(08|40|53|55|57|58|25006|28)/;
// Those of them that say that the server is not there for us at all.
const GONE = /^(08|53|57P|58|25006|28)/;
const NUL_IN_TEXT = "22021";
const AWAY_MESSAGE = "The database cannot be reached. Try again in a few seconds.";
const BUSY_MESSAGE = "The database was too busy to do this in time. Try again in a few seconds.";

/**
 * Whatever the driver threw as an AirlockError: `unavailable` when asking again later may help, `internal` otherwise.
 * Of the server's error only code and message go on, to logs: its detail quotes rows, and the driver's own errors hold
 * the whole client.
 */
export function toStoreError(error: unknown): AirlockError {
  if (error instanceof AirlockError) return error;
  const cause = new Error(describe(error));
  if (isAway(error)) {
    const message = isAway(error, GONE) ? AWAY_MESSAGE : BUSY_MESSAGE;
    return new AirlockError("unavailable", message, { logDetail: cause.message, cause });
  }
  if (error instanceof DatabaseError && error.code === NUL_IN_TEXT) {
    const message = "The request has a NUL character where none can be; send it without.";
    return new AirlockError("invalid_request", message, { logDetail: cause.message });
  }
  return new AirlockError(
    "internal",
    "The database refused a statement; the operator finds why in the log.",
    {
      cause,
    },
  );
}

/** Nobody needs to ask for a moment: the server was gone the last times. */
export const DATABASE_CIRCUIT: CircuitRules = {
  failuresToOpen: 5,
  openMs: 500,
  longestOpenMs: 2_000,
  isFailure: (error) => isAway(error, GONE),
  refusal: (last) =>
    new AirlockError("unavailable", AWAY_MESSAGE, {
      logDetail: `not asked, since before: ${describe(last)}`,
    }),
};

function isAway(error: unknown, codes = AWAY): boolean {
  if (error instanceof DatabaseError) return codes.test(error.code ?? "");
  // What the driver and Node say of connections are plain errors; these are said of a value, which stays what it is.
  return !(error instanceof TypeError || error instanceof RangeError);
}

/** What went wrong, for the operator. */
export function describe(error: unknown): string {
  if (error instanceof DatabaseError) return `PostgreSQL says ${error.code}: ${error.message}`;
  // Node tries several addresses and puts what each said below one error without a message.
  if (error instanceof AggregateError) return error.errors.map(describe).join("; ");
  return error instanceof Error ? error.message : String(error);
}
