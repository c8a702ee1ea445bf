import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError } from "#common/service/environment.ts";
import { exit } from "../cli/exit.ts";
import { type Options, readOptions } from "./options.ts";

const RESULTS = join(import.meta.dirname, "results");
const BOUNDS = join(import.meta.dirname, "bounds.json");

/**
 * `./airlock bench` measures, prints a table, and writes plots to bench/results. The exit status is 1 when
 * the guard finds a bound that fails.
 */
async function bench(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options.guard) return await runGuard(options);
  if (options.profile) return await runProfile(options);
  return await runTable(options);
}

async function runGuard({ plan, bounds, json }: Options): Promise<number> {
  const { guard, guardText } = await import("./guard.ts");
  const judgements = await guard(plan, bounds ?? BOUNDS, say);
  process.stdout.write(json ? `${JSON.stringify(judgements)}\n` : guardText(judgements));
  return judgements.every(({ holds }) => holds) ? 0 : 1;
}

async function runProfile({ json }: Options): Promise<number> {
  const { measureProfile, profileText } = await import("./profile/profile.ts");
  const profile = await measureProfile(say);
  process.stdout.write(json ? `${JSON.stringify(profile)}\n` : profileText(profile));
  return 0;
}

async function runTable({ plan, rows, json, writeReadme }: Options): Promise<number> {
  const { measure } = await import("./measure.ts");
  const { plotsOf } = await import("./report/plots.ts");
  const { textOf } = await import("./report/text.ts");
  const result = await measure(plan, rows, say);
  await mkdir(RESULTS, { recursive: true });
  await writeFile(join(RESULTS, "result.json"), `${JSON.stringify(result, null, 2)}\n`);
  for (const [name, svg] of plotsOf(result)) await writeFile(join(RESULTS, name), svg);
  if (writeReadme) {
    const { measureProfile } = await import("./profile/profile.ts");
    const readme = await import("./report/readme.ts");
    await readme.writeReadme(result, await measureProfile(say));
  }
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : textOf(result));
  return 0;
}

function say(progress: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${progress}\n`);
}

try {
  await exit(await bench(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  await exit(2);
}
