import { ConfigError, readEnvironment } from "#common/service/environment.ts";
import { type Airlock, createAirlock } from "#sdk/airlock.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Makes the client SDK for the Airlock at AIRLOCK_URL, or at port AIRLOCK_PORT (8000) of this machine. The
 * client sends a failed request again only for calls that ask for it, because a person at the terminal waits
 * for the answer. Throws a ConfigError when one of the two variables is not valid.
 */
export function connect(env: Environment): Airlock {
  const url = env.AIRLOCK_URL || `http://127.0.0.1:${portIn(env)}`;
  try {
    return createAirlock({ url, retry: "never" });
  } catch {
    // The error's message does not repeat the URL, because the URL may hold the password of a reverse proxy.
    throw new ConfigError(["AIRLOCK_URL must be a URL such as http://127.0.0.1:8000."]);
  }
}

function portIn(env: Environment): number {
  const read = readEnvironment(env);
  const port = read.integer("AIRLOCK_PORT", 8_000, 1, 65_535);
  read.check();
  return port;
}
