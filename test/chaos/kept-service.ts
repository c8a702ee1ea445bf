import type { ServiceProcess } from "../harness/service-process.ts";

/** A service that is started again whenever it dies, as compose's restart policy does. */
export type KeptService = {
  /** Undefined while it starts. */
  pid(): number | undefined;
  /** It is not started again. */
  isOver(): boolean;
  /** All that it wrote in all its lives. */
  output(): string;
  /** Ends of it that nobody of this test brought about. */
  readonly crashes: readonly string[];
  /** The next end is this test's doing. */
  kill(): Promise<void>;
  /** SIGTERM, and its end; it is not started again. */
  stop(): Promise<void>;
  /** Whatever is left of it. */
  remove(): Promise<void>;
};

const RESTART_AFTER_MS = 200;
const LAST_LINES = 5;

/** `launch` starts it, each time. */
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
        // It may refuse to start while the database is away, and is started again then.
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
