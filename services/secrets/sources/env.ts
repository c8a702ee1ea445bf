import { type SecretSource, UnresolvedSecret } from "./source.ts";

/** A source that reads secret values from environment variables of this process. */
export function envSource(env: Readonly<Record<string, string | undefined>>): SecretSource {
  return {
    isRemote: false,
    async read(name) {
      // Names that every JavaScript object has, such as `toString`, are no variables.
      const value = Object.hasOwn(env, name) ? env[name] : undefined;
      if (value === undefined) throw new UnresolvedSecret(`the environment variable ${name} is not set`);
      return value;
    },
  };
}
