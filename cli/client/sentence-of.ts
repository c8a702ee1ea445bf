import { systemReason } from "#common/system-reason.ts";
import type { ApiError } from "#sdk/api-error.ts";

/** The failure of a call as one sentence for the person at the terminal. */
export function sentenceOf({ code, message, url, cause }: ApiError): string {
  if (code === "unauthenticated")
    return `${message} Commands show the key in AIRLOCK_KEY, or the one of ./airlock login.`;
  if (code !== "unreachable") return message;
  // `fetch` puts the system's error, such as ECONNREFUSED, into the cause of its own error. The system's
  // error is used where there is one, because it says what went wrong.
  const reason = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
  const { code: reasonCode } = (reason ?? {}) as { code?: string };
  if (reasonCode === "ECONNREFUSED") return `Airlock is not running at ${url}; start it with ./airlock up.`;
  return `Airlock at ${url} cannot be reached: ${inWords(reason, reasonCode)}.`;
}

function inWords(reason: unknown, code: string | undefined): string {
  if (code === "UND_ERR_SOCKET") return "it ended the connection";
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER") return "it does not speak TLS; try http:// for https://";
  return systemReason(reason);
}
