import { readApiKey } from "#common/identity/api-key.ts";
import { ConfigError, readEnvironment } from "#common/service/environment.ts";
import { type Airlock, createAirlock } from "#sdk/airlock.ts";
import { storedKey } from "./stored-keys.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The URL of the Airlock that commands call: AIRLOCK_URL, or port AIRLOCK_PORT (8000) of this machine. Throws a
 * ConfigError when the variable is not valid.
 */
export function airlockUrl(env: Environment): string {
  const url = env.AIRLOCK_URL || `http://127.0.0.1:${portIn(env)}`;
  if (URL.canParse(url)) return url;
  throw noUrl("");
}

/**
 * Makes the client SDK for the Airlock at `airlockUrl`. The client sends a failed request again only for calls
 * that ask for it, because a person at the terminal waits for the answer. It shows the API key in AIRLOCK_KEY, or
 * else the one that `./airlock login` kept for this Airlock. Throws a ConfigError when a variable is not valid.
 */
export function connect(env: Environment): Airlock {
  const url = airlockUrl(env);
  const given = env.AIRLOCK_KEY || undefined;
  if (given !== undefined && !readApiKey(given))
    throw new ConfigError(["AIRLOCK_KEY must be an API key (alk_...); ./airlock keys create makes one."]);
  const key = given ?? storedKey(url, env);
  try {
    return createAirlock({ url, key, retry: "never" });
  } catch {
    throw noUrl(key === undefined ? "" : ", without a user where AIRLOCK_KEY is set");
  }
}

/** The error does not repeat the URL, because the URL may hold the password of a reverse proxy. */
function noUrl(condition: string): ConfigError {
  return new ConfigError([`AIRLOCK_URL must be a URL such as http://127.0.0.1:8000${condition}.`]);
}

function portIn(env: Environment): number {
  const read = readEnvironment(env);
  const port = read.integer("AIRLOCK_PORT", 8_000, 1, 65_535);
  read.check();
  return port;
}
