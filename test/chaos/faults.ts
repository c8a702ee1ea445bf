import { childrenOf, send, treeOf } from "../support/process-tree.ts";
import type { KeptService } from "./kept-service.ts";
import type { Random } from "./random.ts";
import type { Stage } from "./stage.ts";
import type { Place } from "./worker-host.ts";

const EVERYWHERE = [
  ...["gateway", "router", "pool-manager", "secrets", "sanitizer", "egress"],
  ...["supervisor", "zygote", "template", "run child", "postgres"],
] as const;
export type Target = (typeof EVERYWHERE)[number] | "container" | "engine";
export type Deed = "kill" | "freeze" | "hang";
export type FaultName = `${Deed} ${Target}`;

/** One thing that was done to the stage. */
export type Fault = {
  readonly deed: Deed;
  readonly target: Target;
  readonly atMs: number;
  /** When what was struck was back; undefined until then. */
  overAtMs?: number;
};

export const FREEZE_MS = 10_000;
// A router is missed after 15 seconds, and then comes too late.
export const HANG_MS = 20_000;

/** Each target killed and frozen once, and one router frozen until it has lost what it has. */
export function deckOf({ targets }: Place): { deed: Deed; target: Target }[] {
  const both = [...EVERYWHERE, ...targets].flatMap((target) => [
    { deed: "kill" as const, target },
    { deed: "freeze" as const, target },
  ]);
  return [...both, { deed: "hang", target: "router" }];
}

/**
 * Does it to a process that is there, and waits for one; in vain when `isOver`, since nobody starts a worker then any more.
 * Resolves when it is done; `thawed`, when it is over.
 */
export async function strike(
  { deed, target }: { deed: Deed; target: Target },
  stage: Stage,
  random: Random,
  isOver: () => boolean,
): Promise<{ fault: Fault; thawed: Promise<void> } | undefined> {
  const since = (atMs: number, thawed: Promise<void> = Promise.resolve()) => {
    const fault: Fault = { deed, target, atMs };
    const over = thawed.then(() => {
      fault.overAtMs = Date.now();
    });
    return { fault, thawed: over };
  };
  const done = (thawed?: Promise<void>) => since(Date.now(), thawed);
  if (target === "postgres") {
    if (deed === "kill") {
      await stage.postgres.kill();
      return done(stage.postgres.start());
    }
    await stage.postgres.freeze();
    return done(later(() => stage.postgres.thaw()));
  }
  while (!isOver()) {
    const names = [...stage.services.keys()].filter((name) => name.replace(/-\d$/, "") === target);
    if (names.length > 0) {
      const service = stage.services.get(random.pick(names));
      const pid = service?.pid();
      if (service && pid) {
        if (deed !== "kill") return done(frozen(pid, deed === "hang" ? HANG_MS : FREEZE_MS));
        const atMs = Date.now();
        await service.kill();
        return since(atMs, untilBack(service));
      }
    } else {
      const atMs = Date.now();
      const struck = await stage.place.strike(deed, target, random);
      if (struck) return since(atMs, struck.thawed);
      const pid = await processOfWorker(target, stage, random);
      if (pid && send(pid, deed === "kill" ? "SIGKILL" : "SIGSTOP")) {
        return deed === "kill" ? done() : done(later(() => void send(pid, "SIGCONT")));
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return undefined;
}

async function processOfWorker(target: Target, stage: Stage, random: Random): Promise<number | undefined> {
  if (target === "container") return undefined;
  const supervisors = await stage.place.supervisors();
  const [supervisor] = random.shuffle(supervisors);
  if (!supervisor || target === "supervisor") return supervisor;
  const [zygote] = await childrenOf(supervisor);
  if (!zygote || target === "zygote") return zygote;
  // The oldest runs a script, if any does: what waits for one is taken in the order in which it was forked.
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

async function later(thaw: () => void | Promise<void>, afterMs = FREEZE_MS): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await thaw();
}
