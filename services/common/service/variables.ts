/**
 * Every environment variable that a service or a command of Airlock reads, with what it sets.
 * docs/configuration.md lists the same names with their defaults; a test compares the two.
 */
export const VARIABLES = {
  AIRLOCK_ADMIN_KEY_FILE: "a file with the API key of the first admin",
  AIRLOCK_AUTH: "whether clients of REST need a credential: off or required",
  AIRLOCK_AUTHORITY_ADDRESS: "the address of the authority",
  AIRLOCK_CALLERS_LABEL: "`name=value`, the label of the containers that dial workers",
  AIRLOCK_DATABASE: "the path of the SQLite file",
  AIRLOCK_DATABASE_CONNECTIONS:
    "the largest number of connections to PostgreSQL, besides the one that listens",
  AIRLOCK_DATABASE_URL: "the address of PostgreSQL",
  AIRLOCK_DATABASE_URL_FILE: "a file with the address of PostgreSQL",
  AIRLOCK_DATA_DIR: "the directory of executions, logs, packages and authorities",
  AIRLOCK_DEPLOYMENT: "the name that containers, networks and images begin with",
  AIRLOCK_DISK_MB: "the space in MB that the executions of all projects may take together",
  AIRLOCK_DNS_SERVERS: "the DNS servers for names that scripts ask for",
  AIRLOCK_DRIVER: "how workers run: process or docker",
  AIRLOCK_EGRESS_ADDRESS: "the address of the egress service",
  AIRLOCK_EGRESS_EXTRA_CA:
    "a PEM file of authorities that servers may be certified by, besides the public ones",
  AIRLOCK_GRACE: "how long runs may go on after Ctrl-C",
  AIRLOCK_HOST: "the address that REST is served on",
  AIRLOCK_HOST_EXCEPT: "the network in which REST is not served",
  AIRLOCK_HOST_NAMES:
    "the names that REST is served under, besides localhost and addresses, and whose web pages may call it",
  AIRLOCK_KEY: "the API key that commands show",
  AIRLOCK_LISTEN: "the address that the service listens on",
  AIRLOCK_LOG_LEVEL: "the least severe lines that are logged",
  AIRLOCK_MAX_WORKERS: "the largest number of workers of all projects together",
  AIRLOCK_METRICS_LISTEN: "the address that metrics are served on",
  AIRLOCK_POOL_MANAGER_ADDRESS: "the address of the pool-manager",
  AIRLOCK_PORT: "the port that REST is served on, and called at",
  AIRLOCK_PROJECTS_DIR: "the directory with one YAML file per project",
  AIRLOCK_BUILD_NETWORK: "the network of an image build's steps",
  AIRLOCK_PYTHON: "the interpreter that has the worker's own packages",
  AIRLOCK_PYTHON_IMAGE: "what images of workers are built on",
  AIRLOCK_QUEUE: "the largest number of executions of all projects that have not ended",
  AIRLOCK_RETENTION: "how long an ended execution can be polled",
  AIRLOCK_ROUTER_ADDRESS: "the address of the router",
  AIRLOCK_RUN_DIR: "the directory of the workers' sockets",
  AIRLOCK_SANITIZER_ADDRESS: "the address of the sanitizer",
  AIRLOCK_SECRETS_ADDRESS: "the address of the secrets service",
  AIRLOCK_TLS_DIR: "the service's certificates",
  AIRLOCK_URL: "the Airlock that commands call",
  AIRLOCK_VAULT_ADDR: "the address of HashiCorp Vault or OpenBao",
  AIRLOCK_VAULT_CACERT: "a PEM file with the authorities to trust for the vault",
  AIRLOCK_VAULT_CACHE_TTL: "how long a value from the vault is used before the vault is asked again",
  AIRLOCK_VAULT_NAMESPACE: "the vault's namespace",
  AIRLOCK_VAULT_TOKEN: "the token for the vault",
  AIRLOCK_VAULT_TOKEN_FILE: "a file with the token for the vault",
  AIRLOCK_VERSION_KEY_FILE: "the file that keeps the key of the secrets' versions",
  AIRLOCK_WORKER_TLS_DIR: "the certificates that workers in containers are given",
} as const satisfies Record<string, string>;

/** The name of an environment variable of Airlock. */
export type Variable = keyof typeof VARIABLES;
