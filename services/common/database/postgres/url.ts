/** The address of a PostgreSQL database, and how the connection to it is protected. */
export type PostgresAddress = {
  /** A host name, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** The TLS settings; undefined for no TLS. With TLS, the server must prove that it is `host`. */
  readonly tls: PostgresTls | undefined;
};

/** The paths of the PEM files for a TLS connection to PostgreSQL. */
export type PostgresTls = {
  /** The authorities that may certify the server; undefined for the public ones. */
  readonly caFile: string | undefined;
  /** The client certificate of this service; undefined when the server asks for none. */
  readonly certFile: string | undefined;
  /** The private key of `certFile`; undefined when there is no client certificate. */
  readonly keyFile: string | undefined;
};

const PARAMETERS = ["sslmode", "sslrootcert", "sslcert", "sslkey"];
const EXAMPLE = "postgres://airlock:PASSWORD@db.example:5432/airlock?sslmode=verify-full";

/**
 * Parses a `postgres://` URL without its password. When the URL is wrong, returns undefined and reports each
 * problem to `refuse`. The problems never contain the URL, because it has the password.
 */
export function readPostgresUrl(
  text: string,
  refuse: (problem: string) => void,
): PostgresAddress | undefined {
  const url = URL.parse(text);
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || /%(?![0-9a-f]{2})/i.test(text)) {
    refuse(`must be a URL such as ${EXAMPLE}; percent-encode special characters in the password`);
    return undefined;
  }
  const host = decodeURIComponent(url.hostname).replace(/^\[(.+)\]$/, "$1");
  const database = decodeURIComponent(url.pathname.slice(1));
  // An unknown parameter is not named in the problem, because it may be the rest of a password that was not
  // encoded.
  const isUnknown = [...url.searchParams.keys()].some((name) => !PARAMETERS.includes(name));
  const problems = [
    ...(url.username === "" ? ["must name a user before the host"] : []),
    ...(host === "" ? ["must name a host, or the directory of a socket as %2Frun%2Fpostgresql"] : []),
    ...(database === "" || database.includes("/") ? ["must name one database after the host"] : []),
    ...(isUnknown ? [`has a parameter other than ${PARAMETERS.join(", ")}`] : []),
    ...tlsProblems(url.searchParams, isLocal(host)),
  ];
  problems.forEach(refuse);
  if (problems.length > 0) return undefined;
  const parameter = (name: string) => url.searchParams.get(name) || undefined;
  return {
    host,
    port: url.port === "" ? 5432 : Number(url.port),
    user: decodeURIComponent(url.username),
    database,
    tls:
      parameter("sslmode") === "verify-full"
        ? {
            caFile: parameter("sslrootcert"),
            certFile: parameter("sslcert"),
            keyFile: parameter("sslkey"),
          }
        : undefined,
  };
}

/** The password in a URL that readPostgresUrl accepted; undefined when it has none. */
export function passwordIn(url: string): string | undefined {
  return decodeURIComponent(URL.parse(url)?.password ?? "") || undefined;
}

function tlsProblems(parameters: URLSearchParams, local: boolean): string[] {
  const mode = parameters.get("sslmode");
  const hasFiles = PARAMETERS.slice(1).some((name) => parameters.has(name));
  if (mode === null && !local) {
    return ["must contain sslmode=verify-full, or sslmode=disable where the network itself is trusted"];
  }
  if (mode !== null && mode !== "verify-full" && mode !== "disable") {
    return [
      "has an sslmode other than verify-full and disable; other modes do not check the server's certificate",
    ];
  }
  if (hasFiles && mode !== "verify-full") return ["has certificates; they need sslmode=verify-full"];
  if (parameters.has("sslcert") !== parameters.has("sslkey")) return ["needs sslcert and sslkey together"];
  return [];
}

function isLocal(host: string): boolean {
  return host.startsWith("/") || ["localhost", "127.0.0.1", "::1"].includes(host);
}
