import { readEnvironment } from "../common/environment.ts";

export type SecretsConfig = {
  /** `unix:/path` or `host:port`. */
  readonly listen: string;
  readonly projectsDir: string;
};

/** Reads AIRLOCK_LISTEN and AIRLOCK_PROJECTS_DIR; throws a ConfigError that names all problems. */
export function readSecretsConfig(env: Readonly<Record<string, string | undefined>>): SecretsConfig {
  const read = readEnvironment(env);
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    projectsDir: read.text("AIRLOCK_PROJECTS_DIR"),
  };
  read.check();
  return Object.freeze(config);
}
