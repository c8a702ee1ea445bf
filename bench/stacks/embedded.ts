import { readEmbeddedConfig } from "../../cli/embedded/config.ts";
import { startAirlock, type TestAirlockOptions } from "../../test/harness/airlock.ts";
import { PROJECTS } from "../projects.ts";
import { environmentPython } from "./environment.ts";
import type { Stack } from "./stack.ts";

/** Starts `./airlock up`: all services in one process, SQLite, workers as processes. */
export async function startEmbeddedStack(
  options: TestAirlockOptions = {},
): Promise<Stack & { readonly dataDirectory: string }> {
  const airlock = await startAirlock({ projects: PROJECTS, ...options });
  return {
    name: "embedded",
    dataDirectory: airlock.dataDirectory,
    url: airlock.url,
    routerAddress: routerAddressOf(airlock.dataDirectory),
    processes: { "all services": airlock.pid },
    pythonOf: (project) => environmentPython(airlock.dataDirectory, project),
    close: () => airlock.remove(),
  };
}

/** The gRPC address of the router of `./airlock up`. */
export function routerAddressOf(dataDirectory: string): string {
  const { runDirectory } = readEmbeddedConfig(["--data", dataDirectory], process.env);
  return `unix:${runDirectory}/router.sock`;
}
