import { type DocumentOf, section } from "./section.ts";

const properties = {
  isolation: { enum: ["standard", "strict", "gvisor"] },
  runtime: {
    type: "string",
    pattern: "^[a-zA-Z0-9._-]+$",
    $comment: "the name of a runtime of the Docker engine, such as runsc",
  },
} as const;

type IsolationDocument = DocumentOf<typeof properties>;

export type Isolation = NonNullable<IsolationDocument["isolation"]>;

type ReadIsolation = {
  readonly isolation: Isolation;
  /** The OCI runtime that the project's containers need; undefined means any runtime of the Docker engine. */
  readonly runtime: string | undefined;
};

/** The protections that the pool-manager demands of the project's workers. */
export const isolationSection = section({
  properties,
  read: ({ isolation = "standard", runtime }: IsolationDocument): ReadIsolation => ({ isolation, runtime }),
  revisions: ({ isolation, runtime }) => ({ pool: [isolation, runtime] }),
});
