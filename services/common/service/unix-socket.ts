import { lstat, rm } from "node:fs/promises";
import { connect } from "node:net";

/** Whether a process listens on this socket, frozen or not. */
export function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // A full queue (EAGAIN) is somebody's; only these say that nobody is there.
    socket.once("error", ({ code }: NodeJS.ErrnoException) =>
      resolve(code !== "ECONNREFUSED" && code !== "ENOENT" && code !== "ENOTSOCK"),
    );
  });
}

/** Removes the socket that a killed process left at `path`: it could not be bound again. One that is served stays. */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() && !(await isServed(path))) await rm(path, { force: true });
}
