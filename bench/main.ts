import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BOUNDS, guard, guardText } from "./guard.ts";
import { measure } from "./measure.ts";
import { readOptions } from "./options.ts";
import { measureProfile, profileText } from "./profile/profile.ts";
import { plotsOf } from "./report/plots.ts";
import { writeReadme } from "./report/readme.ts";
import { textOf } from "./report/text.ts";

const RESULTS = join(import.meta.dirname, "results");

/** `./airlock bench`: measures, prints a table, leaves plots in bench/results. Exit status 1 when the guard finds a slip. */
export async function bench(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options.guard) {
    const judgements = await guard(options.plan, options.bounds ?? BOUNDS, say);
    process.stdout.write(options.json ? `${JSON.stringify(judgements)}\n` : guardText(judgements));
    return judgements.every(({ holds }) => holds) ? 0 : 1;
  }
  if (options.profile) {
    const profile = await measureProfile(say);
    process.stdout.write(options.json ? `${JSON.stringify(profile)}\n` : profileText(profile));
    return 0;
  }
  const result = await measure(options.plan, options.only, say);
  await mkdir(RESULTS, { recursive: true });
  await writeFile(join(RESULTS, "result.json"), `${JSON.stringify(result, null, 2)}\n`);
  for (const [name, svg] of plotsOf(result)) await writeFile(join(RESULTS, name), svg);
  if (options.writeReadme) await writeReadme(result, await measureProfile(say));
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : textOf(result));
  return 0;
}

function say(progress: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${progress}\n`);
}
