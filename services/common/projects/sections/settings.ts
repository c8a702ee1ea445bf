import { type DocumentOf, section } from "./section.ts";
import { ENVIRONMENT_NAME, halfCharacter, TEXT } from "./text.ts";

const REFERENCE = /\$\{(env|file|vault):/;

const properties = {
  settings: { type: "object", propertyNames: ENVIRONMENT_NAME, additionalProperties: TEXT },
} as const;

export type SettingsDocument = DocumentOf<typeof properties>;

type Settings = { readonly settings: Readonly<Record<string, string>> };

/** The values that `settings.get` of scripts returns when a request does not replace them. */
export const settingsSection = section({
  properties,
  problems: ({ settings = {} }: SettingsDocument) =>
    Object.entries(settings).flatMap(([name, text]) => {
      const field = `settings.${name}`;
      const message = "refers to a secret, but references in settings are not resolved; move it to secrets";
      return [...halfCharacter(field, text), ...(REFERENCE.test(text) ? [{ field, message }] : [])];
    }),
  read: ({ settings = {} }: SettingsDocument): Settings => ({ settings }),
  revisions: ({ settings }) => ({ provision: [settings] }),
});
