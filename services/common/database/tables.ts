/** The two databases that every service can keep its data in. */
export type Dialect = "sqlite" | "postgres";

/** The tables of one service. A service reads and writes its own tables only. */
export type ServiceTables = {
  /** The name of the service. PostgreSQL shows it for each connection. */
  readonly service: string;
  /**
   * The directory of the service's migrations, for both dialects: `NNNN-name.sqlite.sql` and
   * `NNNN-name.postgres.sql`.
   */
  readonly migrations: string;
  /**
   * The schema of PostgreSQL that holds the tables: lower-case letters, digits and `_`. It is made when it is
   * missing. Undefined means the first schema on the search path of the role.
   */
  readonly postgresSchema: string | undefined;
  /**
   * Whether BYTEA columns of PostgreSQL hold texts, because TEXT cannot hold U+0000. Rows then return texts
   * for them. False unless given: rows return bytes.
   */
  readonly hasTextsInBytea?: boolean;
};
