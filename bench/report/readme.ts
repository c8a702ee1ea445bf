import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Profile } from "../profile/profile.ts";
import type { Result } from "../result.ts";
import { profileMarkdown, resultMarkdown } from "./markdown.ts";
import { plotsOf } from "./plots.ts";

const BENCH = join(import.meta.dirname, "..");

/** Replaces the measured parts of bench/README.md, and writes the plots that it shows. */
export async function writeReadme(result: Result, profile: Profile): Promise<void> {
  const path = join(BENCH, "README.md");
  const text = await readFile(path, "utf8");
  const measured = withPart(text, "measured", resultMarkdown(result));
  await writeFile(path, withPart(measured, "profile", profileMarkdown(profile)));
  await mkdir(join(BENCH, "plots"), { recursive: true });
  for (const [name, svg] of plotsOf(result)) await writeFile(join(BENCH, "plots", name), svg);
}

/** Replaces the part of `text` between the marks of this name. Throws when the marks are missing. */
export function withPart(text: string, name: string, part: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`bench/README.md has no place for what was ${name}`);
  return `${text.slice(0, from + begin.length)}\n${part}\n${text.slice(to)}`;
}
