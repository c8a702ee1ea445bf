import { weaknessOf } from "#common/redaction/needles/weak-values.ts";
import type { Secret } from "#common/secret.ts";
import type { Log } from "#common/service/log.ts";

/**
 * Logs one warning for each secret whose value is a word or a short number. The sanitizer redacts such a
 * value only where it is not part of a longer word or number, because otherwise it would remove those
 * harmless words and numbers from every output.
 */
export function createWeakValueWarnings(log: Log): (project: string, secrets: readonly Secret[]) => void {
  const warned = new Set<string>();
  return (project, secrets) => {
    for (const secret of secrets) {
      const weakness = weaknessOf(secret.reveal());
      const key = `${project}/${secret.name}`;
      if (weakness === undefined || warned.has(key)) continue;
      warned.add(key);
      log.warn(
        { project, secret: secret.name },
        `The value of secret ${secret.name} is ${weakness}: it is redacted only where it stands alone. Use a longer random value.`,
      );
    }
  };
}
