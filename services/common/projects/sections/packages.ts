import { isRequirement } from "../requirement.ts";
import { type DocumentOf, section } from "./section.ts";

/**
 * Programs of the machine that scripts may run when their project lists none; the worker leaves out those
 * that do not exist.
 */
const DEFAULT_PROGRAMS: readonly string[] = ["sh", "coreutils"];

const properties = {
  packages: {
    type: "array",
    // A leading dash is refused, because pip and uv would read the text as an option.
    items: {
      type: "string",
      minLength: 1,
      maxLength: 500,
      pattern: "^[^-\\s][^\\r\\n]*$",
      $comment: "one line that begins with neither a dash nor a space",
    },
    maxItems: 200,
  },
  preload: {
    type: "array",
    items: {
      type: "string",
      pattern: "^[A-Za-z_][A-Za-z0-9_.]*$",
      $comment: "the name of a module, such as pandas or os.path",
    },
    maxItems: 200,
  },
  // Names of programs, not paths. Commas are not allowed, because the worker gets the names as one
  // argument with commas between them.
  programs: {
    type: "array",
    items: {
      type: "string",
      pattern: "^[A-Za-z0-9_][A-Za-z0-9._+-]*$",
      maxLength: 100,
      $comment: "the name of a program without a path, such as git",
    },
    maxItems: 200,
  },
} as const;

type PackagesDocument = DocumentOf<typeof properties>;

type Packages = {
  readonly packages: readonly string[];
  /**
   * Modules that the worker imports before it runs scripts; undefined means all modules that the packages
   * provide.
   */
  readonly preload: readonly string[] | undefined;
  /**
   * Names of programs of the worker's machine that scripts may run; `coreutils` stands for all of GNU
   * coreutils.
   */
  readonly programs: readonly string[];
};

/** The Python packages that the pool-manager installs for scripts, and the programs that scripts may run. */
export const packagesSection = section({
  properties,
  problems: ({ packages = [] }: PackagesDocument) =>
    packages.flatMap((requirement, index) =>
      isRequirement(requirement)
        ? []
        : {
            field: `packages.${index}`,
            // The requirement is not repeated, because it may be a URL with a password.
            message:
              'must be a package as PEP 508 writes it, such as "pandas>=3,<4" or "name @ https://host/file.whl"',
          },
    ),
  read: ({ packages = [], preload, programs }: PackagesDocument): Packages => ({
    packages,
    preload,
    programs: programs ?? DEFAULT_PROGRAMS,
  }),
  revisions: ({ packages, preload, programs }) => ({ pool: [packages, preload, programs] }),
});
