import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import GithubSlugger from "github-slugger";
import { describe, expect, it } from "vitest";
import { allPages, type Page, ROOT } from "../../support/pages.ts";

const PAGES = await allPages();

const withoutCode = (text: string) => text.replaceAll(/^```.*?^```$/gms, "").replaceAll(/`[^`\n]*`/g, "code");

function linksOf({ text }: Page): string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link as string);
}

function anchorsOf({ text }: Page): Set<string> {
  const slugger = new GithubSlugger();
  const headings = text.replaceAll(/^```.*?^```$/gms, "").matchAll(/^#+ (.*)$/gm);
  return new Set([...headings].map(([, heading]) => slugger.slug((heading as string).replaceAll("`", ""))));
}

function problemOf(page: Page, link: string): string | undefined {
  if (/^https?:/.test(link)) return undefined;
  const [file = "", anchor] = link.split("#");
  const path = file === "" ? page.path : normalize(join(dirname(page.path), file));
  if (!existsSync(join(ROOT, path))) return `${page.path}: ${link}: no such file`;
  if (anchor === undefined) return undefined;
  const target = PAGES.find((each) => each.path === path);
  return target && anchorsOf(target).has(anchor) ? undefined : `${page.path}: ${link}: no such heading`;
}

describe("the documentation", () => {
  it("the documentation has no link to a file or a heading that is not there", () => {
    const links = PAGES.flatMap((page) => linksOf(page).map((link) => ({ page, link })));
    expect(links.length).toBeGreaterThan(100);
    expect(links.flatMap(({ page, link }) => problemOf(page, link) ?? [])).toEqual([]);
  });

  it("the documentation lists every page of docs/ in its index", async () => {
    const index = PAGES.find(({ path }) => path === "docs/README.md") as Page;
    const listed = new Set(linksOf(index));
    const missing = PAGES.map(({ path }) => /^docs\/([\w-]+\.md)$/.exec(path)?.[1])
      .filter((name) => name !== undefined && name !== "README.md")
      .filter((name) => !listed.has(name as string));
    expect(missing).toEqual([]);
  });

  it("the documentation says in the first line of every page whom it is for", () => {
    const pages = PAGES.filter(({ path }) => /^docs\/[\w-]+\.md$/.test(path));
    expect(pages.filter(({ text }) => !/^# .*\n\nFor /.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it("the documentation names only source files that are there, by the end of their path", () => {
    const files = execFileSync("git", ["ls-files"], { cwd: ROOT, encoding: "utf8" }).trim().split("\n");
    const isThere = (name: string) => files.some((path) => `/${path}`.endsWith(`/${name}`));
    const named = PAGES.flatMap(({ path, text }) =>
      [...text.matchAll(/`([\w./-]+\.(?:ts|py|sql|proto))`/g)].map(([, name]) => ({
        path,
        name: name as string,
      })),
    );
    expect(named.length).toBeGreaterThan(100);
    // Files that a reader is told to make, and names that stand for others.
    const isMade = (name: string) => name === "agent.py" || name.includes("NAME");
    expect(named.filter(({ name }) => !isThere(name) && !isMade(name))).toEqual([]);
  });

  it("the documentation keeps the README short", () => {
    const readme = PAGES.find(({ path }) => path === "README.md") as Page;
    expect(readme.text.split("\n").length).toBeLessThanOrEqual(170);
  });
});
