import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "#common/service/log.ts";
import { startMockGateway } from "../../gateway/mock.ts";
import { ROOT, runQuietly, type ToolResult } from "../tools.ts";

const SDK = join(ROOT, "sdk", "typescript");
const GENERATOR = join(SDK, "node_modules", "openapi-typescript", "bin", "cli.js");

/**
 * Writes the TypeScript types of the REST API to the file `path`, from the OpenAPI document that the gateway
 * serves. The client SDK's own packages, which hold the generator, are installed when they are missing.
 */
export async function restTypes(path: string): Promise<ToolResult> {
  const installed = await installPackages();
  if (!installed.ok) return installed;
  const directory = await mkdtemp(join(tmpdir(), "airlock-openapi-"));
  try {
    const document = join(directory, "openapi.json");
    await writeFile(document, await openApiText());
    const command = ["node", GENERATOR, document, "--output", path, "--immutable", "--alphabetize"];
    return await runQuietly(command, { cwd: SDK, env: { NO_COLOR: "1" } });
  } finally {
    await rm(directory, { recursive: true });
  }
}

/**
 * The OpenAPI document, read from the mock gateway, because the gateway over real services serves the same
 * one.
 */
async function openApiText(): Promise<string> {
  const gateway = await startMockGateway({ host: "127.0.0.1", port: 0 }, createLog("gateway", "silent"));
  try {
    return await (await fetch(`http://${gateway.address}/openapi.json`)).text();
  } finally {
    await gateway.drain(0);
  }
}

/** Installs the packages of the client SDK's lock file, unless exactly these are installed already. */
async function installPackages(): Promise<ToolResult> {
  const lock = join(SDK, "package-lock.json");
  const stamp = join(SDK, "node_modules", ".airlock-lock");
  const [wanted, present] = await Promise.all([lock, stamp].map((path) => readFile(path).catch(() => null)));
  if (wanted && present?.equals(wanted)) return { ok: true, output: "" };
  const command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const result = await runQuietly(command, { cwd: SDK });
  if (result.ok) await copyFile(lock, stamp);
  return result;
}
