import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { PYTHON } from "../cli/tools.ts";
import { postgresMissing } from "../test/harness/postgres.ts";
import { dockerRunContender, pythonContender } from "./contenders/command.ts";
import type { Contender } from "./contenders/contender.ts";
import { startJupyter } from "./contenders/jupyter.ts";
import type { Figure } from "./figure.ts";
import type { Plan } from "./plan.ts";
import { openContainerPool, openPool, type Pool } from "./pool.ts";
import type { ProjectName } from "./projects.ts";
import type { RowName } from "./row-names.ts";
import { engineRuntimes, type Runtime, startDockerStack } from "./stacks/docker.ts";
import { startEmbeddedStack } from "./stacks/embedded.ts";
import { startPostgresStack } from "./stacks/postgres.ts";
import type { Stack } from "./stacks/stack.ts";

/**
 * The services and programs that the rows of one benchmark run share. Each is started on first use and stays
 * until the end.
 */
export type Bench = {
  readonly plan: Plan;
  pool(kind: ProjectName): Promise<Pool>;
  /** Every pool of the plan that can be started on this machine. */
  pools(): Promise<readonly Pool[]>;
  contenders(): Promise<readonly Contender[]>;
  /** Adds a note that `what` is not measured, and why; the same note only once. */
  missing(what: string, why: string): void;
  readonly notes: readonly string[];
  say(progress: string): void;
  close(): Promise<void>;
};

/** A measurement of the benchmark, which gives one or several rows of the table. */
export type Row = {
  readonly name: RowName;
  readonly title: string;
  measure(bench: Bench): Promise<Figure[]>;
};

const IMAGE = process.env.AIRLOCK_PYTHON_IMAGE ?? "python:3.12-slim";

export function openBench(plan: Plan, say: (progress: string) => void): Bench {
  const notes: string[] = [];
  const started: { close(): Promise<void> }[] = [];
  const keep = async <Part extends { close(): Promise<void> }>(starting: Promise<Part>): Promise<Part> => {
    const part = await starting;
    started.push(part);
    return part;
  };
  const missing = (what: string, why: string) => {
    const note = `${what} is not measured: ${why.split("\n")[0]}`;
    if (!notes.includes(note)) notes.push(note);
  };
  const kinds: readonly ProjectName[] = ["plain", "pandas"];
  const once = new Map<string, Promise<unknown>>();
  const onlyOnce = <Value>(key: string, make: () => Promise<Value>): Promise<Value> => {
    const made = once.get(key) ?? make();
    once.set(key, made);
    return made as Promise<Value>;
  };
  const embedded = () => onlyOnce("embedded", () => keep(startEmbeddedStack()));
  const pool = (kind: ProjectName) =>
    onlyOnce(`pool ${kind}`, async () => {
      say(`starting the embedded service (${kind})`);
      return await keep(openPool(local(await embedded()), kind));
    });

  const postgresPools = async (): Promise<Pool[]> => {
    const absent = postgresMissing();
    if (absent) return none("PostgreSQL", absent);
    say("starting PostgreSQL and each service by itself");
    const stack = local(await keep(startPostgresStack()));
    return [await keep(openPool(stack, "plain"))];
  };

  const dockerPools = async (): Promise<Pool[]> => {
    const runtimes = await engineRuntimes().catch((): Runtime[] => []);
    if (runtimes.length === 0) return none("Docker", "there is no Docker engine here");
    if (!runtimes.includes("runsc")) missing("Docker, gVisor", "the engine has no runtime runsc");
    say("starting workers in containers; the first time, their images are built");
    const stack = await keep(startDockerStack(runtimes));
    const opened: Pool[] = [];
    for (const runtime of runtimes) {
      for (const kind of plan.pandasInContainers ? kinds : kinds.slice(0, 1)) {
        opened.push(await keep(openContainerPool(stack, kind, runtime)));
      }
    }
    return opened;
  };

  const none = (what: string, why: string): never[] => {
    missing(what, why);
    return [];
  };
  const orMissing = async <Value>(what: string, make: () => Promise<Value[]>): Promise<Value[]> =>
    await make().catch((error: Error) => none(what, error.message));

  return {
    plan,
    pool,
    pools: () =>
      onlyOnce("pools", async () => {
        const pools = [await pool("plain"), await pool("pandas")];
        if (plan.stacks.includes("postgres")) pools.push(...(await orMissing("PostgreSQL", postgresPools)));
        if (plan.stacks.includes("docker")) pools.push(...(await orMissing("Docker", dockerPools)));
        return pools;
      }),
    contenders: () =>
      onlyOnce("contenders", async () => {
        if (!plan.contenders) return [];
        say("starting what users would pick instead");
        const contenders = [pythonContender(PYTHON, "python3 -c")];
        const pandas = await (await pool("pandas")).stack.pythonOf("pandas");
        contenders.push(withPandas(pythonContender(pandas, "python3 -c, pandas")));
        if (await hasImage()) contenders.push(dockerRunContender(IMAGE));
        else missing("docker run", `there is no Docker engine here, or no image ${IMAGE}`);
        contenders.push(...(await orMissing("Jupyter kernel", async () => [await keep(startJupyter())])));
        return contenders;
      }),
    missing,
    notes,
    say,
    async close() {
      for (const part of started.reverse()) await part.close();
    },
  };
}

/**
 * Puts `import pandas` before each script, because this contender has no process that has imported pandas
 * already.
 */
function withPandas(contender: Contender): Contender {
  return { ...contender, run: (code) => contender.run(`import pandas\n${code}`) };
}

function local(stack: Stack) {
  return stack as Stack & { readonly name: "embedded" | "postgres" };
}

async function hasImage(): Promise<boolean> {
  return await promisify(execFile)("docker", ["image", "inspect", IMAGE]).then(
    () => true,
    () => false,
  );
}
