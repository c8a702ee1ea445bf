import { childrenOf, treeOf } from "../support/process-tree.ts";
import type { Random } from "./random.ts";
import type { Stage } from "./stage.ts";

export const TARGETS = [
  ...["gateway", "router", "pool-manager", "secrets", "sanitizer", "egress"],
  ...["supervisor", "zygote", "run child", "postgres"],
] as const;
type Target = (typeof TARGETS)[number];
type Deed = "kill" | "freeze";

/** One thing that was done to the stage. */
export type Fault = { readonly deed: Deed; readonly target: Target; readonly atMs: number };

export const FREEZE_MS = 10_000;

/** Each deed on each target once, in an order of its own. */
export function deckOf(random: Random): { deed: Deed; target: Target }[] {
  return random.shuffle(
    TARGETS.flatMap((target) => [
      { deed: "kill" as const, target },
      { deed: "freeze" as const, target },
    ]),
  );
}

/** Does it to a process that is there, and waits for one. Resolves when it is done; `thawed`, when it is over. */
export async function strike(
  { deed, target }: { deed: Deed; target: Target },
  stage: Stage,
  random: Random,
): Promise<{ fault: Fault; thawed: Promise<void> }> {
  const done = (thawed: Promise<void> = Promise.resolve()) => ({
    fault: { deed, target, atMs: Date.now() },
    thawed,
  });
  if (target === "postgres") {
    if (deed === "kill") {
      await stage.postgres.kill();
      return done(stage.postgres.start());
    }
    await stage.postgres.freeze();
    return done(later(() => stage.postgres.thaw()));
  }
  for (;;) {
    const names = [...stage.services.keys()].filter((name) => name.replace(/-\d$/, "") === target);
    if (names.length > 0) {
      const service = stage.services.get(random.pick(names));
      const pid = service?.pid();
      if (service && pid) {
        if (deed === "freeze") return done(frozen(pid));
        const struck = done();
        await service.kill();
        return struck;
      }
    } else {
      const pid = await processOfWorker(target, stage, random);
      if (pid && send(pid, deed === "kill" ? "SIGKILL" : "SIGSTOP")) {
        return deed === "kill" ? done() : done(later(() => void send(pid, "SIGCONT")));
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function processOfWorker(target: Target, stage: Stage, random: Random): Promise<number | undefined> {
  const supervisors = await stage.supervisors();
  const [supervisor] = random.shuffle(supervisors);
  if (!supervisor || target === "supervisor") return supervisor;
  const [zygote] = await childrenOf(supervisor);
  if (!zygote || target === "zygote") return zygote;
  // The oldest runs a script, if any does: what waits for one is taken in the order in which it was forked.
  const [oldest] = await childrenOf(zygote);
  return oldest && random.pick(await treeOf(oldest));
}

function frozen(pid: number): Promise<void> {
  send(pid, "SIGSTOP");
  return later(() => void send(pid, "SIGCONT"));
}

async function later(thaw: () => void | Promise<void>): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, FREEZE_MS));
  await thaw();
}

/** False: it is gone. */
function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
