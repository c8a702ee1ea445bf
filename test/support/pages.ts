import { glob, readFile } from "node:fs/promises";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..", "..");

const PATTERNS = ["*.md", "docs/**/*.md", "bench/*.md", "worker/*.md", "examples/**/*.md"];

/** A Markdown file of the repository; `path` is relative to its root. */
export type Page = { readonly path: string; readonly text: string };

/** Every Markdown file that belongs to the repository. */
export async function allPages(): Promise<Page[]> {
  const found: string[] = [];
  for await (const path of glob(PATTERNS, { cwd: ROOT })) found.push(path);
  return await Promise.all(found.sort().map(readPage));
}

export async function readPage(path: string): Promise<Page> {
  return { path, text: await readFile(join(ROOT, path), "utf8") };
}

/** The rows of all tables of a page, as the texts of their cells; the lines under headings are left out. */
export function rowsOf({ text }: Page): string[][] {
  return [...text.matchAll(/^\| (.*) \|$/gm)].map(([, row]) =>
    (row as string).split(/ \| /).map((cell) => cell.trim()),
  );
}
