/** One database server that databases are made on. */
export interface EnvironmentSettings {
  readonly host: string;
  readonly port: number;
  readonly sslmode: 'disable' | 'require' | 'verify-ca' | 'verify-full';
  /** Path of the certificate authority in PEM. */
  readonly rootCertificateFile?: string;
  readonly adminDatabase: string;
  readonly superuser: boolean;
  /** Names of the environment variables that hold the administrator's name and password. */
  readonly usernameVariable: string;
  readonly passwordVariable: string;
}

/** Gives scopes to tokens whose claims match: a `*` in a value matches any text. */
export interface IssuerRule {
  readonly claims: Readonly<Record<string, string>>;
  /** `<environment>:<action>`. */
  readonly scopes: readonly string[];
  /** Namespaces for Secrets; `own` is the Kubernetes service account's own namespace. */
  readonly namespaces: readonly string[];
}

/** Whose tokens are accepted. */
export interface IssuerSettings {
  readonly issuer: string;
  readonly audience: string;
  /** @default from the issuer's discovery document */
  readonly jwksUri?: string;
  /** Certificate authority in PEM for the issuer's address. @default the system's */
  readonly caFile?: string;
  /** File with a bearer token for the issuer's own addresses (the Kubernetes API server). @default none */
  readonly tokenFile?: string;
  /**
   * Client of the issuer, without a secret, with which people sign in to the console: authorization code with PKCE,
   * redirected to the public URL and `/`. @default the console takes pasted tokens only
   */
  readonly consoleClientId?: string;
  /** Claim with a space-separated list of scopes `<environment>:<action>`. @default none: only rules give scopes */
  readonly scopeClaim?: string;
  /** Namespaces for tokens whose scopes come from `scopeClaim`. @default none */
  readonly namespaces?: readonly string[];
  readonly rules?: readonly IssuerRule[];
}

/**
 * The file that API_SETTINGS_FILE names. Secrets come from environment variables: PGHOST, PGPORT, PGDATABASE, PGUSER,
 * PGPASSWORD, PGSSLMODE, PGSSLROOTCERT (records, queue and state), API_ENCRYPTION_KEY (32 bytes in base64: credentials
 * that wait), API_STATE_PASSPHRASE (secrets in the state), and what the environments name.
 */
export interface ApiSettings {
  /** @default 8080 */
  readonly port?: number;
  /** Metrics; not reachable from outside. @default 9464 */
  readonly metricsPort?: number;
  readonly publicUrl: string;
  readonly environments: Readonly<Record<string, EnvironmentSettings>>;
  readonly issuers: readonly IssuerSettings[];
  /** Namespaces in which the service may write Secrets. */
  readonly namespaces: readonly string[];
  /** How many runs of the engine at once. @default 2 */
  readonly concurrency?: number;
}
