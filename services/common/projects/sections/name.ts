import { type DocumentOf, section } from "./section.ts";
import { halfCharacter } from "./text.ts";

/** Project names are DNS labels, because containers and networks are named after projects. */
export const PROJECT_NAME_PATTERN = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

const properties = {
  name: {
    type: "string",
    pattern: PROJECT_NAME_PATTERN,
    $comment: "1 to 63 of a-z, 0-9 and -, with no - first or last",
  },
  description: { type: "string", maxLength: 500 },
} as const;

type NameDocument = DocumentOf<typeof properties> & { readonly name: string };

/** The name of the project, which every service uses, and its description for agents. */
export const nameSection = section({
  properties,
  problems: ({ name, description = "" }: NameDocument, fileStem) => [
    ...(name === fileStem
      ? []
      : [{ field: "name", message: `must be "${fileStem}", the name of the file without .yaml` }]),
    ...halfCharacter("description", description),
  ],
  read: ({ name, description = "" }: NameDocument) => ({ name, description }),
});
