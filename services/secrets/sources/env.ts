import { type SecretSource, UnresolvedSecret } from "./source.ts";

/** Values from the environment of this process. */
export function envSource(env: Readonly<Record<string, string | undefined>>): SecretSource {
  return {
    isRemote: false,
    async read(name) {
      const value = env[name];
      if (value === undefined) throw new UnresolvedSecret(`the environment variable ${name} is not set`);
      return value;
    },
  };
}
