/** What an image holds, apart from any format. */

export interface Package {
  readonly type: 'npm' | 'deb' | 'apk';
  readonly name: string;
  readonly version: string;
  /** As the package declares it; undefined when it does not. */
  readonly license?: string;
  /** Architecture, for packages of a distribution. */
  readonly architecture?: string;
}

/** The distribution, as `/etc/os-release` names it. */
export interface Distribution {
  /** Such as `debian`. */
  readonly id: string;
  /** Such as `12`; empty when it has none. */
  readonly version: string;
}

export interface Contents {
  readonly distribution?: Distribution;
  /** Sorted, each once. */
  readonly packages: readonly Package[];
}
