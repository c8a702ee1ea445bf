import { systemReason } from "#common/system-reason.ts";
import type { ApiError } from "#sdk/api-error.ts";

const CERTIFICATE_REFUSED = /SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_(UNTRUSTED|HAS_EXPIRED)/;

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
  if (code === "UND_ERR_SOCKET") return "it ended the connection; where it serves HTTPS, try https://";
  if (code !== undefined && CERTIFICATE_REFUSED.test(code))
    return "this machine does not trust its certificate; NODE_EXTRA_CA_CERTS names the file of an authority to trust";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "its certificate is for another name; use that name in the URL";
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER") return "it does not speak TLS; try http:// for https://";
  return systemReason(reason);
}
