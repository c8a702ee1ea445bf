import { childrenOf, send, treeOf } from "../support/process-tree.ts";
import type { ChaosHarness } from "./chaos-harness.ts";
import type { KeptService } from "./kept-service.ts";
import type { Random } from "./random.ts";
import type { WorkerHost } from "./worker-host.ts";

const EVERYWHERE = [
  ...["gateway", "router", "pool-manager", "secrets", "sanitizer", "egress", "authority"],
  ...["supervisor", "zygote", "template", "run child", "postgres"],
] as const;
export type Target = (typeof EVERYWHERE)[number] | "container" | "engine";
export type Action = "kill" | "freeze" | "hang";
/** A fault that a schedule injects into one target. */
export type PlannedFault = { readonly action: Action; readonly target: Target };
export type FaultName = `${Action} ${Target}`;

/** A fault that was injected. */
export type Fault = {
  readonly action: Action;
  readonly target: Target;
  readonly atMs: number;
  /** When the target was back, Unix time in milliseconds; undefined until then. */
  overAtMs?: number;
};

export const FREEZE_MS = 10_000;
// Longer than the 15 seconds after which other routers take a silent router for dead, so that its writes come too late.
export const HANG_MS = 20_000;

/** Kills and freezes each target once, and freezes one router until the others have taken its executions over. */
export function faultsToInject({ targets }: WorkerHost): PlannedFault[] {
  const both = [...EVERYWHERE, ...targets].flatMap((target) => [
    { action: "kill" as const, target },
    { action: "freeze" as const, target },
  ]);
  return [...both, { action: "hang", target: "router" }];
}

/**
 * Injects a fault into a process of the target, and waits until there is one. Resolves once the fault is injected;
 * `resumed` resolves when the target is back. Resolves with undefined when `isOver`, because then no new worker
 * starts.
 */
export async function injectFault(
  { action, target }: PlannedFault,
  harness: ChaosHarness,
  random: Random,
  isOver: () => boolean,
): Promise<{ fault: Fault; resumed: Promise<void> } | undefined> {
  const since = (atMs: number, resumed: Promise<void> = Promise.resolve()) => {
    const fault: Fault = { action, target, atMs };
    const over = resumed.then(() => {
      fault.overAtMs = Date.now();
    });
    return { fault, resumed: over };
  };
  const done = (resumed?: Promise<void>) => since(Date.now(), resumed);
  if (target === "postgres") {
    if (action === "kill") {
      await harness.postgres.kill();
      return done(harness.postgres.start());
    }
    await harness.postgres.freeze();
    return done(later(() => harness.postgres.resume()));
  }
  while (!isOver()) {
    const names = [...harness.services.keys()].filter((name) => name.replace(/-\d$/, "") === target);
    if (names.length > 0) {
      const service = harness.services.get(random.pick(names));
      const pid = service?.pid();
      if (service && pid) {
        if (action !== "kill") return done(frozen(pid, action === "hang" ? HANG_MS : FREEZE_MS));
        const atMs = Date.now();
        await service.kill();
        return since(atMs, untilBack(service));
      }
    } else {
      const atMs = Date.now();
      const injected = await harness.workerHost.injectFault(action, target, random);
      if (injected) return since(atMs, injected.resumed);
      const pid = await processOfWorker(target, harness, random);
      if (pid && send(pid, action === "kill" ? "SIGKILL" : "SIGSTOP")) {
        return action === "kill" ? done() : done(later(() => void send(pid, "SIGCONT")));
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return undefined;
}

async function processOfWorker(
  target: Target,
  harness: ChaosHarness,
  random: Random,
): Promise<number | undefined> {
  if (target === "container") return undefined;
  const supervisors = await harness.workerHost.supervisors();
  const [supervisor] = random.shuffle(supervisors);
  if (!supervisor || target === "supervisor") return supervisor;
  const [zygote] = await childrenOf(supervisor);
  if (!zygote || target === "zygote") return zygote;
  // The template's oldest child runs a script if any child does, because spares are used in the order of their forks.
  const [template] = await childrenOf(zygote);
  if (!template || target === "template") return template;
  const [oldest] = await childrenOf(template);
  return oldest && random.pick(await treeOf(oldest));
}

async function untilBack(service: KeptService): Promise<void> {
  while (!service.pid() && !service.isOver()) await new Promise((resolve) => setTimeout(resolve, 100));
}

function frozen(pid: number, forMs: number): Promise<void> {
  send(pid, "SIGSTOP");
  return later(() => void send(pid, "SIGCONT"), forMs);
}

async function later(resume: () => void | Promise<void>, afterMs = FREEZE_MS): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await resume();
}
