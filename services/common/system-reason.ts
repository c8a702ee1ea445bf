import { getSystemErrorMessage } from "node:util";

/** Why the system refused, in words: `no such file or directory` instead of ENOENT, and without the path. No other message is repeated: it could hold anything. */
export function systemReason(error: unknown): string {
  const { errno, code } = error as NodeJS.ErrnoException;
  if (errno !== undefined && errno < 0) return getSystemErrorMessage(errno);
  return code ?? "unknown error";
}
