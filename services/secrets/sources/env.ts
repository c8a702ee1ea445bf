import { type SecretSource, UnresolvedSecret } from "./source.ts";

/** Values from the environment of this process. */
export function envSource(env: Readonly<Record<string, string | undefined>>): SecretSource {
  return {
    isRemote: false,
    async read(name) {
      // What every object has, such as `toString`, is no variable.
      const value = Object.hasOwn(env, name) ? env[name] : undefined;
      if (value === undefined) throw new UnresolvedSecret(`the environment variable ${name} is not set`);
      return value;
    },
  };
}
