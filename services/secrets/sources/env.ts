import { type SecretSource, UnresolvedSecret } from "./source.ts";

/** A source that reads secret values from the environment variables of the secrets service's process. */
export function envSource(env: Readonly<Record<string, string | undefined>>): SecretSource {
  return {
    isRemote: false,
    async read(name) {
      // Only own properties of `env` are variables: `toString`, for example, is a function of every
      // JavaScript object.
      const value = Object.hasOwn(env, name) ? env[name] : undefined;
      if (value === undefined) throw new UnresolvedSecret(`the environment variable ${name} is not set`);
      return value;
    },
  };
}
