import { DatabaseError } from "pg";
import { AirlockError } from "../../errors.ts";
import type { CircuitRules } from "../../resilience/circuit-breaker.ts";

// Error codes (SQLSTATE) that say nothing about the statement, so that a later attempt may succeed:
// connection (08), rollback to be repeated (40), resources such as connections and disk (53), lock not
// obtained in time (55), operator intervention and timeouts (57), system (58). Two more codes come from a
// standby (25006) and from a server that no longer accepts Airlock's user (28).
const AWAY = /^(08|40|53|55|57|58|25006|28)/;
// The beginnings of codes that say that the server cannot be used for any statement.
const GONE = /^(08|53|57P|58|25006|28)/;
const NUL_IN_TEXT = "22021";
const AWAY_MESSAGE = "The database cannot be reached. Try again in a few seconds.";
const BUSY_MESSAGE = "The database was too busy to finish in time. Try again in a few seconds.";

/**
 * Converts an error of the driver to an AirlockError: `unavailable` when a later attempt may succeed,
 * `invalid_request` for a NUL character, `internal` otherwise. Logs get only the code and the message,
 * because the details of a server's error quote rows, and the driver's error objects contain the whole
 * client.
 */
export function toDatabaseError(error: unknown): AirlockError {
  if (error instanceof AirlockError) return error;
  const cause = new Error(describe(error));
  if (isAway(error)) {
    const message = isAway(error, GONE) ? AWAY_MESSAGE : BUSY_MESSAGE;
    return new AirlockError("unavailable", message, { logDetail: cause.message, cause });
  }
  if (error instanceof DatabaseError && error.code === NUL_IN_TEXT) {
    const message = "The request contains a NUL character where none is allowed; remove it.";
    return new AirlockError("invalid_request", message, { logDetail: cause.message });
  }
  return new AirlockError(
    "internal",
    "The database refused a statement; the operator finds the reason in the log.",
    {
      cause,
    },
  );
}

/**
 * The circuit breaker of the database. After five statements in a row that did not reach the server,
 * statements are refused at once for 0.5 to 2 s.
 */
export const DATABASE_CIRCUIT: CircuitRules = {
  failuresToOpen: 5,
  openMs: 500,
  longestOpenMs: 2_000,
  isFailure: isGone,
  refusal: (last) =>
    new AirlockError("unavailable", AWAY_MESSAGE, {
      logDetail: `the database was not asked, because of an earlier failure: ${describe(last)}`,
    }),
};

/** Whether an error means that the server cannot be used for any statement, or that the connection is lost. */
export function isGone(error: unknown): boolean {
  return isAway(error, GONE);
}

function isAway(error: unknown, codes = AWAY): boolean {
  if (error instanceof DatabaseError) return codes.test(error.code ?? "");
  // An error that is not the server's counts as a connection problem, because the driver and Node report
  // those as plain errors. A TypeError or RangeError is about a value of the statement, so another attempt
  // would fail too.
  return !(error instanceof TypeError || error instanceof RangeError);
}

/** The reason of an error in words, for the operator and the log. */
export function describe(error: unknown): string {
  if (error instanceof DatabaseError) return `PostgreSQL says ${error.code}: ${error.message}`;
  // Node tries every address of a host name, and reports one error without a message that contains the error
  // of each address.
  if (error instanceof AggregateError) return error.errors.map(describe).join("; ");
  return error instanceof Error ? error.message : String(error);
}
