/** What is used here of autocannon, which brings no types. */
declare module 'autocannon' {
  interface Options {
    readonly url: string;
    readonly connections: number;
    /** Seconds. */
    readonly duration: number;
    /** Requests a second of all connections together; sent at the beginning of each second, not evenly. */
    readonly overallRate: number;
    readonly ignoreCoordinatedOmission: boolean;
    readonly headers: Readonly<Record<string, string>>;
    /** Name in the TLS handshake; the one in `tlsOptions` is not used. It verifies no certificate. */
    readonly servername: string;
  }
  interface Result {
    /** Milliseconds. */
    readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
    readonly requests: { readonly average: number; readonly total: number };
    readonly errors: number;
    readonly timeouts: number;
    readonly non2xx: number;
  }
  export default function autocannon(options: Options): Promise<Result>;
}
