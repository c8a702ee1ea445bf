import { getSystemErrorMessage } from "node:util";

/**
 * The operating system's reason for an error, in words: `no such file or directory` instead of ENOENT,
 * without the path. The message of any other error is not repeated, because such a message could hold
 * anything, even a secret.
 */
export function systemReason(error: unknown): string {
  const { errno, code } = error as NodeJS.ErrnoException;
  if (errno !== undefined && errno < 0) return getSystemErrorMessage(errno);
  // The message with which fetch refuses a port that browsers refuse too.
  if (error instanceof Error && error.message === "bad port") return "fetch refuses to call this port";
  return code ?? "unknown error";
}
