import type { ServiceProcess } from "../harness/service-process.ts";

/** A service that is started again whenever it dies, as compose's restart policy does. */
export type KeptService = {
  /** Process id; undefined while the service starts. */
  pid(): number | undefined;
  /** True when the service is not started again. */
  isOver(): boolean;
  /** The output of all its processes, the earlier ones first. */
  output(): string;
  /** Ends that the test did not cause, each with the last lines of output. */
  readonly crashes: readonly string[];
  /** Kills the process; that end counts as no crash. */
  kill(): Promise<void>;
  /** Sends SIGTERM and waits for the end; the service is not started again. */
  stop(): Promise<void>;
  /** Kills the process if it still runs; the service is not started again. */
  remove(): Promise<void>;
};

const RESTART_AFTER_MS = 200;
const LAST_LINES = 5;

/** Starts a service with `launch`, and starts it again whenever it ends. */
export async function keepService(
  name: string,
  launch: () => Promise<ServiceProcess>,
  restartAfterMs = RESTART_AFTER_MS,
): Promise<KeptService> {
  const earlier: string[] = [];
  const crashes: string[] = [];
  let current: ServiceProcess | undefined;
  let isAsked = false;
  let isOver = false;
  let living: Promise<void> = Promise.resolve();

  const start = async () => {
    for (;;) {
      try {
        current = await launch();
        break;
      } catch (error) {
        // A service refuses to start while its database is away; the loop tries again.
        earlier.push(String(error));
        if (isOver || earlier.length > 1_000) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, restartAfterMs));
    }
    living = live(current);
  };
  const live = async (service: ServiceProcess) => {
    const how = await service.exited;
    current = undefined;
    earlier.push(service.output());
    if (isOver) return;
    if (!isAsked)
      crashes.push(`${name} ${how}: ${service.output().split("\n").slice(-LAST_LINES).join("\n")}`);
    isAsked = false;
    await new Promise((resolve) => setTimeout(resolve, restartAfterMs));
    if (!isOver) await start();
  };
  await start();
  return {
    pid: () => current?.pid,
    isOver: () => isOver,
    output: () => [...earlier, current?.output() ?? ""].join("\n"),
    crashes,
    async kill() {
      if (!current) return;
      isAsked = true;
      await current.kill();
    },
    async stop() {
      isOver = true;
      current?.signal("SIGTERM");
      await living;
    },
    async remove() {
      isOver = true;
      await current?.kill();
      await living;
    },
  };
}
