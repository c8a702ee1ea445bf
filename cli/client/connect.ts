import { readApiKey } from "#common/identity/api-key.ts";
import { ConfigError, readEnvironment } from "#common/service/environment.ts";
import { type Airlock, createAirlock } from "#sdk/airlock.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Makes the client SDK for the Airlock at AIRLOCK_URL, or at port AIRLOCK_PORT (8000) of this machine. The
 * client sends a failed request again only for calls that ask for it, because a person at the terminal waits
 * for the answer. It shows the API key in AIRLOCK_KEY, if there is one. Throws a ConfigError when one of these
 * variables is not valid.
 */
export function connect(env: Environment): Airlock {
  const url = env.AIRLOCK_URL || `http://127.0.0.1:${portIn(env)}`;
  const key = env.AIRLOCK_KEY || undefined;
  if (key !== undefined && !readApiKey(key))
    throw new ConfigError(["AIRLOCK_KEY must be an API key (alk_...); ./airlock keys create makes one."]);
  try {
    return createAirlock({ url, key, retry: "never" });
  } catch {
    // The error's message does not repeat the URL, because the URL may hold the password of a reverse proxy.
    throw new ConfigError([
      `AIRLOCK_URL must be a URL such as http://127.0.0.1:8000${key === undefined ? "" : ", without a user where AIRLOCK_KEY is set"}.`,
    ]);
  }
}

function portIn(env: Environment): number {
  const read = readEnvironment(env);
  const port = read.integer("AIRLOCK_PORT", 8_000, 1, 65_535);
  read.check();
  return port;
}
