import { weaknessOf } from "#common/redaction/needles/weak-values.ts";
import type { Secret } from "#common/secret.ts";
import type { Log } from "#common/service/log.ts";

/**
 * Logs one warning for each secret whose value is a word or a short number. Such a value is redacted only
 * where it stands alone, because redacting it inside other words and numbers would remove them from every
 * output.
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
