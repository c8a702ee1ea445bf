import { INJECT, type Injection, injectionOf, injectionProblems } from "./injection.ts";
import { type DocumentOf, type FieldProblem, section } from "./section.ts";
import type { SettingsDocument } from "./settings.ts";
import { ENVIRONMENT_NAME, TEXT } from "./text.ts";

/**
 * A secret as the project file writes it: `reference` is `${env:NAME}`, `${file:path}`,
 * `${vault:mount/path#field}` or plain text.
 */
export type SecretReference = {
  readonly name: string;
  readonly reference: string;
  /**
   * Set for a brokered secret: scripts get a placeholder, and the egress service puts the value into
   * requests.
   */
  readonly inject?: Injection;
};

// Environment variables that steer the worker, its proxy, Python, the loader, shells or common clients; a
// secret of such a name would break them.
const RESERVED_NAME =
  /^(PATH|HOME|TMPDIR|IFS|BASH_ENV|TZ|LANG|LANGUAGE|COLUMNS|NO_COLOR|(LC|LD|GLIBC|MALLOC|MIMALLOC|AIRLOCK)_.*|PYTHON.*|[Hh][Tt][Tt][Pp][Ss]?_(PROXY|proxy)|(ALL|all|NO|no|FTP|ftp)_(PROXY|proxy)|[A-Z]+_NUM_THREADS|(REQUESTS|CURL|AWS)_CA_BUNDLE|HTTPLIB2_CA_CERTS|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|NODE_OPTIONS)$/;

const properties = {
  secrets: {
    type: "object",
    propertyNames: ENVIRONMENT_NAME,
    additionalProperties: {
      $comment: "a text, or {value: text, inject: {host: text, header: text, format: text}}",
      oneOf: [
        TEXT,
        {
          type: "object",
          // Without `inject` a mapping is refused, because it may be the beginning of a brokered secret whose
          // file is still being written. Scripts would be given the value.
          required: ["value", "inject"],
          additionalProperties: false,
          properties: { value: TEXT, inject: INJECT },
        },
      ],
    },
  },
} as const;

export type SecretsDocument = DocumentOf<typeof properties>;

type Secrets = { readonly secrets: readonly SecretReference[] };

/**
 * The secrets of the project, which the secrets service resolves. The pool-manager checks them, and the
 * egress service brokers those that have `inject`.
 */
export const secretsSection = section({
  properties,
  problems: ({ secrets = {}, settings = {} }: SecretsDocument & SettingsDocument) => [
    ...Object.keys(secrets).flatMap((name) => nameProblems(name, settings)),
    ...Object.entries(secrets).flatMap(([name, secret]) => {
      const inject = injectOf(secret);
      return inject ? injectionProblems(`secrets.${name}.inject`, inject) : [];
    }),
  ],
  read: ({ secrets = {} }: SecretsDocument): Secrets => ({
    secrets: Object.entries(secrets).map(([name, secret]) => {
      const inject = injectOf(secret);
      const reference = typeof secret === "string" ? secret : secret.value;
      return { name, reference, ...(inject && { inject: injectionOf(inject) }) };
    }),
  }),
  revisions: ({ secrets }) => ({ provision: [secrets] }),
});

function injectOf(secret: NonNullable<SecretsDocument["secrets"]>[string]) {
  return typeof secret === "string" ? undefined : secret.inject;
}

function nameProblems(name: string, settings: Readonly<Record<string, string>>): FieldProblem[] {
  const field = `secrets.${name}`;
  const problems: FieldProblem[] = [];
  if (Object.hasOwn(settings, name))
    problems.push({ field, message: "is also the name of a setting; rename one of them" });
  if (RESERVED_NAME.test(name)) {
    const message =
      "has the name of a variable that controls programs, as PATH, LD_PRELOAD and HTTPS_PROXY do; choose another name, because scripts find secrets in their environment";
    problems.push({ field, message });
  }
  return problems;
}
