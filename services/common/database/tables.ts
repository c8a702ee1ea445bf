/** The two databases that every service can keep its data in. */
export type Dialect = "sqlite" | "postgres";

/** The tables of one service. A service reads and writes its own tables only. */
export type ServiceTables = {
  /** The name of the service. PostgreSQL shows each connection as `airlock-NAME`. */
  readonly service: string;
  /**
   * The directory of the service's migrations, for both dialects: `NNNN-name.sqlite.sql` and
   * `NNNN-name.postgres.sql`.
   */
  readonly migrations: string;
  /**
   * The PostgreSQL schema that holds the tables: lower-case letters, digits and `_`. The first start creates
   * the schema. Undefined means the first schema on the search path of the database user.
   */
  readonly postgresSchema: string | undefined;
  /**
   * Whether the service keeps texts in BYTEA columns of PostgreSQL, because a TEXT column cannot hold U+0000.
   * When true, rows return strings for BYTEA columns. When false or undefined, rows return bytes.
   */
  readonly hasTextsInBytea?: boolean;
};
