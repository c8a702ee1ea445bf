import { SECTIONS } from "./sections/all.ts";
import type { AnySection } from "./sections/section.ts";

/** The JSON schema of project files, `projects/NAME.yaml`. */
export const PROJECT_SCHEMA = schemaOf(SECTIONS);

/** The JSON schema of a project file that has these sections. */
export function schemaOf(sections: readonly AnySection[]) {
  return {
    type: "object",
    required: ["name"],
    additionalProperties: false,
    properties: Object.assign({}, ...sections.map(({ properties }) => properties)),
  } as const;
}
