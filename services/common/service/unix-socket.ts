import { lstat, rm } from "node:fs/promises";
import { connect } from "node:net";

/** Whether a process listens on this Unix socket, even a frozen process that answers nothing. */
export function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // Only these three errors mean that no process listens. Any other, such as a full queue (EAGAIN), comes
    // from a socket with a process behind it.
    socket.once("error", ({ code }: NodeJS.ErrnoException) =>
      resolve(code !== "ECONNREFUSED" && code !== "ENOENT" && code !== "ENOTSOCK"),
    );
  });
}

/**
 * Removes the socket that a killed process left at `path`, because otherwise no server could listen there
 * again. A socket that a process still listens on stays.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() && !(await isServed(path))) await rm(path, { force: true });
}
