import { getSystemErrorMessage } from "node:util";

/** Why the system refused, in words: `no such file or directory` instead of ENOENT, and without the path. No other message is repeated: it could hold anything. */
export function systemReason(error: unknown): string {
  const { errno, code } = error as NodeJS.ErrnoException;
  if (errno !== undefined && errno < 0) return getSystemErrorMessage(errno);
  // What fetch says of ports that no browser calls either.
  if (error instanceof Error && error.message === "bad port") return "fetch calls no such port";
  return code ?? "unknown error";
}
